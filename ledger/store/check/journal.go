package check

import (
	"fmt"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
)

// journal compares each entry.
type journal struct {
	lane    *lane[index.Chunk]
	last    uint64 // entry compared
	missing Finding
	differs uint64 // the first entry of the row that was found to differ
}

func newJournal(c *checker) (*journal, error) {
	cursor, err := c.rows.Journal()
	l, err := newLane(c, "journal", cursor, err)
	return &journal{lane: l}, err
}

func (j *journal) follow(r *ledger.Record, _ *ledger.State) {
	for at := 0; at < len(r.Legs) && !j.lane.broken; {
		next := at + 1
		for next < len(r.Legs) && r.Legs[next].Entry == r.Legs[at].Entry {
			next++
		}
		j.compare(r, r.Legs[at:next])
		at = next
	}
}

func (j *journal) compare(r *ledger.Record, legs []ledger.Leg) {
	seq := r.First + uint64(legs[0].Entry)
	e := j.at(seq)
	j.last = seq
	switch {
	case e != nil:
		j.tellMissing()
		if !sameEntry(e, r, legs) && j.differs != j.lane.row.First {
			j.differs = j.lane.row.First
			j.lane.c.found(Finding{Space: "journal", First: seq, Last: seq, Key: fmt.Sprintf("row from entry %d on", j.lane.row.First),
				What: fmt.Sprintf("the entry is not what block %d did", r.Index)})
		}
	case j.missing.First == 0:
		j.missing = Finding{Space: "journal", First: seq, Last: seq, What: "missing"}
	default:
		j.missing.Last = seq
	}
}

// at finds the next entry; nil when it is missing.
func (j *journal) at(seq uint64) *ledger.Entry {
	for l := j.lane; l.row != nil; {
		first, n := l.row.First, uint64(len(l.row.Entries))
		switch {
		case seq < first:
			return nil
		case seq-first < n:
			return &l.row.Entries[seq-first]
		}
		if l.next(); l.row != nil && l.row.First <= j.last {
			l.stranger()
		}
	}
	return nil
}

func (j *journal) tellMissing() {
	if j.missing.First != 0 {
		j.lane.c.found(j.missing)
		j.missing = Finding{}
	}
}

func (j *journal) finish(s *ledger.State) {
	j.tellMissing()
	l := j.lane
	if l.row != nil && l.row.First <= s.Seq() {
		if last := l.row.First + uint64(len(l.row.Entries)) - 1; last > s.Seq() {
			l.c.found(Finding{Space: "journal", First: s.Seq() + 1, Last: last, What: "entries behind the last one of the watermark's block"})
		}
		l.next()
	}
	l.rest()
}

func (j *journal) close() error { return j.lane.close() }

func sameEntry(e *ledger.Entry, r *ledger.Record, legs []ledger.Leg) bool {
	if e.Time != r.Time || e.Index != r.Index || e.Kind != legs[0].Kind || len(e.Legs) != len(legs) || e.ID != r.ID(&legs[0]) {
		return false
	}
	for i := range legs {
		a, b := &e.Legs[i], &legs[i]
		if a.Amount != b.Amount || a.From != b.From || a.To != b.To || a.Object != b.Object || a.Kind != b.Kind || a.Move != b.Move {
			return false
		}
	}
	return true
}
