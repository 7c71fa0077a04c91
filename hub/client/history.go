package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Entry is an entry as it stands in an account's history.
type Entry struct {
	Seq            uint64 `json:"seq"`
	Time           int64  `json:"time"` // milliseconds since 1970
	Kind           string `json:"kind"`
	Object         string `json:"object,omitempty"` // what it is about: a channel, a content, a hold, an account
	Other          string `json:"other,omitempty"`  // the other side, where there is exactly one
	ID             string `json:"id,omitempty"`
	ChangeMsat     int64  `json:"change_msat"` // of what can be spent
	HeldChangeMsat int64  `json:"held_change_msat"`
	BalanceMsat    int64  `json:"balance_msat"` // after it
	HeldMsat       int64  `json:"held_msat"`
}

// ChannelEntry is an entry as it stands in a channel's history.
type ChannelEntry struct {
	Seq            uint64 `json:"seq"`
	Time           int64  `json:"time"` // milliseconds since 1970
	Kind           string `json:"kind"`
	Object         string `json:"object,omitempty"`
	Other          string `json:"other,omitempty"`
	ID             string `json:"id,omitempty"`
	LeftChangeMsat int64  `json:"left_change_msat"` // of what is left in the channel
	PaidChangeMsat int64  `json:"paid_change_msat"`
	LeftMsat       int64  `json:"left_msat"` // after it
	PaidMsat       int64  `json:"paid_msat"`
}

// Page says which part of a history to read. The zero value is the newest 100 entries.
type Page struct {
	Oldest       bool      // the oldest first
	Limit        int       // 1 to 1000; 0: the hub's own, 100
	Cursor       string    // Next of the page before, in the same order; empty: the first page
	Since, Until time.Time // Until does not belong to it; zero: no bound
}

func (p Page) query() string {
	q := url.Values{}
	if p.Oldest {
		q.Set("order", "oldest")
	}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Cursor != "" {
		q.Set("cursor", p.Cursor)
	}
	setTime(q, "since", p.Since)
	setTime(q, "until", p.Until)
	return encode(q)
}

func setTime(q url.Values, name string, t time.Time) {
	if !t.IsZero() {
		q.Set(name, strconv.FormatInt(t.UnixMilli(), 10))
	}
}

// encode is empty, or begins with the question mark.
func encode(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// Entries is a page of a history. Next is empty on the last page.
type Entries[E Entry | ChannelEntry] struct {
	Entries []E    `json:"entries"`
	Next    string `json:"next,omitempty"`
}

// Entries reads a page of an account's history.
func (c *Client) Entries(ctx context.Context, no ledger.AccountNo, p Page) (Entries[Entry], error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/accounts/" + no.String() + "/entries" + p.query()}, func(a Entries[Entry]) checks {
		return checks{"entries": ordered(a.Entries, p.Oldest, func(e Entry) uint64 { return e.Seq })}
	})
}

// ChannelEntries reads a page of a channel's history.
func (c *Client) ChannelEntries(ctx context.Context, no ledger.ChannelNo, p Page) (Entries[ChannelEntry], error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/channels/" + no.String() + "/entries" + p.query()}, func(a Entries[ChannelEntry]) checks {
		return checks{"entries": ordered(a.Entries, p.Oldest, func(e ChannelEntry) uint64 { return e.Seq })}
	})
}

func ordered[E any](entries []E, oldest bool, seq func(E) uint64) bool {
	for i := 1; i < len(entries); i++ {
		before, after := seq(entries[i-1]), seq(entries[i])
		if before == after || before < after != oldest {
			return false
		}
	}
	return true
}

// PastBalance is what an account had after an entry of the ledger.
type PastBalance struct {
	Account     string `json:"account"`
	Seq         uint64 `json:"seq"` // the ledger's last entry at or before the time
	BalanceMsat int64  `json:"balance_msat"`
	HeldMsat    int64  `json:"held_msat"`
}

// BalanceAt reads what an account had at a time.
func (c *Client) BalanceAt(ctx context.Context, no ledger.AccountNo, at time.Time) (PastBalance, error) {
	q := url.Values{}
	setTime(q, "at", at)
	return ask(ctx, c, call{method: "GET", path: "/v1/accounts/" + no.String() + "/balance" + encode(q)}, func(a PastBalance) checks {
		return checks{"account": a.Account == no.String()}
	})
}
