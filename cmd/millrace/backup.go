package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/backup"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/store/records"
	"github.com/spf13/cobra"
)

// saver is the verb backup.
type saver struct {
	cred   credentials
	place  string
	keys   bool
	config string
}

func (a *app) backupCommand() *cobra.Command {
	var s saver
	var c *cobra.Command
	c = a.verb("backup", "Copy a hub's data elsewhere, while it runs or not", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cfg, err := a.load(s.config, c.Flags())
		if err != nil {
			return err
		}
		return s.run(ctx, a, cfg)
	})
	c.Long = "Backup copies the ledger of the hub in --data to the folder --to, as it was at one moment: everything that was acknowledged\n" +
		"before is in it. A running hub is asked for a copy (the token is the operator's) and goes on meanwhile; a stopped one's\n" +
		"folder is taken as it is. What --to has from earlier backups is not copied again: such\n" +
		"files are trusted by their size. Run backup verify now and then, which reads all of them.\n\n" +
		"What the rails know (deposits, payouts, settlements) is in it, of the same moment, and lnd's static channel backups; not lnd's own data.\n" +
		"Webhooks, and the secrets that sign their deliveries, are in it, and the newest proof of liabilities. The hub's keys are NOT: without\n" +
		"them what was sealed to this hub cannot be opened, and with them and the key over them whoever finds the backup is the hub. Keep\n" +
		"hub.keys and its key by themselves, or give --with-keys."
	dataFlags(c, &s.config)
	s.cred.bind(c.Flags())
	c.Flags().StringVar(&s.place, "to", "", "folder of the backups, best on another disk; made if missing")
	c.Flags().BoolVar(&s.keys, "with-keys", false, "put the hub's keys into the backup, and the key over them if it is in a file")
	c.AddCommand(a.backupList(), a.backupVerify())
	return must(c, "to")
}

func (s *saver) run(ctx context.Context, a *app, cfg config) (err error) {
	for _, folder := range []string{cfg.Data, cfg.WALDir} {
		if folder != "" && liesIn(s.place, folder) {
			return usage("--to %s lies in %s, which is what is to be saved: name a folder elsewhere, best on another disk", s.place, folder)
		}
	}
	o := backup.Options{Place: s.place, Progress: a.bytes("backing up")}
	if o.Beside, err = beside(cfg.Data); err != nil {
		return err
	}
	if s.keys {
		o.Keys = map[string]string{"hub.keys": cfg.keys()}
		if kek := cfg.kek().File; kek != "" {
			o.Keys["hub.kek"] = kek
		}
	}
	held, err := backup.Hold(s.place) // before the hub makes a copy that nobody would carry away
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	release, err := s.copy(ctx, a, cfg, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	r, err := backup.Take(ctx, o)
	if err != nil {
		return err
	}
	if !r.Keys {
		a.note("the hub's keys are not in the backup: keep %s, and the key over it, in another place", cfg.keys())
	}
	return a.print(shownBackup(r.Manifest, map[string]any{"to": s.place, "copied_bytes": r.Copied}),
		"backup %s: %d files, %.1f MiB, of which %.1f MiB were new", r.Name, len(r.Files), mib(r.Size()), mib(r.Copied))
}

// liesIn says whether a path, which need not exist, is a folder or lies in it, however they are written.
func liesIn(path, folder string) bool {
	of, err := os.Stat(folder)
	if err != nil {
		return false
	}
	if path, err = filepath.Abs(path); err != nil {
		return false
	}
	for {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if info, err := os.Stat(path); err == nil && os.SameFile(info, of) {
			return true
		}
		up := filepath.Dir(path)
		if up == path {
			return false
		}
		path = up
	}
}

// beside are the files of a data folder that lie beside log and index. Each is replaced as a whole, so that a copy of it is one at
// some moment. Of the proofs of liabilities it is the newest, looked for before the log is copied: none is of a later block.
func beside(data string) (map[string]string, error) {
	files := map[string]string{"webhooks.json": filepath.Join(data, "webhooks.json"), nodeName: filepath.Join(data, nodeName)}
	notes, err := filepath.Glob(filepath.Join(data, "liabilities", "[0-9]*.note"))
	if err != nil || len(notes) == 0 {
		return files, err
	}
	newest := strings.TrimSuffix(filepath.Base(slices.Max(notes)), ".note") // the numbers have one length
	for _, kind := range []string{".note", ".tree"} {
		path := filepath.Join("liabilities", newest+kind)
		files[path] = filepath.Join(data, path)
	}
	return files, nil
}

// backups are the copies that a running hub makes, of its log and of what its rails know: see copyBooks.
type backups struct {
	*store.Store
	index *index.Index
	data  string
	rails *records.Records
}

// Backup is what the API asks for.
func (b backups) Backup() (name, path string, through uint64, err error) {
	name, path, through, err = copyBooks(b.Store, b.index, b.data, b.rails)
	if errors.Is(err, store.ErrLent) {
		err = fmt.Errorf("%w: %w", api.ErrBackupUnderWay, err)
	}
	return name, path, through, err
}

// copy has the hub, or the stopped hub's folder, make a copy that nothing changes, until it is released.
func (s *saver) copy(ctx context.Context, a *app, cfg config, o *backup.Options) (release func() error, err error) {
	st, err := store.Open(store.Options{Dir: cfg.Data, WALDir: cfg.WALDir})
	if err == nil {
		if err := s.stopped(st, cfg, o); err != nil {
			return nil, errors.Join(ofData(err), st.Close())
		}
		return st.Close, nil
	}
	if !errors.Is(err, store.ErrInUse) {
		return nil, ofData(err)
	}
	cl, _, err := s.cred.client(a)
	if err != nil {
		return nil, fmt.Errorf("%w (a hub runs on %s: it is asked for the copy, with the operator's token)", err, cfg.Data)
	}
	made, err := cl.Backup(ctx)
	if err != nil {
		return nil, err
	}
	release = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := cl.DropBackup(ctx, made.Name); err != nil {
			return fmt.Errorf("the copy in %s is not removed: the next backup does, or a restart of the hub: %w", made.Path, err)
		}
		return nil
	}
	mine, err := os.Stat(filepath.Join(cfg.Data, "backups", made.Name))
	theirs, err2 := os.Stat(made.Path)
	if err != nil || err2 != nil || !os.SameFile(mine, theirs) {
		return nil, errors.Join(usage("the hub at %s does not run on %s of this machine: it made its copy in %s", cl.URL(), cfg.Data, made.Path), release())
	}
	o.Name, o.Folder, o.Through = made.Name, made.Path, made.ThroughBlock
	return release, nil
}

// stopped has the folder of a hub that does not run make the copy.
func (s *saver) stopped(st *store.Store, cfg config, o *backup.Options) (err error) {
	past, err := openPast(filepath.Join(cfg.Data, "index"))
	if err != nil {
		return err
	}
	var beside store.Copier
	if past != nil {
		beside = past
		defer func() { err = errors.Join(err, past.Close()) }()
	}
	rails, err := records.Open(records.Options{Dir: filepath.Join(cfg.Data, railsName)})
	switch {
	case errors.Is(err, records.ErrMissing): // a hub that never ran
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, rails.Close()) }()
	}
	o.Name, o.Folder, o.Through, err = copyBooks(st, beside, cfg.Data, rails)
	return err
}

func (a *app) backupList() *cobra.Command {
	var place string
	c := a.verb("list", "List the backups in a folder, oldest first", cobra.NoArgs, func(context.Context, []string) error {
		all, err := backup.List(place)
		if err != nil {
			return err
		}
		shown, text := make([]map[string]any, 0, len(all)), &strings.Builder{}
		for _, m := range all {
			shown = append(shown, shownBackup(m, nil))
			fmt.Fprintf(text, "%s  %d files, %.1f MiB, through block %d, keys: %v, rails: %v, lnd's channels: %v\n", plain(m.Name), len(m.Files), mib(m.Size()), m.Through, m.Keys, m.Has(railsName), m.Has(channelsName))
		}
		return a.print(shown, "%s%d backups", text.String(), len(all))
	})
	c.Flags().StringVar(&place, "from", "", "folder of the backups")
	return must(c, "from")
}

func (a *app) backupVerify() *cobra.Command {
	var place, name string
	c := a.verb("verify", "Read all files of a backup and compare their checksums", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		m, err := backup.Find(place, name)
		if err != nil {
			return err
		}
		if err := backup.Verify(ctx, place, m, a.bytes("reading")); err != nil {
			return err
		}
		return a.print(shownBackup(m, nil), "backup %s is whole: %d files, %.1f MiB", m.Name, len(m.Files), mib(m.Size()))
	})
	c.Flags().StringVar(&place, "from", "", "folder of the backups")
	c.Flags().StringVar(&name, "name", "", "of the backup (default: the newest)")
	return must(c, "from")
}

// shownBackup is a backup as printed.
func shownBackup(m backup.Manifest, more map[string]any) map[string]any {
	shown := map[string]any{"name": m.Name, "files": len(m.Files), "bytes": m.Size(), "through_block": m.Through, "keys": m.Keys,
		"rails": m.Has(railsName), "lnd_channels": m.Has(channelsName)}
	for k, v := range more {
		shown[k] = v
	}
	return shown
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// bytes tells a person once a second how far something is.
func (a *app) bytes(what string) func(done, total int64) {
	told := time.Now()
	return func(done, total int64) {
		if now := time.Now(); !a.json && now.Sub(told) >= time.Second {
			told = now
			a.note("%s: %.1f of %.1f MiB", what, mib(done), mib(total))
		}
	}
}
