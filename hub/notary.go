package hub

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/tlog"
)

var (
	// ErrNoEntry means that no entry of the account has that seq.
	ErrNoEntry = errors.New("the account has no such entry")
	// ErrNotSigned means that the entry's block is not in a signed checkpoint yet: try again in a second.
	ErrNotSigned = errors.New("the entry is not in a checkpoint yet")
)

// checkpointEvery is the least time between two checkpoints.
const checkpointEvery = time.Second

// LogPath is where the transparency log lies below the hub's origin. Host and path are the log's own origin.
const LogPath = "/log"

// NewNotary returns what makes the leaves of the transparency log, for the index. It is for one goroutine.
func NewNotary(ring *keyring.Ring) func(*ledger.Record) []byte {
	tree := tlog.NewTree(ring.LogSalts())
	return func(r *ledger.Record) []byte {
		leaf := tree.Record(r)
		return leaf.Append(make([]byte, 0, tlog.LeafSize))
	}
}

// notary signs for the transparency log, whose hashes and leaves the index keeps.
type notary struct {
	index  *index.Index
	signer note.Signer
	key    string
	ring   *keyring.Ring

	mu         sync.Mutex
	checkpoint []byte // the newest
	size       int64  // its leaves
	signed     time.Time
	liability  string // extension line of the newest epoch
}

func newNotary(cfg *Config) (*notary, error) {
	_, host, _ := strings.Cut(cfg.Origin, "://")
	signer, key, err := tlog.NewSigner(host+LogPath, cfg.Ring.LogKey())
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	return &notary{index: cfg.Index, signer: signer, key: key, ring: cfg.Ring}, nil
}

// LogKey is the key that verifies checkpoints, receipts and proofs of liabilities: name+hash+key, as c2sp.org/signed-note has it.
func (h *Hub) LogKey() string { return h.notary.key }

// Checkpoint returns the newest signed checkpoint of the transparency log, at most a second old when there are newer blocks.
// Each extends the ones before: the log only grows, and what is in it is durable.
func (h *Hub) Checkpoint() ([]byte, error) {
	signed, _, err := h.notary.newest()
	return signed, err
}

// newest is the newest checkpoint and its size. It signs one when the log has grown and the last is old enough.
func (n *notary) newest() ([]byte, int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	grown := n.index.TreeSize()
	if n.checkpoint != nil && (grown <= n.size || time.Since(n.signed) < checkpointEvery) {
		return n.checkpoint, n.size, nil
	}
	var extensions []string
	if n.liability != "" {
		extensions = append(extensions, n.liability)
	}
	c, err := tlog.NewCheckpoint(n.signer.Name(), grown, n.index, extensions...)
	if err != nil {
		return nil, 0, err
	}
	signed, err := c.Sign(n.signer)
	if err != nil {
		return nil, 0, err
	}
	n.checkpoint, n.size, n.signed = signed, grown, time.Now()
	return signed, grown, nil
}

// announce puts an epoch's line into checkpoints from now on.
func (n *notary) announce(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.liability, n.checkpoint = line, nil
}

// Tile returns a tile or entry bundle of the transparency log, within the newest checkpoint, and whether it is full: see tlog.ParseTile.
func (h *Hub) Tile(path string) (data []byte, full bool, err error) {
	t, err := tlog.ParseTile(path)
	if err != nil {
		return nil, false, err
	}
	_, size, err := h.notary.newest()
	if err != nil {
		return nil, false, err
	}
	data, err = t.Read(size, h.cfg.Index, h.cfg.Index)
	return data, t.Full(), err
}

// Receipt returns the receipt of an entry that touches an account: see tlog.Receipt. For an entry of the last second it may wait
// as long for the next checkpoint.
func (h *Hub) Receipt(no ledger.AccountNo, seq uint64) ([]byte, error) {
	r, err := h.receipt(no, seq)
	if err != nil {
		return nil, fmt.Errorf("receipt of entry %d: %w", seq, err)
	}
	return r.Write(), nil
}

func (h *Hub) receipt(no ledger.AccountNo, seq uint64) (*tlog.Receipt, error) {
	n := h.notary
	block, first, entries, _, err := n.index.BlockOf(seq)
	if errors.Is(err, index.ErrNone) {
		return nil, ErrNoEntry
	}
	if err != nil {
		return nil, err
	}
	r := &tlog.Receipt{}
	size, logged, err := h.await(block, r)
	if err != nil {
		return nil, err
	}
	if err := n.prove(r, no, seq, first, first+uint64(entries)); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.Leaf.Append(nil), logged) {
		return nil, fmt.Errorf("%w: the entries of block %d do not have its leaf in the transparency log", index.ErrCorrupt, block)
	}
	r.Outer, err = sumdb.ProveRecord(size, r.Number, n.index)
	return r, err
}

// await puts a checkpoint that has a block into a receipt, with the block's leaf.
func (h *Hub) await(block uint64, r *tlog.Receipt) (size int64, logged []byte, err error) {
	for waited := time.Duration(0); ; waited += checkpointEvery / 10 {
		if r.Checkpoint, size, err = h.notary.newest(); err != nil {
			return 0, nil, err
		}
		r.Number, logged, err = h.notary.leafOf(block)
		if err == nil && r.Number < size {
			r.Leaf, err = tlog.DecodeLeaf(logged)
			return size, logged, err
		}
		if err != nil && !errors.Is(err, ErrNotSigned) {
			return 0, nil, err
		}
		if waited > 2*checkpointEvery {
			return 0, nil, ErrNotSigned
		}
		select {
		case <-time.After(checkpointEvery / 10):
		case <-h.stop:
			return 0, nil, ErrClosed
		}
	}
}

// prove makes the block's tree anew from its entries, which end before a seq, with the path to one of them. What comes out as the
// receipt's leaf must be the one in the log: nothing damaged is handed out.
func (n *notary) prove(r *tlog.Receipt, no ledger.AccountNo, seq, first, end uint64) error {
	tree := tlog.NewTree(n.ring.LogSalts())
	tree.Start(r.Leaf)
	tree.Prove(seq)
	touched := false
	err := n.index.Entries(first, func(e *ledger.Entry) bool {
		if e.Seq >= end {
			return false
		}
		if e.Seq == seq {
			r.Entry = *e
			r.Entry.Legs = append([]ledger.Leg(nil), e.Legs...)
			for i := range e.Legs {
				touched = touched || e.Legs[i].Touches(no)
			}
		}
		tree.Add(e)
		return true
	})
	if err != nil {
		return err
	}
	if !touched {
		return ErrNoEntry
	}
	r.Leaf = tree.Finish()
	r.Inner, err = tree.Proof()
	return err
}

// leafOf finds the leaf of a block by its index. Numbers count from 0 where indexes count from 1, but an index may be left out.
func (n *notary) leafOf(block uint64) (number int64, leaf []byte, err error) {
	size := n.index.TreeSize()
	var at uint64
	number = int64(min(block, uint64(size))) - 1
	if leaf, at, err = n.index.Leaf(number); err != nil || at != block {
		number = int64(sort.Search(int(number+1), func(i int) bool {
			_, at, searched := n.index.Leaf(int64(i))
			return searched != nil || at >= block
		}))
		leaf, at, err = n.index.Leaf(number)
	}
	if err == nil && at != block || errors.Is(err, index.ErrNone) {
		return 0, nil, fmt.Errorf("%w: block %d has no leaf", ErrNotSigned, block)
	}
	return number, leaf, err
}
