package api

import (
	"time"

	"github.com/millrace/millrace/ledger"
)

// Routes lists what the server serves, as "METHOD /path" with {} for a segment.
func Routes() (all []string) {
	for _, r := range routes {
		all = append(all, r.method+" "+r.path)
	}
	return all
}

// RefusalStatus is the HTTP status of a refusal, and what a person is told.
func RefusalStatus(r ledger.Result) (status int, detail string, ok bool) {
	row, ok := refusals[r]
	return row.status, row.detail, ok
}

// The bounds of a request.
const (
	MaxHeader    = maxHeader
	MaxBody      = maxBody
	MaxBatchBody = maxBatchBody
)

// SetPing makes the pause between two signs of life on event streams shorter than anybody would want. It must be called before Serve.
func (s *Server) SetPing(pause time.Duration) { s.pingPause = pause }

// Streams counts what is open.
func (s *Server) Streams() int { return s.streams.count() }

// ReadAhead is how many lines of a statement are read at a time.
const ReadAhead = readAhead

// InPages is how a statement reads its lines.
func InPages(g ledger.Range, read func(ledger.Range, func(*ledger.Line) bool) error, f func(*ledger.Line) error) error {
	return inPages(g, read, f)
}
