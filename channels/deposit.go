package channels

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Ref is what a deposit is known by: a payment hash, or a coin.
type Ref struct {
	Hash   Hash   `json:"hash"`   // payment hash, or the transaction's id
	Output uint32 `json:"output"` // of the transaction; noOutput over Lightning
}

const noOutput = 1<<32 - 1

// LightningRef is what is known by a payment hash.
func LightningRef(hash Hash) Ref { return Ref{hash, noOutput} }

// Lightning says whether it is a payment hash.
func (f Ref) Lightning() bool { return f.Output == noOutput }

func (f Ref) String() string {
	if f.Lightning() {
		return f.Hash.String()
	}
	return fmt.Sprintf("%s:%d", f.Hash.TxID(), f.Output)
}

func (f Ref) bytes() []byte {
	return binary.BigEndian.AppendUint32(f.Hash[:len(f.Hash):len(f.Hash)], f.Output)
}

func parseRef(b []byte) (f Ref, err error) {
	if len(b) != 36 {
		return f, fmt.Errorf("a deposit's key of %d bytes", len(b))
	}
	copy(f.Hash[:], b)
	f.Output = binary.BigEndian.Uint32(b[32:])
	return f, nil
}

// DepositStatus is how far a deposit has come.
type DepositStatus string

const (
	DepositOpen       DepositStatus = "open"       // an invoice that nobody has paid
	DepositExpired    DepositStatus = "expired"    // and that nobody can pay any more
	DepositPending    DepositStatus = "pending"    // on-chain, not deep enough
	DepositGone       DepositStatus = "gone"       // on-chain, and not there any more: it may come back
	DepositUnassigned DepositStatus = "unassigned" // here, and nobody knows whose it is: see Assign
	DepositArrived    DepositStatus = "arrived"    // here, and about to be credited
	DepositCredited   DepositStatus = "credited"   // in the account
)

// Deposit is money on its way in. It is a record.
type Deposit struct {
	Ref
	Rail    Rail             `json:"rail"`
	Account ledger.AccountNo `json:"account,omitempty"` // zero: unassigned
	Status  DepositStatus    `json:"status"`
	Asked   ledger.Msat      `json:"asked,omitempty"`   // by an invoice; zero: open
	Amount  ledger.Msat      `json:"amount,omitempty"`  // what came
	Invoice string           `json:"invoice,omitempty"` // BOLT11; empty: a keysend, or on-chain
	Address string           `json:"address,omitempty"` // on-chain
	Memo    string           `json:"memo,omitempty"`
	About   []byte           `json:"about,omitempty"` // hash of a description that is not in the invoice
	Proof   Hash             `json:"proof,omitzero"`  // the preimage of what was paid
	Keysend bool             `json:"keysend,omitempty"`
	Taken   Key              `json:"taken,omitzero"`  // the payout that pays it inside
	Credit  ID               `json:"credit,omitzero"` // of the op that credits it
	Needs   int64            `json:"needs,omitempty"` // confirmations
	Has     int64            `json:"has,omitempty"`
	Undone  bool             `json:"undone,omitempty"` // credited, and not in the chain any more
	Made    time.Time        `json:"made"`
	Expires time.Time        `json:"expires,omitzero"` // of an invoice
	Came    time.Time        `json:"came,omitzero"`    // when it was paid, or was deep enough
	Changed time.Time        `json:"changed"`
}

// deposit reads a deposit.
func (r *Rails) deposit(ref Ref) (d Deposit, found bool, err error) {
	found, err = r.read(rowKey(keyDeposit, ref.bytes()), &d)
	return d, found, err
}

// Deposit is a deposit of an account's; ErrNoItem: there is none.
func (r *Rails) Deposit(no ledger.AccountNo, ref Ref) (Deposit, error) {
	d, found, err := r.deposit(ref)
	if err == nil && (!found || d.Account != no) {
		err = ErrNoItem
	}
	return d, err
}

// Deposits are an account's, the newest first, and where the next page begins; nil: nowhere. Invoices that nobody has paid are among them
// only if they are asked for.
func (r *Rails) Deposits(no ledger.AccountNo, unpaid bool, g Page) (list []Deposit, next []byte, err error) {
	next, err = r.list(no, g, 'd', func(rest []byte) (bool, error) {
		ref, err := parseRef(rest)
		if err != nil {
			return false, err
		}
		d, found, err := r.deposit(ref)
		if !found || err != nil || !unpaid && (d.Status == DepositOpen || d.Status == DepositExpired) {
			return false, err
		}
		list = append(list, d)
		return true, nil
	})
	return list, next, err
}

// depositRows are the deposit's record, and its places among those that something is to be done about.
func (r *Rails) depositRows(d *Deposit) ([]Row, error) {
	ref := d.Ref.bytes()
	record, err := rowOf(rowKey(keyDeposit, ref), d)
	if err != nil {
		return nil, err
	}
	rows := []Row{record, {Key: rowKey(keyArrived, ref)}}
	if d.Status == DepositArrived {
		rows[1].Value = []byte{}
	}
	if d.Account != 0 || d.Status == DepositUnassigned {
		rows = append(rows, Row{Key: listed(d, d.Account), Value: []byte{}})
	}
	if !d.Expires.IsZero() {
		unpaid := Row{Key: rowKey(keyUnpaid, millis(d.Expires), d.Hash[:])}
		if d.Status == DepositOpen {
			unpaid.Value = accountBytes(d.Account)
		}
		rows = append(rows, unpaid)
	}
	return rows, nil
}

// listed is a deposit's place in the list of an account; of account 0 in that of those that are nobody's.
func listed(d *Deposit, no ledger.AccountNo) []byte {
	return rowKey(keyList, accountBytes(no), newestFirst(d.Made), []byte{'d'}, d.Ref.bytes())
}

// save writes a deposit.
func (r *Rails) save(d *Deposit, with ...Row) error {
	d.Changed = r.stamp()
	rows, err := r.depositRows(d)
	if err != nil {
		return err
	}
	return r.write(append(rows, with...)...)
}

// stamp is the present time as records have it.
func (r *Rails) stamp() time.Time { return r.now().UTC().Truncate(time.Millisecond) }

// creditID is the id of the op that credits what came over Lightning: a function of the payment alone, so that not even rails that have lost
// their newest records credit it twice.
func creditID(receipt *Receipt) ID {
	sum := sha256.Sum256(append([]byte("millrace credit\x00"), receipt.Hash[:]...))
	return ID(ledger.NewOpID(uint64(max(0, receipt.Time.UnixMilli())), [10]byte(sum[:])))
}

// credit puts what has arrived into its account. The deposit is written as arrived, with the id of the op. Its lock must be held.
func (r *Rails) credit(d *Deposit) error {
	external := ledger.Lightning
	if d.Rail == Chain {
		external = ledger.Chain
	}
	for range 3 {
		a, err := r.ledger.Submit(ledger.Op{Kind: ledger.OpCredit, Actor: external, Target: uint32(d.Account), Amount: d.Amount, ID: d.Credit})
		if err != nil {
			return fmt.Errorf("crediting deposit %s: %w", d.Ref, err)
		}
		switch result := a.Result(); {
		case result.OK():
			return r.credited(d)
		case result == ledger.IDAhead:
			return fmt.Errorf("crediting deposit %s: the node's clock is ahead of the hub's", d.Ref)
		case result == ledger.IDExpired:
			if _, found, err := r.applied(d.Account, ledger.OpCredit, d.Credit); err != nil {
				return err
			} else if found {
				return r.credited(d)
			}
			d.Credit = r.newID()
			if err := r.save(d); err != nil {
				return err
			}
		case result.Retryable():
			err := fmt.Errorf("the ledger refuses to credit %s: %v", d.Account, result)
			r.Raise(Incident{Kind: "credit", Subject: d.Ref.String(), Account: d.Account, Amount: d.Amount, Text: err.Error()})
			return err
		default:
			return r.refused(d, result)
		}
	}
	return errors.New("ids expire as soon as they are made: the hub's clock is wrong")
}

func (r *Rails) credited(d *Deposit) error {
	d.Status = DepositCredited
	err := r.save(d)
	if err == nil {
		r.settle("credit", d.Ref.String(), "credited")
	}
	if err == nil && r.cfg.Moved != nil {
		r.cfg.Moved(d.Account, d.Item())
	}
	return err
}

// creditArrived tries again what was not credited.
func (r *Rails) creditArrived() {
	err := r.goRound(&r.arrivals, keyArrived, sweepMost, func(key []byte) (bool, error) {
		ref, err := parseRef(key)
		if err == nil {
			err = r.creditAgain(ref)
		}
		return true, err
	})
	if err != nil {
		r.warn("deposits are not credited yet", "err", err)
	}
}

func (r *Rails) creditAgain(ref Ref) error {
	defer r.hashes.lock(ref.Hash)()
	d, found, err := r.deposit(ref)
	if err != nil || !found || d.Status != DepositArrived {
		return err
	}
	return r.credit(&d)
}
