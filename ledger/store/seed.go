package store

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/millrace/millrace/ledger"
)

// NewSeed is a seed for the ledger of a replay that nobody who wrote the log can have known.
func NewSeed() ledger.Seed {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails: the runtime ends the process first
	return ledger.Seed{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}
