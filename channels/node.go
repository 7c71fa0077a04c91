package channels

import (
	"time"

	"github.com/millrace/millrace/ledger"
)

// Invoice is a BOLT11 invoice, ours or somebody's.
type Invoice struct {
	Text        string      // as it is paid; lower case
	Hash        Hash        // what identifies its payment
	Payee       string      // the node's public key, in hex
	Amount      ledger.Msat // zero: the payer says how much
	Description string      // or empty
	DescHash    []byte      // of a description that is not in it (LUD-06); nil: none
	Made        time.Time
	Expires     time.Time
	FinalDelta  uint32 // blocks
}

// NewInvoice is what one of our own is made of.
type NewInvoice struct {
	Amount   ledger.Msat   // zero: open
	Memo     string        // at most 639 bytes
	DescHash []byte        // 32 bytes that are in the invoice instead of the memo, or nil
	Expiry   time.Duration // at least a second
	Private  bool          // with hints to channels that are not announced
}

// Receipt is money that came in over Lightning: an invoice settled, or a keysend.
type Receipt struct {
	Index    uint64 // the node's settle index: grows by one with each
	Hash     Hash
	Preimage Hash
	Amount   ledger.Msat // what really came
	Time     time.Time
	Keysend  bool
	Records  map[uint64][]byte // custom TLV records of a keysend
}

// Payment is what to send over Lightning. Its hash is what makes it one payment, however often it is sent.
type Payment struct {
	Hash     Hash
	Invoice  string            // BOLT11; empty: a keysend
	Payee    string            // of a keysend, the node's public key in hex
	Preimage Hash              // of a keysend
	Records  map[uint64][]byte // of a keysend, beside the preimage
	Amount   ledger.Msat       // of a keysend, or of an invoice without an amount; otherwise zero
	FeeLimit ledger.Msat       // zero: only free routes
	Timeout  time.Duration     // in which the node looks for routes
}

// Stage is how far an attempt has come, as far as anybody knows.
type Stage uint8

const (
	Pending   Stage = 1 // on its way, or not known: it may still go either way
	Succeeded Stage = 2
	Failed    Stage = 3 // and can never succeed any more: the same hash may be sent anew
)

// Attempt is what the node says about a payment.
type Attempt struct {
	Stage    Stage
	Preimage Hash        // of one that succeeded
	Fee      ledger.Msat // of one that succeeded
	Reason   string      // of one that failed: no_route, timeout, insufficient_balance, incorrect_details, error, ...
}

// Output is one payment on-chain.
type Output struct {
	Script []byte // the public key script, as chain.Address parses it out of an address
	Amount Sat
}

// Outpoint is a coin.
type Outpoint struct {
	Tx    Hash   `json:"tx"`
	Index uint32 `json:"index"`
}

// Signed is a whole signed transaction, as it is stored before it is published.
type Signed struct {
	ID     Hash       `json:"id"`
	Raw    []byte     `json:"raw"`
	PSBT   []byte     `json:"psbt"` // unsigned, with what its inputs spend: a replacement is made of it
	Inputs []Outpoint `json:"inputs"`
	Fee    Sat        `json:"fee"`
	VSize  int64      `json:"vsize"`  // virtual bytes
	Change int        `json:"change"` // index of the change output, or -1
}

// Place is where a transaction is, as the chain has it now.
type Place struct {
	Confirmations int64 // zero: in the mempool
	Height        int64 // of its block
	Block         Hash
}

// Coin is an output of a transaction that pays one of our addresses.
type Coin struct {
	Outpoint Outpoint
	Address  string
	Amount   Sat
	Place    Place
}

// Assets is what the node holds for the hub, in msat but where it says otherwise.
type Assets struct {
	Local       ledger.Msat // our side of open Lightning channels
	Remote      ledger.Msat // the other side's: what can be received
	Pending     ledger.Msat // ours in channels that open or close, and in payments under way
	Confirmed   Sat         // without Leased
	Unconfirmed Sat
	Leased      Sat // coins set aside for transactions that are not published yet
	Reserved    Sat // of the confirmed, what must stay for bumping the fees of channels that close
}
