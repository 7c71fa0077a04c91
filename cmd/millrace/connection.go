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

func (a *app) connectionCommand() *cobra.Command {
	c := a.noun("connection", "Let an application use the account by Nostr Wallet Connect", a.connectionCreate(), a.connectionList(), a.connectionEnd())
	c.Long = "Alby Go, Damus, podcast players and others that speak Nostr Wallet Connect (NIP-47) use an account by a connection: they are given its\n" +
		"URI. A connection calls the methods that it was made for and spends what its budget allows, until it is ended or expires. They and the\n" +
		"hub meet at the relays that the operator has set (serve --nwc-relays)."
	return c
}

func (a *app) connectionCreate() *cobra.Command {
	var cred credentials
	var n client.NewConnection
	var budget msatFlag
	var expires time.Duration
	c := a.verb("create", "Make a connection, and show its URI this once", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		n.BudgetMsat, n.ExpiresInS = ledger.Msat(budget), int64(expires/time.Second)
		if expires != 0 && n.ExpiresInS < 1 {
			return usage("--expires: want a second or more")
		}
		if n.Renewal != "" && n.BudgetMsat == 0 {
			return usage("--renewal: only with --budget-msat")
		}
		got, err := cl.Connect(ctx, no, n)
		if err != nil {
			return err
		}
		return a.print(got, "connection %s\nuri        %s", plain(got.Connection), plain(got.URI))
	})
	cred.bind(c.Flags())
	c.Flags().StringVar(&n.Name, "name", "", "what you call the application")
	c.Flags().Var(&budget, "budget-msat", "the most that it may spend, fees included (default: all that the account has)")
	c.Flags().StringVar(&n.Renewal, "renewal", "", "when the budget is whole again: daily, weekly, monthly, yearly or never (default never)")
	c.Flags().StringSliceVar(&n.Methods, "method", nil, "what it may call: pay_invoice, pay_keysend, make_invoice, lookup_invoice, list_transactions, get_balance; with commas or again (default: all)")
	c.Flags().BoolVar(&n.Notifications, "notifications", false, "tell it of payments in and out")
	c.Flags().DurationVar(&expires, "expires", 0, "in how long it expires (default: never)")
	return c
}

func (a *app) connectionList() *cobra.Command {
	return a.onAccount("list", "Show the connections, and what they have spent", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		all, err := cl.Connections(ctx, no)
		if err != nil {
			return err
		}
		var text []string
		for _, n := range all {
			text = append(text, connectionText(n))
		}
		if len(all) == 0 {
			text = append(text, "no connections")
		}
		return a.print(map[string]any{"connections": all}, "%s", strings.Join(text, "\n"))
	})
}

func connectionText(n client.Connection) string {
	s := fmt.Sprintf("%s since %s", plain(n.Connection), clock(n.Made))
	if n.Name != "" {
		s += ", " + plain(n.Name)
	}
	s += fmt.Sprintf(": %d msat spent", n.SpentMsat)
	if n.ReservedMsat > 0 {
		s += fmt.Sprintf(" and %d reserved", n.ReservedMsat)
	}
	if n.BudgetMsat > 0 {
		s += fmt.Sprintf(" of %d (%s)", n.BudgetMsat, plain(n.Renewal))
	}
	if n.Expires != 0 {
		s += ", until " + clock(n.Expires)
	}
	return s + "\n    " + plain(strings.Join(n.Methods, " "))
}

func (a *app) connectionEnd() *cobra.Command {
	return a.onAccount("end CONNECTION", "End a connection", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
		if len(args[0]) != 16 || strings.Trim(args[0], "0123456789abcdef") != "" {
			return usage("%q is not a connection: want 16 hexadecimal digits, as in connection list", args[0])
		}
		if err := cl.Disconnect(ctx, no, args[0]); err != nil {
			return err
		}
		return a.print(map[string]string{"connection": args[0]}, "ended %s", args[0])
	})
}
