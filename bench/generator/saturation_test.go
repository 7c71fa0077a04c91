package generator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

func open(rate float64, workers int) *scenario.Scenario {
	return &scenario.Scenario{Workers: workers, Arrival: scenario.Arrival{Loop: scenario.Open, Stages: []scenario.Stage{{Rate: rate}}}}
}

// TestSaturation holds when a generator says that its figures may be its own.
func TestSaturation(t *testing.T) {
	cores := float64(runtime.NumCPU())
	busy := Result{
		Scenario: open(1000, 4), Service: Quantiles{P50: 10}, Wait: Quantiles{P99: 900, N: 1000}, Queued: Quantiles{P50: 300, P99: 850, N: 990},
		Generator: Use{Cores: 0.1 * cores}, System: &Use{Cores: 0.2 * cores},
	}
	bend := func(do func(*Result)) Result {
		r := busy
		do(&r)
		return r
	}
	for name, c := range map[string]struct {
		r    Result
		want string
	}{
		"connections":              {busy, "more workers"},
		"connections, dropped":     {bend(func(r *Result) { r.Queued, r.Counts.Dropped = Quantiles{}, 5 }), "more workers"},
		"connections, nobody says": {bend(func(r *Result) { r.System = nil }), "more workers"},
		"a full machine":           {bend(func(r *Result) { r.System = &Use{Cores: 0.85 * cores} }), ""},
		"stalls":                   {bend(func(r *Result) { r.Service.P50 = 1 }), ""},
		"slow answers":             {bend(func(r *Result) { r.Service.P50 = 800 }), ""},
		"nobody waited":            {bend(func(r *Result) { r.Queued = Quantiles{N: 1, P50: 5} }), ""},
		"closed loop":              {bend(func(r *Result) { r.Scenario = &scenario.Scenario{Arrival: scenario.Arrival{Loop: scenario.Closed}} }), ""},
		"late":                     {bend(func(r *Result) { r.Queued, r.Late = Quantiles{}, Quantiles{P99: 2, N: 10} }), "sent late"},
		"beside":                   {bend(func(r *Result) { r.Generator.Cores, r.System = 0.4*cores, &Use{Cores: 0.55 * cores} }), "the machine was full"},
		"alone":                    {bend(func(r *Result) { r.Generator.Cores, r.System = 0.6*cores, nil }), "more workers|the generator took"},
		"inside":                   {bend(func(r *Result) { r.Generator.Cores, r.System, r.Inside = cores, nil, true }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.r.saturation(1)
			got := strings.Join(c.r.Saturated, "|")
			words := strings.Split(c.want, "|")
			if len(c.r.Saturated) != len(words) && c.want != "" || c.want == "" && got != "" {
				t.Errorf("%q, want %q", got, c.want)
			}
			for _, word := range words {
				if !strings.Contains(got, word) {
					t.Errorf("%q, want %q", got, c.want)
				}
			}
		})
	}
}

// TestQueued holds that requests that were due while all connections were busy are told from those that were sent late, and that a lateness which
// nobody has measured is not one of 0 ms.
func TestQueued(t *testing.T) {
	text := "thresholds = [\"late_p99 < 1h\"]\n" + small + "[arrival]\nloop = \"open\"\nstages = [{rate = 2000, for = \"300ms\"}]\n"
	r := load(t, parse(t, text), func(m *memory) { m.pause = 10 * time.Millisecond })
	if r.Queued.N == 0 || r.Queued.P99 < 100 || r.Late.N+r.Queued.N != r.Counts.Requests+r.Counts.Dropped {
		t.Errorf("late %+v, queued %+v of %d requests", r.Late, r.Queued, r.Counts.Requests)
	}
	if r.Late.N == 0 && (r.Held[0].Holds || !r.Held[0].Nothing || r.Held[0].InWords() != "not measured") {
		t.Errorf("%+v", r.Held)
	}
}

// TestReason holds that errors that differ by a connection's own port are one.
func TestReason(t *testing.T) {
	g := newGauge()
	for port := range 5 {
		g.wrong(fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:8402: i/o timeout", 40000+port))
		g.wrong(fmt.Errorf("read tcp [::1]:%d->[::1]:8402: i/o timeout", 40000+port))
	}
	if len(g.reasons) != 2 || g.reasons["read tcp 127.0.0.1:*->127.0.0.1:8402: i/o timeout"] != 5 {
		t.Errorf("%v", g.reasons)
	}
}

// metered is a payment system that says what it uses.
type metered struct {
	*memory
	using []Using // one after the other; less than no memory: nobody knows
	at    int
}

func (m *metered) Using() (Using, error) {
	u := m.using[min(m.at, len(m.using)-1)]
	if m.at++; u.Memory < 0 {
		return u, errors.New("it is down")
	}
	return u, nil
}

// TestMeter holds that a time in which nobody knows what a target uses makes neither a spike nor a negative figure, and that a disk that does not
// grow is not measured.
func TestMeter(t *testing.T) {
	s := parse(t, small)
	second := func(n int) time.Duration { return time.Duration(n) * time.Second }
	p := workload.NewPlan(s)
	m := &metered{memory: newMemory(p), using: []Using{
		{second(1), 5, 900}, {second(1), 5, 900}, {second(2), 5, 900}, {Memory: -1}, {second(4), 5, 800}, {second(3), 5, 800}, {second(5), 5, 700},
	}}
	w := New(Config{Plan: p, Target: m, Every: time.Second}).newWatch(s, time.Now(), nil)
	for range 6 {
		w.interval(false)
	}
	r := &Result{Scenario: s}
	w.finish(r)
	for n, i := range w.intervals {
		if i.System < 0 || (i.Apart == Hidden) != (n == 2) {
			t.Errorf("interval %d: %+v", n, i)
		}
	}
	if u := r.System; u == nil || u.CPU != 4 || u.Disk != 0 || u.PerOpDsk != 0 {
		t.Errorf("%+v", u)
	}
}

// TestRest holds that what is left at the end is a part of the last interval: no two end at the same time.
func TestRest(t *testing.T) {
	s := parse(t, small)
	told := 0
	p := workload.NewPlan(s)
	w := New(Config{Plan: p, Target: newMemory(p), Every: time.Hour, Live: func(Interval) { told++ }}).newWatch(s, time.Now().Add(-time.Hour), []*worker{{gauge: newGauge()}})
	w.last = w.last.Add(-time.Hour)
	for n := range 2 {
		gauge := w.workers[0].gauge
		gauge.counts.Ops = uint64(10 + n)
		record(gauge.waits, time.Duration(n+1)*time.Second)
		w.interval(n == 1)
	}
	if len(w.intervals) != 1 || told != 1 || w.intervals[0].Ops != 21 || w.intervals[0].Max < 1900 || w.all.counts.Ops != 21 || w.all.waits.TotalCount() != 2 {
		t.Errorf("%d were told of %+v", told, w.intervals)
	}
}

// TestAbandoned holds that a load that somebody ends while the target stands still does not wait for its answers, and claims nothing.
func TestAbandoned(t *testing.T) {
	p := workload.NewPlan(parse(t, strings.NewReplacer(`"200ms"`, `"1h"`, `"50ms"`, `"1h"`).Replace(small)))
	m := newMemory(p)
	m.stall.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	m.at, m.then = 1, cancel
	r, err := New(Config{Plan: p, Target: m, Settle: 50 * time.Millisecond}).Run(ctx)
	if err != nil || !r.Stopped || r.Passed() || r.Verdict.Agree || r.Verdict.Unverified == "" || r.Counts.Requests != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r.Errors[errCut.Error()] == 0 {
		t.Errorf("%v", r.Errors)
	}
}
