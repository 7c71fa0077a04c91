package lnurl

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// To makes something that can be paid of a lightning address or an LNURL: an account of our own, or an invoice of an amount, which is zero
// only if the service says how much itself. It is what channels.Config asks for.
func (c *Client) To(ctx context.Context, names *Names, text string, amount ledger.Msat) (string, error) {
	t, err := c.Parse(text)
	if err != nil {
		return "", err
	}
	if t.Name != "" {
		account, err := names.Account(t.Name)
		if err != nil {
			return "", err
		}
		return account.String(), nil
	}
	o, err := c.Resolve(ctx, t)
	if err != nil {
		return "", err
	}
	if amount == 0 && o.Min == o.Max {
		amount = o.Min
	}
	if amount == 0 {
		return "", fmt.Errorf("%w: it takes %d to %d msat: say how much", ErrAmount, o.Min, o.Max)
	}
	b, err := c.Invoice(ctx, o, amount, "")
	if err != nil {
		return "", err
	}
	return b.Invoice.Text, nil
}
