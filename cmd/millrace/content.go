package main

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) contentCommand() *cobra.Command {
	return a.noun("content", "A work on sale: its quote, another price, off sale, a player's token", a.contentShow(), a.contentReprice(), a.contentRetire(), a.contentSession())
}

func parseContent(s string) (ledger.ContentID, error) {
	id, err := ledger.ParseContentID(s)
	if err != nil {
		return id, usage("%w", err)
	}
	return id, nil
}

func (a *app) contentShow() *cobra.Command {
	var cred credentials
	c := a.verb("show CONTENT", "Show a work's public quote", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		id, err := parseContent(args[0])
		if err != nil {
			return err
		}
		cl, err := cred.anonymous(a)
		if err != nil {
			return err
		}
		q, err := cl.Content(ctx, id)
		if err != nil {
			return err
		}
		units := ""
		if q.Units > 0 {
			units = fmt.Sprintf("\nunits   %d, each for the price; the first %d are free", q.Units, q.FreeUnits)
		}
		return a.print(q, "content %s, %s\ntitle   %s\nseller  %s\nprice   %s (version %d)%s\nsize    %d bytes\nsha256  %s",
			q.Content, plain(q.Status), plain(q.Title), plain(q.Seller), priceText(q), q.PriceVersion, units, q.Size, plain(q.SHA256))
	})
	cred.bindHub(c.Flags())
	return c
}

// onContent is a verb of the seller about the work that its argument names.
func (a *app) onContent(use, short string, do func(context.Context, *client.Client, ledger.ContentID) error) *cobra.Command {
	var cred credentials
	c := a.verb(use+" CONTENT", short, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		id, err := parseContent(args[0])
		if err != nil {
			return err
		}
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		return do(ctx, cl, id)
	})
	cred.bind(c.Flags())
	return c
}

func (a *app) contentReprice() *cobra.Command {
	var price priced
	var version uint32
	c := a.onContent("reprice", "Change a work's price", func(ctx context.Context, cl *client.Client, id ledger.ContentID) error {
		want, err := price.get()
		if err != nil {
			return err
		}
		if version == 0 {
			q, err := cl.Content(ctx, id)
			if err != nil {
				return err
			}
			version = q.PriceVersion
		}
		got, err := cl.Reprice(ctx, id, want, version)
		if err != nil {
			return err
		}
		return a.print(got, "%s: %s (version %d)", plain(got.Result), want, got.PriceVersion)
	})
	c.Aliases = []string{"price"}
	price.bind(c, "the new price")
	c.Flags().Uint32Var(&version, "price-version", 0, "the version that it replaces (default: the present one)")
	c.MarkFlagsOneRequired("price", "price-msat")
	return c
}

func (a *app) contentRetire() *cobra.Command {
	return a.onContent("retire", "Take a work off sale; who bought it keeps it", func(ctx context.Context, cl *client.Client, id ledger.ContentID) error {
		got, err := cl.Retire(ctx, id)
		if err != nil {
			return err
		}
		return a.print(got, "%s: %s is off sale", plain(got.Result), plain(got.Content))
	})
}
