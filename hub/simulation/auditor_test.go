package simulation

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
	"github.com/millrace/millrace/ledger/store"
	"golang.org/x/mod/sumdb/tlog"
)

// auditor knows what the log says. It reads the blocks themselves, and follows them three times over: with the core, with the
// slow model, and by adding up legs.
type auditor struct {
	state  *ledger.State // never forgets
	model  *ledgertest.Model
	tally  map[ledger.AccountNo][2]int64
	blocks []fact // by index, from 1
	facts  []entry
	sent   map[sentID]uint64 // seq by id
	ids    []ledger.Remembered
	owned  []ledger.Owned
	notary func(*ledger.Record) []byte
	leaves [][]byte
	hashes []tlog.Hash
}

// fact is what a block was, so that it can be seen not to change.
type fact struct {
	sum     [32]byte
	first   uint64
	entries int
	time    uint64
}

// entry is an op that was applied, and what came of it.
type entry struct {
	op  ledger.Op
	out ledgertest.Outcome
	ledger.Entry
}

type sentID struct {
	id    [16]byte
	actor ledger.AccountNo
}

func newAuditor(p ledger.Params, ring *keyring.Ring) *auditor {
	return &auditor{
		state: ledger.New(p, ledger.Seed{3, 4}), model: ledgertest.NewModel(p),
		notary: hub.NewNotary(ring), tally: make(map[ledger.AccountNo][2]int64), sent: make(map[sentID]uint64),
	}
}

func (a *auditor) seq() uint64 { return uint64(len(a.facts)) }

// follow reads the log up to a block that is known to be applied. What was read before must be as it was.
func (a *auditor) follow(s *store.Store, applied uint64) error {
	if applied < uint64(len(a.blocks)) {
		return fmt.Errorf("the log ends with block %d; block %d was durable", applied, len(a.blocks))
	}
	n := uint64(0)
	err := s.Blocks(1, func(index uint64, block []byte) error {
		if n = index; index > applied {
			return io.EOF
		}
		if index <= uint64(len(a.blocks)) {
			if a.blocks[index-1].sum != sha256.Sum256(block) {
				return fmt.Errorf("block %d is another than before", index)
			}
			return nil
		}
		return a.apply(index, bytes.Clone(block))
	})
	if err == io.EOF {
		err = nil
	}
	if err == nil && n < applied {
		err = fmt.Errorf("block %d is missing", n+1)
	}
	return err
}

func (a *auditor) apply(index uint64, block []byte) error {
	outcomes, err := a.state.Apply(index, block, nil)
	if err != nil {
		return err
	}
	h, _, ops, _ := ledger.DecodeHeader(block)
	before := a.seq()
	for i := 0; len(ops) > 0; i++ {
		var op ledger.Op
		detail, size, err := ledger.DecodeOp(ops, &op)
		if err != nil {
			return err
		}
		ops = ops[size:]
		got, want := ledgertest.OutcomeOf(outcomes[i]), a.model.Do(h.Time, op, detail)
		if got != want {
			return fmt.Errorf("block %d: %v %+v came to %+v, the model says %+v", index, op.Kind, op, got, want)
		}
		if got.Result == ledger.Done {
			a.facts = append(a.facts, entry{op: op, out: got})
			if err := a.once(op, got.Seq); err != nil {
				return err
			}
		}
	}
	r := a.state.Last()
	a.blocks = append(a.blocks, fact{sha256.Sum256(block), r.First, r.Entries, r.Time})
	r.Remembered(func(m ledger.Remembered) { a.ids = append(a.ids, m) })
	r.Owned(func(o ledger.Owned) { a.owned = append(a.owned, o) })
	a.leaf(a.notary(r))
	return a.legs(r, before)
}

// once: nothing is applied twice.
func (a *auditor) once(op ledger.Op, seq uint64) error {
	if !remembered(op.Kind) {
		return nil
	}
	id := sentID{op.ID, op.Actor}
	if first, ok := a.sent[id]; ok {
		return fmt.Errorf("%v %v of account %v is entry %d and again entry %d", op.Kind, ledger.OpID(op.ID), op.Actor, first, seq)
	}
	a.sent[id] = seq
	return nil
}

func remembered(k ledger.Kind) bool {
	return slices.Contains([]ledger.Kind{ledger.OpTransfer, ledger.OpOpenAccount, ledger.OpOpenChannel, ledger.OpTopUp,
		ledger.OpCredit, ledger.OpDebit, ledger.OpHold, ledger.OpOpenTerms, ledger.OpClaim}, k)
}

// legs gives the entries after a seq their legs, and adds them up.
func (a *auditor) legs(r *ledger.Record, before uint64) error {
	if r.First != before+1 || r.Last() != a.seq() {
		return fmt.Errorf("block %d has entries %d to %d, and its ops made %d to %d", r.Index, r.First, r.Last(), before+1, a.seq())
	}
	for i := range r.Legs {
		l := r.Legs[i]
		f := &a.facts[before+uint64(l.Entry)]
		l.Entry, l.At = 0, 0
		f.Entry.Legs = append(f.Entry.Legs, l)
		f.Seq, f.Time, f.Index, f.Kind = f.out.Seq, r.Time, r.Index, l.Kind
		if remembered(l.Kind) {
			f.ID = f.op.ID
		}
		sides := []ledger.AccountNo{l.From, l.To}
		if l.From == l.To {
			sides = sides[:1]
		}
		for _, no := range sides {
			available, held := l.Effect(no)
			t := a.tally[no]
			a.tally[no] = [2]int64{t[0] + available, t[1] + held}
		}
	}
	return nil
}

func (a *auditor) leaf(leaf []byte) {
	a.leaves = append(a.leaves, leaf)
	hashes, err := tlog.StoredHashes(int64(len(a.leaves)-1), leaf, tlog.HashReaderFunc(a.readHashes))
	if err != nil {
		panic(err)
	}
	a.hashes = append(a.hashes, hashes...)
}

func (a *auditor) readHashes(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		out = append(out, a.hashes[i])
	}
	return out, nil
}

// balanced: the core, the model and the legs agree on the money, and it is all there.
func (a *auditor) balanced() error {
	if err := a.model.Compare(a.state); err != nil {
		return fmt.Errorf("the model: %w", err)
	}
	for no, t := range a.tally {
		got, ok := a.state.Account(no)
		if no != 0 && (!ok || got.Available != t[0] || int64(got.Held) != t[1]) {
			return fmt.Errorf("account %v has %d and %d msat, its legs add up to %d", no, got.Available, got.Held, t)
		}
	}
	return a.state.Audit()
}

// expect is what an op would come to at a time, if nothing but it happened. An op that would be applied is one that is not there.
func (a *auditor) expect(now uint64, op ledger.Op, detail []byte) ledgertest.Outcome {
	was := a.model.Now
	defer func() { a.model.Now = was }()
	return a.model.Do(now, op, detail)
}
