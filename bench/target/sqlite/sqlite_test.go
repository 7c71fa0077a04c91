package sqlite

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

const everything = `
workers = 4
warmup = "20ms"
duration = "300ms"
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
backoff = "10ms"
timeout = "30s"
`

// forgetful is a ledger whose restart loses a msat.
type forgetful struct{ *Target }

func (f forgetful) Restart(ctx context.Context) error {
	_, err := f.write.ExecContext(ctx, "UPDATE accounts SET balance = balance - 1 WHERE id = 0")
	return errors.Join(err, f.Target.Restart(ctx))
}

// TestRestart holds that what a ledger in a file has lost when it is opened again is found.
func TestRestart(t *testing.T) {
	s, err := scenario.Parse([]byte(everything), "test")
	if err != nil {
		t.Fatal(err)
	}
	p := workload.NewPlan(s)
	target, err := New(t.Context(), p, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := target.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, err := generator.New(generator.Config{Plan: p, Target: forgetful{target}}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v := r.Verdict; v.Agree || len(v.Lies) != 1 || !strings.HasPrefix(v.Lies[0], "after a restart: ") || !strings.Contains(v.Lies[0], "payer 0 has") {
		t.Errorf("%+v", v)
	}
}

// TestSQLite holds that a ledger keeps its books under every kind of request, by payers with money and without, and when it is left.
func TestSQLite(t *testing.T) {
	single, poor := everything, strings.NewReplacer("1_000_000_000", "1_100", "advance = 5", "advance = 0").Replace(everything)
	batch := func(text string) string {
		return strings.NewReplacer("[request]", "[request]\nops = 50", "history = 1", "history = 0").Replace(text) // a history takes the place of a batch
	}
	left := "[[faults]]\nkind = \"vanish\"\nat = \"10ms\"\nevery = \"20ms\"\n"
	for name, text := range map[string]string{
		"single": single, "batches": batch(single), "single ops of the poor": poor, "batches of the poor": batch(poor),
		"single, left": single + left, "batches, left": batch(single) + left,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := scenario.Parse([]byte(text), "test")
			if err != nil {
				t.Fatal(err)
			}
			p := workload.NewPlan(s)
			target, err := New(t.Context(), p, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := target.Close(); err != nil {
					t.Error(err)
				}
			})
			r, err := generator.New(generator.Config{Plan: p, Target: target}).Run(t.Context())
			if err != nil && !(strings.Contains(name, "poor") && errors.Is(err, workload.ErrDry)) {
				t.Fatal(err)
			}
			if !r.Verdict.Agree || !r.Verdict.Restarted || r.Counts.Ops == 0 || !strings.HasPrefix(r.Target, "sqlite 3.") {
				t.Errorf("%s: %+v %+v %v %v", r.Target, r.Verdict, r.Counts, r.Refusals, r.Errors)
			}
			if some := r.Refusals["insufficient_funds"] > 0; some != strings.Contains(name, "poor") || len(r.Refusals) > 1 {
				t.Errorf("refused: %v", r.Refusals)
			}
			if r.Counts.Errors > 0 && !strings.Contains(name, "left") {
				t.Errorf("%d attempts had no answer: %v", r.Counts.Errors, r)
			}
		})
	}
}
