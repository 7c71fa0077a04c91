package ledger_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// TestForget: what lies in the archive takes no memory, however much of it there is, and gets its original outcome all the same.
func TestForget(t *testing.T) {
	w := newScene(t, ledger.DefaultParams())
	w.state.ShrinkShelves(10)
	var sent []ledger.Op
	for range 200 {
		sent = append(sent, ledger.Op{Kind: ledger.OpTransfer, Actor: w.alice, Target: uint32(w.bob), Amount: 1, ID: w.newID(w.state.Now())})
	}
	first := make([]ledger.Applied, 0, len(sent))
	for _, op := range sent {
		first = append(first, w.do(w.state.Now(), op, nil))
	}
	before, _ := w.state.InMemory()
	w.state.Forget(w.state.Seq())
	if ids, _ := w.state.InMemory(); before < 200 || ids > 2*10 {
		t.Fatalf("%d ids in memory, and %d after forgetting", before, ids)
	}
	for i, op := range sent {
		for _, a := range []ledger.Applied{w.state.Check(&op, nil, w.state.Now()), w.do(w.state.Now(), op, nil)} {
			if first[i].Result() != ledger.Done || a.Result() != ledger.Repeated || a.Seq() != first[i].Seq() || a.Amount() != first[i].Amount() {
				t.Fatalf("transfer %d: %v of entry %d, and again %v of entry %d", i, first[i].Result(), first[i].Seq(), a.Result(), a.Seq())
			}
		}
		op.Amount++
		if r := w.do(w.state.Now(), op, nil).Result(); r != ledger.IDReused {
			t.Fatalf("another body under an id that was forgotten: %v", r)
		}
	}
}

// TestReplayBesideArchive: an archive that has followed the log further than a snapshot must not turn the replay's ops into
// repeats of themselves.
func TestReplayBesideArchive(t *testing.T) {
	for seed := range uint64(10) {
		g := ledgertest.NewGenerator(8000 + seed)
		steps, _ := g.Steps(800)
		w := newWorkbench(t, g.Model.Params)
		w.state.ShrinkShelves(3)
		type logged struct {
			index    uint64
			block    []byte
			outcomes []ledger.Applied
		}
		var log []logged
		var old []byte
		batches := ledgertest.Cut(newRand(seed), steps, 20)
		for i, batch := range batches {
			if i == len(batches)/2 {
				old = snapshot(t, w.state.View())
				log = log[:0]
			}
			applied := append([]ledger.Applied(nil), w.block(batch)...)
			log = append(log, logged{w.state.Index(), bytes.Clone(w.state.Last().Block), applied})
			w.state.Forget(w.state.Seq())
		}
		s, err := ledger.Restore(bytes.NewReader(old), testSeed)
		if err != nil {
			t.Fatal(err)
		}
		s.Attach(w.archive)
		for _, l := range log {
			out, err := s.Apply(l.index, l.block, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range out {
				if out[i] != l.outcomes[i] {
					t.Fatalf("seed %d, block %d: %+v at the replay, %+v at first", seed, l.index, out[i], l.outcomes[i])
				}
			}
		}
		if s.Head() != w.state.Head() || s.Digest() != w.state.Digest() {
			t.Fatalf("seed %d: a replay beside the archive comes to another state", seed)
		}
	}
}

type brokenArchive struct{}

func (brokenArchive) ID(ledger.OpID, ledger.AccountNo) (ledger.Remembered, bool, error) {
	return ledger.Remembered{}, false, io.ErrUnexpectedEOF
}

func (brokenArchive) Owned(ledger.AccountNo, uint32, uint32) (ledger.Owned, bool, error) {
	return ledger.Owned{}, false, io.ErrUnexpectedEOF
}

// TestBrokenArchive: when nobody can say whether an op is a repeat, it is neither refused nor applied.
func TestBrokenArchive(t *testing.T) {
	for _, archive := range []ledger.Archive{brokenArchive{}, nil} {
		w := newScene(t, ledger.DefaultParams())
		s, err := ledger.Restore(bytes.NewReader(snapshot(t, w.state.View())), testSeed)
		if err != nil {
			t.Fatal(err)
		}
		if archive != nil {
			s.Attach(archive)
		}
		for _, op := range []ledger.Op{
			{Kind: ledger.OpTransfer, Actor: w.alice, Target: uint32(w.bob), Amount: 1, ID: w.newID(testTime)},
			{Kind: ledger.OpUnlock, Actor: w.alice, Amount: 400, ID: w.song},
		} {
			if r := s.Check(&op, nil, s.Now()).Result(); r != ledger.Undecided {
				t.Errorf("%v: Check says %v", op.Kind, r)
			}
			h := ledger.Header{Time: s.Now(), Parent: s.Index(), Head: s.Head()}
			if _, err := s.Apply(s.Index()+1, frame(h, 1, ledger.AppendOp(nil, &op, nil)), nil); !errors.Is(err, ledger.ErrArchive) {
				t.Errorf("%v: Apply says %v", op.Kind, err)
			}
			if a, _ := s.Account(w.bob); a.Available != balance(w.state, w.bob) {
				t.Errorf("%v: money moved", op.Kind)
			}
			if s, err = ledger.Restore(bytes.NewReader(snapshot(t, w.state.View())), testSeed); err != nil {
				t.Fatal(err)
			}
			if archive != nil {
				s.Attach(archive)
			}
		}
	}
}

func balance(s *ledger.State, no ledger.AccountNo) int64 {
	a, _ := s.Account(no)
	return a.Available
}

// TestCheckpoints: the parts that changed since the last checkpoint, laid over those of the ones before, are the whole
// snapshot, whatever other views were taken between.
func TestCheckpoints(t *testing.T) {
	w := newWorkbench(t, ledger.DefaultParams())
	saved := make(map[string][]byte)
	save := func() int {
		n := 0
		err := w.state.Checkpoint().Parts(true, func(key, part []byte) error {
			saved[string(key)] = bytes.Clone(part)
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	same := func(when string) {
		t.Helper()
		var joined []byte
		last := ""
		err := w.state.View().Parts(false, func(key, _ []byte) error {
			if string(key) <= last && last != "" {
				t.Fatalf("%s: key %x after %x", when, key, last)
			}
			last = string(key)
			joined = append(joined, saved[last]...)
			return nil
		})
		if err != nil || !bytes.Equal(joined, snapshot(t, w.state.View())) {
			t.Fatalf("%s: the saved parts are not the snapshot (%v)", when, err)
		}
	}
	var open []ledgertest.Step
	for range 9000 {
		open = append(open, ledgertest.Step{Time: testTime, Op: ledger.Op{Kind: ledger.OpOpenAccount, ID: w.newID(testTime)}})
	}
	w.block(open)
	if n := save(); n != 1+3+8 {
		t.Fatalf("%d parts of a new ledger of three pages of accounts", n)
	}
	same("at first")
	w.must(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: 5000, Amount: 7}, nil)
	w.state.View()
	w.must(ledger.Op{Kind: ledger.OpTransfer, Actor: 5000, Target: 5001, Amount: 3}, nil)
	w.state.Digest()
	if n := save(); n != 1+2 {
		t.Fatalf("%d parts changed, want the header and two pages of accounts", n)
	}
	same("after a few payments")
	if n := save(); n != 1 {
		t.Fatalf("%d parts changed by nothing", n)
	}
	s, err := ledger.Restore(bytes.NewReader(snapshot(t, w.state.View())), testSeed)
	if err != nil {
		t.Fatal(err)
	}
	s.Attach(w.archive)
	w.state = s
	w.must(ledger.Op{Kind: ledger.OpTransfer, Actor: 5000, Target: 8500, Amount: 1}, nil)
	if n := save(); n != 1+2 {
		t.Fatalf("%d parts changed after a restart, want the header and two pages of accounts", n)
	}
	same("after a restart")
}
