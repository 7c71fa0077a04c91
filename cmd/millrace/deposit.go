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

// maxWait is what one request waits for a deposit or withdrawal.
const maxWait = 20 * time.Second

func (a *app) depositCommand() *cobra.Command {
	c := a.noun("deposit", "Bring money in", a.depositInvoice(), a.depositAddress(), a.depositShow(), a.depositList())
	c.Long = "Money comes in over Lightning, by an invoice, or on-chain, by an address. An invoice is credited when it is paid, what comes to an\n" +
		"address after some confirmations, the more the larger it is. Any token of the account will do: it only brings money in."
	return c
}

func (a *app) depositInvoice() *cobra.Command {
	var cred credentials
	var n client.NewInvoice
	var amount msatFlag
	var expires, wait time.Duration
	c := a.verb("invoice", "Make a Lightning invoice that pays the account", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		n.AmountMsat, n.ExpiresInS = ledger.Msat(amount), int64(expires/time.Second)
		if expires != 0 && n.ExpiresInS < 1 || wait < 0 {
			return usage("--expires and --wait: want a second or more")
		}
		d, err := cl.Invoice(ctx, no, n)
		if err != nil {
			return err
		}
		if wait == 0 {
			return a.print(d, "invoice %s\ndeposit %s\nexpires %s", plain(d.Invoice), plain(d.Deposit), clock(d.Expires))
		}
		a.note("invoice %s", plain(d.Invoice))
		if d, err = awaitDeposit(ctx, cl, no, d, wait); err != nil {
			return err
		}
		return a.print(d, "%s", depositText(d))
	})
	cred.bind(c.Flags())
	c.Flags().Var(&amount, "amount-msat", "how much (default: the payer says)")
	c.Flags().StringVar(&n.Memo, "memo", "", "what the payer reads")
	c.Flags().DurationVar(&expires, "expires", 0, "in how long it expires (default 1h)")
	c.Flags().BoolVar(&n.Private, "private", false, "name channels that are not announced")
	c.Flags().DurationVar(&wait, "wait", 0, "wait so long until it is paid, with the invoice on stderr (default: not at all)")
	return c
}

// awaitDeposit asks until an invoice is credited. What is not paid in time is no answer: the same invoice can still be.
func awaitDeposit(ctx context.Context, cl *client.Client, no ledger.AccountNo, d client.Deposit, wait time.Duration) (client.Deposit, error) {
	end := time.Now().Add(wait)
	for d.Status != "credited" && d.Status != "expired" {
		left := time.Until(end)
		if left <= 0 {
			return d, &underWay{fmt.Sprintf("deposit %s: %s", d.Deposit, d.Status)}
		}
		select {
		case <-time.After(min(left, 500*time.Millisecond)):
		case <-ctx.Done():
			return d, ctx.Err()
		}
		var err error
		if d, err = cl.Deposit(ctx, no, d.Deposit); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (a *app) depositAddress() *cobra.Command {
	var cred credentials
	c := a.verb("address", "Show an on-chain address that pays the account", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		got, err := cl.Address(ctx, no)
		if err != nil {
			return err
		}
		return a.print(got, "%s", plain(got.Address))
	})
	cred.bind(c.Flags())
	return c
}

func (a *app) depositShow() *cobra.Command {
	var cred credentials
	c := a.verb("show DEPOSIT", "Show one deposit", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		d, err := cl.Deposit(ctx, no, args[0])
		if err != nil {
			return err
		}
		return a.print(d, "%s", depositText(d))
	})
	cred.bind(c.Flags())
	return c
}

func (a *app) depositList() *cobra.Command {
	var cred credentials
	var unpaid bool
	var limit int
	c := a.verb("list", "Show what came in, the newest first", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		if limit < 1 || limit > 1000 {
			return usage("--limit: want 1 to 1000")
		}
		list, next, err := cl.Deposits(ctx, no, unpaid, "", limit)
		if err != nil {
			return err
		}
		return a.print(map[string]any{"deposits": list, "next": next}, "%s", depositsText(list, next))
	})
	cred.bind(c.Flags())
	c.Flags().BoolVar(&unpaid, "unpaid", false, "with invoices that nobody has paid")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return c
}

func depositsText(list []client.Deposit, next string) string {
	var text []string
	for _, d := range list {
		text = append(text, depositText(d))
	}
	if len(list) == 0 {
		text = append(text, "no deposits")
	} else if next != "" {
		text = append(text, "... and earlier ones")
	}
	return strings.Join(text, "\n")
}

func depositText(d client.Deposit) string {
	s := fmt.Sprintf("%s %s %s: %d msat %s", clock(d.Made), plain(d.Rail), plain(d.Deposit), max(d.AmountMsat, d.AskedMsat), plain(d.Status))
	if d.Status == "pending" {
		s += fmt.Sprintf(", %d of %d confirmations", d.Has, d.Needs)
	}
	if d.Undone {
		s += ", NOT IN THE CHAIN ANY MORE"
	}
	if d.Memo != "" {
		s += ", " + plain(d.Memo)
	}
	return s
}

// clock is a time in milliseconds since 1970 for a person.
func clock(millis int64) string { return time.UnixMilli(millis).UTC().Format(time.RFC3339) }
