package check

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// newIDs compares what is remembered of ops. Those that are older than the index has to keep them may be missing, but only all
// that are older than some time: that is how they are dropped.
func newIDs(c *checker) (*tally, error) {
	t := newTally(c, "ids")
	from, err := c.keptFrom()
	if err != nil {
		return nil, err
	}
	t.expect = func(b *ledger.Record, add func(*row)) {
		b.Remembered(func(m ledger.Remembered) {
			if m.ID.Millis() >= from {
				add(rowOfID(&m))
			}
		})
	}
	t.scan = func(add func(*row)) {
		eachRow(c, t.space, c.rows.IDs, func(m *ledger.Remembered) { add(rowOfID(m)) })
	}
	t.name = func(r *row) string {
		var id ledger.OpID
		binary.BigEndian.PutUint64(id[:], r.rest[0])
		binary.BigEndian.PutUint64(id[8:], r.rest[1])
		return fmt.Sprintf("%v of account %v", id, ledger.AccountNo(r.rest[2]))
	}
	return t, nil
}

func rowOfID(m *ledger.Remembered) *row {
	return &row{m.Seq, [5]uint64{binary.BigEndian.Uint64(m.ID[:]), binary.BigEndian.Uint64(m.ID[8:]), uint64(m.Actor), m.Sum, uint64(m.Object)}}
}

// keptFrom is the time in milliseconds since 1970 from which on ids must be there: that of the first that is, or an earlier one
// if the index has to keep those.
func (c *checker) keptFrom() (from uint64, err error) {
	if keep := c.cfg.Index.IDKeep; keep > 0 {
		_, time, err := c.rows.Checkpoint()
		if err != nil {
			return 0, err
		}
		from = time - min(keep, time)
	}
	cursor, err := c.rows.IDs()
	if err != nil {
		return 0, err
	}
	if first, _ := nextRow(c, "ids", cursor); first != nil {
		from = min(from, first.ID.Millis())
	}
	return from, cursor.Close()
}

// newEntitlements compares who owns what.
func newEntitlements(c *checker) (*tally, error) {
	t := newTally(c, "entitlements")
	t.expect = func(b *ledger.Record, add func(*row)) {
		b.Owned(func(o ledger.Owned) { add(rowOfOwned(&o)) })
	}
	t.scan = func(add func(*row)) {
		eachRow(c, t.space, c.rows.Entitlements, func(o *ledger.Owned) { add(rowOfOwned(o)) })
	}
	t.name = func(r *row) string {
		if unit := r.rest[3]; unit != 0 {
			return fmt.Sprintf("unit %d of content %d of account %v", unit-1, r.rest[1], ledger.AccountNo(r.rest[0]))
		}
		return fmt.Sprintf("content %d of account %v", r.rest[1], ledger.AccountNo(r.rest[0]))
	}
	return t, nil
}

func rowOfOwned(o *ledger.Owned) *row {
	return &row{o.Seq, [5]uint64{uint64(o.Account), uint64(o.Content), uint64(o.Paid), uint64(o.Unit)}}
}
