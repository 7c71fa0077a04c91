package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// channelFunds is what every channel is opened with, in msat, and payerFunds what an account gets that opens one channel.
// An advance moves one msat: no channel runs dry.
const (
	channelFunds = 2_000_000_000
	payerFunds   = 3_000_000_000
)

// channelLife is in seconds: longer than any measurement.
const channelLife = 7 * 24 * 60 * 60

// builder sets up accounts and channels through whatever decides ops: a hub or a ledger in memory.
type builder struct {
	ctx    context.Context
	submit func([]ledger.Op) ([]ledger.Applied, error) // at most hub.MaxBatchOps
	random *rand.Rand
	now    uint64
}

func newBuilder(ctx context.Context, submit func([]ledger.Op) ([]ledger.Applied, error)) *builder {
	return &builder{ctx, submit, rand.New(rand.NewPCG(1, 2)), uint64(time.Now().UnixMilli())}
}

// each submits n ops in batches, each with an id of its own unless it is an advance, and hands on the number of what each made or touched.
func (b *builder) each(n int, op func(i int) ledger.Op, made func(i int, object uint32)) error {
	ops := make([]ledger.Op, 0, hub.MaxBatchOps)
	for at := 0; at < n; at += len(ops) {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		ops = ops[:0]
		for i := at; i < min(at+hub.MaxBatchOps, n); i++ {
			o := op(i)
			if o.Kind != ledger.OpAdvance {
				o.ID = newID(b.now, b.random)
			}
			ops = append(ops, o)
		}
		out, err := b.submit(ops)
		if err != nil {
			return fmt.Errorf("setting up: %w", err)
		}
		for i := range out {
			if out[i].Result() != ledger.Done {
				return fmt.Errorf("setting up: %v was %v", ops[i].Kind, out[i].Result())
			}
			if made != nil {
				made(at+i, out[i].Object())
			}
		}
	}
	return nil
}

// accounts opens n accounts and gives each an amount, if any.
func (b *builder) accounts(n int, amount ledger.Msat) ([]ledger.AccountNo, error) {
	all := make([]ledger.AccountNo, n)
	open := func(int) ledger.Op { return ledger.Op{Kind: ledger.OpOpenAccount} }
	if err := b.each(n, open, func(i int, no uint32) { all[i] = ledger.AccountNo(no) }); err != nil || amount == 0 {
		return all, err
	}
	return all, b.credit(all, amount)
}

func (b *builder) credit(accounts []ledger.AccountNo, amount ledger.Msat) error {
	return b.each(len(accounts), func(i int) ledger.Op {
		return ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(accounts[i]), Amount: amount}
	}, nil)
}

// payment is a channel as an advance names it.
type payment struct {
	payer   ledger.AccountNo
	channel uint32
}

// channels opens n channels, each with its funds, between the payers and payees that are named for each.
func (b *builder) channels(n int, funds ledger.Msat, between func(i int) (payer, payee ledger.AccountNo)) ([]payment, error) {
	all := make([]payment, n)
	expiry := uint32(b.now/1000) + channelLife
	err := b.each(n, func(i int) ledger.Op {
		payer, payee := between(i)
		all[i].payer = payer
		return ledger.Op{Kind: ledger.OpOpenChannel, Actor: payer, Target: uint32(payee), Amount: funds, Version: expiry}
	}, func(i int, no uint32) { all[i].channel = no })
	return all, err
}

// advanceAll moves every channel to a total.
func (b *builder) advanceAll(channels []payment, total ledger.Msat) error {
	return b.each(len(channels), func(i int) ledger.Op {
		return ledger.Op{Kind: ledger.OpAdvance, Actor: channels[i].payer, Target: channels[i].channel, Amount: total}
	}, nil)
}

// crowd is n accounts with a channel from each to another, in random order: nothing that lies together is used together.
func (b *builder) crowd(n int) ([]payment, error) {
	accounts, err := b.accounts(n, payerFunds)
	if err != nil {
		return nil, err
	}
	b.random.Shuffle(n, func(i, j int) { accounts[i], accounts[j] = accounts[j], accounts[i] })
	all, err := b.channels(n, channelFunds, func(i int) (payer, payee ledger.AccountNo) { return accounts[i], accounts[(i+1)%n] })
	b.random.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, err
}

// newID makes a UUIDv7 that nobody has to be unable to guess.
func newID(now uint64, random *rand.Rand) ledger.OpID {
	var r [10]byte
	a, b := random.Uint64(), random.Uint64()
	for i := range r {
		r[i] = byte(a >> (8 * (i & 7)))
		if i > 7 {
			r[i] = byte(b >> (8 * (i & 7)))
		}
	}
	return ledger.NewOpID(now, r)
}

// advances is a generator of batches that were built beforehand: it goes round and round its channels, which are its own,
// and only writes the next total into each op.
type advances struct {
	ops   []ledger.Op // one for each channel; Amount is the total that was acknowledged last, zero for none
	size  int         // of a batch
	at    int
	total uint64 // of all that was acknowledged
}

// divide gives each of n generators its part of the channels; what does not fill a batch is left out.
func divide(channels []payment, n, size int) ([]*advances, error) {
	per := len(channels) / n / size * size
	if per == 0 {
		return nil, fmt.Errorf("%d channels do not make a batch of %d for each of %d clients", len(channels), size, n)
	}
	all := make([]*advances, 0, n)
	for i := range n {
		a := &advances{size: size, ops: make([]ledger.Op, 0, per)}
		for _, p := range channels[i*per : (i+1)*per] {
			a.ops = append(a.ops, ledger.Op{Kind: ledger.OpAdvance, Actor: p.payer, Target: p.channel})
		}
		all = append(all, a)
	}
	return all, nil
}

// next is the next batch, each total one msat further than what it was.
func (a *advances) next() []ledger.Op {
	if a.at == len(a.ops) {
		a.at = 0
	}
	batch := a.ops[a.at : a.at+a.size]
	a.at += a.size
	for i := range batch {
		batch[i].Amount++
	}
	return batch
}

// acknowledged counts what was applied of the last batch: all of it, or it is an error.
func (a *advances) acknowledged(out []ledger.Applied) error {
	for i := range out {
		if out[i].Result() != ledger.Done {
			return fmt.Errorf("an advance was %v", out[i].Result())
		}
	}
	a.total += uint64(len(out))
	return nil
}

// check holds every channel against the total that was acknowledged for it.
func (a *advances) check(s *ledger.State) error {
	var total uint64
	for i := range a.ops {
		c, ok := s.Channel(ledger.ChannelNo(a.ops[i].Target))
		if !ok || c.Total != a.ops[i].Amount {
			return fmt.Errorf("channel %v has paid %d msat, the tally says %d", ledger.ChannelNo(a.ops[i].Target), c.Total, a.ops[i].Amount)
		}
		total += uint64(c.Total)
	}
	if total != a.total {
		return fmt.Errorf("channels have paid %d msat in all, the tally says %d", total, a.total)
	}
	return nil
}
