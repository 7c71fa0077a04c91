package main

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func pauseText(p client.Pause) string {
	if !p.Paused {
		return "payouts go on"
	}
	return fmt.Sprintf("payouts are paused since %s: %s", clock(p.Since), plain(p.Reason))
}

func (a *app) payoutsPause() *cobra.Command {
	var reason string
	c := a.asClient("pause", "Send nothing until payouts are resumed", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		p, err := cl.PausePayouts(ctx, reason)
		if err != nil {
			return err
		}
		return a.print(p, "%s", pauseText(p))
	})
	c.Long = "Money is set aside still, what was sent comes to its end, and what comes in is credited. A pause outlives a restart of the hub."
	c.Flags().StringVar(&reason, "reason", "", "why")
	return must(c, "reason")
}

func (a *app) payoutsResume() *cobra.Command {
	var note string
	c := a.asClient("resume", "Go on with what a pause holds back", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		p, err := cl.ResumePayouts(ctx, note)
		if err != nil {
			return err
		}
		text := pauseText(p)
		if r, err := cl.LastReconciliation(ctx); err == nil && r.Stopped != "" && !p.Paused { // what else holds them back
			text = "the pause is over, and payouts are stopped still: " + plain(r.Stopped)
		}
		return a.print(p, "%s", text)
	})
	c.Long = "A hub that was restored from a backup begins with a pause, since payouts may have been sent after the backup was made. Before you\n" +
		"resume it: millrace reconcile run --full. It names what the node has paid and the restored books do not know. A payout that waits, and\n" +
		"that the node, or a transaction of the hub's in its wallet, has paid: millrace payouts decide ACCOUNT ID --paid. What the books have no\n" +
		"payout of: the account has that money still, and the node has not. See that it is paid back, or bear it, and write it down: millrace\n" +
		"reconcile adjust. As long as the books do not agree nothing is paid out, resumed or not."
	c.Flags().StringVar(&note, "note", "", "what was found")
	return c
}
