package channels

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// Hash is a payment hash, or a transaction's id in the order of its bytes in the transaction (the text of a txid is reversed).
type Hash [32]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes a Hash in hex.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a hash of %d characters: want %d", len(text), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// TxID is the text of a transaction's id: its bytes in reverse order, in hex.
func (h Hash) TxID() string {
	var r Hash
	for i := range h {
		r[len(h)-1-i] = h[i]
	}
	return r.String()
}

// Sat is an amount in satoshis, 1000 msat: what the chain counts in.
type Sat int64

// FeeRate is in satoshis per 1,000 virtual bytes, so that rates below one satoshi per byte have no fractions.
type FeeRate int64

// Rail is a way out of, or into, the hub.
type Rail string

const (
	Internal  Rail = "internal"  // to another account of the hub: at once and free
	Lightning Rail = "lightning" // settled in the Lightning external account
	Chain     Rail = "chain"     // settled in the Chain external account
)

// What a node or a chain answers, for errors.Is. Everything else is a failure to ask, of which the outcome is not known.
var (
	ErrUnknownPayment = errors.New("the node knows no such payment") // it was never sent: it may be
	ErrPaidBefore     = errors.New("the payment hash was paid before")
	ErrRefused        = errors.New("refused before anything was sent") // nothing was recorded; the cause is wrapped
	ErrNoRoute        = errors.New("no route with enough liquidity is known")
	ErrFee            = errors.New("the fee is too low for the mempool, or for what it would replace")
	ErrNode           = errors.New("another node than the one that the books are about")
	ErrDust           = errors.New("below the least amount that the chain carries")
	ErrFunds          = errors.New("the wallet has not enough coins")
	ErrNetwork        = errors.New("an address or invoice of another network")
	ErrConflict       = errors.New("its coins were spent by another transaction")
	ErrNoTransaction  = errors.New("no such transaction is known")
	ErrNoBlock        = errors.New("the chain is not that high")
	ErrDown           = errors.New("the node does not answer") // try again later; the outcome is not known
)
