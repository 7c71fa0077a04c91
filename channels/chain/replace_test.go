package chain_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
)

// batch is a transaction of so many outputs and change, in that place.
func (w *wallet) batch(kinds []chain.Spend, outputs, at int, change, fee int64) channels.Signed {
	w.t.Helper()
	to := newWallet(w.t, "payee")
	var coins []coin
	var outs []*wire.TxOut
	sum := fee
	for i := range outputs {
		amount := int64(5000 + i)
		outs = append(outs, wire.NewTxOut(amount, to.script(chain.P2TR)))
		sum += amount
	}
	if at >= 0 {
		outs = append(outs[:at:at], append([]*wire.TxOut{wire.NewTxOut(change, w.script(chain.P2TR))}, outs[at:]...)...)
		sum += change
	}
	for i, kind := range kinds {
		value := sum / int64(len(kinds)-i)
		coins = append(coins, coin{kind: kind, point: wire.OutPoint{Hash: [32]byte{7}, Index: uint32(i)}, value: value})
		sum -= value
	}
	return w.pay(coins, outs, at)
}

// TestReplace: whatever the coins, the change and the rates, a replacement pays everybody else the same and the rules of BIP-125 are kept.
func TestReplace(t *testing.T) {
	w, rng := newWallet(t, "replace"), rand.New(rand.NewPCG(1, 2))
	kinds := []chain.Spend{chain.P2WPKH, chain.P2TR, chain.Nested}
	kept, dropped, short := 0, 0, 0
	for range 400 {
		var from []chain.Spend
		for range 1 + rng.IntN(4) {
			from = append(from, kinds[rng.IntN(len(kinds))])
		}
		outputs := []int{1, 2, 30, 252, 253}[rng.IntN(5)]
		vsize := int64(70*len(from) + 43*outputs + 60)
		change, fee := 330+rng.Int64N(40*vsize), vsize+rng.Int64N(4*vsize)
		old := w.batch(from, outputs, rng.IntN(outputs+1), change, fee)
		paid := chain.Rate(old.Fee, old.VSize)
		rate := paid + 1 + channels.FeeRate(rng.Int64N(40_000))
		next, err := chain.Replace(old, rate)
		if errors.Is(err, channels.ErrFunds) {
			short++
			if size := old.VSize; chain.Fee(size, rate) < channels.Sat(change) && old.Fee+channels.Sat(2*size) < channels.Sat(change) {
				t.Fatalf("%d sat of change do not pay for %d vbyte at %d", change, size, rate)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		signed := w.sign(next.PSBT, next.Change)
		if next.Raw != nil || next.Fee != signed.Fee || next.VSize < signed.VSize || next.VSize > signed.VSize+int64(len(from)) {
			t.Fatalf("fee %d of %d vbyte, and signed %d of %d", next.Fee, next.VSize, signed.Fee, signed.VSize)
		}
		if got := chain.Rate(signed.Fee, signed.VSize); got < rate || got <= paid || signed.Fee < old.Fee+channels.Sat(signed.VSize) {
			t.Fatalf("a fee of %d for %d vbyte, asked for %d, before %d for %d", signed.Fee, signed.VSize, rate, old.Fee, old.VSize)
		}
		before, after := read(t, old.Raw), read(t, signed.Raw)
		if len(before.Inputs) != len(after.Inputs) || len(next.Inputs) != len(before.Inputs) || !after.Replaceable {
			t.Fatal("other inputs")
		}
		for i := range before.Inputs {
			if before.Inputs[i] != after.Inputs[i] || next.Inputs[i] != before.Inputs[i] {
				t.Fatal("other inputs")
			}
		}
		if next.Change < 0 {
			dropped++
			before.Outputs = append(before.Outputs[:old.Change:old.Change], before.Outputs[old.Change+1:]...)
		} else {
			kept++
			if least := after.Outputs[next.Change].Amount; next.Change != old.Change || least < 330 || least >= channels.Sat(change) {
				t.Fatalf("change of %d at %d, before %d at %d", least, next.Change, change, old.Change)
			}
			before.Outputs[old.Change].Amount = after.Outputs[next.Change].Amount
		}
		if len(before.Outputs) != len(after.Outputs) {
			t.Fatal("other outputs")
		}
		for i := range before.Outputs {
			if before.Outputs[i].Amount != after.Outputs[i].Amount || !bytes.Equal(before.Outputs[i].Script, after.Outputs[i].Script) {
				t.Fatalf("output %d is %v, before %v", i, after.Outputs[i], before.Outputs[i])
			}
		}
		if again, err := chain.Replace(signed, chain.Rate(signed.Fee, signed.VSize)); !errors.Is(err, channels.ErrFee) {
			t.Fatalf("replaced at the rate that it has: %+v, %v", again, err)
		}
	}
	if kept < 20 || dropped < 5 || short < 20 {
		t.Errorf("%d keep change, %d drop it, %d cannot pay", kept, dropped, short)
	}
}

// TestReplaceAtTheEdge: change is left out where it would be dust, and not a satoshi before.
func TestReplaceAtTheEdge(t *testing.T) {
	w := newWallet(t, "edge")
	old := w.batch([]chain.Spend{chain.P2TR}, 2, 1, 100_000, 1000)
	const rate = 20_000
	needed := chain.Fee(old.VSize, rate)
	for _, tt := range []struct {
		left   channels.Sat
		change int
	}{{330, 1}, {331, 1}, {329, -1}, {0, -1}} {
		s := w.batch([]chain.Spend{chain.P2TR}, 2, 1, int64(needed-1000+tt.left), 1000)
		next, err := chain.Replace(s, rate)
		if err != nil || next.Change != tt.change {
			t.Errorf("%d sat left: %+v, %v", tt.left, next.Change, err)
		}
		if tt.change < 0 && next.Fee != needed+tt.left || tt.change >= 0 && next.Fee != needed {
			t.Errorf("%d sat left: a fee of %d, needed %d", tt.left, next.Fee, needed)
		}
	}
	// Without its output of 43 vbyte it needs less: change that is that much short will do, and a satoshi less will not.
	without := chain.Fee(old.VSize-43, rate)
	if _, err := chain.Replace(w.batch([]chain.Spend{chain.P2TR}, 2, 1, int64(without-1000), 1000), rate); err != nil {
		t.Error(err)
	}
	if _, err := chain.Replace(w.batch([]chain.Spend{chain.P2TR}, 2, 1, int64(without-1001), 1000), rate); !errors.Is(err, channels.ErrFunds) {
		t.Errorf("a satoshi short: %v", err)
	}
}

func TestReplaceRefuses(t *testing.T) {
	w := newWallet(t, "refuse")
	good := w.batch([]chain.Spend{chain.P2WPKH, chain.P2TR}, 3, 1, 500_000, 1000)
	other := w.batch([]chain.Spend{chain.P2WPKH, chain.P2TR}, 3, 1, 500_001, 1000)
	final, err := final(good)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(s *channels.Signed)) channels.Signed {
		s := good
		s.Inputs = append([]channels.Outpoint(nil), good.Inputs...)
		f(&s)
		return s
	}
	for _, tt := range []struct {
		name string
		old  channels.Signed
		rate channels.FeeRate
		want error // nil: any
	}{
		{"no more", good, chain.Rate(good.Fee, good.VSize), channels.ErrFee},
		{"less", good, 1, channels.ErrFee},
		{"no change", w.batch([]chain.Spend{chain.P2TR}, 3, -1, 0, 1000), 10_000, channels.ErrFunds},
		{"beyond the change", good, 5_000_000, channels.ErrFunds},
		{"another's PSBT", change(func(s *channels.Signed) { s.PSBT = other.PSBT }), 10_000, nil},
		{"another's bytes", change(func(s *channels.Signed) { s.Raw = other.Raw }), 10_000, nil},
		{"another's id", change(func(s *channels.Signed) { s.ID = other.ID }), 10_000, nil},
		{"other inputs", change(func(s *channels.Signed) { s.Inputs[1].Index++ }), 10_000, nil},
		{"another fee", change(func(s *channels.Signed) { s.Fee++ }), 10_000, nil},
		{"change that is none", change(func(s *channels.Signed) { s.Change = 4 }), 10_000, nil},
		{"nobody is paid", w.batch([]chain.Spend{chain.P2TR}, 0, 0, 5000, 1000), 10_000, nil},
		{"no PSBT", change(func(s *channels.Signed) { s.PSBT = nil }), 10_000, nil},
		{"no bytes", change(func(s *channels.Signed) { s.Raw = nil }), 10_000, nil},
		{"final", final, 10_000, nil},
	} {
		got, err := chain.Replace(tt.old, tt.rate)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && (errors.Is(err, channels.ErrFee) || errors.Is(err, channels.ErrFunds)) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	if _, err := chain.Replace(good, 10_000); err != nil {
		t.Error(err)
	}
}

// final is the same transaction without the sign that it may be replaced. Its signatures are not right any more.
func final(s channels.Signed) (channels.Signed, error) {
	mark := []byte{0xfd, 0xff, 0xff, 0xff}
	s.Raw = bytes.ReplaceAll(s.Raw, mark, []byte{0xff, 0xff, 0xff, 0xff})
	s.PSBT = bytes.ReplaceAll(s.PSBT, mark, []byte{0xff, 0xff, 0xff, 0xff})
	tx, err := chain.ParseTransaction(s.Raw)
	s.ID = tx.ID
	return s, err
}

func read(t *testing.T, raw []byte) chain.Transaction {
	t.Helper()
	tx, err := chain.ParseTransaction(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}
