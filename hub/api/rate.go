package api

import (
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/rates"
	"github.com/millrace/millrace/ledger"
)

// rate is what a currency costs, in answers. Times are in milliseconds since 1970.
type rate struct {
	Currency string `json:"currency"`
	Msat     uint64 `json:"msat_per_million"`
	Set      uint64 `json:"set"`
	Until    uint64 `json:"valid_until"`
	Stale    bool   `json:"stale"`
}

func newRate(r hub.Rate) rate {
	return rate{Currency: r.Currency.String(), Msat: uint64(r.Msat), Set: r.Since, Until: uint64(r.Until) * 1000, Stale: r.Stale}
}

func (c *call) listRates() *problem {
	q := c.query()
	if p := q.end(); p != nil {
		return p
	}
	all := []rate{}
	for _, r := range c.hub.Rates() {
		all = append(all, newRate(r))
	}
	return c.answerJSON(200, map[string][]rate{"rates": all})
}

// setRate is the operator's word, where there is no source, or where what the sources say is held.
func (c *call) setRate() *problem {
	o := c.body(false)
	code := o.currency("currency", true)
	msat := o.whole("msat_per_million", 1, uint64(ledger.MaxMsat), true)
	until := time.UnixMilli(int64(o.whole("valid_until", 1, 1<<53-1, true)))
	if until.After(c.hub.Latest().Add(rates.MaxValid + time.Minute)) {
		o.fail("valid_until must be at most %d days ahead", rates.MaxValid/(24*time.Hour))
	}
	if p := o.end(); p != nil {
		return p
	}
	a, err := c.hub.SetRate(ledger.Currency(code), ledger.Msat(msat), uint32(until.Unix()))
	if err != nil {
		return c.failed(err)
	}
	if _, p := c.outcome(a); p != nil {
		return p
	}
	c.server.cfg.Logger.Info("a rate is set by hand", "currency", code.String(), "msat_per_million", msat, "by", c.operator())
	now, _ := c.hub.Rate(ledger.Currency(code))
	return c.answerJSON(200, newRate(hub.Rate{Currency: code, Rate: now}))
}

// currency reads the letters of a currency; none where there may be none.
func (o *object) currency(name string, required bool) (code currency.Code) {
	text := o.text(name, 3, required)
	if text == nil {
		return code
	}
	code, err := currency.Parse(string(text))
	if err != nil {
		o.fail("%s: %v", name, err)
	}
	return code
}

// price reads a price in msat, or in a currency.
func (o *object) price() currency.Price {
	p := currency.Price{Currency: o.currency("currency", false)}
	own := p.Currency != currency.Code{}
	msat, micros := o.whole("price_msat", 1, uint64(ledger.MaxMsat), !own), o.whole("price_micros", 1, currency.MaxAmount, own)
	switch {
	case own && msat != 0:
		o.fail("price_msat does not go with currency: the hub makes it of price_micros, by the rate")
	case !own && micros != 0:
		o.fail("price_micros goes with currency")
	}
	p.Amount = max(msat, micros)
	return p
}

// ownPrice appends a price as its seller set it, if that is in a currency; otherwise it appends nothing.
func (c *call) ownPrice(p currency.Price) {
	if p.Currency == (currency.Code{}) {
		return
	}
	c.next("currency")
	c.quote(p.Currency.String())
	c.next("price_micros")
	c.uint(p.Amount)
}

// priceOf is a content's price as its seller set it.
func priceOf(content *ledger.Content) currency.Price {
	return currency.Price{Currency: currency.Code(content.Terms.Currency), Amount: uint64(content.Price)}
}

// getQuote is a price that holds for a minute.
func (c *call) getQuote() *problem {
	id, p := c.contentID()
	if p != nil {
		return p
	}
	q, result := c.hub.Quoted(id)
	if result != ledger.Undecided {
		return refusal(result)
	}
	c.begin("content")
	c.contentName(id)
	c.next("price_msat")
	c.uint(uint64(q.Price))
	c.next("price_version")
	c.uint(uint64(q.Content.PriceVersion))
	c.ownPrice(priceOf(&q.Content))
	if q.Rate != 0 {
		c.next("rate_msat_per_million")
		c.uint(uint64(q.Rate))
	}
	c.next("expires")
	c.int(q.Expires.UnixMilli())
	c.end()
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	return c.answer(200)
}

// rateSource is what a source of rates says, in answers.
type rateSource struct {
	Currency string `json:"currency"`
	Source   string `json:"source"`
	Msat     uint64 `json:"msat_per_million,omitempty"`
	Time     int64  `json:"time,omitempty"`
	Fresh    bool   `json:"fresh"`
	Problem  string `json:"problem,omitempty"`
}

// rateProblem is why there is no new rate of a currency.
type rateProblem struct {
	Currency string `json:"currency"`
	Problem  string `json:"problem"`
}

func (c *call) listRateSources() *problem {
	q := c.query()
	if p := q.end(); p != nil {
		return p
	}
	sources, problems := []rateSource{}, []rateProblem{}
	if desk := c.server.cfg.Rates; desk != nil {
		for _, code := range desk.Currencies() {
			status, _ := desk.Status(code)
			if status.Problem != "" {
				problems = append(problems, rateProblem{code.String(), status.Problem})
			}
			for _, s := range status.Sources {
				one := rateSource{Currency: code.String(), Source: s.Source, Msat: s.Msat, Fresh: s.Fresh, Problem: s.Problem}
				if !s.At.IsZero() {
					one.Time = s.At.UnixMilli()
				}
				sources = append(sources, one)
			}
		}
	}
	return c.answerJSON(200, map[string]any{"sources": sources, "problems": problems})
}
