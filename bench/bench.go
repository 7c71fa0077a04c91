// Package bench measures a hub beside the limits of the machine that it runs on.
//
//	core                one goroutine applies blocks of advances in memory                      limit of the next
//	durable             clients submit batches of advances in-process, pebble with sync on      core; pebble alone
//	http-batch-binary   POST /v1/batches in binary                                              a handler that does nothing
//	http-batch-ndjson   POST /v1/batches in NDJSON                                              the same
//	http-transfer       POST /v1/transfers, one payment a request                               the same
//	http-unlock         POST /v1/contents/{id}/unlock, first purchases with their file keys     the same
//
// and, only when it is named, what becomes of it with time and size:
//
//	sustained           http-batch-binary, until all that follows the log has caught up         a hub where nothing follows
//	scale               durable, with a long log behind it                                      the same with a short one
//	startup             how long a killed hub takes to serve again, and how much memory it has
//	checkpoint          commits and batches while a checkpoint is written, and while none is
//	history             GET /v1/accounts/{id}/entries of 100, while batches come                the same with nobody reading
//	receipt             GET /v1/accounts/{id}/receipts/{seq}, of any entry, while batches come    the same
//	netting             how long a settlement plan of all accounts takes
//	settling            durable, while settlement runs pay one account after the other          the same while there is none
//	payouts-chain       how long a run takes until all its transactions are in the mempool
//	payouts-lightning   runs that pay over Lightning                                            the same node driven directly
//
// The last two start nodes of their own: see deploy/regtest.
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
	"os"
	"slices"
	"time"
)

// benchCase is one row of the table.
type benchCase struct {
	name string
	http bool
	long bool // runs only when it is named
	run  func(ctx context.Context, c *Config, dir string) (Result, error)
}

var cases = [...]benchCase{
	{name: "core", run: runCore},
	{name: "durable", run: runDurable},
	{name: "http-batch-binary", http: true, run: runBatchBinary},
	{name: "http-batch-ndjson", http: true, run: runBatchLines},
	{name: "http-transfer", http: true, run: runTransfer},
	{name: "http-unlock", http: true, run: runUnlock},
	{name: "vouchers", run: runVouchers},
	{name: "sustained", http: true, long: true, run: runSustained},
	{name: "scale", long: true, run: runScale},
	{name: "startup", long: true, run: runStartup},
	{name: "checkpoint", long: true, run: runCheckpoint},
	{name: "history", http: true, long: true, run: runHistory},
	{name: "receipt", http: true, long: true, run: runReceipt},
	{name: "netting", long: true, run: runNetting},
	{name: "settling", long: true, run: runSettling},
	{name: "payouts-chain", long: true, run: runPayoutsChain},
	{name: "payouts-lightning", long: true, run: runPayoutsLightning},
}

// Names are the cases, in the order in which they run: those that run unless others are named, and those that must be.
func Names() (usual, long []string) {
	for _, k := range cases {
		if k.long {
			long = append(long, k.name)
		} else {
			usual = append(usual, k.name)
		}
	}
	return usual, long
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
