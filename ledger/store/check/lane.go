package check

import (
	"encoding/hex"

	"github.com/millrace/millrace/ledger/store/index"
)

// lane is a keyspace whose rows are in the order of the log: it is read beside the replay, and each row compared as it comes.
type lane[R any] struct {
	c      *checker
	space  string
	cursor *index.Cursor[R]
	row    *R   // the next one; nil: none is left
	broken bool // the disk has failed: nobody knows what is left
}

func newLane[R any](c *checker, space string, cursor *index.Cursor[R], err error) (*lane[R], error) {
	if err != nil {
		return nil, err
	}
	l := &lane[R]{c: c, space: space, cursor: cursor}
	l.next()
	return l, nil
}

// next goes to the next row that makes sense.
func (l *lane[R]) next() {
	l.row, l.broken = nextRow(l.c, l.space, l.cursor)
}

// nextRow is the next row of a cursor that makes sense. Broken means that the disk has failed before the end.
func nextRow[R any](c *checker, space string, cursor *index.Cursor[R]) (row *R, broken bool) {
	for {
		row, err := cursor.Next()
		if err == nil {
			return row, false
		}
		key := cursor.Key()
		c.found(Finding{Space: space, Key: hex.EncodeToString(key), What: err.Error()})
		if key == nil {
			return nil, true
		}
	}
}

// at is the row under a key, and nil when there is none. Rows under smaller keys belong to nothing in the log.
func (l *lane[R]) at(key uint64, keyOf func(*R) uint64) *R {
	for l.row != nil && keyOf(l.row) < key {
		l.stranger()
	}
	if l.row == nil || keyOf(l.row) > key {
		return nil
	}
	return l.row
}

func (l *lane[R]) stranger() {
	l.c.found(Finding{Space: l.space, Key: hex.EncodeToString(l.cursor.Key()), What: "the row is of nothing in the log"})
	l.next()
}

// rest are rows behind the last that belongs there.
func (l *lane[R]) rest() {
	for l.row != nil {
		l.stranger()
	}
}

func (l *lane[R]) close() error { return l.cursor.Close() }
