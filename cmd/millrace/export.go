package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/hub/statement"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/spf13/cobra"
)

// exporter is the verb export.
type exporter struct {
	out          string
	first, last  uint64 // seqs asked for; zero in last: to the newest
	force, quiet bool
}

func (a *app) exportCommand() *cobra.Command {
	var x exporter
	var file string
	var c *cobra.Command
	c = a.verb("export", "Write the log of a stopped hub to Parquet", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cfg, err := a.load(file, c.Flags())
		if err != nil {
			return err
		}
		return x.run(ctx, a, cfg)
	})
	c.Long = "Export writes one row for each movement of money of each entry in the log, in order: seq, time, block, kind, move, from, to,\n" +
		"object, amount_msat, id. It works on the data folder of a hub that is stopped, or on a copy of one, and checks that the log has\n" +
		"not lost its end: unless --to-seq is in the hub's index, all blocks are replayed."
	logFlags(c, &file)
	c.Flags().StringVarP(&x.out, "out", "o", "", "the Parquet file, - for standard output")
	c.Flags().Uint64Var(&x.first, "from-seq", 1, "the first entry to write")
	c.Flags().Uint64Var(&x.last, "to-seq", 0, "the last entry to write; 0: the newest")
	c.Flags().BoolVar(&x.force, "force", false, "replace the file if there is one")
	c.Flags().BoolVar(&x.quiet, "quiet", false, "no progress")
	return must(c, "out")
}

func (x *exporter) run(ctx context.Context, a *app, cfg config) (err error) {
	if x.first == 0 || x.last != 0 && x.last < x.first {
		return usage("no entries from seq %d to %d: the first entry is 1", x.first, x.last)
	}
	log, err := a.openLog(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ofData(log.Close())) }()
	past, err := openPast(filepath.Join(cfg.Data, "index"))
	if err != nil {
		return err
	}
	if past != nil {
		defer func() { err = errors.Join(err, ofData(past.Close())) }()
	}
	out, err := a.openOutput(x.out, x.force)
	if err != nil {
		return err
	}
	defer out.discard()
	w := bufio.NewWriterSize(out, 1<<20)
	r := newReplay(ctx, a, x, log, past, statement.NewExport(w))
	if err := r.run(); err != nil {
		return err
	}
	if err := errors.Join(r.export.Close(), w.Flush()); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	if out.stdout() {
		a.note("exported %d entries", r.entries)
		return nil
	}
	return a.print(map[string]any{"out": x.out, "entries": r.entries, "rows": r.legs},
		"exported %s: %d entries, %d rows", x.out, r.entries, r.legs)
}

// openPast opens the index of a hub, or nil when there is none: it is derived, and a copy of a folder need not have it.
func openPast(dir string) (*index.Index, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	past, err := index.Open(index.Options{Dir: dir})
	if err != nil {
		return nil, ofIndex(err)
	}
	return past, nil
}

// replay is where an export's entries come from: from the index as far as that goes, and behind it from the blocks, as a machine
// that the log drives as it does a hub at its start. So what is missing or damaged at the log's end is found as there.
type replay struct {
	recovery
	ctx           context.Context
	app           *app
	asked         *exporter
	log           *store.Store
	block, seq    uint64 // of the index, the last
	export        *statement.Export
	entries, legs uint64 // written
	began, told   time.Time
	err           error // errDone, or why the replay must not go on
}

var errDone = errors.New("all that was asked for is written")

func newReplay(ctx context.Context, a *app, x *exporter, log *store.Store, past *index.Index, export *statement.Export) *replay {
	now := time.Now()
	r := &replay{recovery: newRecovery(log.Params(), past), ctx: ctx, app: a, asked: x, log: log, export: export, began: now, told: now}
	if past != nil {
		r.block, r.seq = past.Watermark()
	}
	return r
}

// run writes what was asked for.
func (r *replay) run() error {
	if err := r.ctx.Err(); err != nil { // of a short log, nothing that follows would ask
		return err
	}
	if err := r.indexed(); err != nil {
		return err
	}
	err := r.err
	if err == nil { // not all of it was in the index
		err = r.log.Start(r.ctx, r, r.kept())
	}
	newest := r.state.Seq()
	switch {
	case errors.Is(r.err, errDone):
		return nil
	case r.err != nil:
		return r.err
	case err != nil:
		return ofData(err)
	case r.asked.last > newest || r.asked.first > max(newest, 1):
		return usage("the log ends with entry %d", newest)
	}
	return nil
}

// indexed writes the entries that the index has.
func (r *replay) indexed() error {
	if r.asked.first > r.seq {
		return nil
	}
	err := r.index.Entries(r.asked.first, func(e *ledger.Entry) bool {
		if e.Seq%4096 == 0 {
			r.err = r.ctx.Err()
			r.progress(e.Seq)
		}
		if r.err == nil {
			r.err = r.write(e)
		}
		return r.err == nil && e.Seq < r.seq
	})
	if err != nil {
		return ofIndex(err)
	}
	return nil
}

// Apply writes what a block did.
func (r *replay) Apply(index uint64, block []byte) error {
	if r.err = r.ctx.Err(); r.err != nil {
		return r.err
	}
	if err := r.recovery.Apply(index, block); err != nil {
		return err
	}
	if index > r.block {
		r.err = r.record(r.state.Last())
	}
	if r.err == nil {
		r.err = r.agree()
	}
	r.state.Forget(r.seq) // what the index has need not lie in memory
	r.progress(r.state.Seq())
	return r.err
}

// agree refuses an index of another log.
func (r *replay) agree() error {
	if r.state.Index() == r.block && r.state.Seq() != r.seq {
		return fmt.Errorf("%w: the index ends block %d with entry %d, the log with entry %d", store.ErrCorrupt, r.block, r.seq, r.state.Seq())
	}
	return nil
}

// Restore begins the replay at the index's checkpoint, whose entries are all in the index.
func (r *replay) Restore(index uint64, from io.Reader) error {
	if err := r.recovery.Restore(index, from); err != nil {
		return err
	}
	return r.agree()
}

// kept is where the replay begins.
func (r *replay) kept() store.Checkpoints {
	if r.index == nil {
		return nil
	}
	return unchanged{r.index}
}

// unchanged is an index that takes no checkpoint.
type unchanged struct{ *index.Index }

// Checkpoint does nothing.
func (unchanged) Checkpoint(*ledger.View) {}

// record writes the entries of a block.
func (r *replay) record(b *ledger.Record) error {
	for legs := b.Legs; len(legs) > 0; {
		l, n := &legs[0], 1
		for n < len(legs) && legs[n].Entry == l.Entry {
			n++
		}
		e := ledger.Entry{Seq: b.First + uint64(l.Entry), Time: b.Time, Index: b.Index, Kind: l.Kind, ID: b.ID(l), Legs: legs[:n]}
		if err := r.write(&e); err != nil {
			return err
		}
		legs = legs[n:]
	}
	return nil
}

// write exports an entry if it was asked for, and says errDone after the last.
func (r *replay) write(e *ledger.Entry) error {
	if e.Seq < r.asked.first {
		return nil
	}
	if err := r.export.Entry(e); err != nil {
		return err
	}
	r.entries, r.legs = r.entries+1, r.legs+uint64(len(e.Legs))
	if e.Seq == r.asked.last {
		return errDone
	}
	return nil
}

// progress tells once a second how far it is.
func (r *replay) progress(seq uint64) {
	now := time.Now()
	if r.asked.quiet || r.app.json || now.Sub(r.told) < time.Second {
		return
	}
	r.told = now
	r.app.note("exporting: at entry %d, %.2f M entries/s", seq, float64(r.entries)/1e6/now.Sub(r.began).Seconds())
}
