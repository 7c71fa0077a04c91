package check

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
)

// parts compares the checkpoint, part by part, with the state when the replay is at its block.
type parts struct {
	lane  *lane[index.Part]
	index uint64 // of the checkpoint's block; zero: there is none
	time  uint64
	seen  bool
}

func newParts(c *checker) (*parts, error) {
	at, time, err := c.rows.Checkpoint()
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint: %w", err)
	}
	cursor, err := c.rows.Parts()
	l, err := newLane(c, "state", cursor, err)
	return &parts{lane: l, index: at, time: time}, err
}

func (p *parts) follow(r *ledger.Record, s *ledger.State) {
	if r.Index != p.index {
		return
	}
	p.seen = true
	if p.time != r.Time {
		p.lane.c.found(Finding{Space: "state", What: fmt.Sprintf("the checkpoint of block %d says time %d, and it is %d", p.index, p.time, r.Time)})
	}
	_ = s.View().Parts(false, func(key, part []byte) error { // it fails only as its function does
		p.compare(s.Seq(), key, part)
		return nil
	})
	p.lane.rest()
}

func (p *parts) compare(seq uint64, key, part []byte) {
	l := p.lane
	for l.row != nil && bytes.Compare(l.row.Key, key) < 0 {
		l.stranger()
	}
	if l.broken {
		return
	}
	f := Finding{Space: "state", First: seq, Last: seq, Key: hex.EncodeToString(key)}
	switch {
	case l.row == nil || !bytes.Equal(l.row.Key, key):
		f.What = "this part of the checkpoint is missing"
		l.c.found(f)
		return
	case !bytes.Equal(l.row.Bytes, part):
		f.What = fmt.Sprintf("this part of the checkpoint is not the state after block %d", p.index)
		l.c.found(f)
	}
	l.next()
}

func (p *parts) finish(*ledger.State) {
	switch {
	case p.index == 0:
		p.lane.rest()
	case !p.seen:
		p.lane.c.found(Finding{Space: "state", What: fmt.Sprintf("the checkpoint is of block %d, which is not before the watermark", p.index)})
	}
}

func (p *parts) close() error { return p.lane.close() }
