package ledger

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
)

// Restore reads a snapshot that View.WriteTo wrote. The ledger is as it was: the next block goes on where it was taken. The
// error is a wrapped ErrSnapshot, or what the reader said.
func Restore(r io.Reader, seed Seed) (*State, error) {
	d := &decoder{r: bufio.NewReaderSize(r, encoderBuffer), sha: sha256.New()}
	if d.u32() != snapshotMagic {
		return nil, d.fail("no snapshot")
	}
	if v := d.u32(); v != snapshotVersion {
		return nil, d.fail("version %d, this program knows %d", v, snapshotVersion)
	}
	index := d.u64()
	var recent [MaxInFlight]parent
	for i := range recent {
		recent[i].index = d.u64()
		d.bytes(recent[i].head[:])
	}
	params := d.params()
	if d.err != nil {
		return nil, d.err
	}
	s := New(params, seed)
	s.index, s.recent = index, recent
	d.state(s)
	sum := [32]byte(d.sha.Sum(nil))
	var want [32]byte
	if d.bytes(want[:]); d.err == nil && sum != want {
		d.err = corrupt("wrong checksum")
	}
	if d.err != nil {
		return nil, d.err
	}
	if _, err := d.r.ReadByte(); err != io.EOF {
		return nil, corrupt("bytes behind its end")
	}
	if err := s.Audit(); err != nil {
		return nil, corrupt("%v", err)
	}
	return s, nil
}

func (d *decoder) params() Params {
	var b [paramsSize]byte
	d.bytes(b[:])
	p, err := DecodeParams(b[:])
	if d.err == nil && err != nil {
		d.err = corrupt("%v", err)
	}
	return p
}

func (d *decoder) state(s *State) {
	s.now, s.seq, s.chain.time = d.u64(), d.u64(), d.u64()
	if err := s.chain.load(d.blob(1024)); d.err == nil && err != nil {
		d.err = corrupt("state of the hash: %v", err)
	}
	decodeRows(d, &s.accounts, func(_ uint32, a *Account) {
		*a = Account{Available: int64(d.u64()), Held: Msat(d.u64()), Opened: d.u64(), Channels: d.u32(), Holds: d.u32()}
	})
	holders := s.accounts.rows
	decodeRows(d, &s.channels, func(_ uint32, c *Channel) {
		*c = Channel{Payer: AccountNo(d.u32()), Payee: AccountNo(d.u32()), Funded: Msat(d.u64()), Total: Msat(d.u64()),
			Expiry: d.u32(), Status: Status(d.u32())}
		d.within(holders, c.Payer, c.Payee)
	})
	decodeRows(d, &s.holds, func(_ uint32, h *Hold) {
		*h = Hold{Account: AccountNo(d.u32()), To: AccountNo(d.u32()), Amount: Msat(d.u64()), Captured: Msat(d.u64()),
			Status: Status(d.u32())}
		d.within(holders, h.Account, h.To)
	})
	decodeRows(d, &s.contents, func(no uint32, c *Content) {
		d.content(c)
		if no > 0 {
			d.within(holders, c.Seller)
			s.contentByID[c.ID], s.contentByKey[c.Commitment] = no, no
		}
	})
	contents := s.contents.rows
	if holders < uint32(FirstAccount) || s.channels.rows == 0 || s.holds.rows == 0 || contents == 0 {
		d.corrupt("the ledger's own rows are missing")
	}
	decodeRows(d, &s.ownedRows, func(row uint32, o *owned) {
		*o = owned{account: AccountNo(d.u32()), content: d.u32(), seq: d.u64(), paid: Msat(d.u64())}
		d.within(holders, o.account)
		d.within(contents, AccountNo(o.content))
		s.ownedBy.add(s.seed.hash(uint64(o.account), uint64(o.content)), row)
	})
	n := d.u64()
	if n > (s.ids.span+s.ids.ahead)/bucketMillis+3 {
		d.corrupt("%d buckets of ids", n)
	}
	for ; n > 0 && d.err == nil; n-- {
		b := &bucket{hour: d.u64()}
		decodeRows(d, &b.ids, func(row uint32, e *idEntry) {
			d.bytes(e.id[:])
			e.actor, e.sum, e.seq, e.object = AccountNo(d.u32()), d.u64(), d.u64(), d.u32()
			b.by.add(s.seed.hashID(e.id, e.actor), row)
		})
		s.ids.buckets = append(s.ids.buckets, b)
		s.ids.count += uint64(b.ids.rows)
	}
}

func (d *decoder) content(c *Content) {
	d.bytes(c.ID[:])
	c.Seller, c.Price, c.PriceVersion, c.Status = AccountNo(d.u32()), Msat(d.u64()), d.u32(), Status(d.u32())
	c.Registered, c.Seq = d.u64(), d.u64()
	d.bytes(c.body[:])
	detail := d.blob(MaxDetail)
	if c.Seller == 0 { // row 0
		return
	}
	var ok bool
	if c.Registration, ok = decodeRegistration(detail); !ok || !splitOK(c.Payees) {
		d.corrupt("malformed content")
	}
}

// decodeRows reads a count and as many rows. A count that lies runs into the end of the file before it costs memory.
func decodeRows[T any](d *decoder, t *table[T], row func(uint32, *T)) {
	*t = table[T]{}
	n := d.u64()
	if n > 1<<32-1 {
		d.corrupt("%d rows", n)
	}
	for ; n > 0 && d.err == nil; n-- {
		no, p := t.add()
		row(no, p)
	}
}

// decoder reads and hashes. After the first error it returns zeros.
type decoder struct {
	r   *bufio.Reader
	sha hash.Hash
	err error
	buf [8]byte
}

func (d *decoder) u32() uint32 {
	d.bytes(d.buf[:4])
	return binary.LittleEndian.Uint32(d.buf[:])
}

func (d *decoder) u64() uint64 {
	d.bytes(d.buf[:8])
	return binary.LittleEndian.Uint64(d.buf[:])
}

func (d *decoder) bytes(b []byte) {
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, b)
		if d.err == io.EOF || d.err == io.ErrUnexpectedEOF {
			d.err = corrupt("cut short")
		}
	}
	if d.err != nil {
		clear(b)
		return
	}
	d.sha.Write(b)
}

func (d *decoder) blob(limit uint64) []byte {
	n := d.u64()
	if n > limit {
		d.corrupt("%d bytes where at most %d belong", n, limit)
		return nil
	}
	b := make([]byte, n)
	d.bytes(b)
	return b
}

func (d *decoder) within(rows uint32, numbers ...AccountNo) {
	for _, n := range numbers {
		if uint32(n) >= rows {
			d.corrupt("number %d of %d rows", n, rows)
		}
	}
}

// corrupt keeps the first error.
func (d *decoder) corrupt(format string, args ...any) {
	if d.err == nil {
		d.err = corrupt(format, args...)
	}
}

func (d *decoder) fail(format string, args ...any) error {
	if d.err != nil {
		return d.err
	}
	return corrupt(format, args...)
}
