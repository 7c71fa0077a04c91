package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// underWay is something that is not over, and goes on without the command.
type underWay struct{ what string }

func (e *underWay) Error() string { return e.what + ": still under way" }

// notPaid is a withdrawal that failed: the money is back in the account.
type notPaid struct{ reason string }

func (e *notPaid) Error() string { return "the withdrawal failed, and the money is back: " + e.reason }

// lightningWait is how long withdraw waits over Lightning, where a minute is long. On-chain it takes blocks.
const lightningWait = time.Minute

// withdrawing is what a withdrawal is asked for with.
type withdrawing struct {
	cred   credentials
	to     string
	amount msatFlag
	most   feeFlag
	memo   string
	id     idFlag
	wait   time.Duration
	quote  bool
}

func (a *app) withdrawCommand() *cobra.Command {
	w := &withdrawing{}
	c := a.verb("withdraw", "Pay somebody outside: over Lightning or on-chain", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := w.cred.client(a)
		if err != nil {
			return err
		}
		if w.quote {
			q, err := cl.Quote(ctx, no, w.to, ledger.Msat(w.amount))
			if err != nil {
				return err
			}
			return a.print(q, "%s", quoteText(q))
		}
		return w.pay(ctx, a, cl, no)
	})
	c.Long = "Withdraw pays a BOLT11 invoice, a node's public key, an on-chain address, a lightning address or LNURL; another account of the\n" +
		"same hub is paid at once and free. The fee is shown before, and without --max-fee-msat the limit is the one that the quote proposes.\n\n" +
		"The money and the most that it may cost are set aside first. Over Lightning the command waits a minute for the end, on-chain only\n" +
		"if --wait says so; what is still under way then exits with 4, goes on, and the same command with its --id takes it up again.\n\n" +
		"withdraw list and withdraw show tell of withdrawals that there are."
	f := c.Flags()
	w.cred.bind(f)
	f.StringVar(&w.to, "to", "", "whom to pay")
	f.Var(&w.amount, "amount-msat", "what the payee gets (default: what the invoice says)")
	f.Var(&w.most, "max-fee-msat", "the most that it may cost beside (default: what the quote proposes)")
	f.StringVar(&w.memo, "memo", "", "for the account's own list")
	f.Var(&w.id, "id", "UUIDv7 of the withdrawal (default: a new one)")
	f.DurationVar(&w.wait, "wait", -1, "how long to wait for its end (default: 1m over Lightning, not at all on-chain)")
	f.BoolVar(&w.quote, "quote", false, "only say what it would cost")
	f.Lookup("wait").DefValue = "" // what stands there is not a time
	c.AddCommand(a.withdrawList(), a.withdrawShow())
	return must(c, "to")
}

// feeFlag is an amount that may be zero, or is not given.
type feeFlag struct {
	given bool
	msatFlag
}

func (f *feeFlag) String() string {
	if !f.given {
		return ""
	}
	return f.msatFlag.String()
}

func (f *feeFlag) Set(s string) error {
	f.given = true
	if s == "0" {
		f.msatFlag = 0
		return nil
	}
	return f.msatFlag.Set(s)
}

var _ pflag.Value = (*feeFlag)(nil)

// pay makes the withdrawal, or takes up the one that there is under the id, and waits for its end.
func (w *withdrawing) pay(ctx context.Context, a *app, cl *client.Client, no ledger.AccountNo) error {
	if w.id != (idFlag{}) {
		known, err := cl.Withdrawal(ctx, no, w.id.String(), 0)
		var problem *client.Problem
		switch {
		case err == nil && known.To != w.to || err == nil && w.amount != 0 && known.AmountMsat != ledger.Msat(w.amount):
			return usage("--id: that withdrawal pays %d msat to %s", known.AmountMsat, plain(known.To))
		case err == nil:
			return w.follow(ctx, a, cl, no, known)
		case !errors.As(err, &problem) || problem.Status != http.StatusNotFound || problem.Code != "withdrawal_unknown":
			return err
		}
	}
	n := client.NewWithdrawal{To: w.to, AmountMsat: ledger.Msat(w.amount), MaxFeeMsat: ledger.Msat(w.most.msatFlag), Memo: w.memo}
	if !w.most.given {
		q, err := cl.Quote(ctx, no, w.to, n.AmountMsat)
		if err != nil {
			return err
		}
		a.note("%s", quoteText(q))
		n.AmountMsat, n.MaxFeeMsat = q.AmountMsat, q.MaxFeeMsat
	}
	n.ID = w.id.id(a).String()
	got, err := cl.Withdraw(ctx, no, n)
	if err != nil {
		return err
	}
	return w.follow(ctx, a, cl, no, got)
}

// follow waits for the end, and says how it goes meanwhile.
func (w *withdrawing) follow(ctx context.Context, a *app, cl *client.Client, no ledger.AccountNo, got client.Withdrawal) error {
	wait := w.wait
	if wait < 0 && got.Rail == "chain" {
		return a.print(got, "%s", withdrawalText(got))
	} else if wait < 0 {
		wait = lightningWait
	}
	said := ""
	for end := time.Now().Add(wait); !got.Over(); {
		if now := got.Status + " " + got.Reason; now != said {
			said = now
			a.note("%s", withdrawalText(got))
		}
		left := time.Until(end)
		if left <= 0 {
			return &underWay{"withdrawal " + got.ID}
		}
		before := time.Now()
		var err error
		if got, err = cl.Withdrawal(ctx, no, got.ID, min(left, maxWait)); err != nil {
			return err
		}
		if pause := min(time.Until(end), time.Second-time.Since(before)); pause > 0 && !got.Over() { // less than a second is no wait to the hub
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if got.Status == "failed" {
		return &notPaid{plain(got.Reason)}
	}
	return a.print(got, "%s", withdrawalText(got))
}

func (a *app) withdrawShow() *cobra.Command {
	var cred credentials
	c := a.verb("show ID", "Show one withdrawal", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		got, err := cl.Withdrawal(ctx, no, args[0], 0)
		if err != nil {
			return err
		}
		return a.print(got, "%s", withdrawalText(got))
	})
	cred.bind(c.Flags())
	return c
}

func (a *app) withdrawList() *cobra.Command {
	var cred credentials
	var limit int
	c := a.verb("list", "Show what went out, the newest first", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		if limit < 1 || limit > 1000 {
			return usage("--limit: want 1 to 1000")
		}
		list, next, err := cl.Withdrawals(ctx, no, "", limit)
		if err != nil {
			return err
		}
		return a.print(map[string]any{"withdrawals": list, "next": next}, "%s", withdrawalsText(list, next))
	})
	cred.bind(c.Flags())
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return c
}

func withdrawalsText(list []client.Withdrawal, next string) string {
	var text []string
	for _, w := range list {
		text = append(text, withdrawalText(w))
	}
	if len(list) == 0 {
		text = append(text, "no withdrawals")
	} else if next != "" {
		text = append(text, "... and earlier ones")
	}
	return strings.Join(text, "\n")
}

func quoteText(q client.Quote) string {
	s := fmt.Sprintf("%d msat, %s: fee %d msat now, limit %d msat", q.AmountMsat, plain(q.Rail), q.FeeMsat, q.MaxFeeMsat)
	if q.Description != "" {
		s += "; for: " + plain(q.Description)
	}
	return s
}

func withdrawalText(w client.Withdrawal) string {
	s := fmt.Sprintf("%s %s: %d msat, %s, %s", clock(w.Made), plain(w.ID), w.AmountMsat, plain(w.Rail), plain(w.Status))
	if w.Status == "done" || w.Status == "paid" {
		s += fmt.Sprintf(", fee %d msat", w.FeeMsat)
	}
	if w.Reason != "" {
		s += ": " + plain(w.Reason)
	}
	if w.TxID != "" {
		s += ", transaction " + plain(w.TxID)
	}
	if w.NeedsOperator {
		s += ", WAITS FOR AN OPERATOR"
	}
	return s
}
