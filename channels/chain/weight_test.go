package chain_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/mempool"
	"github.com/btcsuite/btcd/wire"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
)

// TestDust: the limits that wallets know, those of btcd, and other rates.
func TestDust(t *testing.T) {
	w := newWallet(t, "dust")
	tests := []struct {
		name   string
		script []byte
		want   channels.Sat
	}{
		{"P2PKH", w.script(chain.P2PKH), 546},
		{"P2SH", w.script(chain.Nested), 540},
		{"P2WPKH", w.script(chain.P2WPKH), 294},
		{"P2WSH", append([]byte{0, 32}, make([]byte, 32)...), 330},
		{"P2TR", w.script(chain.P2TR), 330},
		{"data", []byte{0x6a, 1, 7}, 0},
	}
	for _, tt := range tests {
		got := chain.Dust(tt.script, chain.DustRate)
		if got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
		if node := mempool.GetDustThreshold(wire.NewTxOut(0, tt.script)); got != 0 && channels.Sat(node) != got {
			t.Errorf("%s: %d, and btcd's %d", tt.name, got, node)
		}
		if twice := chain.Dust(tt.script, 2*chain.DustRate); twice != 2*tt.want {
			t.Errorf("%s at twice the rate: %d", tt.name, twice)
		}
	}
}

// TestWeight: what is reckoned beforehand is what signed transactions weigh, but for short signatures, and never less.
func TestWeight(t *testing.T) {
	w := newWallet(t, "weight")
	kinds := []chain.Spend{chain.P2WPKH, chain.P2TR, chain.Nested, chain.P2PKH}
	for _, outputs := range []int{1, 2, 252, 253, 600} {
		for _, inputs := range [][]chain.Spend{
			{chain.P2WPKH}, {chain.P2TR}, {chain.Nested}, {chain.P2WPKH, chain.P2TR, chain.Nested, chain.P2PKH}, {chain.P2PKH, chain.P2TR},
			many(chain.P2WPKH, 260),
		} {
			var coins []coin
			var outs []*wire.TxOut
			var scripts [][]byte
			for i, kind := range inputs {
				coins = append(coins, coin{kind: kind, point: wire.OutPoint{Index: uint32(i)}, value: 10_000_000})
			}
			for i := range outputs {
				script := w.script(kinds[i%len(kinds)])
				outs, scripts = append(outs, wire.NewTxOut(1000, script)), append(scripts, script)
			}
			signed := w.pay(coins, outs, -1)
			tx, err := chain.ParseTransaction(signed.Raw)
			if err != nil {
				t.Fatal(err)
			}
			want := chain.Weight(inputs, scripts...)
			// A signature may be short by a byte often, by two or three very rarely; one of P2PKH counts four times.
			if slack := want - tx.Weight; slack < 0 || slack > int64(6*len(inputs)) {
				t.Errorf("%d inputs %v, %d outputs: weighs %d, reckoned %d", len(inputs), inputs[0], outputs, tx.Weight, want)
			}
			if tx.ID != signed.ID || len(tx.Inputs) != len(inputs) || len(tx.Outputs) != outputs || !tx.Replaceable {
				t.Errorf("read back: %d inputs, %d outputs, replaceable %v", len(tx.Inputs), len(tx.Outputs), tx.Replaceable)
			}
		}
	}
}

func many(kind chain.Spend, n int) (all []chain.Spend) {
	for range n {
		all = append(all, kind)
	}
	return all
}

func TestFee(t *testing.T) {
	for _, tt := range []struct {
		vsize int64
		rate  channels.FeeRate
		want  channels.Sat
	}{{0, 1000, 0}, {140, 1000, 140}, {141, 1001, 142}, {1, 1, 1}, {100_000, 500_000, 50_000_000}, {31_124, 2500, 77_810}} {
		if got := chain.Fee(tt.vsize, tt.rate); got != tt.want {
			t.Errorf("%d vbyte at %d: %d, want %d", tt.vsize, tt.rate, got, tt.want)
		}
		if back := chain.Rate(tt.want, tt.vsize); tt.vsize > 0 && back < tt.rate {
			t.Errorf("%d sat for %d vbyte: a rate of %d, asked for %d", tt.want, tt.vsize, back, tt.rate)
		}
	}
	if chain.VSize(1) != 1 || chain.VSize(4) != 1 || chain.VSize(5) != 2 {
		t.Error("a virtual byte is 4 units of weight, rounded up")
	}
}

func TestParseTransaction(t *testing.T) {
	// The first segwit transaction that BIP-143 gives as an example (native P2WPKH), signed.
	const example = "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000"
	raw, err := hex.DecodeString(example)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := chain.ParseTransaction(raw)
	if err != nil || tx.ID.TxID() != "e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609" {
		t.Fatalf("%+v, %v", tx, err)
	}
	if len(tx.Inputs) != 2 || tx.Inputs[1].Index != 1 || tx.Inputs[1].Tx.TxID() != "8ac60eb9575db5b2d987e29f301b5b819ea83a5c6579d282d189cc04b8e151ef" {
		t.Errorf("inputs %v", tx.Inputs)
	}
	if len(tx.Outputs) != 2 || tx.Outputs[0].Amount != 112340000 || tx.Outputs[1].Amount != 223450000 || !tx.Replaceable {
		t.Errorf("outputs %v", tx.Outputs)
	}
	if want := int64(3*(len(raw)-2-108) + len(raw)); tx.Weight != want {
		t.Errorf("weight %d, want %d", tx.Weight, want)
	}
	for _, bad := range []string{"", "00", example[:100], example + "00", strings.Repeat("ff", 60), "01000000000000000000"} {
		raw, err := hex.DecodeString(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chain.ParseTransaction(raw); err == nil {
			t.Errorf("%.40s is a transaction", bad)
		}
	}
}
