package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/rates"
	"github.com/spf13/cobra"
)

func (a *app) rateCommand() *cobra.Command {
	return a.noun("rate", "What currencies cost at the hub, for prices in them", a.rateList(), a.rateSet(), a.rateSources())
}

func (a *app) rateList() *cobra.Command {
	var cred credentials
	c := a.verb("list", "List the rates", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, err := cred.anonymous(a)
		if err != nil {
			return err
		}
		all, err := cl.Rates(ctx)
		if err != nil {
			return err
		}
		var text []string
		for _, r := range all {
			text = append(text, rateText(r))
		}
		if len(all) == 0 {
			text = []string{"there are none"}
		}
		return a.print(map[string][]client.Rate{"rates": all}, "%s", strings.Join(text, "\n"))
	})
	cred.bindHub(c.Flags())
	return c
}

func rateText(r client.Rate) string {
	until := time.UnixMilli(int64(r.ValidUntil)).UTC().Format(time.RFC3339)
	text := fmt.Sprintf("%s  %s for a bitcoin, %d msat for a million, until %s", plain(r.Currency), rates.PricePerBitcoin(r.MsatPerMillion), r.MsatPerMillion, until)
	if r.Stale {
		text += ": STALE, nothing is sold by it"
	}
	return text
}

// setter is the verb rate set.
type setter struct {
	cred  credentials
	file  string
	gives directionFlag
	valid time.Duration
}

// directionFlag says what a rate's number means.
type directionFlag rates.Direction

func (f *directionFlag) String() string     { return rates.Direction(*f).String() }
func (f *directionFlag) Type() string       { return "direction" }
func (f *directionFlag) Set(s string) error { return (*rates.Direction)(f).UnmarshalText([]byte(s)) }

func (a *app) rateSet() *cobra.Command {
	s := &setter{}
	c := a.verb("set [CURRENCY RATE]", "Set a rate by hand, or those of a file", cobra.MaximumNArgs(2), func(ctx context.Context, args []string) error {
		want, err := s.read(args)
		if err != nil {
			return err
		}
		cl, _, err := s.cred.client(a)
		if err != nil {
			return err
		}
		done := []client.Rate{}
		var text []string
		for _, code := range slices.SortedFunc(maps.Keys(want), func(a, b currency.Code) int { return strings.Compare(a.String(), b.String()) }) {
			got, err := cl.SetRate(ctx, client.NewRate{Currency: code.String(), MsatPerMillion: want[code], ValidUntil: time.Now().Add(s.valid).UnixMilli()})
			if err != nil {
				return fmt.Errorf("%v: %w", code, err)
			}
			done, text = append(done, got), append(text, rateText(got))
		}
		return a.print(map[string][]client.Rate{"rates": done}, "%s", strings.Join(text, "\n"))
	})
	c.Long = "Set has the hub price by a rate: `rate set EUR 65000.12` if a bitcoin costs 65,000.12 euros, or every line of --file, such as\n" +
		"\"EUR 65000.12\". Where the hub has sources for a currency (the table [rates] of its configuration), they go on from there: a rate\n" +
		"that they are held at, because it is far from the last, is confirmed in this way."
	f := c.Flags()
	s.cred.bind(f)
	f.StringVar(&s.file, "file", "", "a file of lines with a currency and its rate")
	f.Var(&s.gives, "gives", "what the number is: currency_per_btc, btc_per_currency or sat_per_currency")
	f.DurationVar(&s.valid, "valid", time.Hour, "how long it is priced by")
	return c
}

func (s *setter) read(args []string) (map[currency.Code]uint64, error) {
	gives := rates.Direction(s.gives)
	switch {
	case s.valid <= 0 || s.valid > rates.MaxValid:
		return nil, usage("--valid: want more than nothing and at most %v", rates.MaxValid)
	case s.file == "" && len(args) != 2, s.file != "" && len(args) != 0:
		return nil, usage("want a currency and its rate, or --file")
	case s.file != "":
		all, err := rates.ReadFile(s.file, gives)
		if err != nil {
			return nil, usage("%w", err)
		}
		return all, nil
	}
	code, err := currency.Parse(args[0])
	if err != nil {
		return nil, usage("%w", err)
	}
	msat, err := rates.Parse(args[1], gives)
	if err != nil {
		return nil, usage("%w", err)
	}
	return map[currency.Code]uint64{code: msat}, nil
}

func (a *app) rateSources() *cobra.Command {
	var cred credentials
	c := a.verb("sources", "Show how the hub's sources of rates do", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		all, err := cl.RateSources(ctx)
		if err != nil {
			return err
		}
		var text []string
		for _, s := range all.Sources {
			line := plain(s.Currency) + "  " + plain(s.Source) + ": "
			if s.MsatPerMillion == 0 {
				line += "nothing yet"
			} else {
				line += fmt.Sprintf("%s for a bitcoin, of %s", rates.PricePerBitcoin(s.MsatPerMillion), time.UnixMilli(s.Time).UTC().Format(time.RFC3339))
			}
			if s.MsatPerMillion != 0 && !s.Fresh {
				line += ", too old"
			}
			if s.Problem != "" {
				line += ": " + plain(s.Problem)
			}
			text = append(text, line)
		}
		for _, p := range all.Problems {
			text = append(text, plain(p.Currency)+"  no new rate: "+plain(p.Problem))
		}
		if len(text) == 0 {
			text = []string{"there are none"}
		}
		return a.print(all, "%s", strings.Join(text, "\n"))
	})
	cred.bind(c.Flags())
	return c
}
