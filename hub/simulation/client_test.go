package simulation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// action is what a client does at once: a batch, or one purchase, or one registration.
type action struct {
	ops   []ledger.Op
	buy   *hub.Purchase
	offer *hub.Offer
}

// ack is what a client was told of an op.
type ack struct {
	op  ledger.Op
	out ledgertest.Outcome
}

// do has a hub do an action, and returns what the client is told. An error means that the outcome is not known.
func (l *life) do(a action, works map[ledger.ContentID]hub.Offer) ([]ack, error) {
	switch {
	case a.buy != nil:
		op := ledger.Op{Kind: ledger.OpUnlock, Actor: a.buy.Buyer, ID: a.buy.Content, Version: a.buy.PriceVersion, Amount: a.buy.Max}
		out, key, err := l.hub.Unlock(&hub.Batch{}, *a.buy)
		if err != nil {
			return nil, err
		}
		if out.Result().OK() != (seal.Commitment(key) == works[a.buy.Content].Commitment) {
			panic(fmt.Sprintf("%v came with the wrong key", out.Result()))
		}
		return []ack{{op, ledgertest.OutcomeOf(out)}}, nil
	case a.offer != nil:
		id, out, err := l.hub.Register(*a.offer)
		if err != nil {
			return nil, err
		}
		return []ack{{ledger.Op{Kind: ledger.OpRegister, Actor: a.offer.Seller, ID: id, Amount: a.offer.Price}, ledgertest.OutcomeOf(out)}}, nil
	}
	b := hub.Batch{Ops: a.ops}
	if err := l.hub.Submit(&b); err != nil {
		return nil, err
	}
	acks := make([]ack, len(b.Out))
	for i, out := range b.Out {
		acks[i] = ack{a.ops[i], ledgertest.OutcomeOf(out)}
	}
	return acks, nil
}

// planner makes actions that depend on its numbers and on the ledger alone.
type planner struct {
	rng   *rand.Rand
	state *ledger.State
	now   uint64
	works []hub.Offer
	past  []ledger.Op // what was sent before, by anybody
}

func (p *planner) action() action {
	s := p.state
	switch n := p.rng.IntN(20); {
	case s.Counts().Accounts < 4:
		return action{ops: []ledger.Op{p.op(ledger.OpOpenAccount), p.op(ledger.OpCredit)}}
	case n == 0:
		o := pick(p.rng, p.works...)
		o.Seller = p.account()
		for i := range 1 + p.rng.IntN(3) {
			o.Payees = append(o.Payees, ledger.Payee{Account: ledger.FirstAccount + ledger.AccountNo(i), Share: 1 + p.rng.Uint32N(7)})
		}
		return action{offer: &o}
	case n < 5:
		return action{buy: p.purchase()}
	}
	var a action
	for range 1 + p.rng.IntN(pick(p.rng, 1, 4, 30)) {
		if len(p.past) > 0 && p.rng.IntN(6) == 0 {
			a.ops = append(a.ops, p.again())
		} else {
			a.ops = append(a.ops, p.op(pick(p.rng, kinds...)))
		}
	}
	return a
}

// kinds says how often each kind is asked for.
var kinds = []ledger.Kind{
	ledger.OpTransfer, ledger.OpTransfer, ledger.OpTransfer, ledger.OpTransfer, ledger.OpAdvance, ledger.OpAdvance, ledger.OpAdvance,
	ledger.OpAdvance, ledger.OpAdvance, ledger.OpAdvance, ledger.OpOpenChannel, ledger.OpOpenChannel, ledger.OpTopUp, ledger.OpCloseChannel,
	ledger.OpExpireChannel, ledger.OpOpenAccount, ledger.OpCredit, ledger.OpCredit, ledger.OpDebit, ledger.OpHold, ledger.OpHold,
	ledger.OpCapture, ledger.OpVoid, ledger.OpReprice, ledger.OpRetire,
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// again is an op that was sent before, mostly as it was.
func (p *planner) again() ledger.Op {
	op := pick(p.rng, p.past...)
	if p.rng.IntN(6) == 0 {
		op.Amount++
	}
	return normal(op)
}

// normal clears what a block does not carry.
func normal(op ledger.Op) ledger.Op {
	var plain ledger.Op
	if _, _, err := ledger.DecodeOp(ledger.AppendOp(nil, &op, nil), &plain); err != nil {
		panic(err)
	}
	return plain
}

func (p *planner) op(kind ledger.Kind) ledger.Op {
	rng := p.rng
	op := ledger.Op{Kind: kind, Actor: p.account(), Target: uint32(p.account()), Amount: ledger.Msat(1 + rng.IntN(5000))}
	if remembered(kind) {
		op.ID = p.id()
	}
	switch kind {
	case ledger.OpCredit:
		op.Actor, op.Amount = pick(rng, ledger.Dev, ledger.Lightning, ledger.Chain), ledger.Msat(1+rng.IntN(1_000_000))
	case ledger.OpDebit:
		op.Target = uint32(pick(rng, ledger.Lightning, ledger.Chain))
	case ledger.OpOpenChannel:
		op.Amount = ledger.Msat(1 + rng.IntN(100_000))
		op.Version = uint32(p.now/1000) + pick[uint32](rng, 1, 60, 600, 86_400)
	case ledger.OpAdvance, ledger.OpTopUp, ledger.OpCloseChannel, ledger.OpExpireChannel:
		op.Target = 1 + rng.Uint32N(uint32(p.state.Counts().Channels)+1)
		c, _ := p.state.Channel(ledger.ChannelNo(op.Target))
		op.Actor = c.Payer
		if kind == ledger.OpAdvance {
			op.Amount = c.Total + ledger.Msat(rng.IntN(200))
		}
	case ledger.OpCapture, ledger.OpVoid:
		op.Target = 1 + rng.Uint32N(uint32(p.state.Counts().Holds)+1)
		h, _ := p.state.Hold(ledger.HoldNo(op.Target))
		op.Actor, op.Version = h.Account, uint32(p.account())
		op.Amount = min(op.Amount, h.Amount)
	case ledger.OpReprice, ledger.OpRetire:
		c := p.content()
		op.ID, op.Actor, op.Version = c.ID, c.Seller, c.PriceVersion
		if kind == ledger.OpRetire && rng.IntN(4) > 0 { // few are
			op.Actor++
		}
	}
	return normal(op)
}

// account is mostly one of the first.
func (p *planner) account() ledger.AccountNo {
	n := int(p.state.Counts().Accounts)
	if p.rng.IntN(3) > 0 {
		n = min(n, 3)
	}
	return ledger.FirstAccount + ledger.AccountNo(p.rng.IntN(n+1))
}

// content is a registered one, or one that may come to be.
func (p *planner) content() ledger.Content {
	id := workID(p.rng.IntN(len(p.works)))
	c, ok := p.state.Content(id)
	if !ok {
		c.ID, c.PriceVersion = id, 1
	}
	return c
}

func (p *planner) purchase() *hub.Purchase {
	c := p.content()
	b := &hub.Purchase{Buyer: p.account(), Content: c.ID, PriceVersion: c.PriceVersion}
	if p.rng.IntN(2) == 0 {
		b.PriceVersion, b.Max = 0, c.Price+1
	}
	return b
}

// id is mostly of now; a few are about as old as an id may be, or from the future.
func (p *planner) id() ledger.OpID {
	at, params := max(p.now, p.state.Now()), p.state.Params()
	switch p.rng.IntN(12) {
	case 0:
		at -= p.rng.Uint64N(params.IDWindow)
	case 1:
		at -= params.IDWindow + p.rng.Uint64N(3) - 1
	case 2:
		at += params.IDAhead + p.rng.Uint64N(3) - 1
	}
	var random [10]byte
	binary.LittleEndian.PutUint64(random[2:], p.rng.Uint64())
	return ledger.NewOpID(at, random)
}

func workID(i int) ledger.ContentID { return ledger.ContentID{0xc0, byte(i)} }

// seal makes works to sell. Nobody has registered them yet.
func sealWorks(ring *keyring.Ring, n int) (works []hub.Offer) {
	for i := range n {
		var file bytes.Buffer
		s, err := seal.Seal(&file, bytes.NewReader([]byte{byte(i)}), ring.Publics()[0], origin, workID(i))
		if err != nil {
			panic(err)
		}
		works = append(works, hub.Offer{Header: s.Header, Commitment: s.Commitment, Title: "a work", Price: ledger.Msat(100 * (i + 1)),
			Size: uint64(s.Size), FileSHA256: s.SHA256})
	}
	return works
}
