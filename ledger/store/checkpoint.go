package store

import (
	"fmt"
	"io"

	"github.com/millrace/millrace/ledger"
)

// Checkpoints keep the machine's state as it was after some block, so that a start replays only what came after it. They are
// derived from the log, as all indexes are: without them, a start replays everything.
type Checkpoints interface {
	// Follows refuses what was derived from another log, or from one with more blocks than this, whose last one is given. sum
	// returns the checksum of one of the log's blocks.
	Follows(last uint64, sum func(index uint64) (uint32, error)) error
	// ReadState reads that checkpoint, as ledger.Restore wants it.
	ReadState() (io.ReadCloser, error)
	// Checkpoint takes over a view, to be made durable in the background.
	Checkpoint(*ledger.View)
	// Covered is the index of the block that the newest durable checkpoint was taken after, zero for none, and how many bytes it
	// took to write it.
	Covered() (index uint64, bytes int64)
}

// maybeCheckpoint begins a checkpoint when enough has been logged since the last one: as many bytes as the option says, and
// as that one took, so that checkpoints never write more than the log does. At most one is on its way.
func (s *Store) maybeCheckpoint() {
	if s.kept == nil || s.sinceCheckpoint < s.opts.CheckpointEvery {
		return
	}
	covered, bytes := s.kept.Covered()
	if covered < s.checkpointed || s.sinceCheckpoint < bytes {
		return
	}
	s.checkpoint()
}

func (s *Store) checkpoint() {
	view := s.machine.Snapshot()
	s.sinceCheckpoint, s.checkpointed = 0, view.Index()
	s.kept.Checkpoint(view)
}

// restore gives the machine the newest checkpoint, and returns its index: zero for none. A damaged one is an error, not a reason
// to replay for hours unasked: whoever wants that removes the index.
func (s *Store) restore(m Machine, kept Checkpoints) (uint64, error) {
	if kept == nil {
		return 0, nil
	}
	index, _ := kept.Covered()
	if index == 0 {
		return 0, nil
	}
	r, err := kept.ReadState()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if err := m.Restore(index, r); err != nil {
		return 0, fmt.Errorf("%w: checkpoint of block %d: %w", ErrCorrupt, index, err)
	}
	s.checkpointed = index
	return index, nil
}
