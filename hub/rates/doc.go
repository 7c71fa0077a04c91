// Package rates finds out what a unit of a currency costs in msat, and has the ledger price by it.
//
//	source   a file or an HTTP address that is asked again and again               file.go, http.go
//	reading  what a source says about one currency, and of when: exact, no float   reading.go
//	judge    which of the fresh readings are to be believed, and their median      judge.go, hold.go
//	desk     asks, judges, and sets a rate when it moved or is about to be stale   desk.go
//
// What a bad source can do is bounded. Its answer is cut at a size and a time, and is never followed elsewhere; what it says is too old, or
// from the future, or no decimal number, does not count, and the others go on. What it says far from the last rate does not count either,
// until it has said so again and again, or another source says the same. When the sources are apart, nothing is set: the ledger's rate
// then becomes stale by itself, and nothing is sold in that currency until there is one again.
package rates

import (
	"errors"

	"github.com/millrace/millrace/hub/currency"
)

// Why there is no new rate.
var (
	ErrFew   = errors.New("too few sources have a fresh reading")
	ErrApart = errors.New("the sources are apart")
	ErrHeld  = errors.New("far from the last rate, and held until it is confirmed")
)

// The bounds. All sources together keep a reading each for a currency: some 100 KiB at most.
const (
	MaxSources    = 16
	MaxCurrencies = 32                         // of a source
	MaxAnswer     = 256_000                    // bytes of a file, or of an answer to one request
	MaxRate       = uint64(currency.MaxAmount) // what the ledger takes: all the bitcoin there can be, for a million units
	maxPath       = 256                        // bytes of a JSON path
	maxURL        = 1024
	maxError      = 200 // bytes of an error that is kept
)
