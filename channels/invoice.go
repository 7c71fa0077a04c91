package channels

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// The bounds of invoices, and what they cost: a record of some 800 bytes each until they are forgotten.
const (
	MaxInvoices     = 1000    // of an account that nobody has paid
	maxInvoicesAll  = 500_000 // of all accounts
	MaxExpiry       = 7 * 24 * time.Hour
	DefaultExpiry   = time.Hour
	expiryGrace     = 2 * time.Minute    // a payment that is under way when an invoice expires may still settle it
	keepExpired     = 7 * 24 * time.Hour // what nobody has paid is forgotten then
	settledMark     = "settled"          // the node's settle index up to which all is written
	lookupsPerSweep = 1000
)

// NewInvoice makes an invoice that pays an account.
func (r *Rails) NewInvoice(ctx context.Context, no ledger.AccountNo, n NewInvoice) (Deposit, error) {
	if err := r.ready(); err != nil {
		return Deposit{}, err
	}
	if r.cfg.Receiver == nil {
		return Deposit{}, ErrNoRail
	}
	if a, ok := r.ledger.Account(no); !ok || no < ledger.FirstAccount || a.Opened == 0 {
		return Deposit{}, fmt.Errorf("%w: there is no account %s", ErrTarget, no)
	}
	if n.Expiry == 0 {
		n.Expiry = DefaultExpiry
	}
	if n.Amount > ledger.MaxMsat || n.Expiry < time.Second || n.Expiry > MaxExpiry || len(n.Memo) > MaxMemo || len(n.DescHash) != 0 && len(n.DescHash) != 32 {
		return Deposit{}, fmt.Errorf("%w: amount, expiry, memo or hash of the description out of bounds", ErrAmount)
	}
	if !r.countInvoice(no, 1) {
		return Deposit{}, ErrTooMany
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallFor)
	defer cancel()
	asked := n
	if asked.DescHash != nil {
		asked.Memo = "" // the account's own list has it
	}
	inv, err := r.cfg.Receiver.Invoice(ctx, asked) // one that is not written down is nobody's: its text goes to no one
	if err != nil {
		r.countInvoice(no, -1)
		return Deposit{}, fmt.Errorf("asking the node for an invoice: %w", err)
	}
	d := Deposit{Ref: Ref{inv.Hash, noOutput}, Rail: Lightning, Account: no, Status: DepositOpen, Asked: n.Amount, Invoice: inv.Text,
		Memo: n.Memo, About: n.DescHash, Made: r.stamp(), Expires: inv.Expires.UTC().Truncate(time.Millisecond)}
	if err := r.save(&d); err != nil {
		r.countInvoice(no, -1)
		return Deposit{}, err
	}
	return d, nil
}

// countInvoice counts the invoices of an account that nobody has paid. False: there are too many.
func (r *Rails) countInvoice(no ledger.AccountNo, by int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if by > 0 && (r.invoices[no] >= MaxInvoices || r.invoicesAll >= maxInvoicesAll) {
		return false
	}
	r.invoicesAll += by
	if r.invoices[no] += by; r.invoices[no] <= 0 {
		delete(r.invoices, no)
	}
	return true
}

// loadInvoices counts what a start finds.
func (r *Rails) loadInvoices() error {
	return r.records.Scan([]byte(keyUnpaid), nil, func(_, value []byte) bool {
		if len(value) == 4 {
			no := ledger.AccountNo(binary.BigEndian.Uint32(value))
			r.invoices[no]++
			r.invoicesAll++
		}
		return true
	})
}

// followSettled takes in what comes over Lightning, from where the records end.
func (r *Rails) followSettled() {
	for tries := 0; r.ctx.Err() == nil; tries++ {
		after, err := r.mark(settledMark)
		if err == nil {
			err = r.cfg.Receiver.Settled(r.ctx, after, func(receipt Receipt) error {
				tries = 0
				return r.receive(&receipt)
			})
		}
		if r.ctx.Err() == nil {
			r.warn("the node does not tell of deposits; trying again", "err", err)
		}
		r.pause(r.backoff(tries))
	}
}

// receive takes in a receipt, once for each payment hash, however often the node tells of it:
//
//  1. the deposit is written as arrived, with the id of the op that will credit it, and how far the node's settle index has come
//  2. the ledger credits the account
//  3. the deposit is written as credited
//
// What stops between 1 and 3 is taken up by creditArrived.
func (r *Rails) receive(receipt *Receipt) error {
	defer r.hashes.lock(receipt.Hash)()
	d, found, err := r.deposit(Ref{receipt.Hash, noOutput})
	if err != nil {
		return err
	}
	var rows []Row
	if receipt.Index > 0 { // not of a Lookup
		rows = append(rows, markRow(settledMark, receipt.Index))
	}
	before := !found && receipt.Time.Before(r.bornAt.Add(-time.Minute)) // the hub was: the node's own affair
	if before || found && d.Status != DepositOpen && d.Status != DepositExpired {
		if len(rows) == 0 {
			return nil
		}
		return r.write(rows...)
	}
	open := found && d.Status == DepositOpen
	if !found {
		d = r.unannounced(receipt)
	}
	d.Amount, d.Proof, d.Came, d.Status = receipt.Amount, receipt.Preimage, receipt.Time.UTC(), DepositArrived
	if d.Account == 0 {
		return r.unassign(&d, 0, "money came over Lightning, and nobody knows for whom", rows...)
	}
	d.Credit = creditID(receipt)
	if err := r.save(&d, rows...); err != nil {
		return err
	}
	if open {
		r.countInvoice(d.Account, -1)
	}
	if err := r.credit(&d); err != nil {
		r.warn("a deposit is not credited yet", "err", err)
	}
	return nil
}

// unannounced is the deposit of a payment that no invoice of ours asked for: a keysend with an account's name in it, or nobody's.
func (r *Rails) unannounced(receipt *Receipt) Deposit {
	d := Deposit{Ref: Ref{receipt.Hash, noOutput}, Rail: Lightning, Keysend: receipt.Keysend, Made: r.stamp()}
	if no, err := ledger.ParseAccountNo(receipt.Records[AccountRecord]); err == nil && receipt.Keysend && no >= ledger.FirstAccount {
		if a, ok := r.ledger.Account(no); ok && a.Opened != 0 {
			d.Account = no
		}
	}
	return d
}

// sweepInvoices ends invoices whose time is over. The node is asked about each: it may know of a payment of which we were not told.
func (r *Rails) sweepInvoices() error {
	err := r.goRound(&r.unpaid, keyUnpaid, lookupsPerSweep, func(key []byte) (bool, error) { // in the order of their expiry
		switch {
		case len(key) != 40:
			return true, fmt.Errorf("the key of an invoice has %d bytes", len(key))
		case r.now().Before(time.UnixMilli(int64(binary.BigEndian.Uint64(key))).Add(expiryGrace)):
			return false, nil
		}
		return true, r.lookInto(Hash(key[8:]))
	})
	return errors.Join(err, r.forgetExpired())
}

// lookInto asks the node about an invoice that nobody seems to have paid.
func (r *Rails) lookInto(hash Hash) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	receipt, settled, err := r.cfg.Receiver.Lookup(ctx, hash)
	switch {
	case err == nil && settled:
		receipt.Index = 0
		return r.receive(&receipt)
	case err != nil && !errors.Is(err, ErrUnknownPayment):
		return fmt.Errorf("asking the node about an invoice: %w", err)
	}
	defer r.hashes.lock(hash)()
	d, found, err := r.deposit(Ref{hash, noOutput})
	if err != nil || !found || d.Status != DepositOpen || d.Taken != (Key{}) {
		return err
	}
	d.Status = DepositExpired
	expired := Row{Key: rowKey(keyExpired, millis(r.now()), hash[:]), Value: []byte{}}
	if err := r.save(&d, expired); err != nil {
		return err
	}
	r.countInvoice(d.Account, -1)
	return nil
}

// forgetExpired removes the records of invoices that nobody has paid, when they are old.
func (r *Rails) forgetExpired() error {
	return r.goRound(&r.expired, keyExpired, lookupsPerSweep, func(key []byte) (bool, error) {
		switch {
		case len(key) != 40:
			return true, fmt.Errorf("the key of an expired invoice has %d bytes", len(key))
		case r.now().Before(time.UnixMilli(int64(binary.BigEndian.Uint64(key))).Add(keepExpired)):
			return false, nil
		}
		return true, r.forget(Hash(key[8:]), rowKey(keyExpired, key))
	})
}

func (r *Rails) forget(hash Hash, place []byte) error {
	defer r.hashes.lock(hash)()
	rows := []Row{{Key: place}}
	d, found, err := r.deposit(Ref{hash, noOutput})
	if err != nil {
		return err
	}
	if found && d.Status == DepositExpired {
		ref := d.Ref.bytes()
		rows = append(rows, Row{Key: rowKey(keyDeposit, ref)},
			Row{Key: rowKey(keyList, accountBytes(d.Account), newestFirst(d.Made), []byte{'d'}, ref)})
	}
	return r.write(rows...)
}
