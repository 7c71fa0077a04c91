package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
)

// recovered is the ledger as a start finds it in a data folder.
type recovered struct{ state *ledger.State }

// Apply does what a block of the log says.
func (r *recovered) Apply(index uint64, block []byte) error {
	_, err := r.state.Apply(index, block, nil)
	return err
}

// Snapshot is of no use here, but a machine has one.
func (r *recovered) Snapshot() *ledger.View { return r.state.View() }

// Restore replaces the ledger by that of a snapshot.
func (r *recovered) Restore(_ uint64, from io.Reader) error {
	s, err := ledger.Restore(from, newSeed())
	if err == nil {
		r.state = s
	}
	return err
}

func newSeed() ledger.Seed { return ledger.Seed{rand.Uint64(), rand.Uint64()} }

// finish stops the hub, opens its folder as a start would, and holds the ledger that lies there against what the generator
// was told: the audit, the number of entries since the set-up, and whatever check looks at. It adds what the payments take
// on the disk.
func (r *rig) finish(ctx context.Context, ops uint64, res *Result, check func(*ledger.State) error) (err error) {
	running, err := written(filepath.Join(r.dir, "ledger"))
	if err != nil {
		return err
	}
	logged := r.bytes.Load() - r.logged
	before := r.used
	if err := r.close(); err != nil {
		return err
	}
	s, err := store.Open(store.Options{Dir: r.dir, Fatal: func(error) {}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	found := &recovered{ledger.New(benchParams(), newSeed())}
	if err := s.Start(ctx, found, nil); err != nil {
		return err
	}
	after, err := r.usage()
	if err != nil {
		return err
	}
	if res.Snapshots, err = diskUsage(filepath.Join(r.dir, "snapshots")); err != nil {
		return err
	}
	per := func(bytes int64) float64 { return float64(bytes) / float64(max(ops, 1)) }
	res.LogBytes, res.Running, res.Disk = per(int64(logged)), per(running-r.length), per(after-before)
	if err := found.state.Audit(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if got := found.state.Seq() - r.seq; got != ops {
		return fmt.Errorf("the ledger has %d entries since the set-up, the generator was told of %d", got, ops)
	}
	return check(found.state)
}

// checkAccount holds an account's balance against the tally's.
func checkAccount(s *ledger.State, no ledger.AccountNo, want int64) error {
	a, ok := s.Account(no)
	if !ok || a.Available != want {
		return fmt.Errorf("account %v has %d msat, the tally says %d", no, a.Available, want)
	}
	return nil
}
