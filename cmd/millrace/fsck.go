package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/check"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/store/rebuild"
	"github.com/spf13/cobra"
)

func (a *app) fsckCommand() *cobra.Command {
	var file string
	var quiet bool
	var c *cobra.Command
	c = a.verb("fsck", "Check the data folder of a stopped hub", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cfg, err := a.load(file, c.Flags())
		if err != nil {
			return err
		}
		return a.fsck(ctx, cfg, quiet)
	})
	c.Long = "Fsck reads everything in the data folder of a hub that is stopped, or in a restored backup: every checksum, every block and\n" +
		"the hash chain through them. It replays the log from the first block and compares what that gives with the hub's index: the\n" +
		"journal, the ids and entitlements, the histories, the checkpoint of the state, the transparency log. It prints one line for\n" +
		"each thing that is not as it should be, and changes nothing. It tries the hub's keys; webhooks.json and the proofs of\n" +
		"liabilities have checks of their own, which a start makes.\n\n" +
		"Exit 0 means that nothing was found, 6 that something was. What is wrong with the index alone is mended by millrace rebuild;\n" +
		"what is wrong with the log is not: put back a backup."
	dataFlags(c, &file)
	c.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	return c
}

// fsck checks, and is an error of the data folder when something was found.
func (a *app) fsck(ctx context.Context, cfg config, quiet bool) (err error) {
	log, err := a.openLog(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ofData(log.Close())) }()
	findings := []check.Finding{}
	kind := make(map[bool]int) // of the log, or not
	c := check.Config{Log: log, Index: indexOptions(cfg, log), Found: func(f check.Finding) {
		findings = append(findings, f)
		kind[f.Space == "log" || f.Space == "balances"]++
		if !a.json {
			fmt.Fprintln(a.out, plain(f.String()))
		}
	}}
	if _, err := os.Stat(c.Index.Dir); errors.Is(err, fs.ErrNotExist) {
		a.note("there is no index: only the log is checked. The hub makes one when it starts")
		c.Index.Dir = ""
	}
	var keys error
	if ring, err := openRing(cfg); err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // no keys are no damage: a backup need not have them
			keys = fmt.Errorf("%w %s: the hub's keys cannot be opened: %w", errData, cfg.Data, err)
		}
		a.note("without the hub's keys the root in each leaf of the transparency log is not checked: %v", err)
	} else {
		c.Notary = hub.NewNotary(ring)
	}
	if !quiet && !a.json {
		c.Progress = a.checking(time.Now())
	}
	r, err := check.Run(ctx, c)
	if err != nil {
		return ofData(err)
	}
	damage := verdict(cfg, r, kind[true] > 0)
	if damage == nil {
		damage = keys
	}
	answer := map[string]any{"data": cfg.Data, "clean": damage == nil, "blocks": r.Blocks, "entries": r.Entries, "compared": r.Compared,
		"findings": findings, "findings_count": r.Findings}
	if damage != nil {
		f := classify(damage)
		answer["error"] = f
		if a.json {
			return errors.Join(a.print(answer, ""), printed{damage})
		}
		return damage
	}
	return a.print(answer, "clean: %d blocks, %d entries, of which the index has %d", r.Blocks, r.Entries, r.Compared)
}

// verdict is nil when nothing was found.
func verdict(cfg config, r check.Report, ofLog bool) error {
	switch {
	case r.Clean():
		return nil
	case ofLog:
		return fmt.Errorf("%w %s is damaged: %d findings, also in the log, which nothing can make anew: put back a backup", errData, cfg.Data, r.Findings)
	}
	return fmt.Errorf("%w %s is damaged: %d findings, all in its index, which can be made anew: millrace rebuild --data %s",
		errData, cfg.Data, r.Findings, quote(cfg.Data))
}

// checking tells once a second how far a check is.
func (a *app) checking(began time.Time) func(check.Progress) {
	return func(p check.Progress) {
		of := ""
		if p.Of > 0 {
			of = fmt.Sprintf(" of %d", p.Of)
		}
		a.note("%s: %d%s, after %s", p.Doing, p.Done, of, time.Since(began).Round(time.Second))
	}
}

// openLog opens the log of a stopped hub, for one who says himself what there is to say: how a hub starts is not what is asked for.
func (a *app) openLog(cfg config) (*store.Store, error) {
	cfg.LogLevel = slog.LevelWarn
	log, err := store.Open(store.Options{Dir: cfg.Data, WALDir: cfg.WALDir, Logger: a.logger(cfg)})
	if err != nil {
		return nil, ofData(err)
	}
	return log, nil
}

// indexOptions are those of a stopped hub's index.
func indexOptions(cfg config, log *store.Store) index.Options {
	return index.Options{Dir: filepath.Join(cfg.Data, "index"), IDKeep: log.Params().IDWindow}
}

func (a *app) rebuildCommand() *cobra.Command {
	var file string
	var quiet bool
	var c *cobra.Command
	c = a.verb("rebuild", "Make the index of a stopped hub anew from its log", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cfg, err := a.load(file, c.Flags())
		if err != nil {
			return err
		}
		return a.rebuild(ctx, cfg, quiet)
	})
	c.Long = "Rebuild throws away what a hub has derived from its log, and derives it again: the histories, the ids and entitlements, the\n" +
		"transparency log and the state to start from. The new index is made beside the old one and takes its place when it is whole,\n" +
		"so there must be room for both, and the hub's keys are needed for the transparency log. An interrupted rebuild leaves the old one; without any, a hub makes it when it starts."
	dataFlags(c, &file)
	c.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	return c
}

func (a *app) rebuild(ctx context.Context, cfg config, quiet bool) (err error) {
	log, err := a.openLog(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ofData(log.Close())) }()
	ring, err := openRing(cfg)
	if err != nil {
		return err
	}
	o := indexOptions(cfg, log)
	o.Notary = hub.NewNotary(ring)
	cfg.LogLevel = slog.LevelWarn
	o.Logger = a.logger(cfg)
	began := time.Now()
	told := began
	r, err := rebuild.Index(ctx, log, o, func(entries uint64) {
		if now := time.Now(); !quiet && !a.json && now.Sub(told) >= time.Second {
			told = now
			a.note("rebuilding: at entry %d, %.2f M entries/s", entries, float64(entries)/1e6/now.Sub(began).Seconds())
		}
	})
	if err != nil {
		return ofData(err)
	}
	return a.print(map[string]any{"data": cfg.Data, "blocks": r.Blocks, "entries": r.Entries}, "rebuilt the index of %s: %d blocks, %d entries", cfg.Data, r.Blocks, r.Entries)
}

// mendable adds to an error of damage what to do: what is derived from the log can be derived again.
func mendable(err error) error {
	if errors.Is(err, errData) { // said already
		return err
	}
	if derived(err) {
		return fmt.Errorf("%w: %w; millrace fsck says more, and millrace rebuild makes the index again from the log", errData, brief{err})
	}
	if errors.Is(err, store.ErrCorrupt) {
		return fmt.Errorf("%w: %w; nothing can make the log anew: put back a backup (millrace restore)", errData, brief{err})
	}
	return err
}

// derived says whether an error is of damage to what is derived from the log.
func derived(err error) bool {
	return errors.Is(err, index.ErrCorrupt) || errors.Is(err, index.ErrFormat) || errors.Is(err, ledger.ErrSnapshot)
}

// brief is an error in few words, so that what is said behind it is read: pebble names every table that it misses.
type brief struct{ error }

func (b brief) Unwrap() error { return b.error }

func (b brief) Error() string {
	const most = 1000
	if s := []rune(b.error.Error()); len(s) > most {
		return string(s[:most]) + "..."
	}
	return b.error.Error()
}
