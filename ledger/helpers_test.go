package ledger_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

var testSeed = ledger.Seed{0x0123456789abcdef, 0xfedcba9876543210}

const testTime = 1_760_000_000_000

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// workbench is a ledger with what it takes to give it blocks.
type workbench struct {
	t     testing.TB
	state *ledger.State
	*ledgertest.Proposer
	applied []ledger.Applied
	archive ledgertest.Archive
	ids     uint64
}

func newWorkbench(t testing.TB, params ledger.Params) *workbench {
	s := ledger.New(params, testSeed)
	w := &workbench{t: t, state: s, Proposer: ledgertest.NewProposer(newRand(1), s), archive: ledgertest.NewArchive()}
	s.Attach(w.archive)
	return w
}

// block applies steps of one time as one block. The outcomes are valid until the next call.
func (w *workbench) block(steps []ledgertest.Step) []ledger.Applied {
	w.t.Helper()
	index, block := w.Block(w.state, steps)
	var err error
	if w.applied, err = w.state.Apply(index, block, w.applied[:0]); err != nil {
		w.t.Fatal(err)
	}
	w.archive.Follow(w.state.Last())
	if len(w.applied) != len(steps) {
		w.t.Fatalf("%d outcomes for %d ops", len(w.applied), len(steps))
	}
	return w.applied
}

// do applies one op in a block of its own.
func (w *workbench) do(now uint64, op ledger.Op, detail []byte) ledger.Applied {
	w.t.Helper()
	return w.block([]ledgertest.Step{{Time: now, Op: op, Detail: detail}})[0]
}

// must is do for ops that have to be applied; an id is made for those that have none. It returns the object.
func (w *workbench) must(op ledger.Op, detail []byte) uint32 {
	w.t.Helper()
	if op.ID == [16]byte{} {
		w.fillID(&op)
	}
	a := w.do(max(testTime, w.state.Now()), op, detail)
	if a.Result() != ledger.Done {
		w.t.Fatalf("%v: %v", op.Kind, a.Result())
	}
	return a.Object()
}

func (w *workbench) fillID(op *ledger.Op) {
	switch op.Kind {
	case ledger.OpTransfer, ledger.OpOpenAccount, ledger.OpOpenChannel, ledger.OpTopUp, ledger.OpCredit, ledger.OpDebit, ledger.OpHold,
		ledger.OpOpenTerms, ledger.OpClaim:
		op.ID = w.newID(max(testTime, w.state.Now()))
	}
}

func (w *workbench) newID(at uint64) ledger.OpID {
	w.ids++
	return ledger.NewOpID(at, [10]byte{2: byte(w.ids >> 16), 3: byte(w.ids >> 8), 4: byte(w.ids)})
}

// account opens one with money.
func (w *workbench) account(amount ledger.Msat) ledger.AccountNo {
	w.t.Helper()
	no := w.must(ledger.Op{Kind: ledger.OpOpenAccount}, nil)
	if amount > 0 {
		w.must(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: no, Amount: amount}, nil)
	}
	return ledger.AccountNo(no)
}

func snapshot(t testing.TB, v *ledger.View) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := v.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo: %d of %d bytes, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// body is what of a snapshot does not depend on how ops were cut into blocks. What does, the checksum of the header among it,
// becomes zero.
func body(snapshot []byte) []byte {
	b := bytes.Clone(snapshot)
	const frame, fixed = 13, 4 + 8 + ledger.MaxInFlight*40
	length := int(binary.LittleEndian.Uint32(b[9:]))
	clear(b[frame : frame+fixed])
	clear(b[frame+length : frame+length+4])
	return b
}

// signature is one for the ledger, which does not look into it.
func signature(b byte) []byte {
	return bytes.Repeat([]byte{b}, ledger.SignatureSize)
}

func registration(commitment byte, payees ...ledger.Payee) []byte {
	return ledger.AppendRegistration(nil, &ledger.Registration{
		Commitment: [32]byte{commitment}, HeaderSHA256: [32]byte{1}, FileSHA256: [32]byte{2}, Wrapped: [48]byte{commitment, 3},
		Size: 1 << 20, Payees: payees, Title: "a song",
	})
}
