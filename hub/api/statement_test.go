package api_test

import (
	"errors"
	"testing"

	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/ledger"
)

// TestStatementPages: a statement's lines are all handed on, in order and once, and never while the index is read.
func TestStatementPages(t *testing.T) {
	const step = 3 // between the seqs of two lines
	errRead, errWrite := errors.New("cannot be read"), errors.New("the reader is gone")
	for _, lines := range []int{0, 1, api.ReadAhead - 1, api.ReadAhead, api.ReadAhead + 1, 3*api.ReadAhead + 7} {
		asked := ledger.Range{From: 10, To: 10 + step*uint64(lines)}
		reading, reads, most := false, 0, 0
		read := func(g ledger.Range, f func(*ledger.Line) bool) error {
			if g.To != asked.To || g.Newest {
				t.Fatalf("asked for %+v, want the end of %+v", g, asked)
			}
			reading = true
			defer func() { reading = false }()
			reads++
			n := 0
			l := ledger.Line{Seq: asked.From} // one for all: a line is valid during the call
			for i := range lines {
				if l.Seq = asked.From + step*uint64(i); l.Seq < g.From {
					continue
				}
				l.Time = l.Seq * 2
				if n++; !f(&l) {
					break
				}
			}
			most = max(most, n)
			return nil
		}
		next := asked.From
		take := func(l *ledger.Line) error {
			if reading {
				t.Fatal("a line is handed on while the index is read")
			}
			if l.Seq != next || l.Time != 2*next {
				t.Fatalf("line %d, time %d; want line %d", l.Seq, l.Time, next)
			}
			next += step
			return nil
		}
		if err := api.InPages(asked, read, take); err != nil || next != asked.From+step*uint64(lines) {
			t.Errorf("%d lines: came to %d, %v", lines, next, err)
		}
		if most > api.ReadAhead || reads > lines/api.ReadAhead+1 {
			t.Errorf("%d lines: %d reads, of up to %d lines", lines, reads, most)
		}
		if lines == 0 {
			continue
		}
		before := reads
		if err := api.InPages(asked, read, func(*ledger.Line) error { return errWrite }); err != errWrite || reads != before+1 {
			t.Errorf("a reader who is gone: %v, after %d reads", err, reads-before)
		}
		broken := func(g ledger.Range, f func(*ledger.Line) bool) error { return errors.Join(read(g, f), errRead) }
		if err := api.InPages(asked, broken, func(*ledger.Line) error { t.Error("a line of a failed read"); return nil }); !errors.Is(err, errRead) {
			t.Errorf("what cannot be read: %v", err)
		}
	}
}
