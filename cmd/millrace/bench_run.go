package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// newBenchRunCommand is `millrace bench run`.
func newBenchRunCommand() *cobra.Command {
	var dir string
	var targets []string
	var rounds int
	var crowd crowdFlags
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "put a payment system under a load, and hold its books against what it acknowledged",
		Long: "Runs a scenario: one that comes with the program (" + strings.Join(scenario.Shipped(), ", ") + "), or a TOML file. Ends with exit code 7\n" +
			"when a threshold does not hold or the books do not agree. Ctrl-C ends it early, with the report so far.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenario.Load(args[0])
			if err != nil {
				return usage("%w", err)
			}
			cfg := bench.Config{Dir: dir, Progress: cmd.ErrOrStderr(), Serve: serveBench, ServeNoop: serveNoop, Command: itself}
			if err := crowd.set(&cfg); err != nil {
				return err
			}
			live := func(i generator.Interval) { liveLine(cmd.ErrOrStderr(), i) }
			o, err := bench.Versus(cmd.Context(), cfg, s, targets, rounds, live)
			if errors.Is(err, bench.ErrTarget) {
				return usage("%w", err)
			}
			if o == nil || len(o.Results) == 0 {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				err = errors.Join(err, e.Encode(o))
			} else {
				err = errors.Join(err, outcomeText(cmd.OutOrStdout(), o))
			}
			if err == nil && !o.Passed() {
				err = fmt.Errorf("%w: %s", bench.ErrFailed, strings.Join(o.Failures(), "; "))
			}
			return err
		},
	}
	c.Flags().StringSliceVar(&targets, "target", []string{"millrace"}, "payment system (may be repeated; the first is held against each other one): "+strings.Join(bench.Targets(), ", "))
	crowd.add(c)
	c.Flags().IntVar(&rounds, "rounds", 1, "runs of each target, taking turns")
	c.Flags().StringVar(&dir, "dir", "", "folder for the temporary data, best on the disk that a hub would use (default the system's)")
	return c
}

// liveLine is an interval, as it ends.
func liveLine(w io.Writer, i generator.Interval) {
	phase := fmt.Sprintf("%5.0f s", i.At)
	if i.At <= 0 {
		phase = "warm-up"
	}
	fmt.Fprintf(w, "%s  %10.0f ops/s  p50 %8.2f  p99 %8.2f  max %8.2f ms  generator %.2f, target %.2f cores", phase, float64(i.Ops)/max(i.Seconds, 1e-9), i.P50, i.P99, i.Max, i.CPU, i.System)
	if i.Errors+i.Refused+i.Dropped > 0 {
		fmt.Fprintf(w, "  errors %d, refused %d, dropped %d", i.Errors, i.Refused, i.Dropped)
	}
	fmt.Fprintln(w)
}

// outcomeText is all runs, and the ratios.
func outcomeText(w io.Writer, o *bench.Outcome) error {
	for _, r := range o.Results {
		if err := reportText(w, r); err != nil {
			return err
		}
	}
	for _, q := range o.Ratios {
		if _, err := fmt.Fprintln(w, q); err != nil {
			return err
		}
	}
	return nil
}

func reportText(w io.Writer, r *generator.Result) error {
	fmt.Fprintf(w, "%s against %s, %.1f s from %s\n", r.Scenario.Name, r.Target, r.Seconds, r.Began.Format(time.RFC3339))
	fmt.Fprintf(w, "  %.0f ops/s in %.0f requests/s\n", r.Rate, r.Requests)
	for _, q := range []struct {
		name string
		q    generator.Quantiles
	}{{"latency", r.Wait}, {"service", r.Service}, {"late", r.Late}} {
		if q.q.N > 0 {
			fmt.Fprintf(w, "  %-8s p50 %.2f  p90 %.2f  p99 %.2f  p999 %.2f  max %.2f ms of %d\n", q.name, q.q.P50, q.q.P90, q.q.P99, q.q.P999, q.q.Max, q.q.N)
		}
	}
	fmt.Fprintf(w, "  refused %d, failed %d ops; dropped %d requests; %d attempts without an answer, %d tried again, %d resolved afterwards\n",
		r.Counts.Refused, r.Counts.Failed, r.Counts.Dropped, r.Counts.Errors, r.Counts.Retried, r.Resolved)
	fmt.Fprintf(w, "  generator %.2f cores, %.3f us/op", r.Generator.Cores, r.Generator.PerOpCPU)
	if r.System != nil {
		fmt.Fprintf(w, "; target %.2f cores, %.3f us/op, %d MB, %.1f bytes of disk an op", r.System.Cores, r.System.PerOpCPU, r.System.Memory/1_000_000, r.System.PerOpDsk)
	}
	fmt.Fprintln(w)
	for _, s := range r.Saturated {
		fmt.Fprintf(w, "  saturated: %s\n", s)
	}
	if r.Verdict.Agree {
		fmt.Fprintln(w, "  verified: the books agree with what was acknowledged")
	}
	for _, f := range r.Failures() {
		fmt.Fprintf(w, "  FAILED: %s\n", f)
	}
	_, err := fmt.Fprintln(w)
	return err
}
