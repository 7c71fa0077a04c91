package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/plan"
)

// newBenchPlanCommand is `millrace bench plan`.
func newBenchPlanCommand() *cobra.Command {
	var need plan.Need
	var from, dir string
	var each time.Duration
	c := &cobra.Command{
		Use:   "plan",
		Short: "what machine and what disk a load needs, from what this machine does",
		Long: "Measures this machine for some two minutes, or takes what was measured before from a file, and prints the least machine for the\n" +
			"stated load (cores, memory, disk, syncs), with the model, its figures and how far it lies beside them. The first time, --measured FILE keeps the measurements for other plans.",
		Example: "  millrace bench plan --peak 100000 --batch 500 --accounts 2000000 --channels 5000000 --days 365 --measured here.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := bench.Config{Dir: dir, Progress: cmd.ErrOrStderr(), Serve: serveBench, ServeNoop: serveNoop, Command: itself}
			m, err := measured(cmd, cfg, from, each)
			if err != nil {
				return err
			}
			p, err := plan.Make(m, need)
			if err != nil {
				return usage("%w", err)
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(p)
			}
			return p.Write(cmd.OutOrStdout(), m)
		},
	}
	f := c.Flags()
	f.StringVar(&need.Kind, "kind", "advance", "payments: advance or transfer")
	f.Float64Var(&need.Peak, "peak", 0, "payments a second at the busiest time")
	f.Float64Var(&need.Mean, "mean", 0, "payments a second over the day (default a third of the peak)")
	f.IntVar(&need.Batch, "batch", 1, "payments in a request")
	f.IntVar(&need.Accounts, "accounts", 100_000, "accounts")
	f.IntVar(&need.Channels, "channels", 0, "channels")
	f.Float64Var(&need.Days, "days", 365, "days for which the log is kept")
	f.Float64Var(&need.Use, "use", 0.6, "part of the cores that a peak may take")
	f.StringVar(&from, "measured", "", "file with the measurements: read if it is there, or else written")
	f.DurationVar(&each, "each", 4*time.Second, "how long each load is measured")
	f.StringVar(&dir, "dir", "", "folder for the temporary data, best on the disk that a hub would use (default the system's)")
	return c
}

// measured are the measurements of a file, or those that are made now and written to it.
func measured(cmd *cobra.Command, cfg bench.Config, file string, each time.Duration) (*plan.Measured, error) {
	if file != "" {
		text, err := readSmall(file)
		if err == nil {
			m := &plan.Measured{}
			if err := json.Unmarshal(text, m); err != nil {
				return nil, usage("%s: %w", file, err)
			}
			return m, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, usage("%w", err)
		}
	}
	m, err := bench.Measure(cmd.Context(), cfg, bench.Sizing{Each: each})
	if err != nil || file == "" {
		return m, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("keeping the measurements: %w", err)
	}
	return m, nil
}
