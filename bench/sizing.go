package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/plan"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
	"github.com/millrace/millrace/ledger"
)

// Sizing says what is measured for plans.
type Sizing struct {
	Each     time.Duration // how long each point is measured, after a quarter as much to warm up; 0: 4 s
	Kinds    []string      // of payments; none: advance and transfer
	Points   []SizingPoint // none: those of a hub that is busy, in requests of several sizes, and of one that is not
	Channels int           // of the hub whose advances are measured; 0: 100,000
	Sizes    []SizingHub   // whose memory and disk are measured; none: five, up to a million accounts and half a million channels
}

// SizingPoint is a load.
type SizingPoint struct {
	Ops     int     // a request
	Workers int     // connections
	Rate    float64 // requests a second; 0: as many as are answered
}

// SizingHub is what a hub has in it, in accounts and channels.
type SizingHub struct{ Accounts, Channels int }

func (s *Sizing) setDefaults() {
	if s.Each == 0 {
		s.Each = 4 * time.Second
	}
	if len(s.Kinds) == 0 {
		s.Kinds = []string{"advance", "transfer"}
	}
	if s.Channels == 0 {
		s.Channels = 100_000
	}
	if len(s.Points) == 0 {
		s.Points = []SizingPoint{{1, 64, 0}, {16, 64, 0}, {256, 16, 0}, {8192, 4, 0}, {1, 16, 500}, {1, 16, 5000}, {256, 16, 100}}
	}
	if len(s.Sizes) == 0 {
		s.Sizes = []SizingHub{{2, 0}, {250_000, 0}, {1_000_000, 0}, {1_000_000, 200_000}, {1_000_000, 500_000}}
	}
}

// Measure measures what a plan is made from on this machine: payments in requests of several sizes, each for a time, and what hubs of several sizes
// have in memory and on the disk.
func Measure(ctx context.Context, cfg Config, s Sizing) (*plan.Measured, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s.setDefaults()
	if onMemory(cfg.Dir) {
		fmt.Fprintf(cfg.Progress, "warning: %s lies in memory, where a sync costs nothing: name a folder on a disk with --dir\n", cfg.Dir)
	}
	m := &plan.Measured{Format: plan.Format, Cores: runtime.NumCPU(), Machine: runtime.GOOS + "/" + runtime.GOARCH, Payments: make(map[string][]plan.Point)}
	for _, kind := range s.Kinds {
		for _, b := range s.Points {
			p, err := measurePoint(ctx, &cfg, kind, b, &s)
			for longer := s; errors.Is(err, errSilence) && longer.Each < maxEach; {
				longer.Each *= 2
				p, err = measurePoint(ctx, &cfg, kind, b, &longer)
			}
			if err != nil {
				return nil, fmt.Errorf("bench: measuring %s in batches of %d: %w", kind, b.Ops, err)
			}
			fmt.Fprintf(cfg.Progress, "%s in batches of %d: %s a second, each %.3g us of CPU, %.1f bytes of log and %.1f of index; %.0f syncs a second, %d MB\n",
				kind, b.Ops, count(p.Rate), p.CPU, p.Log, p.Index, p.Syncs, p.Memory/1e6)
			m.Payments[kind] = append(m.Payments[kind], p)
		}
	}
	for _, n := range s.Sizes {
		size, err := measureSize(ctx, &cfg, n)
		if err != nil {
			return nil, fmt.Errorf("bench: measuring the memory of a hub: %w", err)
		}
		fmt.Fprintf(cfg.Progress, "%d accounts and %d channels: %d MB of memory, %.1f of disk\n", size.Accounts, size.Channels, size.Memory/1e6, float64(size.Disk)/1e6)
		m.Sizes = append(m.Sizes, size)
	}
	return m, nil
}

// errSilence is returned, wrapped, where no answer came while a load was measured: a longer one may have some, which is tried up to maxEach.
var errSilence = errors.New("nothing was answered in the time")

const maxEach = time.Minute

// measurePoint is a hub under one load. Its disk is looked at before it starts and after it has ended, when nothing is about to be removed.
func measurePoint(ctx context.Context, c *Config, kind string, b SizingPoint, z *Sizing) (point plan.Point, err error) {
	s := scenario.Default()
	s.Name, s.Workers, s.Request.Ops = kind, b.Workers, b.Ops
	s.Warmup = scenario.Duration{Duration: z.Each / 4}
	if s.Duration = (scenario.Duration{Duration: z.Each}); b.Rate > 0 {
		s.Arrival.Loop, s.Arrival.Stages = scenario.Open, []scenario.Stage{{Rate: b.Rate, For: s.Duration}}
	}
	s.Population.Payers, s.Population.Payees = 1000, 1000
	if s.Mix.Transfer = 1; kind == "advance" {
		s.Mix, s.Population.Channels = scenario.Mix{Advance: 1}, z.Channels
	}
	s.Population.Channels -= s.Population.Channels % s.Population.Payers // each payer has as many
	err = withHub(ctx, c, &s, func(p *workload.Plan, t *hubTarget) error {
		before, err := t.atRest(ctx)
		if err != nil {
			return err
		}
		if err := t.Start(); err != nil {
			return err
		}
		g := generator.New(generator.Config{Plan: p, Target: t})
		began := time.Now()
		r, err := g.Load(ctx, &s)
		took := time.Since(began)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		said, err := t.counters(ctx)
		if err != nil {
			return err
		}
		used, err := t.process.memory()
		if err != nil {
			return err
		}
		g.Verify(ctx, r)
		if r.Passed() && r.Counts.Ops == 0 {
			return fmt.Errorf("%w: %v", errSilence, z.Each)
		}
		if !r.Passed() || r.System == nil || said.ops == 0 || said.commits == 0 {
			return fmt.Errorf("%w: %q", ErrFailed, r.Failures())
		}
		after, err := diskUseOf(t.rig.dir)
		if err != nil {
			return err
		}
		point = plan.Point{
			Batch: b.Ops, Paced: b.Rate > 0, CPU: r.System.PerOpCPU, Rate: r.Rate, P99: r.Wait.P99, Payments: uint64(said.ops),
			Log: max(float64(after.log-before.log), 0) / said.ops, Index: max(float64(after.index-before.index), 0) / said.ops,
			Commits: said.commits / said.ops, Syncs: said.commits / took.Seconds(), Sync: 1000 * said.committing / said.commits,
			Memory: int64(used.peak * 1e6), Accounts: p.Accounts(), Channels: s.Population.Channels,
		}
		return nil
	})
	return point, err
}

// measureSize is what a hub has in memory at most until it serves, and on the disk.
func measureSize(ctx context.Context, c *Config, n SizingHub) (plan.Size, error) {
	s := scenario.Default()
	s.Name, s.Mix.Transfer = "size", 1
	s.Population.Payers = max(min(1000, n.Accounts/2), 1)
	s.Population.Payees, s.Population.Channels = max(n.Accounts-s.Population.Payers, 1), n.Channels
	s.Workers = 1
	size := plan.Size{Accounts: s.Population.Payers + s.Population.Payees, Channels: n.Channels}
	err := withHub(ctx, c, &s, func(_ *workload.Plan, t *hubTarget) error {
		u, err := t.process.memory()
		if err != nil {
			return err
		}
		size.Memory = int64(u.peak * 1e6)
		if err := t.process.stop(); err != nil {
			return err
		}
		size.Disk, err = diskUsage(t.rig.dir)
		return err
	})
	return size, err
}

// withHub makes a hub with a scenario's population in a temporary folder, which is removed at the end.
func withHub(ctx context.Context, c *Config, s *scenario.Scenario, do func(*workload.Plan, *hubTarget) error) (err error) {
	if err := s.Validate(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "millrace-bench-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := workload.NewPlan(s)
	t, err := newHubTarget(ctx, c, p, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	return do(p, t)
}

// diskUse is what a hub that does not run has written and not removed again, in bytes. What its log has reserved is left out.
type diskUse struct {
	log   int64 // the ledger's folder
	index int64 // all else: what is made from the log, snapshots included
}

// atRest ends the hub, and opens its folder once, as the books are read: what stood in the log's last file has then become tables.
func (t *hubTarget) atRest(ctx context.Context) (d diskUse, err error) {
	if err := t.process.stop(); err != nil {
		return d, err
	}
	if err := t.rig.verify(ctx, func(*ledger.State) error { return nil }); err != nil {
		return d, err
	}
	return diskUseOf(t.rig.dir)
}

func diskUseOf(dir string) (d diskUse, err error) {
	if d.log, err = written(filepath.Join(dir, "ledger")); err != nil {
		return d, err
	}
	all, err := written(dir)
	d.index = all - d.log
	return d, err
}

// counted is what a hub says of itself, since it was started.
type counted struct{ ops, commits, committing float64 } // committing in seconds

// maxMetrics bounds the answer that they are read from, in bytes.
const maxMetrics = 1 << 20

// counters reads what the hub's metrics say. Nothing is under way.
func (t *hubTarget) counters(ctx context.Context) (k counted, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Address+"/metrics", nil)
	if err != nil {
		return k, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(q)
	if err != nil {
		return k, fmt.Errorf("asking a hub for its metrics: %w", err)
	}
	defer a.Body.Close()
	to := map[string]*float64{"millrace_block_ops_sum": &k.ops, "millrace_commit_seconds_count": &k.commits, "millrace_commit_seconds_sum": &k.committing}
	lines := bufio.NewScanner(io.LimitReader(a.Body, maxMetrics))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v := to[name]; v != nil {
			if *v, err = strconv.ParseFloat(value, 64); err != nil {
				return k, fmt.Errorf("reading a hub's metrics: %w", err)
			}
		}
	}
	return k, lines.Err()
}
