package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// priced is a price as it is given: --price in any money, or --price-msat.
type priced struct {
	msat msatFlag
	any  priceFlag
}

func (p *priced) bind(c *cobra.Command, usage string) {
	f := c.Flags()
	f.Var(&p.any, "price", usage+`: "0.05 EUR", "JPY 3", "25 sat"; by the hub's rate, if it is in a currency`)
	f.Var(&p.msat, "price-msat", "the same in msat")
	c.MarkFlagsMutuallyExclusive("price", "price-msat")
}

// get is the price, of which there must be one.
func (p *priced) get() (currency.Price, error) {
	own := currency.Price(p.any)
	switch {
	case p.msat == 0 && own.Amount == 0:
		return own, usage("--price or --price-msat is needed")
	case p.msat != 0:
		return currency.Price{Amount: uint64(p.msat)}, nil
	}
	return own, nil
}

// text is a price that there is.
func (p *priced) text() string {
	own, err := p.get()
	if err != nil {
		return ""
	}
	return own.String()
}

// priceFlag is a price in any money.
type priceFlag currency.Price

func (f *priceFlag) String() string {
	if f.Amount == 0 {
		return ""
	}
	return currency.Price(*f).String()
}
func (f *priceFlag) Type() string { return "price" }
func (f *priceFlag) Set(s string) error {
	p, err := currency.ParsePrice(s)
	*f = priceFlag(p)
	return err
}

// priceText is what a work costs: by its seller, and now.
func priceText(q client.Content) string {
	if q.Currency == "" {
		return fmt.Sprintf("%d msat", q.PriceMsat)
	}
	own := ownPrice(q.Currency, q.PriceMicros)
	if q.PriceMsat == 0 {
		return own + ", for which the hub has no rate now"
	}
	return fmt.Sprintf("%s, now %d msat", own, q.PriceMsat)
}

// ownPrice is a price in a currency that a hub named.
func ownPrice(letters string, micros uint64) string {
	code, err := currency.Parse(letters)
	if err != nil {
		return "not known" // the client lets no such answer pass
	}
	return currency.Price{Currency: code, Amount: micros}.String()
}

// asQuoted asks for a quote right before a purchase, where the price is in a currency, and is the most to pay then: what was quoted, so that
// a rate which moves meanwhile costs the buyer nothing, but no more than he said. The quote is put into q. Without a rate the hub decides: who
// owns the work needs none.
func asQuoted(ctx context.Context, cl *client.Client, id ledger.ContentID, q *client.Content, most ledger.Msat) (ledger.Msat, error) {
	if q.Currency == "" {
		return most, nil
	}
	got, err := cl.QuoteContent(ctx, id)
	var problem *client.Problem
	switch {
	case errors.As(err, &problem) && (!problem.Retryable || problem.Code == "rate_stale"):
		return most, nil
	case err != nil:
		return 0, err
	case got.PriceVersion != q.PriceVersion: // the hub says so, unless the work is owned
		return most, nil
	}
	q.PriceMsat = got.PriceMsat
	return min(most, got.PriceMsat), nil
}
