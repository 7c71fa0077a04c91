package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) linkCommand() *cobra.Command {
	c := a.noun("link", "Make links that money can be withdrawn by", a.linkCreate(), a.linkList(), a.linkCancel())
	c.Long = "Whoever scans a link (an LNURL) takes money out of the account, once, by an invoice that his wallet makes. Nothing is set aside\n" +
		"before: a link that the account cannot pay when it is used stays good until it expires. Treat links as money."
	return c
}

func (a *app) linkCreate() *cobra.Command {
	var cred credentials
	var n client.NewLink
	var most, least msatFlag
	var expires time.Duration
	c := a.verb("create", "Make a link", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		n.AmountMsat, n.LeastMsat, n.ExpiresInS = ledger.Msat(most), ledger.Msat(least), int64(expires/time.Second)
		if most < 1000 || least != 0 && (least < 1000 || least > most) {
			return usage("--amount-msat and --least-msat: want 1000 or more, and the least no more than the amount")
		}
		if expires != 0 && n.ExpiresInS < 1 {
			return usage("--expires: want a second or more")
		}
		k, err := cl.CreateLink(ctx, no, n)
		if err != nil {
			return err
		}
		a.noteHTTP(k.LNURL)
		return a.print(k, "link    %s\nlnurl   %s\nuri     %s\nexpires %s", plain(k.Link), plain(k.LNURL), plain(k.URI), clock(k.Expires))
	})
	cred.bind(c.Flags())
	c.Flags().Var(&most, "amount-msat", "the most that can be withdrawn")
	c.Flags().Var(&least, "least-msat", "the least (default: all of it)")
	c.Flags().StringVar(&n.Memo, "memo", "", "what the wallet shows")
	c.Flags().DurationVar(&expires, "expires", 0, "in how long it expires, at most 2160h (default: a week)")
	return must(c, "amount-msat")
}

func (a *app) linkList() *cobra.Command {
	return a.onAccount("list", "Show the links, the newest first", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		all, err := cl.Links(ctx, no)
		if err != nil {
			return err
		}
		var text []string
		for _, k := range all {
			text = append(text, linkText(k))
		}
		if len(all) == 0 {
			text = append(text, "no links")
		}
		return a.print(map[string]any{"links": all}, "%s", strings.Join(text, "\n"))
	})
}

func linkText(k client.Link) string {
	s := fmt.Sprintf("%s %s: ", plain(k.Link), plain(k.Status))
	if k.LeastMsat != k.AmountMsat {
		s += fmt.Sprintf("%d to ", k.LeastMsat)
	}
	s += fmt.Sprintf("%d msat, until %s", k.AmountMsat, clock(k.Expires))
	if k.Memo != "" {
		s += ", " + plain(k.Memo)
	}
	if k.LNURL != "" {
		s += "\n    " + plain(k.LNURL)
	}
	return s
}

func (a *app) linkCancel() *cobra.Command {
	return a.onAccount("cancel LINK", "Cancel a link that nobody has used", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
		if len(args[0]) != 16 || strings.Trim(args[0], "0123456789abcdef") != "" {
			return usage("%q is not a link's name: want 16 hexadecimal digits, as in link list", args[0])
		}
		if err := cl.CancelLink(ctx, no, args[0]); err != nil {
			return err
		}
		return a.print(map[string]string{"link": args[0]}, "cancelled %s", args[0])
	})
}
