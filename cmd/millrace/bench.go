package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/api"
)

// benchFlags are those that do not stand in bench.Config as they are.
type benchFlags struct {
	quick      bool
	rounds     int
	seconds    float64
	dir        string
	cases      []string
	repeats    int
	cpuprofile string
	long       bool
	accounts   int
	channels   int
	entries    uint64
	base       uint64
	keep       string
	pace       int
	payees     int
	payouts    int
	checkpoint int64
}

// newBenchCommand is `millrace bench`.
func newBenchCommand() *cobra.Command {
	var f benchFlags
	usual, long := bench.Names()
	c := &cobra.Command{
		Use:   "bench",
		Short: "measure this machine and the hub on it, each case beside its limit",
		Long: "Measures the hub in-process and over loopback, each case in turns with its own limit, and checks the ledger after\n" +
			"each. Data lies in a temporary folder that is removed at the end. The cases: " + strings.Join(usual, ", ") + "; and,\n" +
			"with --long or by their names: " + strings.Join(long, ", ") + ".",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	c.AddCommand(newBenchRunCommand(), newBenchKneeCommand(), newBenchPlanCommand(), newBenchAgentCommand(), newBenchHubCommand(),
		newBenchReportCommand(), newBenchCompareCommand())
	c.Flags().BoolVar(&f.quick, "quick", false, "less than a minute, and less exact")
	c.Flags().StringSliceVar(&f.cases, "case", nil, "only this case (may be repeated)")
	c.Flags().StringVar(&f.dir, "dir", "", "folder for the temporary data, best on the disk that a hub would use (default the system's)")
	c.Flags().IntVar(&f.rounds, "rounds", 0, "rounds of each case (default 5, quick 3)")
	c.Flags().Float64Var(&f.seconds, "seconds", 0, "length of a case's round, its limits take half each (default 4, quick 1.2)")
	c.Flags().IntVar(&f.repeats, "repeats", 0, "in a hundred unlocks, those of what is owned already")
	c.Flags().StringVar(&f.cpuprofile, "cpuprofile", "", "write a CPU profile of the last round of the last case to this file")
	c.Flags().BoolVar(&f.long, "long", false, "the cases of what time and size do to a hub, and no others")
	c.Flags().IntVar(&f.accounts, "accounts", 0, "accounts of the cases in-process, of startup and of netting, and as many channels (default 1048576, quick 100000)")
	c.Flags().IntVar(&f.channels, "channels", 0, "channels that HTTP batches pay through (default 100000)")
	c.Flags().Uint64Var(&f.entries, "entries", 0, "entries of the log of scale, startup, history and receipt (default 20000000, quick 3000000)")
	c.Flags().Uint64Var(&f.base, "base", 0, "entries of the log that scale is compared with (default 10000000, quick 1500000)")
	c.Flags().StringVar(&f.keep, "keep", "", "folder with the hub of the long cases but sustained: made or taken up again, and left behind")
	c.Flags().IntVar(&f.pace, "pace", 0, "payments a second beside the readers of history and receipt, at most (default as many as go)")
	c.Flags().IntVar(&f.payees, "payees", 0, "payees of payouts-chain and settling (default 10000, quick 2000)")
	c.Flags().IntVar(&f.payouts, "payouts", 0, "payouts of payouts-lightning in a round (default 500, quick 100)")
	c.Flags().Int64Var(&f.checkpoint, "checkpoint-bytes", 0, "bytes of blocks between checkpoints (default 268435456)")
	return c
}

func (f *benchFlags) config() bench.Config {
	cfg := bench.Config{}
	if f.quick {
		cfg = bench.Quick()
	}
	if f.rounds != 0 {
		cfg.Rounds = f.rounds
	}
	if f.seconds != 0 {
		cfg.Round = time.Duration(f.seconds * float64(time.Second))
	}
	if f.accounts != 0 {
		cfg.Accounts = f.accounts
	}
	if f.entries != 0 {
		cfg.Entries = f.entries
	}
	if f.base != 0 {
		cfg.Base = f.base
	}
	if f.payees != 0 {
		cfg.Payees = f.payees
	}
	if f.payouts != 0 {
		cfg.Payouts = f.payouts
	}
	cfg.Dir, cfg.Cases, cfg.Repeats, cfg.Channels, cfg.Keep, cfg.SnapshotEvery, cfg.Pace = f.dir, f.cases, f.repeats, f.channels, f.keep, f.checkpoint, f.pace
	if _, long := bench.Names(); f.long {
		cfg.Cases = long
	}
	cfg.Serve, cfg.ServeNoop, cfg.Command = serveBench, serveNoop, itself
	return cfg
}

// itself is this program with other arguments, in a process of its own. Settings in the environment are not for it.
func itself(args ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MILLRACE_") {
			c.Env = append(c.Env, v)
		}
	}
	return c
}

// run prints what was measured even when a case failed; --json is the flag of all verbs.
func (f *benchFlags) run(cmd *cobra.Command) (err error) {
	cfg := f.config()
	cfg.Progress = cmd.ErrOrStderr()
	if err := cfg.Validate(); err != nil {
		return usage("%w", err)
	}
	if f.cpuprofile != "" {
		file, err := os.Create(f.cpuprofile)
		if err != nil {
			return usage("profile: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		cfg.Around = func() func() { return profile(cmd, file) }
	}
	results, err := bench.Run(cmd.Context(), cfg)
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		if err != nil {
			err = printed{err}
		}
		return errors.Join(err, bench.WriteJSON(cmd.OutOrStdout(), results))
	}
	return errors.Join(err, bench.WriteTable(cmd.OutOrStdout(), results))
}

// profile begins a CPU profile in the place of what the file holds.
func profile(cmd *cobra.Command, file *os.File) (stop func()) {
	_, err := file.Seek(0, io.SeekStart)
	if err = errors.Join(err, file.Truncate(0)); err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		cmd.PrintErrln("no profile:", err)
		return func() {}
	}
	return pprof.StopCPUProfile
}

// benchShutdown bounds the end of a server whose clients have hung up.
const benchShutdown = 10 * time.Second

// serveBench answers the API for a hub at an address.
func serveBench(h *hub.Hub, listen string) (string, func() error, error) {
	server, err := api.New(api.Config{Hub: h})
	if err != nil {
		return "", nil, err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return "", nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	return ln.Addr().String(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), benchShutdown)
		defer cancel()
		return errors.Join(server.Shutdown(ctx), <-ended)
	}, nil
}

// serveNoop is the same server with a handler that does nothing.
func serveNoop() (string, func() error, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- api.ServeNoop(ln) }()
	return ln.Addr().String(), func() error {
		err := ln.Close()
		<-ended // it ends because the listener is closed
		return err
	}, nil
}
