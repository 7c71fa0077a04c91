package chain_test

import (
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/lightning"
)

// TestRegtestReplaceOfWallet: what lnd's wallet has made is replaced until its change is used up, and lnd signs each one and sees the
// last one confirmed.
func TestRegtestReplaceOfWallet(t *testing.T) {
	n := newNode(t, "wallet")
	hub := shared.Get(t).Hub
	lnd, err := lightning.New(lightning.Config{Address: hub.Address(), Certificate: hub.CertFile(), Macaroon: hub.MacaroonFile(), Network: "simnet"})
	n.must(err)
	t.Cleanup(func() { n.must(lnd.Close()) })
	payee := newWallet(t, "payee of lnd")
	outs := []channels.Output{{Script: payee.script(chain.P2TR), Amount: 50_000}, {Script: payee.script(chain.P2WPKH), Amount: 60_000}}
	s, err := lnd.Fund(n.ctx, sha256.Sum256([]byte(t.Name())), outs, 1000)
	n.must(err)
	n.must(lnd.Publish(n.ctx, s.Raw, "first"))
	first, change := s, read(t, s.Raw).Outputs[s.Change].Amount
	for tries := 0; s.Change >= 0; tries++ {
		rate := 2 * chain.Rate(s.Fee, s.VSize)
		if left := read(t, s.Raw).Outputs[s.Change].Amount; left < 2*s.Fee || tries > 8 { // the last one takes all of the change
			rate = chain.Rate(s.Fee+left-200, s.VSize)
		}
		next, err := chain.Replace(s, rate)
		n.must(err)
		signed, err := lnd.Sign(n.ctx, next.PSBT)
		n.must(err)
		if signed.Fee != next.Fee || signed.Change != next.Change || next.VSize < signed.VSize || next.VSize > signed.VSize+int64(len(s.Inputs)) {
			t.Fatalf("signed %+v instead of %+v", signed, next)
		}
		got := read(t, signed.Raw)
		for i, o := range outs {
			if got.Outputs[i].Amount != o.Amount {
				t.Fatalf("output %d has %d sat", i, got.Outputs[i].Amount)
			}
		}
		n.must(lnd.Publish(n.ctx, signed.Raw, "again"))
		s = signed
	}
	if s.Fee < change {
		t.Errorf("a fee of %d, with the change of %d in it", s.Fee, change)
	}
	n.mine(1)
	if got := n.confirmed(s.ID); got != 1 || n.confirmed(first.ID) != -1 {
		t.Errorf("the last one has %d confirmations, the first %d", got, n.confirmed(first.ID))
	}
	for {
		p, err := lnd.Transaction(n.ctx, s.ID)
		if err == nil && p.Confirmations == 1 {
			break
		}
		if err != nil && !errors.Is(err, channels.ErrNoTransaction) || n.ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
