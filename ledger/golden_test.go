package ledger_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/millrace/millrace/ledger"
)

// golden compares bytes with testdata/golden/name, which is hex in lines of 32 bytes. -rewrite (a flag that datadriven
// defines) writes it; then a change to the log's or the snapshot's format is in the diff.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".hex")
	if f := flag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		var b strings.Builder
		for rest := got; len(rest) > 0; {
			n := min(32, len(rest))
			b.WriteString(hex.EncodeToString(rest[:n]) + "\n")
			rest = rest[n:]
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: the format changed:\n got %x\nwant %x", path, got, want)
	}
}

// sampleOp has another value in every byte of every field, so that an encoding shows what stands where.
func sampleOp(k ledger.Kind) (ledger.Op, []byte) {
	op := ledger.Op{Kind: k, Actor: 0xa1a2a3a4, Target: 0xb1b2b3b4, Version: 0xc1c2c3c4, Amount: 0xd1d2d3d4d5d6d7d8}
	for i := range op.ID {
		op.ID[i] = 0xe0 + byte(i)
	}
	switch k {
	case ledger.OpOpenTerms:
		return op, ledger.AppendChannelTerms(nil, &ledger.ChannelTerms{Mode: ledger.Signed, PerMinute: 0x0102030405060708, Key: [32]byte{0x77, 31: 0x78}})
	case ledger.OpVoucher:
		return op, signature(9)
	case ledger.OpSplit:
		return op, ledger.AppendPayees(nil, []ledger.Payee{{Account: 16, Share: 2}, {Account: 17, Share: 1}})
	case ledger.OpTerms:
		return op, ledger.AppendTerms(nil, &ledger.Terms{Currency: ledger.Currency{'E', 'U', 'R'}, Copies: 2, Ends: 3, Refund: 4, Hours: 5, Units: 6, FreeUnits: 7})
	case ledger.OpClaim:
		return op, ledger.AppendClaim(nil, []ledger.ContentID{{1}, {2}}, &ledger.Statement{SHA256: [32]byte{3}, Text: "mine"})
	case ledger.OpAnswer, ledger.OpDecide:
		return op, ledger.AppendStatement(nil, &ledger.Statement{SHA256: [32]byte{4}, Text: "no"})
	case ledger.OpRegister:
	default:
		return op, nil
	}
	return op, registration(7, ledger.Payee{Account: 16, Share: 2}, ledger.Payee{Account: 17, Share: 1})
}

// opSizes are those of the table at Op, without details.
var opSizes = [ledger.Kinds]int{
	ledger.OpTransfer: 33, ledger.OpAdvance: 17, ledger.OpUnlock: 33, ledger.OpOpenAccount: 17, ledger.OpOpenChannel: 37,
	ledger.OpTopUp: 33, ledger.OpCloseChannel: 9, ledger.OpExpireChannel: 5, ledger.OpRegister: 31, ledger.OpReprice: 33,
	ledger.OpRetire: 21, ledger.OpCredit: 33, ledger.OpDebit: 33, ledger.OpHold: 29, ledger.OpCapture: 21, ledger.OpVoid: 9,
	ledger.OpOpenTerms: 39, ledger.OpVoucher: 19, ledger.OpRenew: 13, ledger.OpSplit: 23, ledger.OpRate: 17, ledger.OpTerms: 35,
	ledger.OpUnlockPaying: 33, ledger.OpGift: 37, ledger.OpGrant: 25, ledger.OpUnlockUnit: 37,
	ledger.OpClaim: 27, ledger.OpAnswer: 11, ledger.OpDecide: 19, ledger.OpWithdrawClaim: 9,
}

func TestGoldenOps(t *testing.T) {
	for _, k := range ledger.AllKinds() {
		op, detail := sampleOp(k)
		b := ledger.AppendOp(nil, &op, detail)
		if len(b) != opSizes[k]+len(detail) {
			t.Errorf("%v takes %d bytes, want %d", k, len(b), opSizes[k]+len(detail))
		}
		var back ledger.Op
		backDetail, size, err := ledger.DecodeOp(b, &back)
		if err != nil || size != len(b) || !bytes.Equal(backDetail, detail) || !bytes.Equal(ledger.AppendOp(nil, &back, backDetail), b) {
			t.Errorf("%v: decodes to %+v, %v", k, back, err)
		}
		golden(t, "op_"+k.String(), b)
	}
}

func TestGoldenBlock(t *testing.T) {
	var b ledger.Builder
	for _, k := range ledger.AllKinds() {
		op, detail := sampleOp(k)
		b.Add(&op, detail)
	}
	h := ledger.Header{Time: 0x0102030405060708, Proposer: 0x1112131415161718, Number: 0x2122232425262728, Parent: 0x3132333435363738}
	for i := range h.Head {
		h.Head[i] = 0x40 + byte(i)
	}
	block := b.Seal(h)
	golden(t, "block", block)
	got, count, ops, err := ledger.DecodeHeader(block)
	if err != nil || got != h || count != len(ledger.AllKinds()) || len(ops) != len(block)-ledger.HeaderSize || b.Count() != count || b.Size() != len(block) {
		t.Errorf("%+v, %d ops in %d bytes, %v", got, count, len(ops), err)
	}
	var empty ledger.Builder
	if _, count, ops, err := ledger.DecodeHeader(empty.Seal(h)); err != nil || count != 0 || len(ops) != 0 {
		t.Errorf("an empty block: %d ops in %d bytes, %v", count, len(ops), err)
	}
}

// TestGoldenSnapshot pins the head as well: both are functions of the ops alone. The state of SHA-256 in a snapshot is the
// standard library's: should this test fail with a new release of Go, old snapshots no longer load (see chain.load).
func TestGoldenSnapshot(t *testing.T) {
	s := newScene(t, ledger.Params{FeePPM: 25_000, IDWindow: 60_000, IDAhead: 1000})
	s.do(s.state.Now(), ledger.Op{Kind: ledger.OpUnlock, Actor: s.alice, Amount: 400, ID: s.song}, nil)
	head := s.state.Head()
	golden(t, "head", head[:])
	golden(t, "snapshot", body(snapshot(t, s.state.View())))
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"Account", unsafe.Sizeof(ledger.Account{}), 32},
		{"Channel", unsafe.Sizeof(ledger.Channel{}), 32},
		{"Hold", unsafe.Sizeof(ledger.Hold{}), 32},
		{"Op", unsafe.Sizeof(ledger.Op{}), 40},
		{"Tally", unsafe.Sizeof(ledger.Tally{}), 24},
		{"Applied", unsafe.Sizeof(ledger.Applied{}), 32},
	} {
		if c.got != c.want {
			t.Errorf("%s takes %d bytes, want %d", c.what, c.got, c.want)
		}
	}
	if ledger.HeaderSize != 80 || ledger.MaxDetail != 2291 {
		t.Errorf("header of %d bytes, detail of at most %d", ledger.HeaderSize, ledger.MaxDetail)
	}
	largest := 0
	for _, n := range opSizes {
		largest = max(largest, n)
	}
	if ledger.MaxOp != largest {
		t.Errorf("MaxOp is %d, the largest op takes %d", ledger.MaxOp, largest)
	}
}
