package ledger_test

import (
	"math/big"
	"slices"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// TestSplit: the parts add up, each is less than one msat from its exact share, equal shares differ by one msat at most, and
// all is as the model has it.
func TestSplit(t *testing.T) {
	rng := newRand(5)
	amounts := []ledger.Msat{0, 1, 2, 3, 999, ledger.MaxMsat - 1, ledger.MaxMsat}
	for range 20_000 {
		amount := ledger.Msat(rng.Uint64N(uint64(ledger.MaxMsat) + 1))
		switch rng.IntN(3) {
		case 0:
			amount = amounts[rng.IntN(len(amounts))]
		case 1:
			amount >>= rng.UintN(61)
		}
		payees := make([]ledger.Payee, 1+rng.IntN(ledger.MaxPayees))
		for i := range payees {
			payees[i] = ledger.Payee{Account: ledger.AccountNo(16 + i), Share: 1 + rng.Uint32N([]uint32{1, 3, 100, ledger.MaxShare}[rng.IntN(4)])}
		}
		checkSplit(t, amount, payees)
	}
}

func checkSplit(t *testing.T, amount ledger.Msat, payees []ledger.Payee) {
	t.Helper()
	parts := ledger.Parts(amount, payees)
	if !slices.Equal(parts, ledger.Parts(amount, payees)) {
		t.Fatalf("%d among %v: not deterministic", amount, payees)
	}
	if want := ledgertest.Split(amount, payees); !slices.Equal(parts, want) {
		t.Fatalf("%d among %v: %d, model %d", amount, payees, parts, want)
	}
	sum, shares := ledger.Msat(0), new(big.Int)
	for i, p := range payees {
		sum += parts[i]
		shares.Add(shares, big.NewInt(int64(p.Share)))
	}
	if sum != amount {
		t.Fatalf("%d among %v: the parts %d add up to %d", amount, payees, parts, sum)
	}
	for i, p := range payees {
		// |part * shares - amount * share| < shares
		x := new(big.Int).Mul(new(big.Int).SetUint64(uint64(parts[i])), shares)
		y := new(big.Int).Mul(new(big.Int).SetUint64(uint64(amount)), big.NewInt(int64(p.Share)))
		if x.Sub(x, y).CmpAbs(shares) >= 0 {
			t.Fatalf("%d among %v: part %d is %d, a msat or more from its share", amount, payees, i, parts[i])
		}
		for j, q := range payees[:i] {
			if p.Share == q.Share && parts[i] > parts[j] {
				t.Fatalf("%d among %v: of equal shares the later gets more: %d", amount, payees, parts)
			}
		}
	}
}

func TestFeeOf(t *testing.T) {
	for _, c := range []struct {
		price ledger.Msat
		ppm   uint32
		want  ledger.Msat
	}{
		{1000, 0, 0}, {1000, 25_000, 25}, {1039, 25_000, 25}, {1040, 25_000, 26}, {1, 999_999, 0}, {1, ledger.PPM, 1}, {999_999, 1, 0},
		{1_000_000, 1, 1}, {ledger.MaxMsat, ledger.PPM, ledger.MaxMsat}, {ledger.MaxMsat, 999_999, 2_099_997_900_000_000_000},
	} {
		if got := ledger.FeeOf(c.price, c.ppm); got != c.want {
			t.Errorf("%d ppm of %d: %d, want %d", c.ppm, c.price, got, c.want)
		}
	}
	rng := newRand(6)
	for range 10_000 {
		price, ppm := ledger.Msat(rng.Uint64N(uint64(ledger.MaxMsat)+1)>>rng.UintN(61)), rng.Uint32N(ledger.PPM+1)
		if got, want := ledger.FeeOf(price, ppm), ledgertest.FeeOf(price, ppm); got != want || got > price {
			t.Fatalf("%d ppm of %d: %d, want %d", ppm, price, got, want)
		}
	}
}
