package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/millrace/millrace/channels"
)

// railsTime bounds a request that asks a node something. It ends before the client's own patience (hub/client: 30 s).
const railsTime = 25 * time.Second

// waitingShare is the part of all connections that may wait for a node, or for a withdrawal to end: payments go on beside a node that
// hangs.
const waitingShare = 4

// railsHandler handles a request that asks the rails something.
type railsHandler func(c *call, ctx context.Context) *problem

// onRails is for routes that a hub without rails does not have.
func onRails(handle func(*call) *problem) func(*call) *problem {
	return func(c *call) *problem {
		if c.server.cfg.Rails == nil {
			return &problem{status: 404, code: "route_unknown", detail: "this hub has no rails"}
		}
		return handle(c)
	}
}

// askRails is onRails for what may take a node's time. The server's end cuts it short.
func askRails(handle railsHandler) func(*call) *problem {
	return onRails(func(c *call) *problem {
		select {
		case c.server.waiting <- struct{}{}:
			defer func() { <-c.server.waiting }()
		default:
			return &problem{status: 503, code: "overloaded", retryable: true, detail: "too many requests wait for the node: send the same request again in a moment"}
		}
		ctx, cancel := context.WithTimeout(c.server.life, railsTime)
		defer cancel()
		return handle(c, ctx)
	})
}

// refusedByRails are the requests that the rails refuse, and what that is called.
var refusedByRails = []struct {
	err    error
	status int
	code   string
	again  bool // retryable
}{
	{channels.ErrReused, 409, "id_reused", false},
	{channels.ErrInTransit, 409, "payment_in_transit", false},
	{channels.ErrPaidBefore, 409, "paid_before", false},
	{channels.ErrTooMany, 409, "too_many", true},
	{channels.ErrDecided, 409, "nothing_to_decide", false},
	{channels.ErrBalance, 402, "insufficient_funds", true},
	{channels.ErrLimit, 402, "fee_above_limit", true},
	{channels.ErrNotAllowed, 403, "not_allowed", false},
	{channels.ErrExpired, 410, "invoice_expired", false},
	{channels.ErrDust, 422, "dust", false},
	{channels.ErrNetwork, 422, "wrong_network", false},
	{channels.ErrInvoice, 422, "invoice_invalid", false},
	{channels.ErrNoRoute, 422, "no_route", true},
	{channels.ErrNoRail, 422, "no_rail", false},
	{channels.ErrAmount, 422, "amount_invalid", false},
	{channels.ErrTarget, 422, "target_unknown", false},
	{channels.ErrFee, 422, "fee_too_low", false},
	{channels.ErrFunds, 422, "wallet_short", true},
	{channels.ErrRefused, 422, "refused", false},
	{channels.ErrNoItem, 404, "deposit_unknown", false},
	{channels.ErrUnknown, 404, "withdrawal_unknown", false},
	{channels.ErrStopped, 503, "stopping", true},
	{channels.ErrDown, 503, "node_down", true},
	{context.DeadlineExceeded, 503, "node_down", true},
	{context.Canceled, 503, "stopping", true},
}

func (c *call) railsProblem(err error) *problem {
	for _, r := range refusedByRails {
		if errors.Is(err, r.err) {
			return &problem{status: r.status, code: r.code, retryable: r.again, detail: err.Error()}
		}
	}
	c.server.cfg.Logger.Error("request failed", "path", string(c.ctx.Path()), "err", err)
	return &problem{status: 503, code: "unavailable", retryable: true, detail: "the hub cannot do this now: send the same request again"}
}

// railsPage reads which part of a list of the rails is wanted: limit, and cursor. In a URL a cursor is base64url of what the rails said
// comes next, and the CRC-32C of whose list it is and of that; it finds the cursor of another list, and guards nothing.
func (q *query) railsPage(list string) channels.Page {
	g := channels.Page{Most: int(q.whole("limit", 1, channels.MaxPage, defaultPage)), Size: maxPageSize}
	text := q.text("cursor")
	if text == nil {
		return g
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) <= 4 || len(b) > maxRailsCursor {
		q.fail("cursor is not one of this hub's: take it from next of the page before")
		return g
	}
	if before := b[:len(b)-4]; railsCursor(list, before) == string(text) {
		g.Before = before
	} else {
		q.fail("cursor belongs to another list: take it from next of the page before")
	}
	return g
}

const maxRailsCursor = 96

// maxPageSize bounds, in bytes, a page of payouts, whose customers may write 4 KiB into each: clients read 4 MiB.
const maxPageSize = 3 << 20

// railsCursor is empty for the last page.
func railsCursor(list string, next []byte) string {
	if next == nil {
		return ""
	}
	sum := crc32.Update(crc32.Checksum([]byte(list), castagnoli), castagnoli, next)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(append([]byte{}, next...), sum))
}

// since1970 is a time in milliseconds; zero for none.
func since1970(t time.Time) int64 {
	if t.Year() <= 1 {
		return 0
	}
	return t.UnixMilli()
}

// hexOr is empty for a hash that is not known.
func hexOr(h channels.Hash) string {
	if h == (channels.Hash{}) {
		return ""
	}
	return h.String()
}

// uuid is the id of a payout: any UUID, for its window is for ever.
func (o *object) uuid(name string) (id channels.ID) {
	b := o.text(name, 36, true)
	if b == nil {
		return id
	}
	if err := id.UnmarshalText(b); err != nil || id == (channels.ID{}) {
		o.fail("%s must be a UUID in lower case", name)
	}
	return id
}
