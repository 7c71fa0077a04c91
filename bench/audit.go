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
type recovered struct {
	state *ledger.State
	owned func(ledger.Owned) // may be nil
}

// Apply does what a block of the log says.
func (r *recovered) Apply(index uint64, block []byte) error {
	_, err := r.state.Apply(index, block, nil)
	if err == nil && r.owned != nil {
		r.state.Last().Owned(r.owned)
	}
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

// finish stops the hub and verifies what it has left: see verify. The ledger must have as many entries since the set-up as the
// generator was told of. It adds what the payments take on the disk.
func (r *rig) finish(ctx context.Context, ops uint64, res *Result, check func(*ledger.State) error) error {
	running, err := written(filepath.Join(r.dir, "ledger"))
	if err != nil {
		return err
	}
	logged := r.bytes.Load() - r.logged
	if err := r.close(); err != nil {
		return err
	}
	return r.verify(ctx, func(s *ledger.State) error {
		used, err := r.usage()
		if err != nil {
			return err
		}
		around, err := diskUsage(filepath.Join(r.dir, "index"))
		if err != nil {
			return err
		}
		per := func(bytes int64) float64 { return float64(bytes) / float64(max(ops, 1)) }
		res.LogBytes, res.Running = per(int64(logged)), per(running-r.length)
		res.Disk, res.Index = per(used-r.used), per(around-r.around)
		if got := s.Seq() - r.seq; got != ops {
			return fmt.Errorf("the ledger has %d entries since the set-up, the generator was told of %d", got, ops)
		}
		return check(s)
	})
}

// verify opens the folder of a hub that has stopped, applies all blocks to an empty ledger, and holds what comes out against
// the audit and a check.
func (r *rig) verify(ctx context.Context, check func(*ledger.State) error) error {
	return r.verifyOwned(ctx, nil, check)
}

// verifyOwned is verify that also tells, on its way, what accounts came to own in each block, if somebody wants to know.
func (r *rig) verifyOwned(ctx context.Context, owned func(ledger.Owned), check func(*ledger.State) error) (err error) {
	s, err := store.Open(store.Options{Dir: r.dir, Fatal: func(error) {}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	found := &recovered{ledger.New(benchParams(), newSeed()), owned}
	if err := s.Start(ctx, found, nil); err != nil {
		return err
	}
	if err := found.state.Audit(); err != nil {
		return fmt.Errorf("audit: %w", err)
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
