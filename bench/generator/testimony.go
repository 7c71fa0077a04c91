package generator

import (
	"context"
	"fmt"
	"time"
)

// Testimony is what one of several generators knows of the outcomes when all loads are over.
type Testimony struct {
	Refusals map[string]uint64 `json:"refusals"`
	Resolved uint64            `json:"resolved"`
	Lies     []string          `json:"lies,omitempty"`
	Open     int               `json:"open"` // requests whose outcome nobody knows
	Why      string            `json:"why,omitempty"`
	Tally    []byte            `json:"tally"` // workload.Plan.Export
}

// Testify asks again what was never answered, and says what this part of the workers has been told in all.
func (g *Generator) Testify(ctx context.Context) (*Testimony, error) {
	settle, cancel := context.WithTimeout(ctx, g.cfg.Settle)
	defer cancel()
	r := &Result{Refusals: make(map[string]uint64)}
	still, why := g.settle(settle, r)
	g.testify(r)
	t := &Testimony{Refusals: r.Refusals, Resolved: r.Resolved, Lies: r.Verdict.Lies, Open: still}
	if still > 0 {
		t.Why = why.Error()
	}
	var err error
	t.Tally, err = g.cfg.Plan.Export(g.cfg.Part, g.cfg.Parts)
	return t, err
}

// Conclude holds the target's books against the tallies of all parts, in their order. Where one is lost (nil), nobody knows what it has paid. The plan
// has no tally of its own.
func (g *Generator) Conclude(ctx context.Context, r *Result, all []*Testimony) error {
	open, why, lost := 0, "", 0
	for i, t := range all {
		if t == nil {
			lost++
			continue
		}
		if err := g.cfg.Plan.Import(i, len(all), t.Tally); err != nil {
			return fmt.Errorf("what part %d says: %w", i, err)
		}
		for word, n := range t.Refusals {
			r.Refusals[word] += n
		}
		r.Resolved += t.Resolved
		r.Verdict.Lies = append(r.Verdict.Lies, t.Lies...)
		if open += t.Open; t.Why != "" {
			why = t.Why
		}
	}
	switch {
	case lost > 0:
		r.Verdict.Unverified = fmt.Sprintf("nobody knows what %d of %d agents have paid", lost, len(all))
	case open > 0:
		r.Verdict.Unverified = fmt.Sprintf("nobody knows what became of %d requests: %s", open, why)
	default:
		g.audit(ctx, r)
	}
	return nil
}

// testify adds what the workers' answers have shown.
func (g *Generator) testify(r *Result) {
	for _, src := range g.sources {
		for word, n := range src.Tally.Refusals {
			r.Refusals[word] += n
		}
		for _, lie := range src.Lies {
			r.Verdict.Lies = append(r.Verdict.Lies, lie.Error())
		}
	}
}

// auditing bounds how long books may take, a restart and the replay of a long log included.
const auditing = 15 * time.Minute

// audit holds the books against the tally, and does so again after a restart where the target can be restarted.
func (g *Generator) audit(ctx context.Context, r *Result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditing) // what is left of the settling says nothing about the books
	defer cancel()
	if !g.read(ctx, r, "") {
		return
	}
	if t, ok := g.cfg.Target.(Restarter); ok && !r.Verdict.Restarted {
		if err := t.Restart(ctx); err != nil {
			r.Verdict.Unverified = fmt.Sprintf("the target cannot be restarted: %v", err)
			return
		}
		if r.Verdict.Restarted = g.read(ctx, r, "after a restart: "); !r.Verdict.Restarted {
			return
		}
	}
	r.Verdict.Agree = len(r.Verdict.Lies) == 0
}

// read holds the books as they are now against the tally, unless they cannot be read.
func (g *Generator) read(ctx context.Context, r *Result, when string) bool {
	books, err := g.cfg.Target.Books(ctx)
	if err != nil {
		r.Verdict.Unverified = fmt.Sprintf("%sthe books cannot be read: %v", when, err)
		return false
	}
	if err := g.cfg.Plan.Verify(books); err != nil {
		r.Verdict.Lies = append(r.Verdict.Lies, when+err.Error())
	}
	r.Verdict.Restarted = books.Restarted
	return true
}
