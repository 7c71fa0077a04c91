package api

import (
	"strings"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fasthttp"
)

// A player asks for a key by GET, and may be able to send no header of its own. So a viewer's token comes from one of three places:
//
//	Authorization: Bearer    any token that may pay and has a cap on each call, for by GET nobody names a maximum
//	?token=                  a token that is bound to units of this content: it shows in logs and histories
//	the cookie               the same, made by a session; browsers send it along without being asked, so a page of another
//	                         site than the one that made the session is served as if there were none
const (
	cookieName = "millrace_units"
	queryName  = "token"
)

// viewerToken finds a token for a key, if there is one.
func (c *call) viewerToken() (text []byte, bound bool) {
	h := &c.ctx.Request.Header
	if len(h.Peek(fasthttp.HeaderAuthorization)) > 0 {
		return nil, false // authorize reads it
	}
	if text := c.ctx.QueryArgs().Peek(queryName); len(text) > 0 {
		return text, true
	}
	return h.Cookie(cookieName), true
}

// viewer finds out who asks for a key. He is known by his address alone when there is no token.
func (c *call) viewer() (viewer, *problem) {
	v := viewer{address: addressOf(c.ctx)}
	text, bound := c.viewerToken()
	switch {
	case !bound:
		if p := c.authorize(token.Pay); p != nil {
			return v, p
		}
	case len(text) == 0:
		return v, nil
	default:
		grant, err := c.hub.Verify(text)
		if err != nil {
			return v, tokenProblem(err)
		}
		if grant.Only.Content == (ledger.ContentID{}) || grant.Operator {
			return v, &problem{status: 403, code: "token_not_bound", detail: "a token in a URL or a cookie must be bound to one content: POST /v1/contents/{}/sessions makes such a one"}
		}
		if origin := c.ctx.Request.Header.Peek("Origin"); len(c.ctx.QueryArgs().Peek(queryName)) == 0 && len(origin) > 0 && string(origin) != grant.Only.Site {
			return v, nil
		}
		if !grant.Scopes.Has(token.Pay) {
			return v, &problem{status: 403, code: "scope_missing", detail: "the token does not have the scope " + token.Pay.String()}
		}
		c.grant = grant
	}
	if c.grant.MaxMsat == 0 {
		return v, &problem{status: 403, code: "cap_missing", detail: "by GET nobody names a maximum: use a token with a cap on each call"}
	}
	return viewer{account: c.grant.Account}, nil
}

const (
	maxSession = 30 * 24 * time.Hour
	session    = 6 * time.Hour // of one that was asked for without
)

// createSession makes a player's token: bound to as many units of the content as fit into a cap over all at the present price.
func (c *call) createSession() *problem {
	id, p := c.contentID()
	if p != nil {
		return p
	}
	o := c.body(false)
	most := o.amount("max_total_msat")
	from := o.whole("from_unit", 0, 1<<32-2, false)
	life := time.Duration(o.whole("expires_in_s", 1, uint64(maxSession/time.Second), false)) * time.Second
	if p := o.end(); p != nil {
		return p
	}
	m, p := c.meter(id)
	if p != nil {
		return p
	}
	if from >= uint64(m.Units) {
		return refusal(ledger.UnitUnknown)
	}
	if m.Price == 0 {
		return refusal(m.Unpriced)
	}
	if p := c.within(m.Price); p != nil {
		return p
	}
	if m.Price > most {
		return offered(&problem{status: 402, code: "price_too_high", detail: "one unit costs more than the cap over all"}, c.offer(id, uint32(from), m))
	}
	if life == 0 {
		life = session
	}
	if m.Hours > 0 { // else a unit could be charged twice within the session, and its cap would be none
		life = min(life, time.Duration(m.Hours)*time.Hour)
	}
	expires := c.hub.Now().Add(life).Truncate(time.Second)
	if !c.grant.Expires.IsZero() && c.grant.Expires.Before(expires) {
		expires = c.grant.Expires
	}
	units := min(uint64(most/m.Price), uint64(m.Units)-from)
	site := string(c.ctx.Request.Header.Peek("Origin"))
	text, err := c.hub.IssueToken(c.grant.Account, token.Limits{Scopes: token.Pay, Expires: expires, MaxMsat: m.Price,
		Only: token.Only{Content: id, From: uint32(from), End: uint32(from + units), Site: site}})
	if err != nil {
		return malformed("%v", err)
	}
	c.ctx.Response.Header.Add("Set-Cookie", cookie(c.hub.Origin(), id, text, expires))
	c.begin("token")
	c.quote(text)
	c.next("content")
	c.contentName(id)
	c.next("from_unit")
	c.uint(from)
	c.next("units")
	c.uint(units)
	c.next("unit_price_msat")
	c.uint(uint64(m.Price))
	c.next("max_total_msat")
	c.uint(units * uint64(m.Price))
	c.next("expires")
	c.int(expires.UnixMilli())
	c.end()
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	return c.answer(201)
}

// cookie is the token as a browser keeps it for the keys of one content. Players are embedded in pages of other sites, with whose
// requests only SameSite=None is sent, which browsers take over TLS alone.
func cookie(origin string, id ledger.ContentID, text string, expires time.Time) string {
	c := cookieName + "=" + text + "; Path=/v1/contents/" + id.String() + "/units/; HttpOnly; Expires=" + expires.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	if strings.HasPrefix(origin, "https:") {
		return c + "; Secure; SameSite=None"
	}
	return c + "; SameSite=Lax"
}

// meter finds a content that is sold by units.
func (c *call) meter(id ledger.ContentID) (hub.Meter, *problem) {
	if _, ok := c.hub.Content(id); !ok {
		return hub.Meter{}, refusal(ledger.ContentUnknown)
	}
	m, ok := c.hub.Meter(id)
	if !ok {
		return m, refusal(ledger.UnitUnknown)
	}
	return m, nil
}
