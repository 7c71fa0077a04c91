package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/millrace/millrace/bench/generator"
)

// sample is what one round, or all rounds together, brought.
type sample struct {
	ops     uint64        // payments that were applied; for a limit those that would have been
	took    time.Duration // in which they were
	cpu     time.Duration // of the whole process, user and system
	mallocs uint64        // of the whole process
	waits   *hdrhistogram.Histogram
}

func (s sample) rate() float64 { return float64(s.ops) / max(s.took.Seconds(), 1e-9) }

// newWaits makes a histogram of latencies in microseconds, up to a minute, exact to one in a hundred: 30 KiB, so that every
// connection can have its own.
func newWaits() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 2) }

func record(h *hdrhistogram.Histogram, wait time.Duration) {
	_ = h.RecordValue(min(max(wait.Microseconds(), 1), 60_000_000)) // it only fails beyond its bounds
}

// commitWaits notes how long commits take, where it is told to.
type commitWaits struct {
	mu   sync.Mutex
	into func() *hdrhistogram.Histogram // of the next commit; nil: nowhere
}

func (k *commitWaits) note(into func() *hdrhistogram.Histogram) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.into = into
}

func (k *commitWaits) add(took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.into != nil {
		record(k.into(), took)
	}
}

// trial is what takes its turn in every round: a case itself, or one of its limits.
type trial struct {
	name string
	long time.Duration
	even bool // a limit that takes as long as the case itself, and after it as often as before
	run  func(ctx context.Context, d time.Duration) (sample, error)

	rounds []sample
}

// errNothing is returned, wrapped, for a time in which no payment was done.
var errNothing = errors.New("nothing was done")

// once runs a trial for its time, and adds what the process as a whole used.
func (t *trial) once(ctx context.Context, d time.Duration) (sample, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := generator.CPUTime()
	s, err := t.run(ctx, d)
	s.cpu = generator.CPUTime() - cpu
	runtime.ReadMemStats(&after)
	s.mallocs = after.Mallocs - before.Mallocs
	if err != nil {
		return s, fmt.Errorf("%s: %w", t.name, err)
	}
	if s.ops == 0 && ctx.Err() == nil {
		return s, fmt.Errorf("%s: %w in %v", t.name, errNothing, d)
	}
	return s, ctx.Err()
}

// takeTurns warms up, and then lets the case and its limits take turns.
func takeTurns(ctx context.Context, c *Config, name string, own *trial, limits ...*trial) error {
	own.long = c.Round
	for _, l := range limits {
		if l.long = c.Round / 2; l.even {
			l.long = c.Round
		}
	}
	for _, t := range append([]*trial{own}, limits...) {
		if _, err := t.once(ctx, t.long/4); err != nil && !errors.Is(err, errNothing) { // a warm-up may be too short for anything
			return fmt.Errorf("warming up: %w", err)
		}
	}
	for i := range c.Rounds {
		line := ""
		turns := append(slices.Clone(limits), own)
		if i%2 == 1 && slices.ContainsFunc(limits, func(l *trial) bool { return l.even }) {
			slices.Reverse(turns)
		}
		for _, t := range turns {
			after := func() {}
			if t == own {
				after = c.Around()
			}
			s, err := t.once(ctx, t.long)
			after()
			if err != nil {
				return err
			}
			t.rounds = append(t.rounds, s)
			line += fmt.Sprintf("  %s %s", t.name, count(s.rate()))
		}
		fmt.Fprintf(c.Progress, "%s: round %d of %d:%s a second\n", name, i+1, c.Rounds, line)
	}
	return nil
}

// sum is all rounds together.
func (t *trial) sum() sample {
	all := sample{waits: newWaits()}
	for _, s := range t.rounds {
		all.ops += s.ops
		all.took += s.took
		all.cpu += s.cpu
		all.mallocs += s.mallocs
		if s.waits != nil {
			all.waits.Merge(s.waits)
		}
	}
	return all
}

func (t *trial) rates() []float64 {
	rates := make([]float64, 0, len(t.rounds))
	for _, s := range t.rounds {
		rates = append(rates, s.rate())
	}
	return rates
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// spread is the distance from the slowest to the fastest round, as a part of the median.
func spread(values []float64) float64 {
	m := median(values)
	if m == 0 {
		return 0
	}
	return (slices.Max(values) - slices.Min(values)) / m
}
