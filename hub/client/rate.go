package client

import (
	"context"

	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/ledger"
)

// Rate is what a currency costs at the hub. Times are in milliseconds since 1970.
type Rate struct {
	Currency       string `json:"currency"`
	MsatPerMillion uint64 `json:"msat_per_million"` // of a million units
	Set            uint64 `json:"set"`
	ValidUntil     uint64 `json:"valid_until"`
	Stale          bool   `json:"stale"` // it is not priced by any more
}

// NewRate is what an operator sets.
type NewRate struct {
	Currency       string `json:"currency"`
	MsatPerMillion uint64 `json:"msat_per_million"`
	ValidUntil     int64  `json:"valid_until"`
}

// RateSource is what a source of rates says about a currency, and how it does. Times are in milliseconds since 1970; what has not come is
// zero.
type RateSource struct {
	Currency       string `json:"currency"`
	Source         string `json:"source"`
	MsatPerMillion uint64 `json:"msat_per_million,omitempty"`
	Time           int64  `json:"time,omitempty"`
	Fresh          bool   `json:"fresh"`             // it counts
	Problem        string `json:"problem,omitempty"` // with its last answer
}

// RateSources are all of them, and the currencies that have no new rate.
type RateSources struct {
	Sources  []RateSource  `json:"sources"`
	Problems []RateProblem `json:"problems"`
}

// RateProblem is why a currency has no new rate.
type RateProblem struct {
	Currency string `json:"currency"`
	Problem  string `json:"problem"`
}

// ContentQuote is a price that a buyer who buys before it expires does not pay more than.
type ContentQuote struct {
	Content      string      `json:"content"`
	PriceMsat    ledger.Msat `json:"price_msat"`
	PriceVersion uint32      `json:"price_version"`
	Currency     string      `json:"currency,omitempty"` // of the seller's own price; empty: it is in msat
	PriceMicros  uint64      `json:"price_micros,omitempty"`
	Rate         uint64      `json:"rate_msat_per_million,omitempty"`
	Expires      uint64      `json:"expires"` // milliseconds since 1970, by the hub's clock
}

func (r Rate) checks() checks {
	_, err := currency.Parse(r.Currency)
	return checks{"currency": err == nil, "msat_per_million": r.MsatPerMillion > 0, "set": r.Set > 0}
}

// Rates are the rates of all currencies that have one. It needs no token, and sends none.
func (c *Client) Rates(ctx context.Context) ([]Rate, error) {
	type list struct {
		Rates []Rate `json:"rates"`
	}
	got, err := ask(ctx, c, call{method: "GET", path: "/v1/rates", anonymous: true}, func(a list) checks {
		all := checks{}
		for i := 0; i < len(a.Rates) && all.failed() == nil; i++ {
			all = a.Rates[i].checks()
		}
		return all
	})
	return got.Rates, err
}

// SetRate sets a rate, for the operator.
func (c *Client) SetRate(ctx context.Context, r NewRate) (Rate, error) {
	return ask(ctx, c, call{method: "POST", path: "/v1/rates", body: r}, func(a Rate) checks {
		all := a.checks()
		all["currency"] = a.Currency == r.Currency
		return all
	})
}

// RateSources tells the operator how the sources of rates do.
func (c *Client) RateSources(ctx context.Context) (RateSources, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/rates/sources"}, func(RateSources) checks { return nil })
}

// QuoteContent asks for a price that holds for a while. It needs no token, and sends none.
func (c *Client) QuoteContent(ctx context.Context, id ledger.ContentID) (ContentQuote, error) {
	return ask(ctx, c, call{method: "GET", path: contentPath(id) + "/quote", anonymous: true}, func(a ContentQuote) checks {
		return checks{"content": a.Content == id.String(), "price_msat": isPrice(a.PriceMsat), "price_version": a.PriceVersion > 0,
			"currency": a.Currency == "" || isCurrency(a.Currency), "expires": a.Expires > 0}
	})
}

func isCurrency(text string) bool {
	_, err := currency.Parse(text)
	return err == nil
}
