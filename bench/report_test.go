package bench

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// TestGolden holds table and JSON against testdata.
func TestGolden(t *testing.T) {
	results := goldenResults()
	for name, write := range map[string]func(*bytes.Buffer) error{
		"table.txt":    func(b *bytes.Buffer) error { return WriteTable(b, results) },
		"results.json": func(b *bytes.Buffer) error { return WriteJSON(b, results) },
		"none.json":    func(b *bytes.Buffer) error { return WriteJSON(b, nil) },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *rewrite {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got.Bytes(), want)
		}
	}
}

func goldenResults() []Result {
	rounds := func(millis int, ops ...uint64) *trial {
		t := &trial{}
		for _, n := range ops {
			s := sample{ops: n, took: time.Second, cpu: 1500 * time.Millisecond, mallocs: n / 4, waits: newWaits()}
			for i := range 1000 {
				record(s.waits, time.Duration(i*millis)*time.Microsecond)
			}
			t.rounds = append(t.rounds, s)
		}
		return t
	}
	core := rounds(1, 9_000_000, 8_000_000, 10_000_000)
	durable, pebble := rounds(5, 4_000_000, 3_000_000, 2_000_000), rounds(1, 8_000_000, 12_000_000, 4_000_000)
	unlock, noop := rounds(3, 50_000, 40_000, 30_000), rounds(1, 90_000, 100_000, 80_000)
	core.name, pebble.name, noop.name = "apply in memory", "pebble alone", "no-op handler"
	a, b, c := newResult("block of 8192", core), newResult("batch of 8192", durable, core, pebble), newResult("unlock", unlock, noop)
	a.Name, b.Name, c.Name = "core", "durable", "http-unlock"
	b.LogBytes, b.Disk, b.Running, b.Index = 17.01, 17.3, 21.25, 22.5
	d := Result{Name: "startup", Value: 1.25, Unit: "s", Call: "start"}
	d.add(1.25, "s", "after SIGKILL")
	d.add(1234.5, "MB", "memory")
	return []Result{a, b, c, d}
}

func TestMedianAndSpread(t *testing.T) {
	for _, c := range []struct {
		values         []float64
		median, spread float64
	}{{nil, 0, 0}, {[]float64{3}, 3, 0}, {[]float64{4, 1, 2}, 2, 1.5}, {[]float64{4, 1, 2, 4}, 3, 1}} {
		if m, s := median(c.values), spread(c.values); m != c.median || s != c.spread {
			t.Errorf("%v: %v %v", c.values, m, s)
		}
	}
}

func TestShortNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 9_999: "9999", 12_345: "12.3 k", 999_499: "999.5 k", 999_500: "1.00 M", 3_456_789: "3.46 M"} {
		if got := count(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
