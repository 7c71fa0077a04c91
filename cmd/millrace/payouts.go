package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) payoutsCommand() *cobra.Command {
	c := a.noun("payouts", "Look after what leaves the hub (operator)", a.payoutsList(), a.payoutsCancel(), a.payoutsDecide(), a.payoutsApprove(),
		a.payoutsBatches(), a.payoutsFlush(), a.payoutsBump(), a.payoutsAbandon(), a.payoutsPause(), a.payoutsResume(), a.incidentsList(), a.incidentsClose(), a.depositsUnassigned(), a.depositAssign())
	c.Long = "These take the operator's token. What is in transit may have been paid and stays held until the node says how it ended; payouts\n" +
		"decide is for the case that it never will: find out first, for whoever decides wrongly loses that money."
	return c
}

func (a *app) payoutsList() *cobra.Command {
	var rail, status string
	c := a.asClient("list", "Show the payouts under way, the oldest first", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		list, count, err := cl.Payouts(ctx, rail, status, 1000)
		if err != nil {
			return err
		}
		pause, err := cl.PayoutsPaused(ctx)
		if err != nil {
			return err
		}
		text := []string{fmt.Sprintf("%d payouts under way", count)}
		if pause.Paused {
			text = append(text, pauseText(pause))
		}
		for _, w := range list {
			text = append(text, plain(w.Account)+" "+withdrawalText(w))
		}
		if len(list) < count {
			text = append(text, fmt.Sprintf("... and %d later ones", count-len(list)))
		}
		waiting, err := cl.Waiting(ctx)
		if err != nil {
			return err
		}
		for _, w := range waiting {
			text = append(text, fmt.Sprintf("waits for operators: %s %s, %d msat and a fee of at most %d to %s, %d approvals", plain(w.Account), plain(w.ID), w.AmountMsat, w.MaxFeeMsat, plain(w.To), len(w.Approvals)))
		}
		return a.print(map[string]any{"count": count, "payouts": list, "waiting": waiting, "pause": pause}, "%s", strings.Join(text, "\n"))
	})
	c.Flags().StringVar(&rail, "rail", "", "only over this: internal, lightning or chain")
	c.Flags().StringVar(&status, "status", "", "only these: asked, held, in_transit, paid or dropped")
	return c
}

// onPayout is a verb about one payout.
func (a *app) onPayout(use, short string, do func(ctx context.Context, cl *client.Client, no ledger.AccountNo, id string) error) *cobra.Command {
	return a.asClient(use+" ACCOUNT ID", short, cobra.ExactArgs(2), func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, args []string) error {
		no, err := parseAccount(ctx, args[0])
		if err != nil {
			return usage("%w", err)
		}
		return do(ctx, cl, no, args[1])
	})
}

func (a *app) payoutsCancel() *cobra.Command {
	var note string
	c := a.onPayout("cancel", "End a payout that was not sent yet", func(ctx context.Context, cl *client.Client, no ledger.AccountNo, id string) error {
		w, err := cl.CancelPayout(ctx, no, id, note)
		if err != nil {
			return err
		}
		return a.print(w, "%s", withdrawalText(w))
	})
	c.Flags().StringVar(&note, "note", "", "why")
	return c
}

func (a *app) payoutsDecide() *cobra.Command {
	var paid, failed bool
	var note string
	c := a.onPayout("decide", "Say how a payout ended of which the node will not", func(ctx context.Context, cl *client.Client, no ledger.AccountNo, id string) error {
		if paid == failed {
			return usage("--paid or --failed: give one")
		}
		w, err := cl.DecidePayout(ctx, no, id, paid, note)
		if err != nil {
			return err
		}
		return a.print(w, "%s", withdrawalText(w))
	})
	c.Flags().BoolVar(&paid, "paid", false, "it arrived: the money leaves the ledger")
	c.Flags().BoolVar(&failed, "failed", false, "it will never arrive: the money goes back")
	c.Flags().StringVar(&note, "note", "", "how you know")
	return must(c, "note")
}

func (a *app) payoutsApprove() *cobra.Command {
	return a.onPayout("approve", "Approve a payout that waits for two operators", func(ctx context.Context, cl *client.Client, no ledger.AccountNo, id string) error {
		w, err := cl.ApprovePayout(ctx, no, id)
		if err != nil {
			return err
		}
		return a.print(w, "%s %s: %d approvals", plain(w.Account), plain(w.ID), len(w.Approvals))
	})
}

func (a *app) payoutsBatches() *cobra.Command {
	return a.asClient("batches", "Show on-chain batches that are not buried yet", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		list, err := cl.OnchainBatches(ctx)
		if err != nil {
			return err
		}
		var text []string
		for _, b := range list {
			text = append(text, batchText(b))
		}
		if len(list) == 0 {
			text = append(text, "no batches")
		}
		return a.print(map[string]any{"batches": list}, "%s", strings.Join(text, "\n"))
	})
}

func batchText(b client.OnchainBatch) string {
	return fmt.Sprintf("%s %s: %s, %d payouts of %d msat at %d sat per 1,000 vB; %s", clock(b.Made), plain(b.Batch), plain(b.Status), b.Payouts, b.AmountMsat,
		b.SatPerKVB, plain(strings.Join(b.TxIDs, " ")))
}

func (a *app) payoutsFlush() *cobra.Command {
	return a.asClient("flush", "Cut what waits for a batch into one now", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		if err := cl.Flush(ctx); err != nil {
			return err
		}
		open, err := cl.Incidents(ctx, 0)
		if err != nil {
			return err
		}
		text := "flushed"
		for _, i := range open {
			if i.Subject == "wallet" && (i.Kind == "fees" || i.Kind == "funds") { // what the last look has found; this one may find better
				text += "; some may wait on: " + plain(i.Text)
			}
		}
		return a.print(struct{}{}, "%s", text)
	})
}

func (a *app) payoutsBump() *cobra.Command {
	var rate int64
	c := a.asClient("bump BATCH", "Have an on-chain batch pay more", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, args []string) error {
		b, err := cl.BumpBatch(ctx, args[0], rate)
		if err != nil {
			return err
		}
		return a.print(b, "%s", batchText(b))
	})
	c.Flags().Int64Var(&rate, "sat-per-kvb", 0, "satoshis per 1,000 virtual bytes")
	return must(c, "sat-per-kvb")
}

func (a *app) payoutsAbandon() *cobra.Command {
	return a.asClient("abandon BATCH", "Give up a batch whose coins another, buried transaction spent", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, args []string) error {
		if err := cl.AbandonBatch(ctx, args[0]); err != nil {
			return err
		}
		return a.print(map[string]string{"batch": args[0]}, "given up: %s; its payouts wait for the next batch", args[0])
	})
}

func (a *app) incidentsList() *cobra.Command {
	var closed int
	c := a.asClient("incidents", "Show what an operator must look at", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		list, err := cl.Incidents(ctx, closed)
		if err != nil {
			return err
		}
		var text []string
		for _, i := range list {
			line := fmt.Sprintf("%s %s %s: %s (%d times)", clock(i.Raised), plain(i.Kind), plain(i.Subject), plain(i.Text), i.Times)
			if i.Closed != 0 {
				line += ", closed " + clock(i.Closed) + ": " + plain(i.Note)
			}
			text = append(text, line)
		}
		if len(list) == 0 {
			text = append(text, "no incidents")
		}
		return a.print(map[string]any{"incidents": list}, "%s", strings.Join(text, "\n"))
	})
	c.Flags().IntVar(&closed, "closed", 0, "and so many of those closed last")
	return c
}

func (a *app) incidentsClose() *cobra.Command {
	var note string
	c := a.asClient("close KIND SUBJECT", "Take an incident off the list", cobra.ExactArgs(2), func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, args []string) error {
		if err := cl.CloseIncident(ctx, args[0], args[1], note); err != nil {
			return err
		}
		return a.print(map[string]string{"kind": args[0], "subject": args[1]}, "closed %s %s", args[0], args[1])
	})
	c.Flags().StringVar(&note, "note", "", "what was done about it")
	return must(c, "note")
}

func (a *app) depositsUnassigned() *cobra.Command {
	var limit int
	c := a.asClient("unassigned", "Show the deposits that nobody knows the owner of", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		if limit < 1 || limit > 1000 {
			return usage("--limit: want 1 to 1000")
		}
		list, next, err := cl.Unassigned(ctx, "", limit)
		if err != nil {
			return err
		}
		return a.print(map[string]any{"deposits": list, "next": next}, "%s", depositsText(list, next))
	})
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return c
}

func (a *app) depositAssign() *cobra.Command {
	var to accountFlag
	to.ctx = a.ctx
	c := a.asClient("assign DEPOSIT", "Say whose money is that nobody knew the owner of", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, args []string) error {
		d, err := cl.AssignDeposit(ctx, args[0], to.no)
		if err != nil {
			return err
		}
		return a.print(d, "%s", depositText(d))
	})
	c.Flags().Var(&to, "to", "the account")
	return must(c, "to")
}
