// Package bench measures a hub beside the limits of the machine that it runs on.
//
//	core                one goroutine applies blocks of advances in memory                      limit of the next
//	durable             clients submit batches of advances in-process, pebble with sync on      core; pebble alone
//	http-batch-binary   POST /v1/batches in binary                                              a handler that does nothing
//	http-batch-ndjson   POST /v1/batches in NDJSON                                              the same
//	http-transfer       POST /v1/transfers, one payment a request                               the same
//	http-unlock         POST /v1/contents/{id}/unlock, first purchases with their file keys     the same
//
// A figure alone says little on a machine that is shared or new, so a case and its limits take turns in rounds, and the
// ratio is taken within a round: what slows both cancels out. Generator and hub run in one process on the same cores; the
// generator's work is in every figure, the limits' included, which brings ratios nearer to one than a generator on another
// machine would.
//
// All loads are closed loops: a connection sends its next request when it has its answer. That is right here, since the
// question is how much gets through at a given number of callers; latencies are those of a hub that is fully busy, and say
// nothing about one that is not.
//
// Every answer is checked, and after each case the data folder is opened as a start would: the audit must hold, and the
// ledger must have exactly what the generator was told, account by account and channel by channel. A case that fails this
// has no figures.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/millrace/millrace/hub"
)

// Config says what to measure and how large. The zero value of a field is what is written behind it.
type Config struct {
	Dir    string        // where the temporary data folders are made; empty: os.TempDir()
	Cases  []string      // names of cases; empty: all
	Rounds int           // of each case; 0: 5
	Round  time.Duration // of a case in one round; its limits take a half each; 0: 4 s

	Accounts      int   // of core and durable, and as many channels; 0: 1,048,576
	Clients       int   // of durable; 0: 6
	Channels      int   // of the HTTP batches, rounded up to whole batches; 0: 100,000
	BatchOps      int   // ops of a batch; 0: hub.MaxBatchOps
	LineOps       int   // ops of a batch in NDJSON; 0: 1,000
	BatchConns    int   // connections that send batches; 0: 4
	Conns         int   // connections that send single payments; 0: 256
	Payers        int   // accounts that pay on each of these; 0: 16
	Contents      int   // on sale; 0: 1,000
	Repeats       int   // in a hundred unlocks, those of what is owned; 0: none
	SnapshotEvery int64 // bytes of blocks between two snapshots; 0: as the store does

	// Serve answers the API for a hub, on a free port of loopback.
	Serve func(h *hub.Hub) (addr string, stop func() error, err error)
	// ServeNoop is the same server with a handler that does nothing.
	ServeNoop func() (addr string, stop func() error, err error)

	Progress io.Writer // nil: nowhere
	// Around is called before each round of a case itself, and what it returns after it: for profiles. May be nil.
	Around func() (after func())
}

// Quick is a smaller measurement: less than a minute, and less exact.
func Quick() Config {
	return Config{Rounds: 3, Round: 1200 * time.Millisecond, Accounts: 100_000, Contents: 250}
}

// setDefaults fills in what is zero.
func (c *Config) setDefaults() {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	set(&c.Rounds, 5)
	set(&c.Accounts, 1<<20)
	set(&c.Clients, 6)
	set(&c.Channels, 100_000)
	set(&c.BatchOps, hub.MaxBatchOps)
	set(&c.LineOps, 1000)
	set(&c.BatchConns, 4)
	set(&c.Conns, 256)
	set(&c.Payers, 16)
	set(&c.Contents, 1000)
	if c.Round == 0 {
		c.Round = 4 * time.Second
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Around == nil {
		c.Around = func() func() { return func() {} }
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	if len(c.Cases) == 0 {
		c.Cases = Names()
	}
}

// Validate fills in what is zero, and names what is wrong.
func (c *Config) Validate() error {
	c.setDefaults()
	for _, n := range []int{c.Rounds, c.Accounts, c.Clients, c.Channels, c.BatchOps, c.LineOps, c.BatchConns, c.Conns, c.Payers, c.Contents} {
		if n < 0 {
			return fmt.Errorf("bench: a number is negative: %d", n)
		}
	}
	switch {
	case c.Round < 0:
		return fmt.Errorf("bench: a round of %v", c.Round)
	case c.BatchOps > hub.MaxBatchOps || c.LineOps > hub.MaxBatchOps:
		return fmt.Errorf("bench: batches of %d and %d ops: at most %d", c.BatchOps, c.LineOps, hub.MaxBatchOps)
	case c.Clients*c.BatchOps > hub.DefaultMaxQueueOps || c.BatchConns*max(c.BatchOps, c.LineOps) > hub.DefaultMaxQueueOps:
		return fmt.Errorf("bench: more ops at once than the hub's queue of %d takes", hub.DefaultMaxQueueOps)
	case c.Repeats < 0 || c.Repeats > 100:
		return fmt.Errorf("bench: %d repeats in a hundred", c.Repeats)
	}
	for _, name := range c.Cases {
		i := slices.IndexFunc(cases[:], func(k benchCase) bool { return k.name == name })
		if i < 0 {
			return fmt.Errorf("bench: no case %q: want one of %q", name, Names())
		}
		if cases[i].http && (c.Serve == nil || c.ServeNoop == nil) {
			return fmt.Errorf("bench: %s needs a server", name)
		}
	}
	return nil
}

// benchCase is one row of the table.
type benchCase struct {
	name string
	http bool
	run  func(ctx context.Context, c *Config, dir string) (Result, error)
}

var cases = [...]benchCase{
	{"core", false, runCore},
	{"durable", false, runDurable},
	{"http-batch-binary", true, runBatchBinary},
	{"http-batch-ndjson", true, runBatchLines},
	{"http-transfer", true, runTransfer},
	{"http-unlock", true, runUnlock},
}

// Names are the cases, in the order in which they run.
func Names() []string {
	names := make([]string, 0, len(cases))
	for _, k := range cases {
		names = append(names, k.name)
	}
	return names
}

// Run measures the cases one after the other. It returns what was measured even when a case failed, and goes on with the
// next; when the context ends, it cleans up and returns the context's error.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if onMemory(cfg.Dir) {
		fmt.Fprintf(cfg.Progress, "warning: %s lies in memory, where a sync costs nothing: name a folder on a disk with --dir\n", cfg.Dir)
	}
	var results []Result
	var errs []error
	for _, k := range cases {
		if !slices.Contains(cfg.Cases, k.name) {
			continue
		}
		r, err := runCase(ctx, &cfg, k)
		if ctx.Err() != nil {
			return results, fmt.Errorf("bench: %w", ctx.Err())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("bench: %s: %w", k.name, err))
			fmt.Fprintf(cfg.Progress, "%s failed: %v\n", k.name, err)
			continue
		}
		results = append(results, r)
	}
	return results, errors.Join(errs...)
}

// runCase gives a case its own temporary folder.
func runCase(ctx context.Context, cfg *Config, k benchCase) (r Result, err error) {
	dir, err := os.MkdirTemp(cfg.Dir, "millrace-bench-")
	if err != nil {
		return Result{}, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	began := time.Now()
	r, err = k.run(ctx, cfg, dir)
	r.Name = k.name
	if err == nil {
		fmt.Fprintf(cfg.Progress, "%s: verified, %.1f s in all\n", k.name, time.Since(began).Seconds())
	}
	return r, err
}
