package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// Of the case of vouchers: each client has so many signed channels, and sends a voucher of each in a batch.
const (
	voucherClients = 4
	voucherBatch   = 128
	voucherWarmUp  = 4 // batches of each client
)

// redeemer is one client: its channels, and the vouchers that were signed for them while nothing was measured.
type redeemer struct {
	payee    ledger.AccountNo
	key      voucher.PrivateKey
	channels []ledger.ChannelNo
	opened   uint64             // seq of the last one
	signed   [][]ledger.Voucher // a batch each: one voucher of every channel, one msat further than in the batch before
	at       int
	batch    hub.Batch
	waits    sample
}

func (k *redeemer) run(ctx context.Context, h *hub.Hub, until time.Time) error {
	for began := time.Now(); began.Before(until) && ctx.Err() == nil; {
		if k.at == len(k.signed) {
			return nil // all are spent: the round was shorter
		}
		k.batch.Reset()
		for i := range k.signed[k.at] {
			v := &k.signed[k.at][i]
			k.batch.Ops = append(k.batch.Ops, ledger.Op{Kind: ledger.OpVoucher, Actor: k.payee, Target: uint32(v.Channel), Amount: v.Total})
			k.batch.Detail = append(k.batch.Detail, v.Signature[:]...)
		}
		k.at++
		if err := h.Submit(&k.batch); err != nil {
			return err
		}
		for _, a := range k.batch.Out {
			if a.Result() != ledger.Done {
				return fmt.Errorf("a voucher was %v", a.Result())
			}
		}
		now := time.Now()
		record(k.waits.waits, now.Sub(began))
		k.waits.ops += uint64(len(k.batch.Out))
		began = now
	}
	return nil
}

// redeemers are all clients.
type redeemers []*redeemer

func (all redeemers) run(ctx context.Context, h *hub.Hub, d time.Duration) (sample, error) {
	errs := make([]error, len(all))
	began := time.Now()
	var wait sync.WaitGroup
	for i, k := range all {
		k.waits = sample{waits: newWaits()}
		wait.Go(func() { errs[i] = k.run(ctx, h, began.Add(d)) })
	}
	wait.Wait()
	s := sample{took: time.Since(began), waits: newWaits()}
	for _, k := range all {
		s.ops += k.waits.ops
		s.waits.Merge(k.waits.waits)
	}
	return s, errors.Join(errs...)
}

// paid is what the hub has said was paid.
func (all redeemers) paid() (n uint64) {
	for _, k := range all {
		n += uint64(k.at) * voucherBatch
	}
	return n
}

// check holds every channel, and the voucher kept of it, against what was sent last.
func (all redeemers) check(s *ledger.State) error {
	for _, k := range all {
		if k.at == 0 {
			continue
		}
		for _, want := range k.signed[k.at-1] {
			if v, ok := s.Voucher(want.Channel); !ok || v != want {
				return fmt.Errorf("channel %v: the voucher kept is of %d msat, the last one sent of %d", want.Channel, v.Total, want.Total)
			}
		}
	}
	return nil
}

// open opens a client's channels.
func (k *redeemer) open(r *rig, payer ledger.AccountNo) error {
	k.key = voucher.NewKey()
	terms := ledger.AppendChannelTerms(nil, &ledger.ChannelTerms{Mode: ledger.Signed, Key: k.key.Public()})
	now := uint64(time.Now().UnixMilli())
	random := newBuilder(context.Background(), nil).random
	k.channels = make([]ledger.ChannelNo, voucherBatch)
	for i := range k.channels {
		op := ledger.Op{Kind: ledger.OpOpenTerms, Actor: payer, Target: uint32(k.payee), Amount: channelFunds / voucherBatch, Version: uint32(now/1000) + channelLife,
			ID: newID(now, random)}
		b := &hub.Batch{Ops: []ledger.Op{op}, Detail: terms}
		if err := r.hub.Submit(b); err != nil || b.Out[0].Result() != ledger.Done {
			return fmt.Errorf("opening a signed channel: %v, %w", b.Out, err)
		}
		k.channels[i], k.opened = ledger.ChannelNo(b.Out[0].Object()), b.Out[0].Seq()
	}
	return nil
}

// sign makes sure that so many batches are there to be sent.
func (k *redeemer) sign(batches int) error {
	from := len(k.signed)
	for len(k.signed) < k.at+batches {
		k.signed = append(k.signed, make([]ledger.Voucher, voucherBatch))
	}
	return onAllCores(len(k.signed)-from, func(n int) (err error) {
		n += from
		for i, no := range k.channels {
			if k.signed[n][i], err = k.key.Sign(origin, no, ledger.Msat(n+1)); err != nil {
				return err
			}
		}
		return nil
	})
}

// onAllCores calls f with the numbers below n.
func onAllCores(n int, f func(int) error) error {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for w := range errs {
		wait.Go(func() {
			for i := range next {
				if errs[w] == nil {
					errs[w] = f(i)
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// bareVerification is BIP-340 alone on all cores: the library's verification of one signature of a hash, again and again.
func bareVerification(ctx context.Context, d time.Duration) (sample, error) {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		return sample{}, err
	}
	hash := sha256.Sum256([]byte("any"))
	signature, err := schnorr.Sign(key, hash[:])
	if err != nil {
		return sample{}, err
	}
	point, signed := key.PubKey(), signature.Serialize()
	counts := make([]uint64, runtime.GOMAXPROCS(0))
	began := time.Now()
	err = onAllCores(len(counts), func(i int) error {
		for more := true; more; more = time.Since(began) < d && ctx.Err() == nil {
			s, err := schnorr.ParseSignature(signed)
			if err != nil || !s.Verify(hash[:], point) {
				return errors.New("a good signature does not pass")
			}
			counts[i]++
		}
		return nil
	})
	s := sample{took: time.Since(began), waits: newWaits()}
	for _, n := range counts {
		s.ops += n
	}
	return s, err
}

// runVouchers measures how many vouchers a hub verifies and makes durable, beside bare verification on the same cores.
func runVouchers(ctx context.Context, c *Config, dir string) (res Result, err error) {
	r, err := newRig(ctx, c, dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	accounts, err := newBuilder(ctx, r.submit).accounts(2*voucherClients, payerFunds)
	if err != nil {
		return Result{}, err
	}
	all := make(redeemers, voucherClients)
	for i := range all {
		all[i] = &redeemer{payee: accounts[2*i+1]}
	}
	err = onAllCores(len(all), func(i int) error {
		return errors.Join(all[i].open(r, accounts[2*i]), all[i].sign(voucherWarmUp))
	})
	if err != nil {
		return Result{}, err
	}
	for _, k := range all {
		r.seq = max(r.seq, k.opened)
	}
	if err := r.restart(ctx); err != nil {
		return Result{}, err
	}
	own := &trial{name: "vouchers", run: func(ctx context.Context, d time.Duration) (sample, error) { return all.run(ctx, r.hub, d) }}
	alone := &trial{name: "bare verification", run: func(ctx context.Context, d time.Duration) (sample, error) {
		s, err := bareVerification(ctx, d)
		if err != nil {
			return s, err
		}
		batches := 2 + int(1.5*s.rate()*c.Round.Seconds()/(voucherClients*voucherBatch)) // for the case's turn, which is the next
		for _, k := range all {
			if err := k.sign(batches); err != nil {
				return s, err
			}
		}
		return s, nil
	}}
	if err := takeTurns(ctx, c, "vouchers", own, alone); err != nil {
		return Result{}, err
	}
	res = newResult(fmt.Sprintf("batch of %d", voucherBatch), own, alone)
	return res, r.finish(ctx, all.paid(), &res, all.check)
}
