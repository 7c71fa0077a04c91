package main

import (
	"context"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) channelCommand() *cobra.Command {
	return a.noun("channel", "Pay by channel: many small payments to one account",
		a.channelOpen(), a.channelShow(), a.channelAdvance(), a.channelVoucher(), a.channelRedeem(), a.channelTopUp(), a.channelRenew(), a.channelClose())
}

// onChannel is a verb about the channel that its argument names.
func (a *app) onChannel(use, short string, do func(context.Context, *client.Client, ledger.ChannelNo) error) *cobra.Command {
	var cred credentials
	c := a.verb(use+" CHANNEL", short, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		no, err := ledger.ParseChannelNo(args[0])
		if err != nil {
			return usage("%w", err)
		}
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		return do(ctx, cl, no)
	})
	cred.bind(c.Flags())
	return c
}

func (a *app) channelOpen() *cobra.Command {
	var cred credentials
	to := accountFlag{ctx: a.ctx}
	var amount msatFlag
	var id idFlag
	var expires momentFlag
	var terms termsFlags
	c := a.verb("open", "Open a channel and fund it", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		t, err := terms.terms(ctx, a)
		if err != nil {
			return err
		}
		got, err := cl.OpenTerms(ctx, id.id(a), to.no, ledger.Msat(amount), expires.Time, t)
		if err != nil {
			return err
		}
		return a.print(got, "%s: channel %s", plain(got.Result), plain(got.Channel))
	})
	cred.bind(c.Flags())
	c.Flags().Var(&to, "to", "who is paid, or @FILE for the account of the token in a file")
	c.Flags().Var(&amount, "amount-msat", "its funds")
	c.Flags().Var(&expires, "expires", "when it ends: from now (720h) or a time of RFC 3339; with --id, the same time as at first")
	c.Flags().Var(&id, "id", "the opening's id (default: a new one)")
	terms.bind(c)
	return must(c, "to", "amount-msat", "expires")
}

func (a *app) channelShow() *cobra.Command {
	return a.onChannel("show", "Show a channel", func(ctx context.Context, cl *client.Client, no ledger.ChannelNo) error {
		got, err := cl.Channel(ctx, no)
		if err != nil {
			return err
		}
		v, err := newestVoucher(ctx, cl, got, no)
		if err != nil {
			return err
		}
		shown := struct {
			client.Channel
			Voucher *client.Voucher `json:"voucher,omitempty"`
		}{got, v}
		return a.print(shown, "channel %s: %s\nfrom    %s\nto      %s\npaid    %d of %d msat\nexpires %s%s", plain(got.Channel), plain(got.Status),
			plain(got.From), plain(got.To), got.TotalMsat, got.FundedMsat, clock(got.Expires), termsText(got, v))
	})
}

func (a *app) channelAdvance() *cobra.Command {
	var total msatFlag
	c := a.onChannel("advance", "Raise what a channel has paid to a total", func(ctx context.Context, cl *client.Client, no ledger.ChannelNo) error {
		got, err := cl.Advance(ctx, no, ledger.Msat(total))
		if err != nil {
			return err
		}
		return a.print(got, "%s: paid %d msat, in all %d", plain(got.Result), got.PaidMsat, got.TotalMsat)
	})
	c.Flags().Var(&total, "total-msat", "all that it is to have paid since it opened")
	return must(c, "total-msat")
}

func (a *app) channelTopUp() *cobra.Command {
	var amount msatFlag
	var id idFlag
	c := a.onChannel("top-up", "Add funds to a channel", func(ctx context.Context, cl *client.Client, no ledger.ChannelNo) error {
		got, err := cl.TopUp(ctx, no, id.id(a), ledger.Msat(amount))
		if err != nil {
			return err
		}
		return a.print(got, "%s: added %d msat", plain(got.Result), got.AmountMsat)
	})
	c.Flags().Var(&amount, "amount-msat", "how much")
	c.Flags().Var(&id, "id", "the payment's id (default: a new one)")
	return must(c, "amount-msat")
}

func (a *app) channelClose() *cobra.Command {
	return a.onChannel("close", "Close a channel; what it did not pay goes back", func(ctx context.Context, cl *client.Client, no ledger.ChannelNo) error {
		got, err := cl.CloseChannel(ctx, no)
		if err != nil {
			return err
		}
		return a.print(got, "%s: %d msat went back to the payer", plain(got.Result), got.RefundedMsat)
	})
}
