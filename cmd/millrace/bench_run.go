package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/report"
	"github.com/millrace/millrace/bench/scenario"
)

// newBenchRunCommand is `millrace bench run`.
func newBenchRunCommand() *cobra.Command {
	var dir, tokenFile string
	var targets []string
	var rounds int
	var duration time.Duration
	var crowd crowdFlags
	var to reportFolders
	c := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "put a payment system under a load, and hold its books against what it acknowledged",
		Long: "Runs a scenario: one that comes with the program (" + strings.Join(scenario.Shipped(), ", ") + "), or a TOML file. Ends with exit code 7\n" +
			"when a threshold does not hold or the books do not agree. Ctrl-C ends it early, with the report so far and exit code 130, or 7 where the books\n" +
			"so far do not agree; another Ctrl-C ends it at once, and leaves its folder in --dir.\n" +
			"With --agent, other machines make the load: all begin within 50 ms, or there is no result. An agent that is lost ends it; see millrace bench agent.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenario.Load(args[0])
			if err != nil {
				return usage("%w", err)
			}
			if rounds < 1 {
				return usage("--rounds: %d; want one at least", rounds)
			}
			if cmd.Flags().Changed("duration") {
				if s.Duration.Duration = duration; s.Arrival.Loop == scenario.Open {
					return usage("--duration: the stages of an open loop say how long it is")
				}
				if err := s.Validate(); err != nil {
					return usage("--duration: %w", err)
				}
			}
			live := report.NewLive(cmd.ErrOrStderr(), s, rounds*len(targets))
			cfg := bench.Config{Dir: dir, Progress: live, Turn: live.Turn, Serve: serveBench, ServeNoop: serveNoop, Command: itself}
			if err := crowd.set(&cfg); err != nil {
				return err
			}
			if tokenFile != "" {
				if cfg.Operator, err = readToken(cmd.Context(), tokenFile); err != nil {
					return err
				}
			}
			o, err := bench.Versus(cmd.Context(), cfg, s, targets, rounds, live.Interval)
			err = errors.Join(err, live.Close())
			if errors.Is(err, bench.ErrTarget) || errors.Is(err, scenario.ErrScenario) {
				return usage("%w", err)
			}
			if o == nil || len(o.Results) == 0 {
				return err
			}
			r := report.New(report.ThisMachine(dir), o.Targets, o.Results)
			r.Machine.Millrace = buildVersion()
			switch {
			case err != nil:
			case cmd.Context().Err() != nil && !o.Lied(): // what was measured says nothing about the whole
				err = bench.ErrStopped
			case !r.Passed():
				err = fmt.Errorf("%w: %s", bench.ErrFailed, strings.Join(r.Failures(), "; "))
			}
			return errors.Join(to.write(cmd, r), shown(cmd, r, err))
		},
	}
	c.Flags().StringSliceVar(&targets, "target", []string{"millrace"}, "payment system (may be repeated; the first is held against each other one): "+strings.Join(bench.Targets(), ", "))
	c.Flags().StringVar(&tokenFile, "operator-token-file", "", "file with the operator's token of a development hub that is there already (--target millrace=http://host:port)")
	crowd.add(c)
	c.Flags().DurationVar(&duration, "duration", 0, "how long is measured, of a closed loop (default the scenario's)")
	c.Flags().IntVar(&rounds, "rounds", 1, "runs of each target, taking turns")
	c.Flags().StringVar(&dir, "dir", "", "folder for the temporary data, best on the disk that a hub would use (default the system's)")
	to.flags(c)
	return c
}

// shown prints a report on stdout, and returns why it failed, if it did. In the JSON that stands already.
func shown(cmd *cobra.Command, r *report.Report, failed error) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		if failed != nil {
			failed = printed{failed}
		}
		return errors.Join(failed, r.Write(cmd.OutOrStdout()))
	}
	return errors.Join(failed, r.WriteText(cmd.OutOrStdout()))
}
