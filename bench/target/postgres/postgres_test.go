package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

const everything = `
workers = 4
warmup = "50ms"
duration = "1s"
[population]
payers = 40
payees = 9
channels = 120
works = 30
funds_msat = 1_000_000_000
[skew]
payees = "zipf 1.0"
[mix]
advance = 5
transfer = 4
unlock = 2
history = 1
[request]
most_msat = 20
[retry]
attempts = 50
backoff = "50ms"
timeout = "10s"
`

func plan(t *testing.T, text string) *workload.Plan {
	t.Helper()
	s, err := scenario.Parse([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return workload.NewPlan(s)
}

func batches(text string) string {
	return strings.NewReplacer("[request]", "[request]\nops = 50", "history = 1", "history = 0").Replace(text) // a history takes the place of a batch
}

// folder is a temporary one that others can get to: the test's own is closed to them, and PostgreSQL does not run as root.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// start makes a ledger in a cluster of its own, or skips where PostgreSQL is not installed.
func start(t *testing.T, p *workload.Plan, mode Mode) *Started {
	t.Helper()
	target, err := New(t.Context(), Config{Plan: p, Mode: mode, Dir: folder(t), Progress: t.Output()})
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := target.(*Started)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.cluster.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket's folder is still there: %v", err)
		}
	})
	return s
}

// TestPostgres holds that a ledger keeps its books under every kind of request, in every mode, and is not called a liar when it is killed,
// stopped or left while it works.
func TestPostgres(t *testing.T) {
	kill := "[[faults]]\nkind = \"kill\"\nat = \"300ms\"\n"
	poor := strings.NewReplacer("1_000_000_000", "1_100", "advance = 5", "advance = 0").Replace(everything)
	others := "[[faults]]\nkind = \"freeze\"\nat = \"300ms\"\nfor = \"200ms\"\n[[faults]]\nkind = \"vanish\"\nat = \"20ms\"\nevery = \"50ms\"\n"
	for name, c := range map[string]struct {
		text string
		mode Mode
	}{
		"batches":                {batches(everything), Batches},
		"totals":                 {batches(everything), Totals},
		"single":                 {everything, Single},
		"batches one by one":     {batches(everything), Single},
		"batches, killed":        {batches(everything) + kill, Batches},
		"single, killed":         {everything + kill, Single},
		"batches, left":          {batches(everything) + others, Batches},
		"single, left":           {everything + others, Single},
		"batches of the poor":    {batches(poor), Batches},
		"single ops of the poor": {poor, Single},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := plan(t, c.text)
			s := start(t, p, c.mode)
			r, err := generator.New(generator.Config{Plan: p, Target: s, Every: 100 * time.Millisecond, Settle: 5 * time.Minute}).Run(t.Context())
			if err != nil && !(strings.Contains(name, "poor") && errors.Is(err, workload.ErrDry)) {
				t.Fatal(err)
			}
			if !r.Verdict.Agree || !r.Verdict.Restarted || r.Counts.Ops == 0 {
				t.Errorf("%+v %+v %v %v", r.Verdict, r.Counts, r.Refusals, r.Errors)
			}
			if poor := r.Refusals["insufficient_funds"] > 0; poor != strings.Contains(name, "poor") || len(r.Refusals) > 1 {
				t.Errorf("refused: %v", r.Refusals)
			}
			for _, h := range r.Faults {
				if h.Err != "" {
					t.Errorf("fault %s: %s", h.Kind, h.Err)
				}
			}
			if strings.Contains(c.text, "faults") && (len(r.Faults) == 0 || r.Counts.Errors == 0) {
				t.Errorf("%d faults happened, %d attempts had no answer", len(r.Faults), r.Counts.Errors)
			}
			if r.System != nil && (r.System.Memory == 0 || !strings.HasPrefix(r.Target, string(c.mode)+" 1")) {
				t.Errorf("%q used %+v", r.Target, r.System)
			}
		})
	}
}

// TestThere holds that a server that is there already is used, and left as it was.
func TestThere(t *testing.T) {
	c, err := newCluster(folder(t), t.Output())
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	p := plan(t, everything)
	first := &Target{alive: c.running}
	conf, err := pgx.ParseConfig(c.url())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := first.await(t.Context(), conf) // it serves
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for range 2 {
		p = plan(t, everything)
		target, err := New(t.Context(), Config{Plan: p, Mode: Batches, URL: c.url()})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := target.(generator.Process); ok {
			t.Error("another's server can be killed")
		}
		if _, err := New(t.Context(), Config{Plan: p, Mode: Batches, URL: c.url()}); err == nil || !strings.Contains(err.Error(), "DROP SCHEMA") {
			t.Errorf("two at once: %v", err)
		}
		r, err := generator.New(generator.Config{Plan: p, Target: target}).Run(t.Context())
		if err != nil || !r.Verdict.Agree || r.Counts.Ops == 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := conn.Exec(t.Context(), "ALTER SYSTEM SET fsync = off"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		var value string
		if err := conn.QueryRow(t.Context(), "SHOW fsync").Scan(&value); err != nil || time.Since(began) > time.Minute {
			t.Fatalf("fsync is %q, %v", value, err)
		}
		if value == "off" {
			break
		}
	}
	if _, err := New(t.Context(), Config{Plan: p, Mode: Batches, URL: c.url()}); err == nil || !strings.Contains(err.Error(), "fsync is off") {
		t.Errorf("one that forgets: %v", err)
	}
	if _, err := New(t.Context(), Config{Plan: p, Mode: Batches, URL: "host=/nowhere user=x"}); err == nil {
		t.Error("one that is not there")
	}
}

// TestNobodyThere holds that a server that is not there is told from one that has something against us.
func TestNobodyThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "postgres://" + ln.Addr().String() + "/bench"
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Config{URL: url}); !errors.Is(err, generator.ErrAway) {
		t.Error(err)
	}
}

func TestElements(t *testing.T) {
	var got []uint32
	keep := func(b []byte) error {
		got = append(got, binary.BigEndian.Uint32(b))
		return nil
	}
	good := appendInt4(appendInt4(array(nil, oidInt4, 2), 7), 9)
	if err := elements(good, 4, keep); err != nil || len(got) != 2 || got[0] != 7 || got[1] != 9 {
		t.Errorf("%v, %v", got, err)
	}
	if err := elements(array(nil, oidInt4, 0), 4, keep); err != nil || len(got) != 2 {
		t.Errorf("an empty one: %v, %v", got, err)
	}
	for n := range good {
		if n == 12 {
			continue
		}
		if err := elements(good[:n], 4, keep); !errors.Is(err, generator.ErrAnswer) {
			t.Errorf("%d bytes of it: %v", n, err)
		}
	}
	for at := range good {
		bent := bytes.Clone(good)
		bent[at] ^= 0x80
		_ = elements(bent, 4, keep) // whatever it says, it must not panic
	}
}
