package check

import (
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// marks compares what the index says of itself.
type marks struct {
	c      *checker
	blocks uint64
	sum    uint32 // of the last one
}

func newMarks(c *checker) (*marks, error) { return &marks{c: c}, nil }

func (m *marks) follow(r *ledger.Record, _ *ledger.State) {
	m.blocks++
	m.sum = ledger.SumOf(r.Block)
}

func (m *marks) finish(s *ledger.State) {
	wrong := func(what string, got, want any) {
		m.c.found(Finding{Space: "index", What: fmt.Sprintf("its watermark, block %d, says %s %v, and it is %v", m.c.mark.Index, what, got, want)})
	}
	w := &m.c.mark
	if w.Seq != s.Seq() {
		wrong("entry", w.Seq, s.Seq())
	}
	if w.Blocks != m.blocks {
		wrong("blocks", w.Blocks, m.blocks)
	}
	if w.Leaves != 0 && w.Leaves != m.blocks {
		wrong("leaves", w.Leaves, m.blocks)
	}
	if head := s.Head(); w.Head != head {
		wrong("head", fmt.Sprintf("%x", w.Head), fmt.Sprintf("%x", head))
	}
	if w.Sum != m.sum {
		wrong("checksum", w.Sum, m.sum)
	}
	end, err := m.c.rows.ErasEnd()
	if err != nil {
		m.c.damage("histories", err)
	} else if end != s.Seq() {
		m.c.found(Finding{Space: "histories", What: fmt.Sprintf("they end with entry %d, and the index with entry %d", end, s.Seq())})
	}
}

func (m *marks) close() error { return nil }
