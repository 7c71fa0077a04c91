package ledger_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// frame puts a right header, with a right checksum, before any bytes.
func frame(h ledger.Header, count uint32, ops []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0x3142524d)
	b = le.AppendUint32(b, count)
	b = le.AppendUint64(b, h.Time)
	b = le.AppendUint64(b, h.Proposer)
	b = le.AppendUint64(b, h.Number)
	b = le.AppendUint64(b, h.Parent)
	b = append(b, h.Head[:]...)
	b = le.AppendUint32(b, uint32(len(ops)))
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	b = le.AppendUint32(b, crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, ops))
	return append(b, ops...)
}

// refusesBlock: an error of the right kind, no outcomes, and nothing changed.
func refusesBlock(t *testing.T, s *ledger.State, what string, index uint64, block []byte) {
	t.Helper()
	before, head, at := s.Digest(), s.Head(), s.Index()
	out, err := s.Apply(index, block, nil)
	if !errors.Is(err, ledger.ErrBlock) && !errors.Is(err, ledger.ErrOp) {
		t.Errorf("%s: error %v", what, err)
	}
	if len(out) != 0 || s.Digest() != before || s.Head() != head || s.Index() != at {
		t.Errorf("%s: refused, and yet something changed", what)
	}
}

func TestCorruptBlocks(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	var ops []byte
	for _, op := range []ledger.Op{
		{Kind: ledger.OpAdvance, Actor: s.alice, Target: 1, Amount: 500},
		{Kind: ledger.OpTransfer, Actor: s.alice, Target: uint32(s.bob), Amount: 1, ID: s.newID(s.state.Now())},
		{Kind: ledger.OpUnlock, Actor: s.alice, Amount: 400, ID: s.song},
	} {
		ops = ledger.AppendOp(ops, &op, nil)
	}
	register := ledger.Op{Kind: ledger.OpRegister, Actor: s.bob, Amount: 5, ID: ledger.ContentID{77}}
	ops = ledger.AppendOp(ops, &register, registration(77, ledger.Payee{Account: s.bob, Share: 1}))
	h := ledger.Header{Time: s.state.Now(), Proposer: 1, Number: 1, Parent: s.state.Index(), Head: s.state.Head()}
	good := frame(h, 4, ops)
	next := s.state.Index() + 1

	for i := range good {
		for _, flip := range []byte{1 << (i % 8), 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			refusesBlock(t, s.state, "a flipped byte", next, bad)
		}
		refusesBlock(t, s.state, "a block cut short", next, good[:i])
	}
	refusesBlock(t, s.state, "a byte too many", next, append(bytes.Clone(good), 0))
	refusesBlock(t, s.state, "too large", next, frame(h, 0, make([]byte, ledger.MaxBlock)))
	refusesBlock(t, s.state, "an index again", s.state.Index(), good)
	refusesBlock(t, s.state, "index zero", 0, good)
	for name, change := range map[string]func(*ledger.Header){
		"another head":             func(h *ledger.Header) { h.Head[31] ^= 1 },
		"no head":                  func(h *ledger.Header) { h.Head = [32]byte{} },
		"a parent yet to come":     func(h *ledger.Header) { h.Parent++ },
		"a parent with its head":   func(h *ledger.Header) { h.Parent-- },
		"a parent too far back":    func(h *ledger.Header) { h.Parent = 0; h.Head = ledger.New(ledger.DefaultParams(), testSeed).Head() },
		"a parent at the far end":  func(h *ledger.Header) { h.Parent = math.MaxUint64 },
		"the right head elsewhere": func(h *ledger.Header) { h.Parent += ledger.MaxInFlight },
	} {
		other := h
		change(&other)
		refusesBlock(t, s.state, name, next, frame(other, 4, ops))
	}
	refusesBlock(t, s.state, "a count too small", next, frame(h, 3, ops))
	refusesBlock(t, s.state, "a count too large", next, frame(h, 5, ops))
	for n := range ops {
		count := uint32(0)
		for rest := ops[:n]; len(rest) > 0; count++ {
			var op ledger.Op
			_, size, err := ledger.DecodeOp(rest, &op)
			if err != nil {
				break
			}
			rest = rest[size:]
		}
		whole := n == 0 || n == 17 || n == 50 || n == 83
		if !whole {
			refusesBlock(t, s.state, "an op cut short", next, frame(h, count, ops[:n]))
			refusesBlock(t, s.state, "an op cut short", next, frame(h, count+1, ops[:n]))
		}
	}
	for _, kind := range []byte{0, byte(ledger.Kinds), 255} {
		refusesBlock(t, s.state, "an unknown kind", next, frame(h, 5, append(bytes.Clone(ops), kind)))
	}
	if out, err := s.state.Apply(next, good, nil); err != nil || len(out) != 4 || out[3].Result() != ledger.Done {
		t.Fatalf("and the good block: %v, %v", out, err)
	}
	refusesBlock(t, s.state, "the same block again", next, good)
}

// TestParents: the head named may be that of any of the last MaxInFlight blocks, whatever gaps their indexes have.
func TestParents(t *testing.T) {
	s, archive := ledger.New(ledger.DefaultParams(), testSeed), ledgertest.NewArchive()
	type block struct {
		index uint64
		head  [32]byte
	}
	blocks := []block{{0, s.Head()}}
	for i := range uint64(3 * ledger.MaxInFlight) {
		op := ledger.Op{Kind: ledger.OpOpenAccount, ID: ledger.NewOpID(testTime, [10]byte{3: byte(i)})}
		next := s.Index() + []uint64{1, 1, ledger.MaxInFlight, 7, 1000}[i%5]
		for back, known := range blocks {
			lag := len(blocks) - 1 - back
			h := ledger.Header{Time: testTime, Parent: known.index, Head: known.head}
			sealed := frame(h, 1, ledger.AppendOp(nil, &op, nil))
			if lag >= ledger.MaxInFlight {
				refusesBlock(t, s, "a parent too far back", next, sealed)
				continue
			}
			if lag > 1 && lag < ledger.MaxInFlight-1 && lag != 7 {
				continue
			}
			var written bytes.Buffer
			if _, err := s.View().WriteTo(&written); err != nil {
				t.Fatal(err)
			}
			twin, err := ledger.Restore(&written, testSeed)
			if err != nil {
				t.Fatal(err)
			}
			twin.Attach(archive)
			if _, err := twin.Apply(next, sealed, nil); err != nil {
				t.Fatalf("block %d, parent %d blocks back: %v", i, lag, err)
			}
		}
		newest := blocks[len(blocks)-1]
		if _, err := s.Apply(next, frame(ledger.Header{Time: testTime, Parent: newest.index, Head: newest.head}, 1, ledger.AppendOp(nil, &op, nil)), nil); err != nil {
			t.Fatal(err)
		}
		archive.Follow(s.Last())
		blocks = append(blocks, block{next, s.Head()})
	}
}

// refusesSnapshot: a wrapped ErrSnapshot, no ledger, and no more memory than a small ledger needs.
func refusesSnapshot(t *testing.T, what string, b []byte) {
	t.Helper()
	s, err := ledger.Restore(bytes.NewReader(b), testSeed)
	if !errors.Is(err, ledger.ErrSnapshot) || s != nil {
		t.Errorf("%s: state %v, error %v", what, s != nil, err)
	}
}

func TestCorruptSnapshots(t *testing.T) {
	w := newScene(t, ledger.DefaultParams())
	good := snapshot(t, w.state.View())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tries := uint64(0)
	rng := newRand(12)
	for i := range good {
		if i%3 != 0 || raceEnabled && i%21 != 0 {
			continue // each costs a ledger's first pages; FuzzRestore goes on where this stops
		}
		refusesSnapshot(t, "cut short", good[:i])
		bad := bytes.Clone(good)
		bad[i] ^= byte(1 + rng.IntN(255))
		refusesSnapshot(t, "a flipped byte", bad)
		tries += 2
		if i%4 == 0 && i+8 < len(good) {
			bad := bytes.Clone(good)
			binary.LittleEndian.PutUint64(bad[i:], []uint64{0, math.MaxUint32, 1 << 40, math.MaxUint64}[rng.IntN(4)])
			if !bytes.Equal(bad, good) {
				refusesSnapshot(t, "another number", bad)
				tries++
			}
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / tries; each > 8<<20 {
		t.Errorf("%d bytes allocated for each of %d broken snapshots", each, tries)
	}
	refusesSnapshot(t, "bytes behind its end", append(bytes.Clone(good), 0))
	refusesSnapshot(t, "nothing", nil)

	newer := bytes.Clone(good)
	newer[13]++
	refusesSnapshot(t, "a newer version", resum(newer))
	rich := bytes.Clone(good)
	rich[accountsAt(rich)+32*2]++ // dev owes less: the sum is not zero
	refusesSnapshot(t, "a sum that is not zero", resum(rich))
	empty := bytes.Clone(good[:accountsAt(good)-13])
	clear(empty[13+4+8+ledger.MaxInFlight*40+20+40:][:16]) // no rows at all
	refusesSnapshot(t, "no rows", resum(empty))
	swapped := append(bytes.Clone(good[:accountsAt(good)-13]), good[len(good)-1])
	refusesSnapshot(t, "another part than belongs", swapped)

	if _, err := ledger.Restore(iotest.ErrReader(io.ErrClosedPipe), testSeed); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a reader that fails: %v", err)
	}
	if _, err := ledger.Restore(iotest.OneByteReader(bytes.NewReader(good)), testSeed); err != nil {
		t.Errorf("byte by byte: %v", err)
	}
	if _, err := w.state.View().WriteTo(failingWriter{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a writer that fails: %v", err)
	}
}

// accountsAt finds the first account's row: behind the first part, and the frame of the second.
func accountsAt(snapshot []byte) int {
	return 13 + int(binary.LittleEndian.Uint32(snapshot[9:])) + 4 + 13
}

// resum writes the right checksums into the parts of a changed snapshot.
func resum(snapshot []byte) []byte {
	b := bytes.Clone(snapshot)
	for at := 0; at < len(b); {
		end := at + 13 + int(binary.LittleEndian.Uint32(b[at+9:]))
		binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[at:end], crc32.MakeTable(crc32.Castagnoli)))
		at = end + 4
	}
	return b
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
