package api

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger"
)

// hook is a webhook in answers.
type hook struct {
	Webhook  string  `json:"webhook"`
	URL      string  `json:"url"`
	Secret   string  `json:"secret,omitempty"` // when it is new
	Created  int64   `json:"created"`
	Cursor   uint64  `json:"cursor"`
	Parked   int     `json:"parked"`
	Disabled string  `json:"disabled,omitempty"`
	Attempts int     `json:"attempts"`
	Next     int64   `json:"next_attempt,omitempty"`
	Error    string  `json:"error,omitempty"`
	Until    []int64 `json:"earlier_secrets_until,omitempty"`
}

func newHook(e webhook.Endpoint, secret string) hook {
	h := hook{Webhook: e.ID, URL: e.URL, Secret: secret, Created: e.Created.UnixMilli(), Cursor: e.Cursor, Parked: e.Parked,
		Disabled: e.Disabled, Attempts: e.Attempts, Error: e.Error}
	if e.Attempts > 0 {
		h.Next = e.Next.UnixMilli()
	}
	for _, t := range e.SecretsUntil {
		h.Until = append(h.Until, t.UnixMilli())
	}
	return h
}

// hookHandler handles a request about the webhooks of an account, or with zero of the operator; id is empty where the path names none.
type hookHandler func(c *call, account ledger.AccountNo, id string) *problem

// accountHook is for the routes below an account. A webhook outlives the token that made it, and tells all that happens to the
// account: so it takes a token that nobody has narrowed, or the operator's.
func accountHook(handle hookHandler) func(*call) *problem {
	return func(c *call) *problem {
		h, p := c.accountHistory()
		switch {
		case p != nil:
			return p
		case !c.grant.Operator && narrowed(c.grant):
			return &problem{status: 403, code: "token_narrowed", detail: "a webhook outlives the token: it takes one with all scopes, without a cap, that does not expire"}
		}
		return c.withHooks(handle, h.account, c.second)
	}
}

func narrowed(g token.Grant) bool {
	return !g.Scopes.Has(token.Read|token.Pay|token.Sell) || !g.Expires.IsZero() || g.MaxMsat != 0
}

// operatorHook is for the operator's own webhooks, which get every entry.
func operatorHook(handle hookHandler) func(*call) *problem {
	return func(c *call) *problem { return c.withHooks(handle, 0, c.name) }
}

func (c *call) withHooks(handle hookHandler, account ledger.AccountNo, id []byte) *problem {
	if c.server.cfg.Webhooks == nil {
		return &problem{status: 404, code: "route_unknown", detail: "this hub has no webhooks"}
	}
	return handle(c, account, string(id))
}

func (c *call) listHooks(account ledger.AccountNo, _ string) *problem {
	all := []hook{}
	for _, e := range c.server.cfg.Webhooks.List(account) {
		all = append(all, newHook(e, ""))
	}
	return c.answerJSON(200, map[string][]hook{"webhooks": all})
}

func (c *call) addHook(account ledger.AccountNo, _ string) *problem {
	o := c.body(false)
	target := string(o.text("url", webhook.MaxURL, true))
	after := o.seq("after")
	if p := o.end(); p != nil {
		return p
	}
	e, secret, err := c.server.cfg.Webhooks.Add(account, target, after)
	if err != nil {
		return c.hookProblem(err)
	}
	return c.answerJSON(201, newHook(e, secret))
}

func (c *call) removeHook(account ledger.AccountNo, id string) *problem {
	if err := c.server.cfg.Webhooks.Remove(account, id); err != nil {
		return c.hookProblem(err)
	}
	return c.answerJSON(200, map[string]string{"webhook": id})
}

func (c *call) rotateHook(account ledger.AccountNo, id string) *problem {
	o := c.body(true)
	if p := o.end(); p != nil {
		return p
	}
	e, secret, err := c.server.cfg.Webhooks.Rotate(account, id)
	if err != nil {
		return c.hookProblem(err)
	}
	return c.answerJSON(200, newHook(e, secret))
}

// replayHook goes on from a cursor, or sends parked deliveries again: the one named, or all.
func (c *call) replayHook(account ledger.AccountNo, id string) *problem {
	o := c.body(true)
	after, delivery := o.seq("after"), string(o.text("delivery", 128, false))
	if after != nil && delivery != "" {
		o.fail("want after or delivery, not both")
	}
	if p := o.end(); p != nil {
		return p
	}
	var e webhook.Endpoint
	var err error
	if after != nil {
		e, err = c.server.cfg.Webhooks.Replay(account, id, *after)
	} else {
		e, err = c.server.cfg.Webhooks.ReplayParked(account, id, delivery)
	}
	if err != nil {
		return c.hookProblem(err)
	}
	return c.answerJSON(200, newHook(e, ""))
}

// parked is a delivery in answers.
type parked struct {
	Delivery string `json:"delivery"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	At       int64  `json:"at"`
	Error    string `json:"error"`
}

func (c *call) parkedHook(account ledger.AccountNo, id string) *problem {
	list, err := c.server.cfg.Webhooks.Parked(account, id)
	if err != nil {
		return c.hookProblem(err)
	}
	all := []parked{}
	for _, p := range list {
		all = append(all, parked{p.Delivery, p.First, p.Last, p.At.UnixMilli(), p.Error})
	}
	return c.answerJSON(200, map[string][]parked{"parked": all})
}

// seq is nil for a member that is not there.
func (o *object) seq(name string) *uint64 {
	v := o.peek(name)
	if !v {
		return nil
	}
	n := o.whole(name, 0, maxSeq, true)
	return &n
}

// peek says whether a member is there, and does not take it.
func (o *object) peek(name string) bool { return o.json != nil && o.json.Get(name) != nil }

func (c *call) hookProblem(err error) *problem {
	switch {
	case errors.Is(err, webhook.ErrUnknown):
		return &problem{status: 404, code: "webhook_unknown", detail: "the account has no such webhook"}
	case errors.Is(err, webhook.ErrDelivery):
		return &problem{status: 404, code: "delivery_unknown", detail: "the webhook has no such parked delivery"}
	case errors.Is(err, webhook.ErrFull):
		return &problem{status: 409, code: "webhooks_full", detail: err.Error()}
	case errors.Is(err, webhook.ErrURL):
		return &problem{status: 422, code: "url_refused", detail: err.Error()}
	case errors.Is(err, webhook.ErrAhead):
		return &problem{status: 422, code: "cursor_ahead", detail: err.Error()}
	}
	c.server.cfg.Logger.Error("request failed", "path", string(c.ctx.Path()), "err", err)
	return &problem{status: 503, code: "unavailable", retryable: true, detail: "the hub cannot do this now: send the same request again"}
}

// answerJSON is for answers that are rare; the others are appended by hand.
func (c *call) answerJSON(status int, v any) *problem {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it makes six bytes of one, and nobody shows this as HTML
	if err := e.Encode(v); err != nil {
		return c.failed(err)
	}
	c.out = append(c.out[:0], bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	return c.answer(status)
}
