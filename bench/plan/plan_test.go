package plan

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// machine is one whose payments take 20 us a request and 0.3 us each, whose accounts take 100 bytes and channels 200.
func machine() *Measured {
	m := &Measured{Cores: 2, Machine: "a machine", Payments: map[string][]Point{}}
	for _, batch := range []int{1, 16, 256, 8192} {
		cpu := 20/float64(batch) + 0.3
		m.Payments["advance"] = append(m.Payments["advance"], Point{Batch: batch, CPU: cpu, Disk: 40, Rate: 1.5e6 / cpu, P99: 5})
	}
	m.Sizes = []Size{{1000, 0, 50_000_000 + 100_000}, {1_001_000, 0, 50_000_000 + 100_100_000}, {1_001_000, 500_000, 50_000_000 + 100_100_000 + 100_000_000}}
	return m
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }

func TestMake(t *testing.T) {
	m := machine()
	p, err := Make(m, Need{Kind: "advance", Peak: 1e6, Mean: 2e5, Batch: 1000, Accounts: 2_000_000, Channels: 1_000_000, Days: 30, Use: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if !near(p.Model.Fixed, 20) || !near(p.Model.Each, 0.3) || p.Model.Off > 1e-6 {
		t.Errorf("fixed %g, each %g, off by %g", p.Model.Fixed, p.Model.Each, p.Model.Off)
	}
	if !near(p.Cores, 1e6*0.32/1e6/0.5) || !near(p.Memory, 50e6+200e6+200e6) || !near(p.Disk, 2e5*40*86400*30) || len(p.Beyond) != 0 {
		t.Errorf("%+v", p)
	}
	var out strings.Builder
	if err := p.Write(&out, m); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cores    0.64", "memory   450 MB", "20/1000 + 0.3", "691 GB a day", "20.7 TB for 30 days", "8192"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// TestBeyond holds that a plan says where it leaves what was measured.
func TestBeyond(t *testing.T) {
	p, err := Make(machine(), Need{Kind: "advance", Peak: 5e7, Batch: 100_000, Accounts: 50_000_000})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(p.Beyond, "\n")
	for _, want := range []string{"one goroutine", "batches of 100000", "four times"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	m := machine()
	m.Payments["advance"][1].CPU *= 5
	if p, err = Make(m, Need{Kind: "advance", Peak: 1, Batch: 1}); err != nil || !strings.Contains(strings.Join(p.Beyond, "\n"), "beside what was measured") {
		t.Errorf("a point beside the curve: %q, %v", p.Beyond, err)
	}
}

func TestRefused(t *testing.T) {
	good := Need{Kind: "advance", Peak: 1, Batch: 1}
	if _, err := Make(machine(), good); err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*Measured, *Need){
		"another kind": func(_ *Measured, n *Need) { n.Kind = "gift" },
		"no rate":      func(_ *Measured, n *Need) { n.Peak = 0 },
		"NaN":          func(_ *Measured, n *Need) { n.Peak = math.NaN() },
		"infinity":     func(_ *Measured, n *Need) { n.Peak = math.Inf(1) },
		"a low peak":   func(_ *Measured, n *Need) { n.Mean = 2 },
		"no batch":     func(_ *Measured, n *Need) { n.Batch = 0 },
		"accounts":     func(_ *Measured, n *Need) { n.Accounts = -1 },
		"all the use":  func(_ *Measured, n *Need) { n.Use = 1.5 },
		"one point":    func(m *Measured, _ *Need) { m.Payments["advance"] = m.Payments["advance"][:1] },
		"one size":     func(m *Measured, _ *Need) { m.Sizes = m.Sizes[:1] },
	} {
		m, n := machine(), good
		bend(m, &n)
		if _, err := Make(m, n); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
