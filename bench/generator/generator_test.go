package generator

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

const small = `
workers = 3
warmup = "30ms"
duration = "200ms"
[population]
payers = 20
payees = 7
channels = 60
works = 70
funds_msat = 100_000_000
[skew]
payees = "zipf 1.0"
hot_payees = 1
hot_share = 10
[mix]
advance = 3
transfer = 2
unlock = 1
history = 1
[request]
most_msat = 9
[retry]
attempts = 3
backoff = "1ms"
timeout = "50ms"
`

// many is a load of 650 requests, however long a busy machine takes for them.
const many = small + "[arrival]\nloop = \"open\"\npatience = \"1m\"\nstages = [{rate = 5000, for = \"100ms\"}]\n"

func parse(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// load runs a scenario against a payment system in memory that is bent as somebody likes.
func load(t *testing.T, s *scenario.Scenario, bend func(*memory)) *Result {
	t.Helper()
	p := workload.NewPlan(s)
	m := newMemory(p)
	m.pause = 50 * time.Microsecond
	if bend != nil {
		bend(m)
	}
	r, err := New(Config{Plan: p, Target: m, Every: 50 * time.Millisecond, Settle: 5 * time.Second}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	for name, text := range map[string]string{
		"single":      small,
		"batches":     strings.Replace(small, "[request]", "[request]\nops = 50", 1),
		"open":        small + "[arrival]\nloop = \"open\"\nstages = [{rate = 200, to = 1000, for = \"200ms\"}, {rate = 500, for = \"100ms\"}]\n",
		"open random": small + "[arrival]\nloop = \"open\"\nrandom = true\nstages = [{rate = 500, for = \"200ms\"}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := load(t, parse(t, text), nil)
			if !r.Verdict.Agree || !r.Passed() || r.Counts.Ops == 0 || r.Counts.Failed+r.Counts.Errors > 0 {
				t.Errorf("%+v %+v", r.Verdict, r.Counts)
			}
			if !r.Verdict.Restarted {
				t.Error("the books were not read after a restart")
			}
			if len(r.Intervals) < 2 || r.Wait.N != r.Counts.Requests || r.Rate <= 0 || r.Seconds < 0.15 {
				t.Errorf("%d intervals, %d latencies of %d requests, %g/s in %g s", len(r.Intervals), r.Wait.N, r.Counts.Requests, r.Rate, r.Seconds)
			}
			var ops uint64
			for _, i := range r.Intervals {
				ops += i.Ops
			}
			if ops != r.Counts.Ops {
				t.Errorf("intervals have %d ops, the whole %d", ops, r.Counts.Ops)
			}
		})
	}
}

// TestLies holds that a payment system that does something wrong is found out, whatever it is.
func TestLies(t *testing.T) {
	poor := strings.Replace(strings.Replace(many, "100_000_000", "5_000", 1), "advance = 3", "advance = 0", 1)
	for name, c := range map[string]struct {
		text string
		bend func(*memory)
		want string
	}{
		"acknowledges and forgets":  {many, func(m *memory) { m.forget = 10 }, "differ"},
		"pays twice":                {many, func(m *memory) { m.twice = 10 }, "differ"},
		"gives secrets away":        {poor, func(m *memory) { m.steal = 2 }, "came with the secret"},
		"gives works to others":     {many, func(m *memory) { m.swap = true }, "it never bought"},
		"keeps no books of its cut": {many, func(m *memory) { m.embezzle = true }, "the house has 0 msat"},
		"loses on a restart":        {many, func(m *memory) { m.volatile = true }, "after a restart: "},
		"answers garbage":           {many, func(m *memory) { m.garbage = 10 }, "no outcome"},
	} {
		t.Run(name, func(t *testing.T) {
			r := load(t, parse(t, c.text), c.bend)
			if r.Verdict.Agree || r.Passed() || !strings.Contains(strings.Join(r.Failures(), "\n"), c.want) {
				t.Errorf("%+v, failures %q: want %q", r.Verdict, r.Failures(), c.want)
			}
		})
	}
}

// TestUnsure holds that an honest payment system that loses answers, has no room, is killed or stands still is not called a liar.
func TestUnsure(t *testing.T) {
	fault := func(kind string) string {
		return small + "[[faults]]\nkind = \"" + kind + "\"\nat = \"50ms\"\nfor = \"70ms\"\n"
	}
	for name, c := range map[string]struct {
		text string
		bend func(*memory)
	}{
		"loses answers":            {small, func(m *memory) { m.mute = 5 }},
		"loses answers of batches": {strings.Replace(small, "[request]", "[request]\nops = 20", 1), func(m *memory) { m.mute = 2 }},
		"never tried again":        {strings.Replace(small, "attempts = 3", "attempts = 1", 1), func(m *memory) { m.mute = 5 }},
		"has no room":              {small, func(m *memory) { m.busy = 5 }},
		"is killed":                {fault("kill"), nil},
		"stands still":             {fault("freeze"), nil},
		"is left":                  {small + "[[faults]]\nkind = \"vanish\"\nat = \"10ms\"\nevery = \"20ms\"\nshare = 50\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := load(t, parse(t, c.text), c.bend)
			if !r.Verdict.Agree || r.Counts.Ops == 0 {
				t.Errorf("%+v %+v", r.Verdict, r.Counts)
			}
			if c.bend != nil && r.Counts.Errors == 0 {
				t.Error("no attempt was without an answer")
			}
			for _, h := range r.Faults {
				if h.Err != "" {
					t.Errorf("fault %s: %s", h.Kind, h.Err)
				}
			}
			if strings.Contains(c.text, "faults") && len(r.Faults) == 0 {
				t.Error("no fault happened")
			}
		})
	}
}

// TestGone holds that a payment system that goes and does not come back leaves the figures so far, and no verdict.
func TestGone(t *testing.T) {
	s := parse(t, strings.Replace(small, `"30ms"`, `"0s"`, 1))
	p := workload.NewPlan(s)
	m := newMemory(p)
	m.pause = 50 * time.Microsecond
	m.at, m.then = 10, func() { _ = m.Kill() }
	r, _ := New(Config{Plan: p, Target: m, Settle: 100 * time.Millisecond}).Run(t.Context())
	if r == nil || r.Verdict.Agree || r.Verdict.Unverified == "" || r.Passed() || r.Counts.Ops == 0 {
		t.Errorf("%+v", r)
	}
	m = newMemory(p)
	m.died = errors.New("it has ended by itself") // and is not waited for
	if r, err := New(Config{Plan: workload.NewPlan(s), Target: m, Settle: time.Hour}).Run(t.Context()); err != nil || r.Passed() || r.Verdict.Agree || r.Verdict.Unverified != m.died.Error() {
		t.Errorf("%+v, %v", r, err)
	}
	m = newMemory(p)
	m.down = true
	if r, err := New(Config{Plan: workload.NewPlan(s), Target: m}).Run(t.Context()); r != nil || err == nil {
		t.Errorf("one that was never there: %+v, %v", r, err)
	}
}

// TestStopped holds that a load that is ended early has its figures and its verdict.
func TestStopped(t *testing.T) {
	p := workload.NewPlan(parse(t, strings.NewReplacer(`"30ms"`, `"0s"`, `"200ms"`, `"1h"`).Replace(small)))
	m := newMemory(p)
	m.pause = 50 * time.Microsecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.at, m.then = 50, cancel
	r, err := New(Config{Plan: p, Target: m}).Run(ctx)
	if err != nil || !r.Stopped || !r.Verdict.Agree || r.Counts.Ops == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestDry(t *testing.T) {
	s := parse(t, "workers = 1\nduration = \"1m\"\n[population]\npayers = 1\nchannels = 1\nfunds_msat = 3\n[mix]\nadvance = 1\n")
	p := workload.NewPlan(s)
	r, err := New(Config{Plan: p, Target: newMemory(p)}).Run(t.Context())
	if !errors.Is(err, workload.ErrDry) || r == nil || !r.Verdict.Agree {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestOmission holds that a stall is charged to all requests that were due in it, and not to the few that were under way.
func TestOmission(t *testing.T) {
	text := small + "[arrival]\nloop = \"open\"\nstages = [{rate = 1000, for = \"400ms\"}]\n[[faults]]\nkind = \"freeze\"\nat = \"100ms\"\nfor = \"200ms\"\n"
	r := load(t, parse(t, strings.Replace(text, `timeout = "50ms"`, `timeout = "5s"`, 1)), nil)
	if !r.Verdict.Agree {
		t.Fatalf("%+v", r.Verdict)
	}
	// Of 400 ms of requests 200 ms were due while nothing moved: the median wait of all is tens of milliseconds, but three were under way.
	if r.Wait.P90 < 80 || r.Service.P90 > r.Wait.P90/2 {
		t.Errorf("p90 of latency %.1f ms, of service %.1f ms", r.Wait.P90, r.Service.P90)
	}
}

// TestDropped holds that what could not be sent in time is dropped and counted.
func TestDropped(t *testing.T) {
	text := small + "[arrival]\nloop = \"open\"\npatience = \"1ms\"\nstages = [{rate = 5000, for = \"200ms\"}]\n"
	r := load(t, parse(t, text), func(m *memory) { m.pause = 10 * time.Millisecond })
	if r.Counts.Dropped == 0 || !r.Verdict.Agree || r.Counts.Dropped+r.Counts.Requests < 950 || r.Counts.Dropped+r.Counts.Requests > 1001 {
		t.Errorf("%+v", r.Counts)
	}
}

func TestThresholds(t *testing.T) {
	r := load(t, parse(t, "thresholds = [\"rate > 1\", \"p99 < 1us\", \"failed == 0\"]\n"+small), nil)
	if !r.Verdict.Agree || r.Passed() || len(r.Held) != 3 || !r.Held[0].Holds || r.Held[1].Holds || !r.Held[2].Holds {
		t.Errorf("%+v", r.Held)
	}
	if f := r.Failures(); len(f) != 1 || !strings.Contains(f[0], "p99 < 1us does not hold") {
		t.Errorf("%q", f)
	}
}

// TestProfile holds the times of an open loop against its rate, counted the other way round.
func TestProfile(t *testing.T) {
	s := parse(t, "warmup = \"1s\"\n[mix]\ntransfer = 1\n[arrival]\nloop = \"open\"\nstages = [{rate = 100, to = 300, for = \"10s\"}, {rate = 0, for = \"5s\"}, {rate = 50, for = \"2s\"}, {rate = 40, to = 0, for = \"1s\"}]\n")
	p := newProfile(s)
	if want := 100 + 2000 + 100 + 20.0; math.Abs(p.total-want) > 1e-9 || p.end != 19*time.Second {
		t.Fatalf("%g requests in %v, want %g", p.total, p.end, want)
	}
	for k, want := range map[float64]time.Duration{0: 0, 50: 500 * time.Millisecond, 100: time.Second, 2100: 16 * time.Second, 2150: 17 * time.Second} {
		if at, ok := p.due(k); !ok || (at-want).Abs() > time.Microsecond {
			t.Errorf("the %g. is due at %v, want %v", k, at, want)
		}
	}
	last := time.Duration(-1)
	for k := range int(p.total) {
		at, ok := p.due(float64(k))
		if !ok || at <= last || at > p.end {
			t.Fatalf("the %d. is due at %v, that before it at %v", k, at, last)
		}
		last = at
	}
	if at, ok := p.due(p.total); ok {
		t.Errorf("one more than all is due at %v", at)
	}
	n := 0
	for i := range s.Workers {
		for a := newArrivals(p, s, i); ; n++ {
			if _, ok := a.next(); !ok {
				break
			}
		}
	}
	if n != 2220 {
		t.Errorf("workers send %d requests", n)
	}
}

// TestNothing holds that a load without an answer, one that ended by itself and one whose faults did not happen have not passed.
func TestNothing(t *testing.T) {
	s := parse(t, "thresholds = [\"p99 < 10s\", \"late_p99 < 10s\"]\n"+strings.Replace(small, "attempts = 3", "attempts = 1", 1))
	r := load(t, s, func(m *memory) {
		m.stall.Store(true)
		time.AfterFunc(time.Second, func() { m.stall.Store(false) })
	})
	if r.Passed() || r.Held[0].Holds || r.Held[1].Holds || !r.Verdict.Agree {
		t.Errorf("%+v %+v %+v", r.Held, r.Verdict, r.Counts)
	}
	r = load(t, parse(t, small+"[[faults]]\nkind = \"slow_sync\"\nat = \"10ms\"\nfor = \"10ms\"\ndelay = \"1ms\"\n"), nil)
	if r.Passed() || !strings.Contains(strings.Join(r.Failures(), "\n"), "slow_sync did not happen") {
		t.Errorf("%+v, %q", r.Faults, r.Failures())
	}
	dry := parse(t, "workers = 1\nduration = \"1m\"\n[population]\npayers = 1\nchannels = 1\nfunds_msat = 3\n[mix]\nadvance = 1\n")
	p := workload.NewPlan(dry)
	if r, _ := New(Config{Plan: p, Target: newMemory(p)}).Run(t.Context()); r.Passed() || !strings.Contains(r.Failed, "used up") {
		t.Errorf("%+v", r)
	}
}
