// Regtest runs a whole Millrace on this machine to try things on: btcd, three lnd with channels between them, and a hub that is
// attached to one of them. make regtest starts it in the background, make regtest-stop ends it; the README says more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/millrace/millrace/deploy/regtest/network"
)

const usage = `usage: regtest start | stop | show | run  [flags]

start  the network in the background, and a hub; returns when they are ready
stop   all of it
show   what start printed
run    the same as start in the foreground

`

// settings are what the flags say.
type settings struct {
	dir      string // with everything
	nodes    string // with the programs btcd, lnd, btcctl and lncli
	millrace string // the program; empty: no hub
	listen   string // of the hub
	port     int    // the first of the network's
	every    time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "regtest:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("what to do?")
	}
	s, err := parse(args[1:])
	if err != nil {
		return err
	}
	switch args[0] {
	case "start":
		return start(ctx, s, args[1:])
	case "run":
		return run(ctx, s, os.Stdout)
	case "stop":
		return stop(ctx, s)
	case "show":
		return show(s)
	}
	return fmt.Errorf("%q is not one of start, stop, show and run", args[0])
}

func parse(args []string) (s settings, err error) {
	flags := flag.NewFlagSet("regtest", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&s.dir, "dir", "regtest-data", "folder with everything that is written; one of before goes on where it stopped")
	flags.StringVar(&s.nodes, "nodes", "", "folder with the nodes' programs (empty: MILLRACE_NODES, or bin/nodes)")
	flags.StringVar(&s.millrace, "millrace", "bin/millrace", "the hub's program (empty: no hub)")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8402", "host:port of the hub's API")
	flags.IntVar(&s.port, "port", 14400, "first of 16 ports on loopback for the nodes (0: some that are free)")
	flags.DurationVar(&s.every, "block-every", time.Minute, "time between blocks (0: only those that are asked for)")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("%q is too much", flags.Arg(0))
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return s, fmt.Errorf("the folder: %w", err)
	}
	if s.millrace != "" {
		if s.millrace, err = filepath.Abs(s.millrace); err != nil {
			return s, fmt.Errorf("the hub's program: %w", err)
		}
	}
	return s, nil
}

// built says what is missing of the programs.
func (s settings) built() error {
	if _, err := network.Programs(s.nodes); err != nil {
		return err
	}
	if s.millrace != "" {
		if _, err := os.Stat(s.millrace); err != nil {
			return fmt.Errorf("the hub is not built: run make build (%w)", err)
		}
	}
	return nil
}
