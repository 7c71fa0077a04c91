package main

import (
	"context"
	"strings"

	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) nameCommand() *cobra.Command {
	c := a.noun("name", "Have a lightning address", a.nameClaim(), a.nameShow(), a.nameRelease())
	c.Long = "An account that has a name is paid to its lightning address, name@host, by every wallet that knows those: each payment is a deposit.\n" +
		"It has one name at a time and four at most ever. A name that was given up stays its last owner's: nobody else can claim it."
	return c
}

// onAccount is a verb about the token's account, or with the operator's token about the one that --account names.
func (a *app) onAccount(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error) *cobra.Command {
	var cred credentials
	account := accountFlag{ctx: a.ctx}
	c := a.verb(use, short, args, func(ctx context.Context, args []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		if account.no != 0 {
			no = account.no
		}
		if no == 0 {
			return usage("the operator's token has no account of its own: name one with --account")
		}
		return do(ctx, cl, no, args)
	})
	cred.bind(c.Flags())
	c.Flags().Var(&account, "account", "with the operator's token: which account")
	return c
}

func (a *app) nameClaim() *cobra.Command {
	var replace bool
	c := a.onAccount("claim NAME", "Give the account a name", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
		got, err := cl.ClaimName(ctx, no, args[0], replace)
		if err != nil {
			return err
		}
		a.noteHTTP(got.LNURL)
		return a.print(got, "%s", nameText(got))
	})
	c.Flags().BoolVar(&replace, "replace", false, "give up the name that the account has")
	return c
}

func (a *app) nameShow() *cobra.Command {
	return a.onAccount("show", "Show the account's name", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		got, err := cl.Name(ctx, no)
		if err != nil {
			return err
		}
		return a.print(got, "%s", nameText(got))
	})
}

func (a *app) nameRelease() *cobra.Command {
	return a.onAccount("release", "Give the name up: what is sent to it is refused", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		got, err := cl.ReleaseName(ctx, no)
		if err != nil {
			return err
		}
		return a.print(got, "%s", nameText(got))
	})
}

// noteHTTP says so where wallets will not come: they call a hub by https, but for onion services.
func (a *app) noteHTTP(text string) {
	if u, err := lnurl.Decode(text); err == nil && strings.HasPrefix(u, "http://") {
		a.note("the hub's origin is not https: most wallets call lightning addresses and LNURLs by https only, and will not reach it")
	}
}

func nameText(n client.Name) string {
	text := "account " + plain(n.Account) + " has no name"
	if n.Name != "" {
		text = "account " + plain(n.Account) + "\naddress " + plain(n.Address) + "\nlnurl   " + plain(n.LNURL) + "\nuri     " + plain(n.URI)
	}
	if len(n.Former) > 0 {
		text += "\nformer  " + plain(strings.Join(n.Former, ", "))
	}
	return text
}
