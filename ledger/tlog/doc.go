// Package tlog makes the ledger provable to those who do not trust the hub. It has two trees, and keeps no data itself:
//
//	transparency log   every block is a leaf, and every entry of a block is a leaf below it. A receipt shows that one entry
//	                   stands in the log that a signed checkpoint stands for.
//	liabilities        a sum tree over all balances at one block. A proof shows a holder that the hub's signed total has his
//	                   balance in it.
//
// The outer tree is that of RFC 6962; checkpoints, tiles and receipts have the forms of c2sp.org/tlog-checkpoint,
// c2sp.org/tlog-tiles and c2sp.org/tlog-proof. README.md beside this file draws every format, and says what the proofs prove
// and what they do not.
//
// Entries and balances are hashed with salts that only the hub knows, so that publishing the log and the root of the
// liabilities reveals no account. No byte string is hashed for two purposes: what is hashed begins with one of these bytes.
//
//	0x00, 0x01   leaf and node of the outer tree (RFC 6962, section 2.1)
//	0x02, 0x03   entry, and node of the inner tree
//	0x04, 0x05   balance, and node of the sum tree
//
// All numbers are little-endian, as in the rest of the ledger.
package tlog

import (
	"encoding/base64"
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256.
type Hash = tlog.Hash

const (
	prefixEntry   = 0x02
	prefixInner   = 0x03
	prefixBalance = 0x04
	prefixSum     = 0x05
)

// ErrForm is returned, wrapped, for bytes or text that are not in the form that they should have, and ErrProof for what has
// the form but does not prove what it says.
var (
	ErrForm  = errors.New("not in the form of a proof")
	ErrProof = errors.New("the proof does not hold")
)

// strict is base 64 without room for two texts of the same bytes.
var strict = base64.StdEncoding.Strict()
