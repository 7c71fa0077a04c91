package plan

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// machine is one that does exactly what a model says: 50 ms of CPU in a second whatever happens, 20 us a request, 0.3 us a payment and 200 us a commit; 17
// bytes of log a payment and 100 a commit, 16 and 300 of index and 3 MB of it once; 60 MB of memory, 100 bytes an account, 200 a channel and 500
// for each payment a second; 26 MB, 130 and 150 bytes of disk for what is in it.
func machine() *Measured {
	m := &Measured{Format: Format, Cores: 2, Machine: "a machine", Payments: map[string][]Point{}}
	for _, q := range []struct {
		batch          int
		rate, requests float64
		paced          bool
	}{{1, 40_000, 2500, false}, {16, 300_000, 1800, false}, {256, 1_500_000, 900, false}, {8192, 4_000_000, 300, false}, {1, 500, 480, true}, {1, 5000, 2600, true}, {256, 25_600, 100, true}} {
		p := Point{Batch: q.batch, Paced: q.paced, Rate: q.rate, Commits: q.requests / q.rate, Syncs: q.requests, Sync: 0.4, P99: 5, Payments: uint64(4 * q.rate), Accounts: 2000, Channels: 100_000}
		n := float64(p.Payments)
		p.CPU = 50_000/q.rate + 20/float64(q.batch) + 0.3 + 200*p.Commits
		p.Log, p.Index = 17+100*p.Commits, 16+300*p.Commits+3e6/n
		p.Memory = int64(60e6 + 2000*100 + 100_000*200 + 500*q.rate)
		m.Payments["advance"] = append(m.Payments["advance"], p)
	}
	for _, s := range []Size{{Accounts: 2}, {Accounts: 250_000}, {Accounts: 1_000_000}, {Accounts: 1_000_000, Channels: 500_000}} {
		s.Memory = int64(60e6 + 100*s.Accounts + 200*s.Channels)
		s.Disk = int64(26e6 + 130*s.Accounts + 150*s.Channels)
		m.Sizes = append(m.Sizes, s)
	}
	return m
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-4*math.Abs(b) }

// TestMake holds that a model is found again in points that lie on it, and what a plan makes of it.
func TestMake(t *testing.T) {
	m := machine()
	p, err := Make(m, Need{Kind: "advance", Peak: 1e6, Mean: 2e5, Batch: 1000, Accounts: 900_000, Channels: 400_000, Days: 30, Use: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	k := p.Model
	for name, c := range map[string][2]float64{
		"idle": {k.CPU.Idle, 50_000}, "request": {k.CPU.Request, 20}, "each": {k.CPU.Each, 0.3}, "commit": {k.CPU.Commit, 200},
		"log": {k.Log.Each, 17}, "log of a commit": {k.Log.Commit, 100}, "index": {k.Index.Each, 16}, "index of a commit": {k.Index.Commit, 300}, "index, once": {k.Index.Fixed, 3e6},
		"memory": {k.Memory.Fixed, 60e6}, "of an account": {k.Memory.PerAccount, 100}, "of a channel": {k.Memory.PerChannel, 200}, "of a load": {k.Work, 750e6},
		"disk": {k.Stored.Fixed, 26e6}, "disk of an account": {k.Stored.PerAccount, 130}, "disk of a channel": {k.Stored.PerChannel, 150},
		"syncs": {p.Syncs, 1000}, "cores": {p.Load, (50_000 + 1000*20 + 1e6*0.3 + 1000*200) / 1e6},
		"all memory": {p.Memory, 60e6 + 90e6 + 80e6 + 750e6}, "a day": {p.DiskDay, 86400 * (2e5*33 + 200*400)},
		"all disk": {p.Disk, 26e6 + 117e6 + 60e6 + 3e6 + 30*86400*(2e5*33+200*400)},
	} {
		if !near(c[0], c[1]) {
			t.Errorf("%s: %g, want %g", name, c[0], c[1])
		}
	}
	if p.Cores != 2 || k.CPU.Off+k.Log.Off+k.Index.Off+k.Memory.Off+k.Stored.Off > 1e-4 || math.Abs(k.Log.Fixed) > 1 || len(p.Beyond) != 0 {
		t.Errorf("%+v", p)
	}
	var out strings.Builder
	if err := p.Write(&out, m); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cores    2: the peak keeps 0.57 busy", "memory   980 MB", "577 GB a day, 211 TB a year; 17.3 TB for 30 days", "syncs    1000 a second", "8192", "idle 50 ms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "extrapolated") {
		t.Errorf("within what was measured:\n%s", &out)
	}
}

// TestIdle holds that a hub with nothing to do has a machine all the same: a core, and the memory of an empty one.
func TestIdle(t *testing.T) {
	p, err := Make(machine(), Need{Kind: "advance", Peak: 1, Batch: 1})
	if err != nil || p.Cores != 1 || !near(p.Memory, 60e6+500*300_000) || p.Stored < 26e6-1 || !near(p.Load, (50_000+20+0.3+200)/1e6) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestSyncs holds that a commit takes what waits: there are no more of them than were seen.
func TestSyncs(t *testing.T) {
	p, err := Make(machine(), Need{Kind: "advance", Peak: 30_000, Batch: 1})
	if err != nil || !near(p.Syncs, 2600) || !near(p.Load, (50_000+30_000*20.3+2600*200)/1e6) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestBeyond holds that a plan says where it leaves what was measured, at the figures and below.
func TestBeyond(t *testing.T) {
	m := machine()
	p, err := Make(m, Need{Kind: "advance", Peak: 5e7, Batch: 100_000, Accounts: 50_000_000, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(p.Beyond, "\n")
	for _, want := range []string{"one goroutine", "batches of 100000", "50000000 accounts", "cores: measured were 2"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	var out strings.Builder
	if err := p.Write(&out, m); err != nil || strings.Count(out.String(), "(extrapolated: see below)") != 3 {
		t.Errorf("%v\n%s", err, &out)
	}
	m.Payments["advance"][1].CPU *= 5
	if p, err = Make(m, Need{Kind: "advance", Peak: 1, Batch: 1}); err != nil || !strings.Contains(strings.Join(p.Beyond, "\n"), "the CPU lies up to") {
		t.Errorf("a point beside the curve: %q, %v", p.Beyond, err)
	}
}

func TestRefused(t *testing.T) {
	good := Need{Kind: "advance", Peak: 1, Batch: 1}
	if _, err := Make(machine(), good); err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*Measured, *Need){
		"another kind":     func(_ *Measured, n *Need) { n.Kind = "gift" },
		"no rate":          func(_ *Measured, n *Need) { n.Peak = 0 },
		"NaN":              func(_ *Measured, n *Need) { n.Peak = math.NaN() },
		"infinity":         func(_ *Measured, n *Need) { n.Peak = math.Inf(1) },
		"a low peak":       func(_ *Measured, n *Need) { n.Mean = 2 },
		"no batch":         func(_ *Measured, n *Need) { n.Batch = 0 },
		"accounts":         func(_ *Measured, n *Need) { n.Accounts = -1 },
		"all the use":      func(_ *Measured, n *Need) { n.Use = 1.5 },
		"another version":  func(m *Measured, _ *Need) { m.Format = 1 },
		"one point":        func(m *Measured, _ *Need) { m.Payments["advance"] = m.Payments["advance"][:1] },
		"one size":         func(m *Measured, _ *Need) { m.Sizes = m.Sizes[:1] },
		"less than no CPU": func(m *Measured, _ *Need) { m.Payments["advance"][2].CPU = -1 },
	} {
		m, n := machine(), good
		bend(m, &n)
		if _, err := Make(m, n); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUntold holds that measurements that are all alike make a plan that says so.
func TestUntold(t *testing.T) {
	m := machine()
	p := m.Payments["advance"]
	m.Payments["advance"] = slices.Repeat(p[:1], len(p))
	plan, err := Make(m, Need{Kind: "advance", Peak: 40_000, Batch: 1})
	if err != nil || !near(plan.Load, p[0].CPU*40_000/1e6) || !strings.Contains(strings.Join(plan.Beyond, "\n"), "the CPU was not measured under loads that differ") {
		t.Errorf("%+v, %v", plan, err)
	}
}

// TestFit holds that a coefficient that would be below zero is left out, and the others are found without it.
func TestFit(t *testing.T) {
	rows := []row{{[]float64{1, 1}, 10}, {[]float64{1, 2}, 9}, {[]float64{1, 3}, 8}, {[]float64{1, 4}, 0}}
	found, err := fit(rows, 2)
	if err != nil || found[1] != 0 || found[0] < 8 || found[0] > 9 {
		t.Errorf("%v, %v", found, err)
	}
	if found, err = fit([]row{{[]float64{1, 1}, 0}}, 2); err != nil || found[0] != 0 || found[1] != 0 {
		t.Errorf("nothing: %v, %v", found, err)
	}
	if found, err = fit([]row{{[]float64{1, 1}, 1}, {[]float64{2, 2}, 2}}, 2); !errors.Is(err, errRank) {
		t.Errorf("the same row twice: %v, %v", found, err)
	}
}
