package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/checksum"
	"golang.org/x/mod/sumdb/tlog"
)

// Rows reads everything that an index holds, as it stands, for whoever wants to compare it with the log. Nothing is written, and
// nothing is taken for right: what makes no sense is an error of the row alone.
type Rows struct{ x *Index }

// OpenRows opens an index that nobody has open.
func OpenRows(opts Options) (*Rows, error) {
	opts.setDefaults()
	opts.readOnly = true
	x := &Index{opts: opts, looks: looks{seed: maphash.MakeSeed()}}
	x.moved.L = &x.mu
	if err := x.openPebble(); err != nil {
		return nil, err
	}
	return &Rows{x}, nil
}

// Close releases the folder. All cursors must be closed.
func (r *Rows) Close() error { return r.x.db.Close() }

// Watermark says how far an index is.
type Watermark struct {
	Index  uint64 // of the last block; zero: the index is empty
	Seq    uint64 // of its last entry
	Blocks uint64 // their number
	Leaves uint64 // of the transparency log
	Head   [32]byte
	Sum    uint32 // of the last block: see ledger.SumOf
}

// Watermark is zero for an empty index.
func (r *Rows) Watermark() (Watermark, error) {
	b, ok, err := r.x.get([]byte(watermarkKey))
	if err != nil || !ok {
		return Watermark{}, err
	}
	w, err := decodeWatermark(b)
	return Watermark{w.index, w.seq, w.blocks, w.leaves, w.head, w.sum}, err
}

// Checkpoint is the index of the block that the state in the index was taken after, zero if there is none, and that block's time
// in milliseconds since 1970: ids that could not be used any more by then are dropped.
func (r *Rows) Checkpoint() (index, time uint64, err error) {
	c, err := r.x.loadCheckpoint()
	return c.index, c.time, err
}

// ID and Owned are for ledger.Archive.
func (r *Rows) ID(id ledger.OpID, actor ledger.AccountNo) (ledger.Remembered, bool, error) {
	return r.x.ID(id, actor)
}

// Owned is for ledger.Archive.
func (r *Rows) Owned(account ledger.AccountNo, content, unit uint32) (ledger.Owned, bool, error) {
	return r.x.Owned(account, content, unit)
}

// Tables checks the checksums of all tables: see checksum.Tables.
func (r *Rows) Tables(ctx context.Context, f func(file string, damage error) error) error {
	o := pebbleOptions(r.x.opts, func(error) {})
	return checksum.Tables(ctx, r.x.db, o, r.x.opts.Dir, f)
}

// Strays calls f with the key of every row that belongs to no keyspace.
func (r *Rows) Strays(f func(key []byte)) error {
	it, err := r.x.db.NewIter(nil)
	if err != nil {
		return readError(err, "all rows")
	}
	for ok := it.First(); ok; {
		key := it.Key()
		if bytes.IndexByte([]byte("hijkopt"), key[0]) >= 0 {
			ok = it.SeekGE([]byte{key[0] + 1})
			continue
		}
		if s := string(key); s != watermarkKey && s != stateKey && s != erasKey {
			f(key)
		}
		ok = it.Next()
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return readError(err, "all rows")
	}
	return nil
}

// Cursor goes through the rows of one keyspace in the order of their keys.
type Cursor[R any] struct {
	it     *pebble.Iterator
	decode func(key, value []byte, row *R) error
	begun  bool
	ended  bool
	failed bool // the disk has, and Next has said so
	row    R
}

func cursor[R any](r *Rows, space byte, decode func(key, value []byte, row *R) error) (*Cursor[R], error) {
	it, err := r.x.iterate(space)
	if err != nil {
		return nil, err
	}
	return &Cursor[R]{it: it, decode: decode}, nil
}

// Next goes to the next row, which is valid until the call after. It is nil at the end. After an error of a row, Next goes on
// behind it; after one of the disk there is nothing more.
func (c *Cursor[R]) Next() (*R, error) {
	switch {
	case c.ended:
		return nil, nil
	case c.begun:
		c.ended = !c.it.Next()
	default:
		c.begun, c.ended = true, !c.it.First()
	}
	if c.ended {
		if err := c.it.Error(); err != nil {
			c.failed = true
			return nil, readError(err, "rows")
		}
		return nil, nil
	}
	value, err := c.it.ValueAndErr()
	if err != nil {
		c.failed = true
		return nil, readError(err, "%x", c.it.Key())
	}
	if err := c.decode(c.it.Key(), value, &c.row); err != nil {
		return nil, err
	}
	return &c.row, nil
}

// Key is that of the row that the cursor stands at.
func (c *Cursor[R]) Key() []byte {
	if !c.it.Valid() {
		return nil
	}
	return c.it.Key()
}

// Close must be called. What Next has said is no error of it.
func (c *Cursor[R]) Close() error {
	if err := c.it.Close(); err != nil && !c.failed {
		return readError(err, "rows")
	}
	return nil
}

// Chunk is a row of the journal: entries that follow each other.
type Chunk struct {
	First   uint64
	Entries []ledger.Entry
	chunk   chunk
}

// Journal reads the rows "j".
func (r *Rows) Journal() (*Cursor[Chunk], error) {
	return cursor(r, 'j', func(key, value []byte, row *Chunk) error {
		if len(key) != 9 {
			return corrupt("a journal key of %d bytes", len(key))
		}
		row.First = binary.BigEndian.Uint64(key[1:])
		err := row.chunk.decode(row.First, value)
		row.Entries = row.chunk.entries
		return err
	})
}

// Block is a row of the directory of blocks.
type Block struct {
	Index   uint64
	Number  uint64 // counts the blocks of the log from zero
	First   uint64 // seq of its first entry
	Entries uint64
	Time    uint64 // milliseconds since 1970
	Head    [32]byte
	Leaf    []byte // of the transparency log, if there is one
}

// Blocks reads the rows "k".
func (r *Rows) Blocks() (*Cursor[Block], error) {
	return cursor(r, 'k', func(key, value []byte, row *Block) error {
		b, err := decodeBlock(key, value)
		*row = Block{b.index, b.number, b.first, b.entries, b.time, b.head, b.leaf}
		return err
	})
}

// Hash is a stored hash of the transparency log.
type Hash struct {
	Number int64
	Hash   tlog.Hash
}

// Hashes reads the rows "t".
func (r *Rows) Hashes() (*Cursor[Hash], error) {
	return cursor(r, 't', func(key, value []byte, row *Hash) error {
		if len(key) != 9 || len(value) != tlog.HashSize {
			return corrupt("a hash of the transparency log with a key of %d bytes and a value of %d", len(key), len(value))
		}
		row.Number = int64(binary.BigEndian.Uint64(key[1:]))
		copy(row.Hash[:], value)
		return nil
	})
}

// Part is a part of the ledger's state: see ledger.View.Parts.
type Part struct{ Key, Bytes []byte }

// Parts reads the rows "p".
func (r *Rows) Parts() (*Cursor[Part], error) {
	return cursor(r, 'p', func(key, value []byte, row *Part) error {
		row.Key, row.Bytes = key[1:], value
		return nil
	})
}

// IDs reads the rows "i".
func (r *Rows) IDs() (*Cursor[ledger.Remembered], error) {
	return cursor(r, 'i', func(key, value []byte, m *ledger.Remembered) error {
		if len(key) != 21 {
			return corrupt("the key of an id has %d bytes", len(key))
		}
		*m = ledger.Remembered{ID: ledger.OpID(key[1:17]), Actor: ledger.AccountNo(binary.BigEndian.Uint32(key[17:]))}
		if !decodeRemembered(value, m) {
			return corrupt("the row of id %v makes no sense", m.ID)
		}
		return nil
	})
}

// Entitlements reads the rows "o".
func (r *Rows) Entitlements() (*Cursor[ledger.Owned], error) {
	return cursor(r, 'o', func(key, value []byte, o *ledger.Owned) error {
		if len(key) != 9 && len(key) != 13 {
			return corrupt("the key of an entitlement has %d bytes", len(key))
		}
		*o = ledger.Owned{Account: ledger.AccountNo(binary.BigEndian.Uint32(key[1:])), Content: binary.BigEndian.Uint32(key[5:])}
		if len(key) == 13 {
			o.Unit = binary.BigEndian.Uint32(key[9:])
		}
		if !varints(value, &o.Seq, (*uint64)(&o.Paid)) {
			return corrupt("the row of account %v and content %d makes no sense", o.Account, o.Content)
		}
		return nil
	})
}

// ErasEnd is the last entry that is in the table of eras, of which the histories of accounts and channels consist.
func (r *Rows) ErasEnd() (uint64, error) {
	e, err := r.eras()
	return e.last(), err
}

func (r *Rows) eras() (eras, error) {
	b, ok, err := r.x.get([]byte(erasKey))
	if err != nil || !ok {
		return eras{}, err
	}
	return decodeEras(b)
}

// Sheet is a row of the histories: a few strips, each a run of entries in the history of one account or channel.
type Sheet struct {
	Era    uint32
	Listed bool // the era counts; otherwise the row is what a merge has left, and nobody reads it
	Strips []Strip

	postings []posting
	numbers  []Posting
}

// Strip is a run of entries in one history.
type Strip struct {
	Channel  bool // whose history it is: a channel's, or an account's
	No       uint32
	Opening  [2]int64 // what there was before it, counted from the beginning of the era: see ledger.Line
	Postings []Posting
}

// Posting is one entry in a history.
type Posting struct {
	Seq    uint64
	Change [2]int64
}

// Sheets reads the rows "h".
func (r *Rows) Sheets() (*Cursor[Sheet], error) {
	e, err := r.eras()
	if err != nil {
		return nil, err
	}
	listed := make(map[uint32]era)
	for _, a := range e.list {
		listed[a.no] = a
	}
	return cursor(r, 'h', func(key, value []byte, s *Sheet) error {
		l, no, err := parseSheetKey(key)
		if err != nil {
			return err
		}
		a, ok := listed[no]
		s.Era, s.Listed = no, ok
		if !ok {
			return nil
		}
		if err := s.decode(l, a, binary.BigEndian.Uint64(key[10:]), value); err != nil {
			return fmt.Errorf("era %d: %w", no, err)
		}
		return nil
	})
}

// decode reads the strips of a sheet whose key says list and seq of the first.
func (s *Sheet) decode(first list, of era, seq uint64, value []byte) error {
	s.Strips, s.numbers = s.Strips[:0], s.numbers[:0]
	r, err := readSheet(value)
	if err != nil {
		return err
	}
	for {
		ok, err := r.next()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		if len(s.Strips) == 0 && (r.no != first.no || r.first != seq) {
			return corrupt("a sheet under the key of list %d, entry %d begins with list %d, entry %d", first.no, seq, r.no, r.first)
		}
		if r.first < of.first || r.last > of.last {
			return corrupt("entries %d to %d of list %d in an era of %d to %d", r.first, r.last, r.no, of.first, of.last)
		}
		if s.postings, err = r.postings(s.postings[:0]); err != nil {
			return err
		}
		at := len(s.numbers)
		for _, p := range s.postings {
			s.numbers = append(s.numbers, Posting{p.seq, p.change})
		}
		s.Strips = append(s.Strips, Strip{Channel: first.of == ofChannel, No: r.no, Opening: r.opening, Postings: s.numbers[at:len(s.numbers):len(s.numbers)]})
	}
}
