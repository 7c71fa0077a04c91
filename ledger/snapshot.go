package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// ErrSnapshot is returned, wrapped, for bytes that are no whole snapshot of a form that this program knows.
var ErrSnapshot = errors.New("broken snapshot")

const (
	snapshotMagic   = 0x3153_524d // "MRS1" in little-endian
	snapshotVersion = 1
)

// View is a whole ledger, frozen: taking it costs a copy of the page lists, and writing it out may take its time while the
// ledger goes on. All numbers are little-endian; "n x" stands behind a uint64 count:
//
//	+--------------------------------------------------------------------------------------------------+
//	| magic u32 | version u32 | index u64 | 16 x (index u64, head 32)               which block         |
//	+--------------------------------------------------------------------------------------------------+
//	| params 28 | now u64 | seq u64 | chain time u64 | sha-256 state: u64 length, bytes                |
//	| n x account  | available i64, held u64, opened u64, channels u32, holds u32                      |
//	| n x channel  | payer u32, payee u32, funded u64, total u64, expiry u32, status u32               |
//	| n x hold     | account u32, to u32, amount u64, captured u64, status u32                         |
//	| n x content  | id 16, seller u32, price u64, version u32, status u32, registered u64, seq u64,   |
//	|              | body 32, detail: u64 length, bytes                                                |
//	| n x owned    | account u32, content u32, seq u64, paid u64                                       |
//	| n x bucket   | hour u64, n x (id 16, actor u32, sum u64, seq u64, object u32)                    |
//	+--------------------------------------------------------------------------------------------------+
//	| sha-256 of all before                                                                             |
//	+--------------------------------------------------------------------------------------------------+
//
// The middle part does not depend on how ops were cut into blocks: its SHA-256 is the state's digest.
type View struct {
	state State // its maps and indexes are not set
	sums  []byte
}

// View freezes the ledger as it is now.
func (s *State) View() *View {
	v := &View{sums: s.chain.save()}
	v.state = State{params: s.params, index: s.index, now: s.now, seq: s.seq, recent: s.recent,
		accounts: s.accounts.view(), channels: s.channels.view(), holds: s.holds.view(), contents: s.contents.view(),
		ownedRows: s.ownedRows.view()}
	v.state.chain.time = s.chain.time
	for _, b := range s.ids.buckets {
		v.state.ids.buckets = append(v.state.ids.buckets, &bucket{hour: b.hour, ids: b.ids.view()})
	}
	return v
}

// Index is that of the last block in the view.
func (v *View) Index() uint64 { return v.state.index }

// WriteTo writes the snapshot. It does so in pieces of about 64 KiB; give it no buffer.
func (v *View) WriteTo(w io.Writer) (int64, error) {
	e := newEncoder(w)
	e.u32(snapshotMagic)
	e.u32(snapshotVersion)
	e.u64(v.state.index)
	for _, p := range v.state.recent {
		e.u64(p.index)
		e.bytes(p.head[:])
	}
	v.encode(e)
	sum := e.sum()
	e.bytes(sum[:])
	e.flush()
	return e.written, e.err
}

// Digest is the SHA-256 of the state, the same however the ops were cut into blocks.
func (s *State) Digest() [32]byte {
	e := newEncoder(io.Discard)
	s.View().encode(e)
	return e.sum()
}

func (v *View) encode(e *encoder) {
	s := &v.state
	e.bytes(s.params.Encode())
	e.u64(s.now)
	e.u64(s.seq)
	e.u64(s.chain.time)
	e.blob(v.sums)
	encodeRows(e, &s.accounts, func(a *Account) {
		e.u64(uint64(a.Available))
		e.u64(uint64(a.Held))
		e.u64(a.Opened)
		e.u32(a.Channels)
		e.u32(a.Holds)
	})
	encodeRows(e, &s.channels, func(c *Channel) {
		e.u32(uint32(c.Payer))
		e.u32(uint32(c.Payee))
		e.u64(uint64(c.Funded))
		e.u64(uint64(c.Total))
		e.u32(c.Expiry)
		e.u32(uint32(c.Status))
	})
	encodeRows(e, &s.holds, func(h *Hold) {
		e.u32(uint32(h.Account))
		e.u32(uint32(h.To))
		e.u64(uint64(h.Amount))
		e.u64(uint64(h.Captured))
		e.u32(uint32(h.Status))
	})
	encodeRows(e, &s.contents, func(c *Content) { c.encode(e) })
	encodeRows(e, &s.ownedRows, func(o *owned) {
		e.u32(uint32(o.account))
		e.u32(o.content)
		e.u64(o.seq)
		e.u64(uint64(o.paid))
	})
	e.u64(uint64(len(s.ids.buckets)))
	for _, b := range s.ids.buckets {
		e.u64(b.hour)
		encodeRows(e, &b.ids, func(d *idEntry) {
			e.bytes(d.id[:])
			e.u32(uint32(d.actor))
			e.u64(d.sum)
			e.u64(d.seq)
			e.u32(d.object)
		})
	}
}

func (c *Content) encode(e *encoder) {
	e.bytes(c.ID[:])
	e.u32(uint32(c.Seller))
	e.u64(uint64(c.Price))
	e.u32(c.PriceVersion)
	e.u32(uint32(c.Status))
	e.u64(c.Registered)
	e.u64(c.Seq)
	e.bytes(c.body[:])
	e.blob(AppendRegistration(nil, &c.Registration))
}

func encodeRows[T any](e *encoder, t *table[T], row func(*T)) {
	e.u64(uint64(t.rows))
	for i := range t.rows {
		row(t.at(i))
	}
}

// encoder appends to a buffer, and hands it on and hashes it when it is full.
type encoder struct {
	w       io.Writer
	sha     hash.Hash
	buf     []byte
	written int64
	err     error
}

const encoderBuffer = 64 << 10

func newEncoder(w io.Writer) *encoder {
	return &encoder{w: w, sha: sha256.New(), buf: make([]byte, 0, encoderBuffer+4096)}
}

func (e *encoder) u32(v uint32) {
	e.buf = binary.LittleEndian.AppendUint32(e.buf, v)
}

func (e *encoder) u64(v uint64) {
	e.buf = binary.LittleEndian.AppendUint64(e.buf, v)
	if len(e.buf) >= encoderBuffer {
		e.flush()
	}
}

func (e *encoder) bytes(b []byte) { e.buf = append(e.buf, b...) }

func (e *encoder) blob(b []byte) {
	e.u64(uint64(len(b)))
	e.bytes(b)
}

func (e *encoder) flush() {
	e.sha.Write(e.buf)
	if e.err == nil {
		var n int
		n, e.err = e.w.Write(e.buf)
		e.written += int64(n)
	}
	e.buf = e.buf[:0]
}

func (e *encoder) sum() (sum [32]byte) {
	e.flush()
	e.sha.Sum(sum[:0])
	return sum
}

// corrupt is ErrSnapshot with what was found.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSnapshot, fmt.Sprintf(format, args...))
}
