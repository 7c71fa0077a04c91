package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/report"
	"github.com/millrace/millrace/bench/scenario"
)

// newBenchKneeCommand is `millrace bench knee`.
func newBenchKneeCommand() *cobra.Command {
	var target, dir, out string
	var crowd crowdFlags
	var objectives []string
	search := generator.Search{From: 100, Most: 1_000_000, Step: 5 * time.Second, Precision: 0.05}
	c := &cobra.Command{
		Use:   "knee SCENARIO",
		Short: "the highest rate at which an objective holds",
		Long: "Sends a scenario's requests in an open loop, doubles the rate until an objective does not hold any more, and halves what lies between. A rate\n" +
			"at which it does not hold is tried once more, and counts as one at which it does if it does then. Ends with exit code 7 when it holds at no rate,\n" +
			"or the books do not agree; Ctrl-C ends it with what was found so far, and exit code 130.\n" +
			"An objective is written as a scenario's thresholds are; the measures: " + strings.Join(scenario.Measures(), ", ") + ".",
		Example: "  millrace bench knee tips --objective 'p99 < 20ms' --out knee",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenario.Load(args[0])
			if err != nil {
				return usage("%w", err)
			}
			for _, text := range objectives {
				var t scenario.Threshold
				if err := t.UnmarshalText([]byte(text)); err != nil {
					return usage("objective: %w", err)
				}
				search.Objective = append(search.Objective, t)
			}
			if err := search.Validate(); err != nil {
				return usage("%w", err)
			}
			search.Tried = func(t generator.Tried) { triedLine(cmd.ErrOrStderr(), t) }
			cfg := bench.Config{Dir: dir, Progress: cmd.ErrOrStderr(), Serve: serveBench, ServeNoop: serveNoop, Command: itself}
			if err := crowd.set(&cfg); err != nil {
				return err
			}
			k, err := bench.FindKnee(cmd.Context(), cfg, s, target, search)
			if errors.Is(err, bench.ErrTarget) {
				return usage("%w", err)
			}
			if k == nil {
				return err
			}
			if out != "" {
				err = errors.Join(err, kneeFolder(cmd, out, dir, s, objectives, k))
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				if err == nil {
					err = kneeFailed(objectives, k)
				}
				if err != nil {
					err = printed{err}
				}
				return errors.Join(err, json.NewEncoder(cmd.OutOrStdout()).Encode(k))
			}
			err = errors.Join(err, kneeText(cmd.OutOrStdout(), s, objectives, k))
			if err == nil {
				err = kneeFailed(objectives, k)
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&target, "target", "millrace", "payment system: "+strings.Join(bench.Targets(), ", "))
	f.StringArrayVar(&objectives, "objective", []string{"p99 < 50ms"}, "what has to hold (may be repeated)")
	f.Float64Var(&search.From, "from", search.From, "requests a second to begin with")
	f.Float64Var(&search.Most, "most", search.Most, "requests a second beyond which nobody looks")
	f.DurationVar(&search.Step, "step", search.Step, "how long each rate is held")
	f.Float64Var(&search.Precision, "precision", search.Precision, "part of the rate to which it is looked for")
	f.StringVar(&dir, "dir", "", "folder for the temporary data, best on the disk that a hub would use (default the system's)")
	f.StringVar(&out, "out", "", "folder for the report: "+report.DocumentFile+", "+report.StepsFile+", "+report.MarkdownFile+" and a plot of the latency at each rate")
	crowd.add(c)
	return c
}

// kneeFolder writes what was found into a folder.
func kneeFolder(cmd *cobra.Command, out, dir string, s *scenario.Scenario, objectives []string, k *generator.Knee) error {
	var found strings.Builder
	if err := kneeText(&found, s, objectives, k); err != nil {
		return err
	}
	r := &report.Knee{Machine: report.ThisMachine(dir), Scenario: s, Target: k.Last.Target, Objectives: objectives, Found: found.String(), Knee: k}
	r.Machine.Millrace = buildVersion()
	if err := r.WriteFolder(out); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "report in %s\n", filepath.Join(out, report.MarkdownFile))
	return nil
}

// kneeFailed is why a search that came to its end has not found what was looked for, or somebody has ended it.
func kneeFailed(objectives []string, k *generator.Knee) error {
	switch v := k.Last.Verdict; {
	case len(v.Lies) > 0:
		return fmt.Errorf("%w: %s", bench.ErrFailed, strings.Join(v.Lies, "; "))
	case k.Stopped:
		return bench.ErrStopped
	case !v.Agree:
		return fmt.Errorf("%w: the books could not be verified: %s", bench.ErrFailed, v.Unverified)
	case k.Rate == 0:
		return fmt.Errorf("%w: %s holds at no rate that was tried, down to %.0f requests/s", bench.ErrFailed, strings.Join(objectives, " and "), k.Above)
	}
	return nil
}

func triedLine(w io.Writer, t generator.Tried) {
	word := "holds"
	if !t.Holds {
		word = strings.Join(t.Why, "; ")
	}
	if t.Again {
		word = "tried again: " + word
	}
	fmt.Fprintf(w, "%9.0f requests/s  p50 %8.2f  p99 %8.2f  max %8.2f ms  %s\n", t.Asked, t.Wait.P50, t.Wait.P99, t.Wait.Max, word)
}

func kneeText(w io.Writer, s *scenario.Scenario, objectives []string, k *generator.Knee) (err error) {
	held := strings.Join(objectives, " and ")
	switch {
	case k.Stopped && k.Rate == 0:
		_, err = fmt.Fprintf(w, "%s against %s: stopped before %s held at any rate\n", s.Name, k.Last.Target, held)
	case k.Stopped:
		_, err = fmt.Fprintf(w, "%s against %s: %s holds up to %.0f requests/s at least: the search was stopped\n", s.Name, k.Last.Target, held, k.Rate)
	case k.Rate == 0:
		_, err = fmt.Fprintf(w, "%s against %s: %s holds at no rate that was tried, down to %.0f requests/s\n", s.Name, k.Last.Target, held, k.Above)
	case k.Above == 0:
		_, err = fmt.Fprintf(w, "%s against %s: %s holds up to %.0f requests/s at least, the highest that was tried\n", s.Name, k.Last.Target, held, k.Rate)
	default:
		_, err = fmt.Fprintf(w, "%s against %s: %s holds up to %.0f requests/s, and no more at %.0f\n", s.Name, k.Last.Target, held, k.Rate, k.Above)
	}
	if err == nil && len(k.Limited) > 0 {
		_, err = fmt.Fprintf(w, "at %.0f requests/s it may be the generator's limit: %s\n", k.Above, strings.Join(k.Limited, "; "))
	}
	if err == nil && k.Last.Verdict.Agree {
		_, err = fmt.Fprintln(w, "verified: the books agree with what was acknowledged")
	}
	return err
}
