package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/backup"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/spf13/cobra"
)

func (a *app) restoreCommand() *cobra.Command {
	var place, name, data string
	c := a.verb("restore", "Make a data folder of a backup", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		m, err := backup.Find(place, name)
		if err != nil {
			return err
		}
		return a.restore(ctx, place, m, data)
	})
	c.Long = "Restore copies a backup into the new or empty folder --data, compares the checksum of every file, and then reads the\n" +
		"whole log and replays it as a start does. Only if all is well does the folder become one that a hub starts on: an interrupted restore is none, and is\n" +
		"begun again in an empty folder. The write-ahead log is then within the folder: serve it without --wal-dir.\n\n" +
		"A hub that had a node starts with its payouts paused, for some may have been sent after the backup was made. Let it run, compare its\n" +
		"books with the node's (millrace reconcile run --full), decide and explain what that finds, and then: millrace payouts resume.\n" +
		"Links to withdraw by (LNURL) have expired, since they may have been used: their owners make new ones. And what was ordered after the backup\n" +
		"may be done already, though the hub does not know it: clients must not repeat such orders before the books are compared.\n\n" +
		"If the hub's keys are not in the backup, put hub.keys into the folder before the hub is started."
	c.Flags().StringVar(&place, "from", "", "folder of the backups")
	c.Flags().StringVar(&name, "name", "", "of the backup (default: the newest)")
	c.Flags().StringVar(&data, "data", "", "the new data folder")
	return must(c, "from", "data")
}

func (a *app) restore(ctx context.Context, place string, m backup.Manifest, data string) error {
	switch there, err := os.ReadDir(data); {
	case slices.ContainsFunc(there, func(e fs.DirEntry) bool { return e.Name() == store.Restoring }):
		return usage("%s is of a restore that was interrupted, and is not whole: unless one still runs there, remove the folder and begin again", data)
	case err == nil && len(there) > 0:
		return usage("%s is not empty", data)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return usage("%w", err)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("%w: %w", errData, err)
	}
	// From here on the folder is nobody's until Adopt says so.
	if err := replaceFile(filepath.Join(data, store.Restoring), "millrace restore: this folder is not whole\n"); err != nil {
		return err
	}
	if err := backup.Fetch(ctx, place, m, data, a.bytes("restoring")); err != nil {
		return fmt.Errorf("%w; %s is not whole: remove it", err, data)
	}
	if err := a.restoreRails(m, data); err != nil {
		return fmt.Errorf("%w; %s is not whole: remove it", err, data)
	}
	err := store.Adopt(ctx, store.Options{Dir: data, Logger: a.progressLog()}, m.Through, func(s *store.Store) error {
		return replayInto(ctx, s, filepath.Join(data, "index"))
	})
	if err != nil {
		return fmt.Errorf("%w; %s is not whole: remove it", ofBackup(err), data)
	}
	if !m.Keys {
		a.note("the hub's keys were not in the backup: put hub.keys, and hub.kek if the key over it was kept there, into %s", data)
	}
	return a.print(shownBackup(m, map[string]any{"data": data}), "restored %s into %s", m.Name, data)
}

// ofBackup is ofData, but that what can be made again from the log is to be made where the backup comes from.
func ofBackup(err error) error {
	if !derived(err) {
		return ofData(err)
	}
	return fmt.Errorf("%w: %w; it was so when it was backed up: millrace rebuild makes that hub's index again from its log, for another backup", errData, brief{err})
}

// progressLog tells of what takes long, unless the answer is for a machine.
func (a *app) progressLog() *slog.Logger {
	cfg := defaultConfig()
	if a.json {
		cfg.LogLevel = slog.LevelWarn
	}
	return a.logger(cfg)
}

// replayInto replays a log as a hub does at its start, from the index's checkpoint if there is one, and audits the books. What the
// index lacks is left to the hub's first start: it takes the hub's keys, which need not be in the backup.
func replayInto(ctx context.Context, s *store.Store, dir string) (err error) {
	past, err := index.Open(index.Options{Dir: dir, IDKeep: s.Params().IDWindow})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, past.Close()) }()
	m := newRecovery(s.Params(), past)
	if _, err := s.Replay(ctx, &m, past); err != nil {
		return err
	}
	if err := m.state.Audit(); err != nil {
		return fmt.Errorf("%w: the books do not add up: %w", store.ErrCorrupt, err)
	}
	return nil
}
