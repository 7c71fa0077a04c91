package main

import (
	"context"
	"strings"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) loginCommand() *cobra.Command {
	c := a.noun("login", "Let a phone's wallet use the account", a.loginCreate(), a.loginList(), a.loginRevoke())
	c.Long = "BlueWallet, Zeus and other wallets that speak LndHub use an account by a login: they scan its URI. A login sees all that the account\n" +
		"does and pays without a cap, until it is revoked: for less, give a wallet an account of its own."
	return c
}

func (a *app) loginCreate() *cobra.Command {
	var cred credentials
	var name string
	c := a.verb("create", "Make a login, and show its URI this once", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		got, err := cl.CreateLogin(ctx, no, name)
		if err != nil {
			return err
		}
		return a.print(got, "login %s\nuri   %s", plain(got.Login), plain(got.URI))
	})
	cred.bind(c.Flags())
	c.Flags().StringVar(&name, "name", "", "what you call the wallet")
	return c
}

func (a *app) loginList() *cobra.Command {
	return a.onAccount("list", "Show the logins", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		all, err := cl.Logins(ctx, no)
		if err != nil {
			return err
		}
		var text []string
		for _, l := range all {
			s := plain(l.Login) + " since " + clock(l.Made)
			if l.Name != "" {
				s += ": " + plain(l.Name)
			}
			text = append(text, s)
		}
		if len(all) == 0 {
			text = append(text, "no logins")
		}
		return a.print(map[string]any{"logins": all}, "%s", strings.Join(text, "\n"))
	})
}

func (a *app) loginRevoke() *cobra.Command {
	return a.onAccount("revoke LOGIN", "End a login", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
		if len(args[0]) != 20 || strings.Trim(args[0], "0123456789abcdef") != "" {
			return usage("%q is not a login: want 20 hexadecimal digits, as in login list", args[0])
		}
		if err := cl.RevokeLogin(ctx, no, args[0]); err != nil {
			return err
		}
		return a.print(map[string]string{"login": args[0]}, "revoked %s", args[0])
	})
}
