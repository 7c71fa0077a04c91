package ledgertest

import (
	"bytes"

	"github.com/millrace/millrace/ledger"
)

// expiry is near, far, or just out of bounds.
func (g *Generator) expiry() uint32 {
	return uint32(g.now/1000) + pick[uint32](g.rng, 0, 1, 3, 60, 600, 3600, ledger.MaxChannelLife/1000, ledger.MaxChannelLife/1000+1)
}

// channelTerms are good ones for the most part.
func (g *Generator) channelTerms() []byte {
	t := ledger.ChannelTerms{Mode: pick(g.rng, ledger.PayerAdvances, ledger.PayeeAdvances, ledger.Signed, ledger.Signed)}
	if t.Mode == ledger.Signed || g.rng.IntN(30) == 0 {
		t.Key[pick(g.rng, 0, 31)] = byte(g.rng.IntN(20))
	}
	if t.Mode == ledger.PayerAdvances || g.rng.IntN(2) == 0 {
		t.PerMinute = pick[ledger.Msat](g.rng, 1, 10, 10, 100, 100, 1000, maxMsat, maxMsat+1)
	}
	if g.rng.IntN(30) == 0 {
		t.Mode++
	}
	b := ledger.AppendChannelTerms(nil, &t)
	if g.rng.IntN(40) == 0 {
		b = b[:g.rng.IntN(len(b))]
	}
	return b
}

// signature is some bytes: the ledger looks at no more than their number, and whether there is anything.
func (g *Generator) signature() []byte {
	return bytes.Repeat([]byte{byte(g.rng.IntN(12))}, pick(g.rng, 64, 64, 64, 64, 64, 64, 64, 64, 63, 65, 0))
}
