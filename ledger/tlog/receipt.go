package tlog

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/millrace/millrace/ledger"
)

// MaxReceipt bounds a receipt in bytes; one from a block of 4,096 entries in a log of a billion blocks has about 3,900.
const MaxReceipt = 64 << 10

const (
	receiptMagic   = "c2sp.org/tlog-proof@v1"
	receiptVersion = 1
)

// Receipt shows that one entry stands in the log. Its text is a proof by c2sp.org/tlog-proof:
//
//	c2sp.org/tlog-proof@v1
//	extra <base 64 of: version u8 = 1 | block leaf 93 | salt 16 | entry | path, 32 for each hash>
//	index <the block leaf's number in the log>
//	<hashes of the path from the block leaf to the root, one in a line>
//
//	<checkpoint, signed>
//
// It holds nothing of other entries but hashes that are salted.
type Receipt struct {
	Entry      ledger.Entry
	Inner      EntryProof
	Leaf       Leaf
	Number     int64 // of the block leaf in the log, from 0
	Outer      []Hash
	Checkpoint []byte // signed
}

// Write returns the receipt's text.
func (r *Receipt) Write() []byte {
	extra := r.Leaf.Append([]byte{receiptVersion})
	extra = append(extra, r.Inner.Salt[:]...)
	extra = AppendEntry(extra, &r.Entry)
	for _, h := range r.Inner.Path {
		extra = append(extra, h[:]...)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", receiptMagic, strict.EncodeToString(extra), r.Number)
	for _, h := range r.Outer {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteString("\n")
	b.Write(r.Checkpoint)
	return b.Bytes()
}

// ParseReceipt reads a receipt's text and accepts only what Write writes. It proves nothing yet: see Verify.
func ParseReceipt(text []byte) (*Receipt, error) {
	r, err := parseReceipt(text)
	if err == nil && !bytes.Equal(r.Write(), text) {
		err = fmt.Errorf("%w: not written as a receipt is", ErrForm)
	}
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return r, nil
}

func parseReceipt(text []byte) (*Receipt, error) {
	if len(text) > MaxReceipt {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrForm, len(text), MaxReceipt)
	}
	head, checkpoint, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	switch {
	case lines[0] != receiptMagic:
		return nil, fmt.Errorf("%w: the first line is not %q", ErrForm, receiptMagic)
	case !ok:
		return nil, fmt.Errorf("%w: no checkpoint behind an empty line", ErrForm)
	case len(lines) < 3:
		return nil, fmt.Errorf("%w: cut off before its index", ErrForm)
	}
	r := &Receipt{Checkpoint: []byte(checkpoint)}
	extra, ok := strings.CutPrefix(lines[1], "extra ")
	if !ok {
		return nil, fmt.Errorf("%w: the second line does not begin with extra", ErrForm)
	}
	if err := r.parseExtra(extra); err != nil {
		return nil, fmt.Errorf("extra: %w", err)
	}
	index, ok := strings.CutPrefix(lines[2], "index ")
	if !ok {
		return nil, fmt.Errorf("%w: the third line does not begin with index", ErrForm)
	}
	var err error
	if r.Number, err = parseNumber(index); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	for i, l := range lines[3:] {
		h, err := parseHash(l)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+4, err)
		}
		r.Outer = append(r.Outer, h)
	}
	return r, nil
}

func (r *Receipt) parseExtra(text string) error {
	b, err := strict.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	const head = 1 + LeafSize + len(Salt{})
	if len(b) < head || b[0] != receiptVersion {
		return fmt.Errorf("%w: want version %d and at least %d bytes", ErrForm, receiptVersion, head)
	}
	if r.Leaf, err = DecodeLeaf(b[1 : 1+LeafSize]); err != nil {
		return err
	}
	r.Inner.Salt = Salt(b[1+LeafSize:])
	if r.Entry, b, err = DecodeEntry(b[head:]); err != nil {
		return err
	}
	if len(b)%hashSize != 0 {
		return fmt.Errorf("%w: the path is cut off", ErrForm)
	}
	for ; len(b) > 0; b = b[hashSize:] {
		r.Inner.Path = append(r.Inner.Path, Hash(b))
	}
	return nil
}

// Verify checks that the receipt's entry stands in its block, the block in the log, and that the log is the one that the key
// signs for. It returns the checkpoint; no hub is asked. An error is wrapped ErrProof or ErrForm and names what does not fit.
func (r *Receipt) Verify(v note.Verifier) (Checkpoint, error) {
	c, err := OpenCheckpoint(r.Checkpoint, v)
	if err == nil {
		err = r.verify(&c)
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("receipt: %w", err)
	}
	return c, nil
}

func (r *Receipt) verify(c *Checkpoint) error {
	if r.Number >= c.Size {
		return fmt.Errorf("%w: block leaf %d in a checkpoint of %d", ErrProof, r.Number, c.Size)
	}
	if err := tlog.CheckRecord(r.Outer, c.Size, c.Root, r.Number, r.Leaf.Hash()); err != nil {
		return fmt.Errorf("%w: its block is not leaf %d of the checkpoint's log: %w", ErrProof, r.Number, err)
	}
	e := &r.Entry
	if e.Seq < r.Leaf.First || e.Seq-r.Leaf.First >= uint64(r.Leaf.Entries) {
		return fmt.Errorf("%w: entry %d is not of its block, which has %d entries from %d", ErrProof, e.Seq, r.Leaf.Entries, r.Leaf.First)
	}
	if e.Time != min(r.Leaf.Time, maxTime) {
		return fmt.Errorf("%w: the entry's time is %d ms, its block's %d", ErrProof, e.Time, r.Leaf.Time)
	}
	leaf := entryHash(r.Inner.Salt, AppendEntry(nil, e))
	root, err := r.Inner.root(leaf, uint64(r.Leaf.Entries), e.Seq-r.Leaf.First)
	if err != nil {
		return err
	}
	if root != r.Leaf.Root {
		return fmt.Errorf("%w: entry %d, its salt and its path do not lead to its block's root", ErrProof, e.Seq)
	}
	return nil
}
