package channels

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/ledger"
)

// bury looks at a closed batch until nobody expects it to be undone. After a reorganisation any of its transactions may have been mined in
// the new chain: all of them are looked for, the one that it was closed by first.
func (r *Rails) bury(b *Batch) {
	waits := false // one of them is in the mempool
	for _, i := range b.winnerFirst() {
		p, found, err := r.place(b.Tries[i].ID)
		switch {
		case err != nil:
			r.failed(err)
			r.warn("a batch cannot be looked up", "batch", b.ID.String(), "err", err)
			return
		case !found:
		case p.Confirmations == 0:
			waits = true
		case i == b.Winner && p.Confirmations >= buried:
			r.inter(b)
			return
		case i == b.Winner:
			r.settle("reorganised", b.ID.String(), "it is in the chain again")
			return
		case p.Confirmations >= r.cfg.Confirmed:
			r.crown(b, i)
			return
		default: // the others are looked at no more: they spend the same coins
			r.reorganised(b, "another transaction of it is in a block, and not deep yet")
			return
		}
	}
	if r.reorganised(b, "it is published again"); !waits {
		r.publish(b)
	}
}

func (r *Rails) reorganised(b *Batch, what string) {
	r.Raise(Incident{Kind: "reorganised", Subject: b.ID.String(), Amount: sum(b.Parts),
		Text: "the transaction that a batch was confirmed by is not in the chain any more: " + what})
}

// winnerFirst are the numbers of a confirmed batch's transactions: that of the one that was confirmed, and then the newest first.
func (b *Batch) winnerFirst() []int {
	order := []int{b.Winner}
	for i := range slices.Backward(b.Tries) {
		if i != b.Winner {
			order = append(order, i)
		}
	}
	return order
}

// crown makes another transaction the one that paid a closed batch: a reorganisation has undone the one that it was closed by, and this is
// deep. Payees and amounts are the same in both. Only the fee is not: what the payouts paid of it stays, the difference is the hub's, and
// an operator has to put it into the books. Batch and payouts are written together.
func (r *Rails) crown(b *Batch, winner int) {
	is, was := &b.Tries[winner], &b.Tries[b.Winner]
	var rows []Row
	for i := range b.Parts {
		var p Payout
		found, err := r.read(rowKey(keyPayout, b.Parts[i].Key.bytes()), &p)
		if err == nil && found && p.Batch == b.ID && p.Status == Done {
			p.Tx = is.ID
			p.Rev++
			var row Row
			row, err = rowOf(rowKey(keyPayout, p.Key.bytes()), &p)
			rows = append(rows, row)
		}
		if err != nil {
			r.warn("a payout of a batch that was reorganised cannot be written; trying again", "payout", b.Parts[i].Key.String(), "err", err)
			return
		}
	}
	next := *b
	next.Winner, next.Changed = winner, r.stamp()
	own, err := next.rows()
	if err == nil && is.Fee != was.Fee {
		i := Incident{Kind: "fee", Subject: b.ID.String(), Amount: ledger.Msat(max(is.Fee-was.Fee, was.Fee-is.Fee)) * msatPerSat, Text: fmt.Sprintf(
			"after a reorganisation a batch is paid by its transaction %s, whose fee is %d sat; the books have that of %s, %d sat: adjust them by the difference",
			is.ID.TxID(), is.Fee, was.ID.TxID(), was.Fee)}
		err = r.raise(i, append(rows, own...)...)
	} else if err == nil {
		err = r.write(append(rows, own...)...)
	}
	if err != nil {
		r.log.Error("a batch cannot be written", "batch", b.ID.String(), "err", err)
		return
	}
	b.Winner, b.Changed = next.Winner, next.Changed
	r.show()
	r.settle("reorganised", b.ID.String(), "another of its transactions is in the chain")
}

// inter writes that a batch is not looked at any more. What nobody can need then is left out of its record: of each transaction the fee and
// the id stay, and of the one in the chain its bytes.
func (r *Rails) inter(b *Batch) {
	next := *b
	next.buried, next.Tries = true, slices.Clone(b.Tries) // others have copies that share them
	for i := range next.Tries {
		if next.Tries[i].PSBT = nil; i != b.Winner {
			next.Tries[i].Raw, next.Tries[i].Inputs = nil, nil
		}
	}
	if r.saveBatch(&next) {
		r.settle("reorganised", b.ID.String(), "it is buried")
		r.strike(b)
	}
}
