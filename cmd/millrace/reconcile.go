package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) reconcileCommand() *cobra.Command {
	c := a.noun("reconcile", "Compare the hub's books with its node's (operator)", a.reconcileRun(), a.reconcileShow(), a.reconcileAdjust())
	c.Long = "A hub with a node compares what it owes with what the node holds every ten minutes, and each deposit and payout with the node's\n" +
		"own records. While they do not agree nothing is paid out; payments inside and keys go on. The first comparison opens the books, for which\n" +
		"nothing may be on its way: while a deposit waits for confirmations, or a payout is under way, it says busy."
	return c
}

func (a *app) reconcileRun() *cobra.Command {
	var full bool
	c := a.asClient("run", "Compare now", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		r, err := cl.Reconcile(ctx, full)
		if err != nil {
			return err
		}
		return a.print(r, "%s", reconciliationText(r))
	})
	c.Flags().BoolVar(&full, "full", false, "everything that there ever was, which can take minutes")
	return c
}

func (a *app) reconcileShow() *cobra.Command {
	return a.asClient("show", "Show the last comparison", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		r, err := cl.LastReconciliation(ctx)
		if err != nil {
			return err
		}
		return a.print(r, "%s", reconciliationText(r))
	})
}

func reconciliationText(r client.Reconciliation) string {
	text := []string{
		fmt.Sprintf("%s, block %d", clock(r.Time), r.Height),
		fmt.Sprintf("the node holds %d msat for accounts, which have %d msat: %s", r.Backing, r.Due, ratioText(r.Ratio)),
	}
	if r.Steady {
		text = append(text, fmt.Sprintf("difference of the books: %d msat", r.Difference))
	}
	for _, m := range r.Mismatches {
		text = append(text, fmt.Sprintf("%s %s: %s (%d msat)", plain(m.Kind), plain(m.Subject), plain(m.Text), m.Amount))
	}
	if r.More > 0 {
		text = append(text, fmt.Sprintf("and %d more", r.More))
	}
	for _, w := range r.Warnings {
		text = append(text, "warning: "+plain(w))
	}
	if r.Stopped != "" {
		text = append(text, "payouts are stopped: "+plain(r.Stopped))
	} else {
		text = append(text, "payouts go on")
	}
	return strings.Join(text, "\n")
}

// ratioText is a ratio in thousandths, of which the hub names none above 1,000.
func ratioText(permille int64) string {
	if permille >= 1_000_000 {
		return "a thousand times as much, or more"
	}
	return fmt.Sprintf("%d permille", permille)
}

func (a *app) reconcileAdjust() *cobra.Command {
	var j client.Adjustment
	var in, out msatFlag
	c := a.asClient("adjust ID", "Write down what was moved past the hub", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, args []string) error {
		j.ID, j.Amount = args[0], int64(in)-int64(out)
		done, err := cl.Adjust(ctx, j)
		if err != nil {
			return err
		}
		return a.print(done, "adjusted by %d msat: %s", done.Amount, plain(done.Reason))
	})
	c.Long = "Coins that the operator brings in or takes out, a payment that he makes past the hub, what it costs to close a channel: the node's\n" +
		"books have them, and the hub's do not. ID is of your choice: the same one again is the same adjustment."
	c.Flags().Var(&in, "in-msat", "what the node holds more since")
	c.Flags().Var(&out, "out-msat", "what the node holds less since, fees included")
	c.Flags().StringVar(&j.Ref, "ref", "", "the subject of the mismatch that it explains")
	c.Flags().StringVar(&j.Rail, "rail", "", "lightning or chain, if it was for accounts and not for the operator")
	c.Flags().StringVar(&j.Reason, "reason", "", "why")
	return must(c, "reason")
}
