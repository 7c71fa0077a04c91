package channels

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// ID names a payout, within the account that makes it. Whoever asks for one chooses it, so that asking again is the same payout: a
// UUIDv7, as ops have it, or any other 16 bytes that are chosen once.
type ID ledger.OpID

func (id ID) String() string { return ledger.OpID(id).String() }

// MarshalText writes the form of RFC 9562.
func (id ID) MarshalText() ([]byte, error) { return ledger.OpID(id).Append(nil), nil }

// UnmarshalText reads what MarshalText writes, of any version of UUID.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != 36 {
		return fmt.Errorf("an id of %d characters: want 36", len(text))
	}
	digits := make([]byte, 0, 32)
	for i, c := range text {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') {
			return errors.New("not an id of the form of RFC 9562")
		} else if !dash {
			digits = append(digits, c)
		}
	}
	_, err := hex.Decode(id[:], digits)
	return err
}

// Key is what a payout is found by: ids of two accounts have nothing to do with each other.
type Key struct {
	Account ledger.AccountNo `json:"account"`
	ID      ID               `json:"id"`
}

func (k Key) String() string { return k.Account.String() + "/" + k.ID.String() }

// bytes is the key in records.
func (k Key) bytes() []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(k.Account)), k.ID[:]...)
}

func parseKey(b []byte) (k Key, err error) {
	if len(b) != 20 {
		return k, fmt.Errorf("a payout's key of %d bytes", len(b))
	}
	k.Account = ledger.AccountNo(binary.BigEndian.Uint32(b))
	copy(k.ID[:], b[4:])
	return k, nil
}

// Request asks for a payout. The same request again, under the same key, is the same payout.
type Request struct {
	Key
	// To is a BOLT11 invoice; a node's public key in hex, for a keysend; an on-chain address; an account of this hub; or, if
	// Config.Resolve knows them, a lightning address, an LNURL or a payment URI. At most MaxTo bytes.
	To       string            `json:"to"`
	Amount   ledger.Msat       `json:"amount"`            // what the payee gets; zero: what the invoice says
	FeeLimit ledger.Msat       `json:"fee_limit"`         // the most that it may cost beside; zero: only what is free
	Preimage Hash              `json:"preimage,omitzero"` // of a keysend; zero: one is made of the key
	Records  map[uint64][]byte `json:"records,omitempty"` // of a keysend, beside the preimage; at most MaxRecords bytes
	Until    time.Time         `json:"until,omitzero"`    // what is not sent by then fails; zero: Config.Patience
	Memo     string            `json:"memo,omitempty"`    // for the account's own list; at most MaxMemo bytes
	Origin   string            `json:"origin,omitempty"`  // what asks for it (a run, a wallet's connection), as Payouts can be narrowed by; at most MaxMemo bytes
}

// The bounds of a request.
const (
	MaxTo      = 4096
	MaxMemo    = 639 // as an invoice's
	MaxRecords = 1024
)

// Status is how far a payout has come. Its text is what records and answers have.
type Status string

const (
	Asked     Status = "asked"      // written; whether money is set aside is not known
	Held      Status = "held"       // money is set aside; nothing was sent
	InTransit Status = "in_transit" // its identity is written, and it may have been sent: it can go either way, and nobody may guess
	Paid      Status = "paid"       // the node says that it arrived; the money is about to leave the ledger
	Dropped   Status = "dropped"    // it can never arrive any more; the money is about to go back
	Done      Status = "done"       // over: it arrived, and the ledger says so
	Voided    Status = "failed"     // over: it did not arrive, and the money is back, or was never set aside
)

// Over says whether the status is final.
func (s Status) Over() bool { return s == Done || s == Voided }

// Payout is money on its way out. It is a record.
type Payout struct {
	Request
	Rail      Rail             `json:"rail"`
	Pays      ledger.Msat      `json:"pays"`              // what the payee gets, whoever said how much
	Open      bool             `json:"open,omitempty"`    // the invoice leaves it to the payer how much
	Invoice   string           `json:"invoice,omitempty"` // BOLT11, that To is or was resolved to
	Hash      Hash             `json:"hash,omitzero"`     // payment hash: the identity of a Lightning payment, or of our own invoice
	Payee     string           `json:"payee,omitempty"`   // a node's public key in hex, or an address
	Into      ledger.AccountNo `json:"into,omitempty"`    // of an internal one
	Script    []byte           `json:"script,omitempty"`  // of an on-chain one
	About     string           `json:"about,omitempty"`   // what the invoice says it is for
	Deadline  time.Time        `json:"deadline"`          // what is not sent by then fails
	Batch     ID               `json:"batch,omitzero"`    // the identity of an on-chain one that was sent: see Batch
	Tx        Hash             `json:"tx,omitzero"`       // that paid it, on-chain
	Status    Status           `json:"status"`
	Foreign   bool             `json:"foreign,omitempty"`   // the node knew a payment of this hash before the hub has sent one: an operator decides
	Cancelled bool             `json:"cancelled,omitempty"` // by an operator while it was Asked: its money only goes back
	Decided   bool             `json:"decided,omitempty"`   // an operator has ended it, by Cancel or Decide: nobody is to try it again by himself
	Reason    string           `json:"reason,omitempty"`    // why it failed, or what it waits for
	Fee       ledger.Msat      `json:"fee,omitempty"`       // what it cost, once it is paid
	Proof     Hash             `json:"proof,omitzero"`      // the preimage, once it is paid
	HoldID    ID               `json:"hold_id"`             // of the op that sets the money aside
	Hold      uint32           `json:"hold,omitempty"`      // number of the hold in the ledger
	Made      time.Time        `json:"made"`
	Changed   time.Time        `json:"changed"` // when Status became what it is
	Rev       uint32           `json:"rev"`     // counts what was written

	doubt  doubt
	before bool // the node knew a payment of this hash that failed: that it says so again need not be about ours
}

// doubt is what is known only in memory: whether calls to the node are under way that nobody waits for any more. The node may begin
// such a payment as long as it has the call, after others of the same hash have failed.
type doubt struct {
	calls int       // handed over, and not known to have arrived
	until time.Time // by then the node has begun or dropped them
}

// Aside is what is set aside for a payout.
func (p *Payout) Aside() ledger.Msat { return p.Pays + p.FeeLimit }

// Size is how many bytes what is told of the payout takes at most, as JSON: of a byte of text two.
func (p *Payout) Size() int {
	return 2*(len(p.To)+len(p.Memo)+len(p.Origin)+len(p.Payee)+len(p.About)+len(p.Reason)) + 1024
}

// recordMost is how many bytes the payout's record takes at most, whatever becomes of it: of a byte of text two, of one of others two.
func (p *Payout) recordMost() int {
	n := len(p.To) + len(p.Memo) + len(p.Origin) + len(p.Invoice) + len(p.Payee) + len(p.About) + len(p.Reason) + len(p.Script)
	for _, v := range p.Records {
		n += 32 + len(v)
	}
	return 2*n + 2048
}

// external is the account of the ledger that a payout goes to.
func (p *Payout) external() ledger.AccountNo {
	switch p.Rail {
	case Lightning:
		return ledger.Lightning
	case Chain:
		return ledger.Chain
	}
	return p.Into
}

// same says whether a request is the one that the payout was made by.
func (p *Payout) same(q *Request) bool {
	a, errA := json.Marshal(&p.Request)
	b, errB := json.Marshal(q)
	return errA == nil && errB == nil && string(a) == string(b)
}

// Quote is what a payout would cost now.
type Quote struct {
	Rail   Rail
	Amount ledger.Msat // what the payee gets
	Fee    ledger.Msat // what it would cost
	Limit  ledger.Msat // what to set as FeeLimit so that it goes through if fees rise a little meanwhile
	Hash   Hash        // of an invoice
	Memo   string      // of an invoice
}

// What Quote and Withdraw refuse a request for, before there is a payout, beside ErrNetwork, ErrDust, ErrInvoice, ErrExpired, ErrInTransit and ErrPaidBefore.
var (
	ErrTarget  = errors.New("nothing that can be paid to")
	ErrAmount  = errors.New("not an amount that can be paid")
	ErrReused  = errors.New("the id is another payout's of the account")
	ErrNoRail  = errors.New("the hub is not connected to that network")
	ErrTooMany = errors.New("too many payouts are under way")
	ErrLimit   = errors.New("it costs more than the fee limit")
	ErrStopped = errors.New("the rails are not running")
	ErrUnknown = errors.New("there is no such payout")
)
