package api

import (
	"fmt"
	"net/url"

	"github.com/millrace/millrace/hub/entry"
	"github.com/millrace/millrace/ledger"
)

// The bounds of a page of history: at most 500 KiB.
const (
	defaultPage = 100
	maxPage     = 1000
)

// history is the list of entries of an account or a channel.
type history struct {
	account ledger.AccountNo // zero: a channel's
	channel ledger.ChannelNo
}

func (h history) String() string {
	if h.account != 0 {
		return h.account.String()
	}
	return h.channel.String()
}

func (c *call) lines(h history, g ledger.Range, f func(*ledger.Line) bool) error {
	if h.account != 0 {
		return c.hub.AccountLines(h.account, g, f)
	}
	return c.hub.ChannelLines(h.channel, g, f)
}

func (c *call) appendLine(h history, l *ledger.Line) {
	if h.account != 0 {
		c.out = entry.AppendLine(c.out, l, c.hub.ContentID)
	} else {
		c.out = entry.AppendChannelLine(c.out, l, c.hub.ContentID)
	}
}

// accountHistory is that of the account in the path, which must exist.
func (c *call) accountHistory() (history, *problem) {
	no, p := c.ownAccount()
	if p != nil {
		return history{}, p
	}
	if _, ok := c.hub.Account(no); !ok {
		return history{}, refusal(ledger.AccountUnknown)
	}
	return history{account: no}, nil
}

// channelHistory is that of the channel in the path: its payer's and its payee's to read.
func (c *call) channelHistory() (history, *problem) {
	no, p := c.channelNo()
	if p != nil {
		return history{}, p
	}
	if _, p := c.ownChannel(no); p != nil {
		return history{}, p
	}
	return history{channel: ledger.ChannelNo(no)}, nil
}

func (c *call) accountEntries() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	return c.page(h)
}

func (c *call) channelEntries() *problem {
	h, p := c.channelHistory()
	if p != nil {
		return p
	}
	return c.page(h)
}

// page answers with a page of a history, and where the next one begins.
func (c *call) page(h history) *problem {
	q := c.query()
	newest := q.word("order", "newest", "oldest") == "newest"
	limit := q.whole("limit", 1, maxPage, defaultPage)
	since, until := q.millis("since", 0), q.millis("until", maxMillis)
	after := q.cursor(h.String(), newest)
	if p := q.end(); p != nil {
		return p
	}
	g, err := c.period(since, until)
	if err != nil {
		return c.failed(err)
	}
	g.Newest = newest
	switch {
	case after != 0 && newest:
		g.To = min(g.To, after-1)
	case after != 0:
		g.From = max(g.From, after+1)
	}
	var last uint64
	more := false
	c.begin("entries")
	c.out = append(c.out, '[')
	n := uint64(0)
	if g.From <= g.To {
		err = c.lines(h, g, func(l *ledger.Line) bool {
			if more = n == limit; more {
				return false
			}
			if n++; n > 1 {
				c.out = append(c.out, ',')
			}
			c.appendLine(h, l)
			last = l.Seq
			return true
		})
	}
	if err != nil {
		return c.failed(err)
	}
	c.out = append(c.out, ']')
	if more {
		next := cursor{h.String(), newest, last}.String()
		c.next("next")
		c.quote(next)
		c.ctx.Response.Header.Set("Link", c.link(next))
	}
	c.end()
	return c.answer(200)
}

// link is the next page's URL by RFC 8288: the present one's with another cursor.
func (c *call) link(next string) string {
	u := url.URL{Path: string(c.ctx.URI().PathOriginal())}
	values := url.Values{}
	for name, value := range c.ctx.QueryArgs().All() {
		values.Set(string(name), string(value))
	}
	values.Set("cursor", next)
	u.RawQuery = values.Encode()
	return fmt.Sprintf(`<%s>; rel="next"`, u.String())
}

// period is the entries from a time on and before another. Its To is never zero; it may lie before From.
func (c *call) period(since, until uint64) (g ledger.Range, err error) {
	g = ledger.Range{From: 1, To: c.hub.Seq()}
	if since > 0 {
		before, err := c.hub.SeqAt(since - 1)
		if err != nil {
			return g, err
		}
		g.From = before + 1
	}
	if until < maxMillis {
		last := uint64(0)
		if until > 0 {
			if last, err = c.hub.SeqAt(until - 1); err != nil {
				return g, err
			}
		}
		g.To = min(g.To, last)
	}
	return g, nil
}

// pastBalance is what an account had at a time.
func (c *call) pastBalance() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	q := c.query()
	at := q.millis("at", maxMillis-1)
	if p := q.end(); p != nil {
		return p
	}
	g, err := c.period(0, at+1)
	if err != nil {
		return c.failed(err)
	}
	balance, err := c.hub.BalanceAt(h.account, g.To)
	if err != nil {
		return c.failed(err)
	}
	c.begin("account")
	c.accountNo(h.account)
	c.next("seq")
	c.uint(g.To)
	c.next("balance_msat")
	c.int(balance[0])
	c.next("held_msat")
	c.int(balance[1])
	c.end()
	return c.answer(200)
}
