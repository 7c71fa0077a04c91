package audit

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// TestAsk: whoever asks gets what a comparison finds, though it takes longer than he waits at first; those who ask meanwhile get the same.
func TestAsk(t *testing.T) {
	w := newWorld(t)
	a := w.auditor(func(c *Config) { c.Every, c.Late = time.Hour, 300*time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	defer running.Wait()
	defer cancel()
	if r, err := a.Ask(t.Context(), false); err != nil || len(r.Mismatches) > 0 {
		t.Fatal(r, err)
	}
	if err := a.Fresh(t.Context(), time.Hour); err != nil {
		t.Error(err)
	}
	w.received(1, 5000) // nobody looks at the world between two answers
	short, done := context.WithTimeout(ctx, 10*time.Millisecond)
	defer done()
	if _, err := a.Ask(short, true); !errors.Is(err, ErrComparing) {
		t.Fatal(err)
	}
	var answers [3]Report
	var asking sync.WaitGroup
	for i := range answers {
		asking.Go(func() {
			var err error
			if answers[i], err = a.Ask(t.Context(), i == 0); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	for _, r := range answers {
		if len(r.Mismatches) == 0 || r.Stopped == "" || !r.Full || !r.Time.Equal(answers[0].Time) {
			t.Errorf("%+v", r)
		}
	}
	if err := a.Fresh(t.Context(), time.Hour); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
	if a.Full().IsZero() {
		t.Error("no full run")
	}
}
