package main

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) accountCommand() *cobra.Command {
	return a.noun("account", "Make an account, see its balance", a.accountCreate(), a.accountShow())
}

func (a *app) accountCreate() *cobra.Command {
	var cred credentials
	var invite, save string
	c := a.verb("create", "Make an anonymous account", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, err := cred.anonymous(a)
		if err != nil {
			return err
		}
		var file *output
		if save != "" { // before there is an account whose token could not be kept
			if file, err = newOutput(save, false, 0o600); err != nil {
				return err
			}
			defer file.discard()
		}
		acc, err := cl.CreateAccount(ctx, invite)
		if err != nil {
			return err
		}
		if no, err := identify(acc.Token); err != nil || no != ledger.AccountNo(acc.Number) {
			return fmt.Errorf("%w: the new account's token is not one of %s", client.ErrAnswer, acc.Account)
		}
		if file == nil {
			return a.print(acc, "account %s\ntoken   %s", plain(acc.Account), plain(acc.Token))
		}
		if err := file.finish(acc.Token + "\n"); err != nil {
			return err
		}
		return a.print(map[string]any{"account": acc.Account, "number": acc.Number, "token_file": save},
			"account %s\ntoken   in %s", plain(acc.Account), save)
	})
	cred.bindHub(c.Flags())
	c.Flags().StringVar(&invite, "invite", "", "invite code, where the hub wants one")
	c.Flags().StringVar(&save, "save-token", "", "write the token to this new file, for its owner only, and do not print it")
	return c
}

func (a *app) accountShow() *cobra.Command {
	var cred credentials
	var at pastFlag
	c := a.verb("show [ACCOUNT]", "Show the balance of the token's account", cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		cl, no, err := cred.clientOf(ctx, a, args)
		if err != nil {
			return err
		}
		if no == 0 {
			return usage("the operator's token has no account of its own: name one")
		}
		if !at.IsZero() {
			past, err := cl.BalanceAt(ctx, no, at.bound())
			if err != nil {
				return err
			}
			return a.print(past, "account %s after entry %d\nbalance %d msat\nheld    %d msat", plain(past.Account), past.Seq, past.BalanceMsat, past.HeldMsat)
		}
		acc, err := cl.Account(ctx, no)
		if err != nil {
			return err
		}
		return a.print(acc, "account %s\nbalance %d msat\nheld    %d msat", plain(acc.Account), acc.BalanceMsat, acc.HeldMsat)
	})
	cred.bind(c.Flags())
	c.Flags().Var(&at, "at", "what it was: at a time of RFC 3339, or so long ago (24h)")
	return c
}

func (a *app) fundCommand() *cobra.Command {
	var cred credentials
	account := accountFlag{ctx: a.ctx}
	var amount msatFlag
	var id idFlag
	c := a.verb("fund", "Make money on a development hub", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		got, err := cl.DevCredit(ctx, id.id(a), account.no, ledger.Msat(amount))
		if err != nil {
			return err
		}
		return a.print(got, "%s: %s got %d msat", plain(got.Result), plain(got.Account), got.AmountMsat)
	})
	cred.bind(c.Flags())
	c.Flags().Var(&account, "account", "who gets it, or @FILE for the account of the token in a file")
	c.Flags().Var(&amount, "amount-msat", "how much")
	c.Flags().Var(&id, "id", "the payment's id (default: a new one)")
	return must(c, "account", "amount-msat")
}

func (a *app) payCommand() *cobra.Command {
	var cred credentials
	to := accountFlag{ctx: a.ctx}
	var amount msatFlag
	var id idFlag
	c := a.verb("pay", "Pay another account", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		got, err := cl.Transfer(ctx, id.id(a), to.no, ledger.Msat(amount))
		if err != nil {
			return err
		}
		return a.print(got, "%s: paid %d msat to %s", plain(got.Result), got.AmountMsat, plain(got.To))
	})
	cred.bind(c.Flags())
	c.Flags().Var(&to, "to", "who is paid, or @FILE for the account of the token in a file")
	c.Flags().Var(&amount, "amount-msat", "how much")
	c.Flags().Var(&id, "id", "the payment's id (default: a new one)")
	return must(c, "to", "amount-msat")
}
