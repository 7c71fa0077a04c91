package channels

import (
	"errors"
	"time"

	"github.com/millrace/millrace/ledger"
)

// State is how a movement of money over the rails stands, for its account.
type State string

const (
	Open     State = "pending" // not paid yet, or on its way
	Settled  State = "settled" // the money has come, or gone
	Expired  State = "expired" // an invoice that nobody paid
	GaveBack State = "failed"  // a payment that did not arrive: its money is back
)

// Item is one movement of an account's money over the rails: an invoice or address of its own that money comes in by, or a
// payment that it makes. It is what wallets list (LndHub, NIP-47), so it is told by its payment hash or coin, and not by the
// numbers that the hub has for it.
type Item struct {
	Rail     Rail
	Incoming bool
	State    State
	Key      string      // what an outgoing one was asked for by: see Order; or its Origin
	Hash     Hash        // its payment hash; on-chain, the transaction that it is in, or zero as long as there is none
	Preimage Hash        // of a settled one; zero: not known
	Invoice  string      // BOLT11; empty: a keysend, or on-chain
	Payee    string      // of an outgoing one: the node's public key in hex, or an address; of an incoming one on-chain: our address
	Amount   ledger.Msat // without the fee; zero: an open invoice that nobody paid
	Fee      ledger.Msat // what an outgoing one cost beside; of one that is not settled, the most that it can cost
	Memo     string
	DescHash []byte // of an invoice that has one instead of a description
	Made     time.Time
	Expires  time.Time // of an invoice; otherwise zero
	Settled  time.Time // zero: not settled
	Depth    int64     // confirmations, on-chain
	Reason   string    // of a failed one, or of one that waits: see Payout.Told
}

// Order is a payment that an account wants made, over Lightning.
type Order struct {
	// Key makes it one payment: to order under the same key again is to ask about the one that there is. 1 to 128 bytes, the account's own.
	Key      string
	Invoice  string            // BOLT11; empty: a keysend
	Payee    string            // of a keysend, the node's public key in hex
	Preimage Hash              // of a keysend
	Records  map[uint64][]byte // of a keysend, beside the preimage
	Amount   ledger.Msat       // of a keysend, or of an invoice without an amount; otherwise zero
	FeeLimit ledger.Msat       // the most that it may cost; what is set aside is the amount and this
	Until    time.Time         // what is not under way by then fails, and is begun by no later order; zero: Config.Patience
	Memo     string            // for the account's own list; empty: the invoice's description
}

// Filter narrows a list of items. The zero value is all that is settled, the newest first.
type Filter struct {
	From, Until time.Time // of when an item was made, both ends included; zero: no end
	Incoming    *bool     // only these; nil: both
	Unsettled   bool      // also what is open, expired or failed
}

// What an account is told when it orders a payment.
var (
	ErrBalance    = errors.New("the account has not as much at hand")
	ErrNoItem     = errors.New("no such invoice or payment of this account")
	ErrInvoice    = errors.New("not an invoice that can be paid")
	ErrExpired    = errors.New("the invoice has expired")
	ErrInTransit  = errors.New("a payment of this invoice is on its way")
	ErrNotAllowed = errors.New("the operator's rules do not allow it") // caps, a rail that is stopped; the cause is wrapped
)

// NotOrdered says whether an error of an order means that there is no payment, and that nothing was set aside for one. With any other nobody
// knows, and the order must be given again.
func NotOrdered(err error) bool {
	for _, e := range [...]error{ErrBalance, ErrInvoice, ErrExpired, ErrInTransit, ErrPaidBefore, ErrNotAllowed, ErrNetwork} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
