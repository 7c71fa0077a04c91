package webhook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/ledger"
)

// endpoint is a URL, and how far it has come. What has a name in JSON is on the disk.
type endpoint struct {
	ID      string           `json:"id"`
	Account ledger.AccountNo `json:"account"` // zero: the operator's, which gets every entry
	URL     string           `json:"url"`
	Created uint64           `json:"created"`
	Secrets []secret         `json:"secrets"` // newest first, never empty

	// All that touches the account up to and with Cursor has arrived, is parked, or is to be sent again.
	Cursor   uint64   `json:"cursor"`
	Pending  *pending `json:"pending,omitempty"` // the delivery under way
	Again    []span   `json:"again,omitempty"`   // parked deliveries that come next
	Parked   []parked `json:"parked,omitempty"`  // oldest first; with Again at most maxParked
	Disabled string   `json:"disabled,omitempty"`

	turn   uint64 // counts what makes the outcome of an attempt under way void
	dirty  bool   // something has arrived that is not on the disk
	poke   chan struct{}
	cancel context.CancelFunc // nil: not running
}

// span is the entries of one delivery, by their seqs.
type span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// pending is a delivery that has not arrived yet.
type pending struct {
	span
	Attempts int    `json:"attempts"` // that failed
	Next     uint64 `json:"next"`     // when to try again, milliseconds since 1970
	Error    string `json:"error,omitempty"`

	promised bool // it is on the disk
}

// parked is a delivery that is not tried any more.
type parked struct {
	span
	At    uint64 `json:"at"` // milliseconds since 1970
	Error string `json:"error"`
}

// delivery is the webhook-id.
func (e *endpoint) delivery(s span) string { return fmt.Sprintf("%s_%d_%d", e.ID, s.First, s.Last) }

// stir has the endpoint's goroutine look again.
func (e *endpoint) stir() {
	select {
	case e.poke <- struct{}{}:
	default:
	}
}

// arrived moves the cursor behind a delivery. One that is sent again lies before it already.
func (e *endpoint) arrived(s span) {
	e.Cursor = max(e.Cursor, s.Last)
	e.Pending = nil
	e.dirty = true
}

// failed sets the time of the next attempt, or parks the delivery.
func (e *endpoint) failed(why failure, now uint64) (isParked bool) {
	p := e.Pending
	p.Attempts++
	p.Error = why.text
	if p.Attempts <= len(retries) && !why.gone {
		p.Next = now + uint64(max(jitter(retries[p.Attempts-1]), why.after).Milliseconds())
		return false
	}
	e.Parked = append(e.Parked, parked{p.span, now, why.text})
	e.arrived(p.span)
	switch {
	case why.gone:
		e.Disabled = "the receiver answered 410: it wants no more"
	case len(e.Parked)+len(e.Again) >= maxParked:
		e.Disabled = fmt.Sprintf("%d deliveries are parked", len(e.Parked))
	}
	return true
}

// back gives up the delivery that is pending or, without one, comes next, and moves the cursor before it.
func (e *endpoint) back(s span) {
	e.Cursor = min(e.Cursor, max(s.First, 1)-1)
	if e.Pending != nil {
		e.Pending = nil
	} else {
		e.Again = e.Again[1:]
	}
	e.dirty = true
}

// truncate forgets what lies behind the newest entry there is.
func (e *endpoint) truncate(newest uint64) (ahead bool) {
	if e.Cursor > newest {
		e.Cursor, ahead = newest, true
	}
	if e.Pending != nil && e.Pending.Last > newest {
		e.Pending, ahead = nil, true
	}
	e.Again = slices.DeleteFunc(e.Again, func(s span) bool { return s.Last > newest })
	e.Parked = slices.DeleteFunc(e.Parked, func(p parked) bool { return p.Last > newest })
	return ahead
}

// Endpoint is a webhook as its owner sees it.
type Endpoint struct {
	ID       string
	Account  ledger.AccountNo // zero: the operator's
	URL      string
	Created  time.Time
	Cursor   uint64 // up to which seq all has arrived or is parked
	Parked   int
	Disabled string // why nothing is sent; empty: it is

	// Of the delivery under way, if an attempt failed.
	Attempts int // that failed
	Next     time.Time
	Error    string

	SecretsUntil []time.Time // until when earlier secrets sign as well
}

func (e *endpoint) view(now uint64) Endpoint {
	v := Endpoint{ID: e.ID, Account: e.Account, URL: e.URL, Created: at(e.Created), Cursor: e.Cursor, Parked: len(e.Parked), Disabled: e.Disabled}
	if p := e.Pending; p != nil && p.Attempts > 0 {
		v.Attempts, v.Next, v.Error = p.Attempts, at(p.Next), p.Error
	}
	for _, s := range live(e.Secrets, now)[1:] {
		v.SecretsUntil = append(v.SecretsUntil, at(s.Until))
	}
	return v
}

// Parked is a delivery that did not arrive in time.
type Parked struct {
	Delivery    string // its webhook-id
	First, Last uint64 // seqs
	At          time.Time
	Error       string // of the last attempt
}

func at(millis uint64) time.Time { return time.UnixMilli(int64(millis)).UTC() }

func newID() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails: the runtime ends the process first
	return "wh_" + hex.EncodeToString(random[:])
}
