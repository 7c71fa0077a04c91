package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// maxFacts bounds a list of facts: 110 MB. Where there are more, they are compared in several parts, for each of which the books are read
// again.
const (
	maxFacts = 2_000_000
	maxParts = 256
)

var errMany = errors.New("too many to be compared at once")

// books are the facts of all books, or of one part of them.
type books struct {
	part, parts int
	most        int // facts of a list

	deposits, payouts, coins    []fact // of the records, by what the node knows them by: payment hashes, transactions' ids
	receipts, payments, wallet  []fact // of the node
	credits, captures, debits   []fact // of the records, by what the ledger knows them by: ops' ids, numbers of holds
	credited, captured, debited []fact // of the ledger
}

// all compares everything that there ever was, both ways. The records are read before the node and the ledger, so that what they say is
// done is in these; what is newer there is the next run's.
func (w *run) all() error {
	top, err := w.outside()
	if err != nil {
		return err
	}
	for parts := 1; parts <= maxParts; parts *= 4 {
		for part := range parts {
			b := &books{part: part, parts: parts, most: w.facts}
			if err = w.compareAll(b, top.seq); err != nil {
				break
			}
		}
		if !errors.Is(err, errMany) {
			return err
		}
	}
	return err
}

func (w *run) compareAll(b *books, top uint64) error {
	for _, read := range []func(*books) error{w.allDeposits, w.allPayers, w.allBatches, w.allOfNode, func(b *books) error { return w.allOfLedger(b, top) }} {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := read(b); err != nil {
			return err
		}
	}
	order := func(x, y fact) int { return bytes.Compare(x.key[:], y.key[:]) }
	slices.SortFunc(b.coins, order) // a transaction may be of many deposits, and of a batch
	b.coins = slices.Compact(b.coins)
	hash := func(key [32]byte) string { return channels.Hash(key).String() }
	tx := func(key [32]byte) string { return channels.Hash(key).TxID() }
	w.differ(b.deposits, b.receipts, KindDeposit, KindReceipt, hash, "the node was not paid this deposit", "the node was paid, and there is no record of it")
	w.differ(b.payouts, b.payments, KindPayout, KindPayment, hash, "the node has not paid this payout", "the node has paid, and no payout asked for it")
	w.differ(b.coins, b.wallet, KindDeposit, KindMovement, tx, "the wallet has no such transaction", "")
	w.differ(b.credits, b.credited, KindDeposit, KindEntry, opOf, "the ledger has not credited this deposit", "the ledger has credited an account, and there is no deposit")
	w.differ(b.captures, b.captured, KindPayout, KindEntry, holdOf, "the ledger has not let this payout go", "the ledger has let money go, and there is no payout")
	w.differ(b.debits, b.debited, KindBatch, KindEntry, opOf, "the ledger has not paid this fee", "the ledger has let money go, and there is no batch")
	return nil
}

// differ tells where a record and another book do not agree.
func (w *run) differ(ours, theirs []fact, ourKind, theirKind Kind, subject func([32]byte) string, missing, unknown string) {
	compare(ours, theirs, func(d difference) {
		m := Mismatch{Kind: ourKind, Text: missing}
		f := d.a
		switch {
		case d.a == nil:
			f, m.Kind, m.Text = d.b, theirKind, unknown
		case d.b != nil:
			m.Kind = theirKind
			m.Text = fmt.Sprintf("the records say %d msat and a fee of %d, and the other book %d and %d", d.a.amount, d.a.fee, d.b.amount, d.b.fee)
		}
		m.Subject, m.Amount = subject(f.key), abs(f.amount+f.fee)
		if !w.explained[m.Subject] {
			w.report.mismatch(m)
		}
	})
}

// put adds a fact to a list if it is of the part.
func (b *books) put(list *[]fact, f fact) error {
	if !share(&f.key, b.part, b.parts) {
		return nil
	}
	if len(*list) == b.most {
		return errMany
	}
	*list = append(*list, f)
	return nil
}

func (w *run) allDeposits(b *books) error {
	return w.cfg.Archive.EachDeposit(func(d *channels.Deposit) error {
		amount := int64(d.Amount)
		switch {
		case d.Taken != (channels.Key{}) && d.Status == channels.DepositCredited: // paid inside
			return nil
		case d.Status == channels.DepositOpen || d.Status == channels.DepositExpired:
			return nil
		}
		if d.Status == channels.DepositArrived || d.Status == channels.DepositCredited {
			err := b.put(&b.credits, fact{key: opKey(ledger.OpID(d.Credit)), amount: amount, alone: d.Status == channels.DepositArrived})
			if err != nil {
				return err
			}
		}
		if d.Lightning() {
			return b.put(&b.deposits, fact{key: d.Hash, amount: amount})
		}
		if d.Status != channels.DepositCredited || d.Undone {
			return nil
		}
		return b.put(&b.coins, fact{key: d.Hash})
	})
}

func (w *run) allPayers(b *books) error {
	return w.cfg.Archive.EachPayer(func(p *channels.Payout) error {
		if p.Rail != channels.Lightning || p.Status != channels.Done && p.Status != channels.Paid && p.Status != channels.InTransit {
			return nil
		}
		if p.Status != channels.InTransit {
			if err := b.put(&b.payouts, fact{key: p.Hash, amount: int64(p.Pays), fee: int64(p.Fee)}); err != nil {
				return err
			}
		}
		return b.putCapture(p)
	})
}

// putCapture adds what the ledger let go for a payout, or is about to.
func (b *books) putCapture(p *channels.Payout) error {
	return b.put(&b.captures, fact{key: holdKey(p.Hold), amount: int64(p.Pays + p.Fee), alone: p.Status != channels.Done})
}

func (w *run) allBatches(b *books) error {
	return w.cfg.Archive.EachBatch(func(batch *channels.Batch) error {
		if batch.Status != channels.BatchConfirmed && batch.Status != channels.BatchClosed {
			return nil
		}
		if batch.Status == channels.BatchClosed {
			if err := b.put(&b.coins, fact{key: batch.Tries[batch.Winner].ID}); err != nil {
				return err
			}
		}
		if batch.Rest > 0 {
			if err := b.put(&b.debits, fact{key: opKey(ledger.OpID(batch.Debit)), amount: int64(batch.Rest), alone: !batch.Debited}); err != nil {
				return err
			}
		}
		for i := range batch.Parts {
			p, err := w.cfg.Archive.Payout(batch.Parts[i].Key)
			if err == nil {
				err = b.putCapture(&p)
			}
			if err != nil {
				return fmt.Errorf("payout %s of batch %s: %w", batch.Parts[i].Key, batch.ID, err)
			}
		}
		return nil
	})
}

// allOfNode reads the node's books. What is newer than the run is the next one's, and what is older than the books nobody's.
func (w *run) allOfNode(b *books) error {
	o := &w.state.Opening
	err := w.cfg.History.Receipts(w.ctx, 0, func(r channels.Receipt) error {
		return b.put(&b.receipts, fact{key: r.Hash, amount: int64(r.Amount), alone: r.Index <= o.Receipt || r.Index > w.state.Receipt})
	})
	if err != nil {
		return fmt.Errorf("reading what the node was paid: %w", err)
	}
	err = w.cfg.History.Payments(w.ctx, 0, func(s channels.Sent) error {
		if s.Attempt.Stage != channels.Succeeded {
			return nil
		}
		return b.put(&b.payments, fact{key: s.Hash, amount: int64(s.Amount), fee: int64(s.Attempt.Fee), alone: s.Index <= o.Payment || s.Index > w.state.Payment})
	})
	if err != nil {
		return fmt.Errorf("reading what the node paid: %w", err)
	}
	err = w.cfg.History.Movements(w.ctx, 0, func(m channels.Movement) error {
		return b.put(&b.wallet, fact{key: m.ID, alone: true}) // what each means was asked when it was new
	})
	if err != nil {
		return fmt.Errorf("reading the wallet's transactions: %w", err)
	}
	return nil
}

// allOfLedger reads the ledger's entries about money outside, up to the one that was the newest before the records were read.
func (w *run) allOfLedger(b *books, top uint64) error {
	var failed error
	for _, no := range []ledger.AccountNo{ledger.Lightning, ledger.Chain} {
		err := w.cfg.Ledger.AccountLines(no, ledger.Range{}, func(l *ledger.Line) bool {
			alone := l.Seq <= w.state.Opening.Seq || l.Seq > top
			switch amount := l.Change[0]; l.Kind {
			case ledger.OpCredit:
				failed = b.put(&b.credited, fact{key: opKey(l.ID), amount: -amount, alone: alone})
			case ledger.OpCapture:
				failed = b.put(&b.captured, fact{key: holdKey(l.Object), amount: amount, alone: alone})
			default:
				failed = b.put(&b.debited, fact{key: opKey(l.ID), amount: amount, alone: alone})
			}
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return fmt.Errorf("reading the ledger's history: %w", err)
		}
	}
	return nil
}

// opKey is an op's id as a key: backwards, since it begins with the time, and parts are made by the first byte.
func opKey(id ledger.OpID) (key [32]byte) {
	copy(key[:], id[:])
	slices.Reverse(key[:len(id)])
	return key
}

func opOf(key [32]byte) string {
	var id ledger.OpID
	copy(id[:], key[:])
	slices.Reverse(id[:])
	return string(id.Append(nil))
}

// holdKey is the number of a hold as a key, likewise.
func holdKey(n uint32) (key [32]byte) {
	binary.LittleEndian.PutUint32(key[:], n)
	return key
}

func holdOf(key [32]byte) string {
	return fmt.Sprintf("hold %d", binary.LittleEndian.Uint32(key[:]))
}
