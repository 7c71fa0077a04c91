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

func (a *app) webhookCommand() *cobra.Command {
	c := a.noun("webhook", "Have entries posted to a URL", a.webhookAdd(), a.webhookList(), a.webhookRemove(),
		a.webhookRotate(), a.webhookReplay(), a.webhookParked())
	c.Long = "A webhook gets every entry that touches the token's account (with the operator's token: every entry of the ledger, or with --account\n" +
		"that account's), in order and at least once, signed by Standard Webhooks 1.0.0. What does not arrive is tried again for three days,\n" +
		"then it is parked, and the webhook goes on behind it; one that has eight parked deliveries, or answers 410, is disabled until a replay."
	return c
}

// onHooks is a verb about the webhooks of the token's account, or of the one that --account names.
func (a *app) onHooks(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error) *cobra.Command {
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
		return do(ctx, cl, no, args)
	})
	cred.bind(c.Flags())
	c.Flags().Var(&account, "account", "with the operator's token: whose webhooks (default: the operator's own)")
	return c
}

func (a *app) webhookAdd() *cobra.Command {
	var after seqFlag
	c := a.onHooks("add URL", "Make a webhook, and show its secret this once", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
		got, err := cl.AddWebhook(ctx, no, args[0], after.seq)
		if err != nil {
			return err
		}
		return a.print(got, "webhook %s\nsecret  %s", plain(got.Webhook), plain(got.Secret))
	})
	c.Flags().Var(&after, "after", "begin behind the entry of this seq (default: with what comes from now on; 0: with the first)")
	return c
}

func (a *app) webhookList() *cobra.Command {
	return a.onHooks("list", "Show the webhooks and how they do", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		all, err := cl.Webhooks(ctx, no)
		if err != nil {
			return err
		}
		var text []string
		for _, w := range all {
			text = append(text, webhookText(w))
		}
		if len(all) == 0 {
			text = append(text, "no webhooks")
		}
		return a.print(map[string]any{"webhooks": all}, "%s", strings.Join(text, "\n"))
	})
}

func webhookText(w client.Webhook) string {
	s := fmt.Sprintf("%s %s: up to %d", plain(w.Webhook), plain(w.URL), w.Cursor)
	if w.Attempts > 0 {
		s += fmt.Sprintf("; %d attempts failed (%s), the next at %s", w.Attempts, plain(w.Error), time.UnixMilli(w.NextAttempt).UTC().Format(time.RFC3339))
	}
	if w.Parked > 0 {
		s += fmt.Sprintf("; %d parked", w.Parked)
	}
	if w.Disabled != "" {
		s += "; DISABLED: " + plain(w.Disabled)
	}
	return s
}

func (a *app) webhookRemove() *cobra.Command {
	return a.onHooks("remove WEBHOOK", "End a webhook", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
		if err := webhookID(args[0]); err != nil {
			return err
		}
		if err := cl.RemoveWebhook(ctx, no, args[0]); err != nil {
			return err
		}
		return a.print(map[string]string{"webhook": args[0]}, "removed %s", args[0])
	})
}

func (a *app) webhookRotate() *cobra.Command {
	return a.onHooks("rotate WEBHOOK", "Give a webhook a new secret; the old one signs as well for a day", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
			if err := webhookID(args[0]); err != nil {
				return err
			}
			got, err := cl.RotateWebhook(ctx, no, args[0])
			if err != nil {
				return err
			}
			return a.print(got, "webhook %s\nsecret  %s", plain(got.Webhook), plain(got.Secret))
		})
}

func (a *app) webhookReplay() *cobra.Command {
	var after seqFlag
	var delivery string
	c := a.onHooks("replay WEBHOOK", "Send again, and enable: all parked deliveries, one, or everything behind an entry", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
			if err := webhookID(args[0]); err != nil {
				return err
			}
			if after.seq != nil && delivery != "" {
				return usage("--after and --delivery: give one")
			}
			got, err := cl.ReplayWebhook(ctx, no, args[0], after.seq, delivery)
			if err != nil {
				return err
			}
			return a.print(got, "%s", webhookText(got))
		})
	c.Flags().Var(&after, "after", "go on behind the entry of this seq, whatever has arrived already (0: from the first)")
	c.Flags().StringVar(&delivery, "delivery", "", "the parked delivery to send again (default: all of them)")
	return c
}

func (a *app) webhookParked() *cobra.Command {
	return a.onHooks("parked WEBHOOK", "Show the deliveries that did not arrive in time", cobra.ExactArgs(1),
		func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
			if err := webhookID(args[0]); err != nil {
				return err
			}
			all, err := cl.ParkedDeliveries(ctx, no, args[0])
			if err != nil {
				return err
			}
			var text []string
			for _, p := range all {
				text = append(text, fmt.Sprintf("%s: entries %d to %d, parked at %s: %s", plain(p.Delivery), p.First, p.Last,
					time.UnixMilli(p.At).UTC().Format(time.RFC3339), plain(p.Error)))
			}
			if len(all) == 0 {
				text = append(text, "no parked deliveries")
			}
			return a.print(map[string]any{"parked": all}, "%s", strings.Join(text, "\n"))
		})
}

// webhookID refuses what would be another path in the hub's URL.
func webhookID(s string) error {
	rest, ok := strings.CutPrefix(s, "wh_")
	if !ok || rest == "" || strings.Trim(rest, "0123456789abcdef") != "" {
		return usage("%q is not a webhook: want wh_ and hexadecimal digits", s)
	}
	return nil
}
