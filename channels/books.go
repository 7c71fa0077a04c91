package channels

import (
	"time"

	"github.com/millrace/millrace/ledger"
)

// What the node's own books say, for reconciliation. They are read, never written: the ledger is compared with them.

// Sent is a payment that the node made or tries to make over Lightning.
type Sent struct {
	Index   uint64 // grows with each; there may be gaps
	Hash    Hash
	Attempt Attempt
	Amount  ledger.Msat // without the fee
	Made    time.Time
}

// Movement is a transaction that changed the node's wallet on-chain.
type Movement struct {
	ID     Hash
	Amount Sat // what the wallet gained, less what it lost: negative where it paid, the fee included
	Fee    Sat // that the wallet paid, as far as the node knows; zero in a transaction of others
	Place  Place
	Label  string // that it was published with
	Time   time.Time
}

// Line is a Lightning channel of the node. In satoshis: the node has the msat of a channel, but tells only their sum (see Assets).
type Line struct {
	Point     Outpoint // its funding output
	Peer      string   // the other node's public key, in hex
	Capacity  Sat
	Local     Sat
	Remote    Sat
	Unsettled Sat // in payments under way, either direction
	Tied      Sat // set aside, by the initiator and in nobody's balance, for the transaction that would close it: its fee and its anchors
	Initiator bool
	Active    bool // open, and the peer is there
	Private   bool
	Stage     LineStage
}

// LineStage is a part of a Lightning channel's life.
type LineStage string

const (
	LineOpening LineStage = "opening"
	LineOpen    LineStage = "open"
	LineClosing LineStage = "closing" // Local is what of ours is not in the wallet yet
)

// Forwards is what the node earned by passing on other nodes' payments.
type Forwards struct {
	Count  uint64
	Amount ledger.Msat
	Fees   ledger.Msat
}

// Lease is a coin that is set aside for a transaction.
type Lease struct {
	Lock    Hash // whose it is: see Fund of channels/lightning
	Coin    Outpoint
	Amount  Sat
	Expires time.Time
}

// Node is who the node is and how it stands.
type Node struct {
	Key         string // its public key, in hex
	Alias       string
	Version     string
	Network     string // mainnet, testnet, testnet4, signet, regtest or simnet
	Height      int64  // of the newest block that it knows
	Block       Hash
	BlockTime   time.Time
	Synced      bool // its wallet and channels are up to date with the chain
	GraphSynced bool // it knows the public channels
	Peers       int
	Active      int // Lightning channels that can be used now
	Inactive    int
}
