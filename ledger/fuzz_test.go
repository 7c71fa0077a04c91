package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

func FuzzDecodeOp(f *testing.F) {
	for _, k := range ledger.AllKinds() {
		op, detail := sampleOp(k)
		f.Add(ledger.AppendOp(nil, &op, detail))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var op ledger.Op
		detail, size, err := ledger.DecodeOp(b, &op)
		if err != nil {
			if !errors.Is(err, ledger.ErrOp) {
				t.Fatal(err)
			}
			return
		}
		if size < 1 || size > len(b) || size > ledger.MaxOp+len(detail) {
			t.Fatalf("size %d of %d bytes", size, len(b))
		}
		if again := ledger.AppendOp(nil, &op, detail); !bytes.Equal(again, b[:size]) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b[:size], op, again)
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	op, _ := sampleOp(ledger.OpAdvance)
	f.Add(frame(ledger.Header{Time: 1, Proposer: 2, Number: 3, Parent: 4, Head: [32]byte{5}}, 1, ledger.AppendOp(nil, &op, nil)), false)
	f.Add(frame(ledger.Header{}, 0, nil), true)
	f.Fuzz(func(t *testing.T, b []byte, framed bool) {
		if framed {
			b = frame(ledger.Header{Time: uint64(len(b))}, uint32(len(b)), b)
		}
		h, count, ops, err := ledger.DecodeHeader(b)
		if err != nil {
			if !errors.Is(err, ledger.ErrBlock) || framed && len(b) <= ledger.MaxBlock {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(frame(h, uint32(count), ops), b) {
			t.Fatal("another block has the same header")
		}
	})
}

// fuzzLedger is a populated ledger, with the model in the same state. Both are made anew: Apply and Do change them.
func fuzzLedger(t testing.TB) (*workbench, *ledgertest.Model) {
	g := ledgertest.NewGenerator(fuzzLedgerSeed)
	steps, _ := g.Steps(400)
	w := newWorkbench(t, g.Model.Params)
	for _, batch := range ledgertest.Cut(newRand(3), steps, 100) {
		w.block(batch)
	}
	return w, g.Model
}

const fuzzLedgerSeed = 5

// FuzzApply gives any bytes as the ops of a well-framed block to a populated ledger: what does not decode changes nothing,
// and what does comes to what the model says.
func FuzzApply(f *testing.F) {
	g := ledgertest.NewGenerator(fuzzLedgerSeed)
	g.Steps(400)
	for range 8 {
		var b []byte
		for range 6 {
			step, _ := g.Next()
			b = ledger.AppendOp(b, &step.Op, step.Detail)
		}
		f.Add(b, uint32(10))
	}
	f.Add([]byte{0}, uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, wait uint32) {
		w, model := fuzzLedger(t)
		now := w.state.Now() + uint64(wait)
		var steps []ledgertest.Step
		whole := 0
		for whole < len(b) {
			s := ledgertest.Step{Time: now}
			detail, size, err := ledger.DecodeOp(b[whole:], &s.Op)
			if err != nil {
				break
			}
			s.Detail = detail
			steps = append(steps, s)
			whole += size
		}
		h := ledger.Header{Time: now, Parent: w.state.Index(), Head: w.state.Head()}
		if len(b) > ledger.MaxBlock-ledger.HeaderSize {
			return
		}
		if whole < len(b) {
			refusesBlock(t, w.state, "bytes that are no op", w.state.Index()+1, frame(h, uint32(len(steps)), b))
		}
		if len(steps) == 0 {
			return
		}
		out, err := w.state.Apply(w.state.Index()+1, frame(h, uint32(len(steps)), b[:whole]), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range steps {
			if want := model.Do(s.Time, s.Op, s.Detail); ledgertest.OutcomeOf(out[i]) != want {
				t.Fatalf("op %d %+v: ledger %+v, model %+v", i, s.Op, out[i], want)
			}
		}
		if err := w.state.Audit(); err != nil {
			t.Fatal(err)
		}
		if err := model.Compare(w.state); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzRestore: with summed, the bytes get the right checksum, so that what lies behind it is reached. A snapshot that is
// accepted is one that can be written and read again.
func FuzzRestore(f *testing.F) {
	small := snapshot(f, ledger.New(ledger.DefaultParams(), testSeed).View())
	f.Add(small, false)
	f.Add(small[:len(small)-32], true)
	s := snapshot(f, newScene(f, ledger.DefaultParams()).state.View())
	f.Add(s[:len(s)-32], true)
	f.Fuzz(func(t *testing.T, b []byte, summed bool) {
		if summed {
			sum := sha256.Sum256(b)
			b = append(bytes.Clone(b), sum[:]...)
		}
		s, err := ledger.Restore(bytes.NewReader(b), testSeed)
		if err != nil {
			if !errors.Is(err, ledger.ErrSnapshot) || s != nil {
				t.Fatal(err)
			}
			return
		}
		if err := s.Audit(); err != nil {
			t.Fatal(err)
		}
		again, err := ledger.Restore(bytes.NewReader(snapshot(t, s.View())), ledger.Seed{})
		if err != nil || again.Digest() != s.Digest() || again.Head() != s.Head() {
			t.Fatalf("a restored ledger does not survive another restart: %v", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(ledger.AccountNo(16).String())
	f.Add(ledger.ChannelNo(1<<32 - 1).String())
	f.Add(ledger.ContentID{1}.String())
	f.Add(ledger.NewOpID(testTime, [10]byte{1, 2, 3}).String())
	f.Fuzz(func(t *testing.T, text string) {
		check := func(what, back string, err error) {
			if err != nil && !errors.Is(err, ledger.ErrID) {
				t.Fatalf("%s: %v", what, err)
			}
			if err == nil && back != text {
				t.Fatalf("%s: %q and %q are the same", what, text, back)
			}
		}
		account, err := ledger.ParseAccountNo(text)
		check("account", account.String(), err)
		channel, err := ledger.ParseChannelNo([]byte(text))
		check("channel", channel.String(), err)
		content, err := ledger.ParseContentID(text)
		check("content", content.String(), err)
		id, err := ledger.ParseOpID([]byte(text))
		check("op id", id.String(), err)
	})
}
