package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// maxPaymentsFile bounds a file of payments, as the hub does.
const maxPaymentsFile = 8 << 20

func (a *app) settleCommand() *cobra.Command {
	c := a.noun("settle", "Pay accounts what they have earned", a.settlePayee(), a.settlePlan(), a.settleRun(), a.settleRuns(), a.settleShow(),
		a.settleVerb("approve", "Approve a run; two operators, told apart by their tokens, must where the rules say so"),
		a.settleVerb("pause", "Have a run begin nothing more"), a.settleVerb("resume", "Have a paused run go on"),
		a.settleVerb("cancel", "Drop what a run has not begun"), a.settleRules(), a.settleImport(), a.settleResult())
	c.Long = "An account says by settle payee where its money goes by itself, and when. The operator sees by settle plan what is due, and pays it\n" +
		"by settle run; by schedule it is paid without him. An exchange has a file of payments paid out of its account by settle import."
	return c
}

// errFileRefused is of a file of payments in which something is wrong: nothing of it is paid.
var errFileRefused = errors.New("the file was not accepted")

// asClient is a verb that speaks to the hub.
func (a *app) asClient(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error) *cobra.Command {
	var cred credentials
	c := a.verb(use, short, args, func(ctx context.Context, args []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		return do(ctx, cl, no, args)
	})
	cred.bind(c.Flags())
	return c
}

func (a *app) settlePayee() *cobra.Command {
	var s client.SettlementSettings
	var threshold, reserve, balance msatFlag
	var set bool
	c := a.asClient("payee", "Show how the account is settled, or with --set change all of it", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		var got client.Settlement
		var err error
		if set {
			s.ThresholdMsat, s.ReserveMsat, s.Schedule.BalanceMsat = ledger.Msat(threshold), ledger.Msat(reserve), ledger.Msat(balance)
			got, err = cl.SetSettlement(ctx, no, s)
		} else {
			got, err = cl.Settlement(ctx, no)
		}
		if err != nil {
			return err
		}
		return a.print(got, "%s", payeeText(got))
	})
	f := c.Flags()
	f.BoolVar(&set, "set", false, "replace all settings by these")
	f.StringVar(&s.Lightning, "lightning", "", "a node's public key, a lightning address or an LNURL")
	f.StringVar(&s.Address, "address", "", "an on-chain address")
	f.StringVar(&s.Internal, "internal", "", "another account of the hub, in place of both")
	f.StringVar(&s.Prefer, "prefer", "", "cheapest, lightning or chain")
	f.Var(&threshold, "threshold-msat", "pay nothing before so much is due")
	f.Var(&reserve, "reserve-msat", "leave so much on the account")
	f.Uint16Var(&s.Schedule.EveryMinutes, "every-minutes", 0, "schedule: every so many minutes")
	f.StringVar(&s.Schedule.Daily, "daily", "", "schedule: each day at this time, 06:30 (UTC)")
	f.StringVar(&s.Schedule.Weekly, "weekly", "", "schedule: each week, \"monday 06:30\" (UTC)")
	f.Var(&balance, "at-balance-msat", "schedule: as soon as so much is due")
	f.Uint32Var(&s.MaxFeePPM, "max-fee-ppm", 0, "what a payment may cost, in parts per million")
	f.BoolVar(&s.Paused, "paused", false, "do not settle for now")
	return c
}

func payeeText(p client.Settlement) string {
	to := strings.Join(slices.DeleteFunc([]string{p.Lightning, p.Address, p.Internal}, func(s string) bool { return s == "" }), ", ")
	if to == "" {
		to = "nowhere: it is not settled"
	}
	return fmt.Sprintf("%s to %s; %s; threshold %d msat, reserve %d msat", plain(p.Account), plain(to), scheduleText(p), p.ThresholdMsat, p.ReserveMsat)
}

func scheduleText(p client.Settlement) string {
	switch s := p.Schedule; {
	case p.Paused:
		return "paused"
	case s.EveryMinutes != 0:
		return fmt.Sprintf("every %d minutes", s.EveryMinutes)
	case s.Daily != "":
		return "each day at " + plain(s.Daily) + " UTC"
	case s.Weekly != "":
		return "each week, " + plain(s.Weekly) + " UTC"
	case s.BalanceMsat != 0:
		return fmt.Sprintf("as soon as %d msat are due", s.BalanceMsat)
	}
	return "without a schedule, by an operator's runs"
}

func (a *app) settlePlan() *cobra.Command {
	return a.asClient("plan", "Show what a run would pay now", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		p, err := cl.Plan(ctx)
		if err != nil {
			return err
		}
		text := []string{fmt.Sprintf("%d payments of %d msat, fees up to %d msat", p.Total.Count, p.Total.AmountMsat, p.FeeLimitMsat)}
		text = append(text, tallies(p.ByRail)...)
		text = append(text, "not due:")
		text = append(text, tallies(p.NotDue)...)
		return a.print(p, "%s", strings.Join(text, "\n"))
	})
}

func tallies(all map[string]client.Tally) (text []string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text = append(text, fmt.Sprintf("  %s: %d, %d msat", plain(name), all[name].Count, all[name].AmountMsat))
	}
	return text
}

func (a *app) settleRun() *cobra.Command {
	var hold bool
	c := a.asClient("run", "Pay what is due now", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		r, err := cl.StartRun(ctx, hold)
		if err != nil {
			return err
		}
		return a.print(r, "%s", runText(r))
	})
	c.Flags().BoolVar(&hold, "hold", false, "wait until operators approve it")
	return c
}

func runText(r client.Run) string {
	s := fmt.Sprintf("%s %s, %s by %s: %d payments of %d msat", clock(r.Made), plain(r.ID), plain(r.State), plain(r.Cause), r.Items, r.PlannedMsat)
	if r.State == "created" {
		s += fmt.Sprintf(", %d of %d approvals", len(r.Approvals), r.Needs)
	}
	if r.Waits != "" {
		s += "; it waits: " + plain(r.Waits)
	}
	if p := r.Report; p != nil {
		s += fmt.Sprintf("; paid %d of %d msat with fees of %d msat, failed %d, skipped %d", p.Paid.Count, p.Paid.AmountMsat, p.FeesMsat, p.Failed.Count, p.Skipped.Count)
	}
	return s
}

func (a *app) settleRuns() *cobra.Command {
	return a.asClient("runs", "Show the newest runs", cobra.NoArgs, func(ctx context.Context, cl *client.Client, no ledger.AccountNo, _ []string) error {
		list, err := cl.Runs(ctx, 100)
		if err != nil {
			return err
		}
		var text []string
		for _, r := range list {
			text = append(text, runText(r))
		}
		if text == nil {
			text = []string{"no runs"}
		}
		return a.print(map[string]any{"runs": list}, "%s", strings.Join(text, "\n"))
	})
}

func (a *app) settleShow() *cobra.Command {
	return a.asClient("show RUN", "Show a run and its payments", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) error {
		r, err := cl.Run(ctx, args[0])
		if err != nil {
			return err
		}
		items, err := cl.RunItems(ctx, args[0], 0, 1000)
		if err != nil {
			return err
		}
		text := []string{runText(r)}
		for _, i := range items {
			line := fmt.Sprintf("  %d %s: %d msat %s, %s", i.Number, plain(i.Account), i.AmountMsat, plain(i.Rail), plain(i.Stage))
			if i.Reason != "" {
				line += ": " + plain(i.Reason)
			}
			text = append(text, line)
		}
		return a.print(map[string]any{"run": r, "items": items}, "%s", strings.Join(text, "\n"))
	})
}

func (a *app) settleVerb(verb, short string) *cobra.Command {
	return a.asClient(verb+" RUN", short, cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, args []string) error {
		r, err := cl.OnRun(ctx, args[0], verb)
		if err != nil {
			return err
		}
		return a.print(r, "%s", runText(r))
	})
}

func (a *app) settleRules() *cobra.Command {
	var set []string
	c := a.asClient("rules", "Show caps and limits, or with --set change some", cobra.NoArgs, func(ctx context.Context, cl *client.Client, _ ledger.AccountNo, _ []string) error {
		rules, err := cl.Rules(ctx)
		if err != nil {
			return err
		}
		for _, s := range set {
			name, value, _ := strings.Cut(s, "=")
			var n uint64
			if _, err := fmt.Sscanf(value, "%d", &n); err != nil {
				return usage("--set %q: want NAME=NUMBER", s)
			}
			rules[name] = n
		}
		if set != nil {
			if rules, err = cl.SetRules(ctx, rules); err != nil {
				return err
			}
		}
		var text []string
		for _, name := range slices.Sorted(maps.Keys(rules)) {
			text = append(text, fmt.Sprintf("%s = %d", plain(name), rules[name]))
		}
		if text == nil {
			text = []string{"no caps"}
		}
		return a.print(rules, "%s", strings.Join(text, "\n"))
	})
	c.Flags().StringArrayVar(&set, "set", nil, "NAME=NUMBER, for example max_payout_msat=1000000000; 0 takes a cap away")
	return c
}

func (a *app) settleImport() *cobra.Command {
	var u client.Upload
	c := a.asClient("import FILE", "Have a file of payments paid out of the account", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) (err error) {
		if u.Body, err = readPayments(args[0]); err != nil {
			return err
		}
		got, err := cl.Import(ctx, no, u)
		if err != nil {
			return err
		}
		text := []string{fmt.Sprintf("accepted: %v; %d msat, fees up to %d msat", got.Accepted, got.TotalMsat, got.FeeLimitMsat)}
		for _, p := range got.Problems {
			text = append(text, fmt.Sprintf("  line %d: %s", p.Line, plain(p.Text)))
		}
		if got.Run != nil {
			text = append(text, runText(*got.Run))
		}
		if err := a.print(got, "%s", strings.Join(text, "\n")); err != nil || got.Accepted {
			return err
		}
		return printed{errFileRefused}
	})
	f := c.Flags()
	f.StringVar(&u.Format, "format", "csv", "csv, ndjson or pain.001")
	f.StringVar(&u.ID, "id", "", "what makes it one import (default: what is in the file, or its hash)")
	f.StringVar(&u.Name, "name", "", "for people")
	f.BoolVar(&u.DryRun, "dry-run", false, "only check it")
	f.BoolVar(&u.SkipInvalid, "skip-invalid", false, "pay sound lines where others are wrong")
	f.Uint32Var(&u.MaxFeePPM, "max-fee-ppm", 0, "what a payment may cost, in parts per million (default: the house's limit)")
	return c
}

func readPayments(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usage("%w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPaymentsFile+1))
	if err == nil && (len(b) == 0 || len(b) > maxPaymentsFile) {
		err = usage("%s: want 1 to %d bytes", path, maxPaymentsFile)
	}
	return b, err
}

func (a *app) settleResult() *cobra.Command {
	var format string
	c := a.asClient("result RUN", "Write what became of a run or an import to standard output", cobra.ExactArgs(1), func(ctx context.Context, cl *client.Client, no ledger.AccountNo, args []string) (err error) {
		var text []byte
		if no == 0 {
			text, err = cl.RunResult(ctx, args[0], format)
		} else {
			text, err = cl.ImportResult(ctx, no, args[0], format)
		}
		if err != nil {
			return err
		}
		if a.json {
			return a.print(map[string]string{"result": string(text)}, "")
		}
		_, err = a.out.Write(text)
		return err
	})
	c.Flags().StringVar(&format, "format", "csv", "csv, pain.002 or camt.054")
	return c
}
