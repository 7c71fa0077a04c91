package channels

import (
	"errors"

	"github.com/millrace/millrace/ledger"
)

// Row is a record. A nil value deletes it. It has no name of its own, so that a database below this package can implement Records.
type Row = struct{ Key, Value []byte }

// Records are the rails' own database. ledger/store/records implements it on pebble.
type Records interface {
	// Get returns nil where there is no such record. The value is the caller's.
	Get(key []byte) ([]byte, error)
	// Scan calls f with the records whose keys begin with a prefix, from a key on (nil: the first), in order, until f returns false. What f
	// gets is valid during the call; f may call Get, but not Write.
	Scan(prefix, from []byte, f func(key, value []byte) bool) error
	// Write makes all rows durable, or none: at most MaxWrite bytes of keys and values.
	Write(rows ...Row) error
}

// MaxWrite is what Records take in one write, in bytes.
const MaxWrite = 32 << 20

// ErrTooLarge means that records are too large for one write: nothing was done.
var ErrTooLarge = errors.New("too much for one write")

// Ledger is the money inside, as the hub gives access to it.
type Ledger interface {
	// Submit has an op decided: what it did is durable when Submit returns. On an error nobody knows.
	Submit(op ledger.Op) (ledger.Applied, error)
	Account(no ledger.AccountNo) (ledger.Account, bool)
	// AccountLines calls f with an account's history: see ledger.Line. It finds the op of an id that is too old to be sent again.
	AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error
	// NewID is the id of an op that was never sent.
	NewID() ledger.OpID
}
