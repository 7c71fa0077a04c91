package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// ErrSnapshot is returned, wrapped, for bytes that are no whole snapshot of a form that this program knows.
var ErrSnapshot = errors.New("broken snapshot")

const (
	partMagic       = 0x5052_4d32 // "2MRP" in little-endian
	partFrame       = 4 + 1 + 4 + 4
	snapshotVersion = 6
)

// The tables of a snapshot, in the order of their parts. The header stands before them.
const (
	headerPart = iota
	accountPart
	channelPart
	holdPart
	contentPart
	splitPart
	tallyPart
	agreementPart
	ratePart
	claimPart
)

// View is a whole ledger, frozen, but for ids and entitlements, which the archive has: taking it costs a copy of the page lists,
// and writing it out may take its time while the ledger goes on. It is written in parts: a header, and each page of each table.
// All numbers are little-endian:
//
//	+-----------+---------+----------+------------+-------+-------------+
//	| magic u32 | kind u8 | page u32 | length u32 | bytes | crc-32c u32 |    over all before it in the part
//	+-----------+---------+----------+------------+-------+-------------+
//
//	kind        bytes
//	0 header    version u32 | index u64 | 16 x (index u64, head 32) | body
//	            body: params 20 | now u64 | seq u64 | chain time u64 | unlocks u64 | latest id u64 | rows u32 of kinds 1 to 9 |
//	            state of SHA-256, the rest
//	1 accounts  n x (available i64, held u64, opened u64, channels u32, holds u32)
//	2 channels  n x (payer u32, payee u32, funded u64, total u64, expiry u32, status u8, mode u8, limited u8, 0)
//	3 holds     n x (account u32, to u32, amount u64, captured u64, status u32)
//	4 contents  n x (id 16, seller u32, split u32, price u64, version u32, status u32, registered u64, seq u64, body 32, detail: u32
//	            length, bytes, without payees, terms 27)
//	5 splits    n x (content u32, number u32, before u32, since u64, seq u64, payees: n u8, n x (account u32, share u32))
//	6 tallies   n x (sold u32, refunded u32, income u64, disputed u64)
//	7 terms     n x (channel u32, minute u32, per minute u64, paid u64, key 32, signature 64)
//	8 rates     n x (currency 3, n u8, 8 x (msat u64, since u64, until u32))
//	9 claims    n x (claimant u32, seller u32, status u8, id 16, seq u64, filed u64, deadline u64, answered u64, ended u64, price u64,
//	            body 32, contents: n u8, n x (content u32, split u32, version u32, price u64, held u64, terms 27), evidence, answer and reason:
//	            as in details)
//
// A page has 4,096 rows, the last of a table what is left. What follows the heads in the header, and all the other parts, do not
// depend on how ops were cut into blocks: their SHA-256 is the state's digest.
type View struct {
	state State // its shelves, maps and indexes are not set
	sums  []byte
}

// View freezes the ledger as it is now.
func (s *State) View() *View {
	v := &View{sums: s.chain.save()}
	v.state = State{params: s.params, index: s.index, now: s.now, seq: s.seq, recent: s.recent, unlocks: s.unlocks,
		accounts: s.accounts.view(), channels: s.channels.view(), holds: s.holds.view(), contents: s.contents.view(),
		splits: s.splits.view(), tallies: s.tallies.view(), agreements: s.agreements.view(), rates: s.rates.view(),
		claims: s.claims.view()}
	v.state.chain.time, v.state.ids.latest = s.chain.time, s.ids.latest
	return v
}

// Checkpoint is a view whose changed parts are those since the last checkpoint. Whoever takes one must save it, or the next
// start must not find the one before.
func (s *State) Checkpoint() *View {
	v := s.View()
	s.accounts.clean()
	s.channels.clean()
	s.holds.clean()
	s.contents.clean()
	s.splits.clean()
	s.tallies.clean()
	s.agreements.clean()
	s.rates.clean()
	s.claims.clean()
	return v
}

// Index is that of the last block in the view, Seq that of its last entry, Time the time of its last block in milliseconds
// since 1970.
func (v *View) Index() uint64 { return v.state.index }
func (v *View) Seq() uint64   { return v.state.seq }
func (v *View) Time() uint64  { return v.state.now }

// Head is the hash over all entries up to the view.
func (v *View) Head() [32]byte { return v.state.Head() }

// Accounts calls f with each account, the hub's own included, in the order of their numbers.
func (v *View) Accounts(f func(AccountNo, *Account)) {
	for no := range AccountNo(v.state.accounts.rows) {
		if a, ok := v.state.Account(no); ok {
			f(no, &a)
		}
	}
}

// Account returns a copy of an account's row in the view, and whether there is such an account.
func (v *View) Account(no AccountNo) (Account, bool) { return v.state.Account(no) }

// Counts says how much there is in the view.
func (v *View) Counts() Counts { return v.state.Counts() }

// Parts calls f with each part, or only with those that have changed since the last checkpoint; the header always has. The keys
// sort in the order in which Restore wants the parts. Key and part are valid during the call.
func (v *View) Parts(changed bool, f func(key, part []byte) error) error {
	s, e := &v.state, &encoder{f: f, changed: changed}
	e.part(headerPart, 0, v.header)
	encodePages(e, accountPart, &s.accounts, func(b []byte, a *Account) []byte {
		b = le.AppendUint64(b, uint64(a.Available))
		b = le.AppendUint64(b, uint64(a.Held))
		b = le.AppendUint64(b, a.Opened)
		return le.AppendUint32(le.AppendUint32(b, a.Channels), a.Holds)
	})
	encodePages(e, channelPart, &s.channels, func(b []byte, c *Channel) []byte {
		b = le.AppendUint32(le.AppendUint32(b, uint32(c.Payer)), uint32(c.Payee))
		b = le.AppendUint64(le.AppendUint64(b, uint64(c.Funded)), uint64(c.Total))
		return append(le.AppendUint32(b, c.Expiry), byte(c.Status), byte(c.Mode), bit(c.Limited), 0)
	})
	encodePages(e, holdPart, &s.holds, func(b []byte, h *Hold) []byte {
		b = le.AppendUint32(le.AppendUint32(b, uint32(h.Account)), uint32(h.To))
		b = le.AppendUint64(le.AppendUint64(b, uint64(h.Amount)), uint64(h.Captured))
		return le.AppendUint32(b, uint32(h.Status))
	})
	encodePages(e, contentPart, &s.contents, appendContent)
	encodePages(e, splitPart, &s.splits, func(b []byte, p *Split) []byte {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, p.Content), p.Number), p.Before)
		return AppendPayees(le.AppendUint64(le.AppendUint64(b, p.Since), p.Seq), p.Payees)
	})
	encodePages(e, tallyPart, &s.tallies, func(b []byte, t *Tally) []byte {
		b = le.AppendUint32(le.AppendUint32(b, t.Sold), t.Refunded)
		return le.AppendUint64(le.AppendUint64(b, uint64(t.Income)), uint64(t.Disputed))
	})
	encodePages(e, agreementPart, &s.agreements, appendAgreement)
	encodePages(e, ratePart, &s.rates, func(b []byte, r *rates) []byte {
		b = append(append(b, r.currency[:]...), r.n)
		for _, k := range r.kept {
			b = le.AppendUint32(le.AppendUint64(le.AppendUint64(b, uint64(k.Msat)), k.Since), k.Until)
		}
		return b
	})
	encodePages(e, claimPart, &s.claims, appendClaimRow)
	return e.err
}

// WriteTo writes all parts, one after the other: what Restore reads.
func (v *View) WriteTo(w io.Writer) (written int64, err error) {
	err = v.Parts(false, func(_, part []byte) error {
		n, err := w.Write(part)
		written += int64(n)
		return err
	})
	return written, err
}

// Digest is the SHA-256 of the state, the same however the ops were cut into blocks.
func (s *State) Digest() (sum [32]byte) {
	sha := sha256.New()
	_ = s.View().Parts(false, func(key, part []byte) error { // a hash never fails
		if key[0] == headerPart {
			part = part[partFrame+headerFixed : len(part)-4]
		}
		sha.Write(part)
		return nil
	})
	sha.Sum(sum[:0])
	return sum
}

// headerFixed is the size of what depends on the cut into blocks, at the beginning of the header.
const headerFixed = 4 + 8 + MaxInFlight*(8+32)

func (v *View) header(b []byte) []byte {
	s := &v.state
	b = le.AppendUint64(le.AppendUint32(b, snapshotVersion), s.index)
	for _, p := range s.recent {
		b = append(le.AppendUint64(b, p.index), p.head[:]...)
	}
	b = append(b, s.params.Encode()...)
	for _, n := range [...]uint64{s.now, s.seq, s.chain.time, s.unlocks, s.ids.latest} {
		b = le.AppendUint64(b, n)
	}
	for _, n := range [...]uint32{s.accounts.rows, s.channels.rows, s.holds.rows, s.contents.rows, s.splits.rows, s.tallies.rows,
		s.agreements.rows, s.rates.rows, s.claims.rows} {
		b = le.AppendUint32(b, n)
	}
	return append(b, v.sums...)
}

func appendContent(b []byte, c *Content) []byte {
	b = append(b, c.ID[:]...)
	b = le.AppendUint64(le.AppendUint32(le.AppendUint32(b, uint32(c.Seller)), c.Split), uint64(c.Price))
	b = le.AppendUint32(le.AppendUint32(b, c.PriceVersion), uint32(c.Status))
	b = le.AppendUint64(le.AppendUint64(b, c.Registered), c.Seq)
	b = append(b, c.body[:]...)
	at := len(b)
	r := c.Registration
	r.Payees = nil // they are the split's
	b = AppendRegistration(le.AppendUint32(b, 0), &r)
	le.PutUint32(b[at:], uint32(len(b)-at-4))
	return AppendTerms(b, &c.Terms)
}

func appendClaimRow(b []byte, row **Claim) []byte {
	c := *row
	b = le.AppendUint32(le.AppendUint32(b, uint32(c.Claimant)), uint32(c.Seller))
	b = append(append(b, byte(c.Status)), c.ID[:]...)
	for _, n := range [...]uint64{c.Seq, c.Filed, c.Deadline, c.Answered, c.Ended, uint64(c.Price)} {
		b = le.AppendUint64(b, n)
	}
	b = append(append(b, c.body[:]...), byte(len(c.Contents)))
	for _, p := range c.Contents {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, p.Content), p.Split), p.PriceVersion)
		b = le.AppendUint64(le.AppendUint64(b, uint64(p.Price)), uint64(p.Held))
		b = AppendTerms(b, &p.Terms)
	}
	b = AppendStatement(b, &c.Evidence)
	b = AppendStatement(b, &c.Answer)
	return AppendStatement(b, &c.Reason)
}

// encoder makes parts, one at a time in one buffer.
type encoder struct {
	f       func(key, part []byte) error
	changed bool // only those
	buf     []byte
	err     error
}

func (e *encoder) part(kind byte, page uint32, fill func([]byte) []byte) {
	if e.err != nil {
		return
	}
	b := le.AppendUint32(e.buf[:0], partMagic)
	b = le.AppendUint32(append(b, kind), page)
	b = fill(le.AppendUint32(b, 0))
	le.PutUint32(b[partFrame-4:], uint32(len(b)-partFrame))
	e.buf = le.AppendUint32(b, crc32.Checksum(b, castagnoli))
	e.err = e.f(binary.BigEndian.AppendUint32([]byte{kind}, page), e.buf)
}

func encodePages[T any](e *encoder, kind byte, t *table[T], row func([]byte, *T) []byte) {
	for p := range t.pages {
		if e.changed && !t.dirty[p] {
			continue
		}
		e.part(kind, uint32(p), func(b []byte) []byte {
			for i := range min(pageRows, t.rows-uint32(p)*pageRows) {
				b = row(b, &t.pages[p][i])
			}
			return b
		})
	}
}

// corrupt is ErrSnapshot with what was found.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSnapshot, fmt.Sprintf(format, args...))
}
