package tlog_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/golden anew: the diff shows how a format changed")

// golden compares text with testdata/golden/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: the format changed:\n%s\nwas\n%s", path, got, want)
	}
}

// receipt is that of an entry of block n of the log.
func (l *testLog) receipt(n, size int64, seq uint64) *tlog.Receipt {
	l.t.Helper()
	leaf := l.leaves[n]
	tree := tlog.NewTree(testSecret)
	tree.Start(leaf)
	tree.Prove(seq)
	for i := range l.blocks[n] {
		tree.Add(&l.blocks[n][i])
	}
	if got := tree.Finish(); got != leaf {
		l.t.Fatalf("block %d came out as %+v, was %+v", n, got, leaf)
	}
	inner, err := tree.Proof()
	if err != nil {
		l.t.Fatal(err)
	}
	outer, err := sumdb.ProveRecord(size, n, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return &tlog.Receipt{Entry: l.blocks[n][seq-leaf.First], Inner: inner, Leaf: leaf, Number: n, Outer: outer, Checkpoint: l.checkpoint(size)}
}

// verifyReceipt is what somebody with a file and a key does.
func verifyReceipt(text []byte, l *testLog) (*tlog.Receipt, error) {
	r, err := tlog.ParseReceipt(text)
	if err == nil {
		_, err = r.Verify(l.key)
	}
	return r, err
}

func TestReceipts(t *testing.T) {
	l := newTestLog(t, 40)
	for n := range l.blocks {
		for _, e := range l.blocks[n] {
			if n == 2 && e.Seq%17 != 0 {
				continue // it is the large one
			}
			text := l.receipt(int64(n), l.size(), e.Seq).Write()
			got, err := verifyReceipt(text, l)
			if err != nil || got.Entry.Seq != e.Seq || !slices.Equal(got.Entry.Legs, e.Legs) || got.Entry.ID != e.ID || got.Entry.Time != e.Time {
				t.Fatalf("entry %d: %+v, %v\n%s", e.Seq, got, err, text)
			}
		}
	}
	if _, err := tlog.NewTree(testSecret).Proof(); err == nil {
		t.Error("a proof that nobody asked for")
	}
	tree := tlog.NewTree(testSecret)
	for _, seq := range []uint64{0, 9, 13, 1 << 63} {
		leaf, entries := sampleBlock(1, 10, 3)
		tree.Start(leaf)
		tree.Prove(seq)
		for i := range entries {
			tree.Add(&entries[i])
		}
		tree.Finish()
		if _, err := tree.Proof(); err == nil {
			t.Errorf("a proof of entry %d of the block with 10 to 12", seq)
		}
	}
}

// TestReceiptIndependently reads a receipt line by line, as its format is public, and checks the outer proof with another
// implementation.
func TestReceiptIndependently(t *testing.T) {
	l := newTestLog(t, 40)
	lines := strings.Split(string(l.receipt(2, l.size(), l.leaves[2].First+77).Write()), "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		t.Fatal(lines)
	}
	extra, err := base64.StdEncoding.DecodeString(lines[1][6:])
	if err != nil {
		t.Fatal(err)
	}
	index, err := strconv.ParseUint(lines[2][6:], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var path [][]byte
	for _, line := range lines[3:slices.Index(lines, "")] {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, h)
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(extra[1 : 1+tlog.LeafSize])
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, uint64(l.size()), leaf, path, l.root(l.size())); err != nil {
		t.Fatal(err)
	}
}

func TestReceiptGolden(t *testing.T) {
	l := newTestLog(t, 12)
	r := l.receipt(11, l.size(), l.leaves[11].First+4)
	golden(t, "receipt.tlog-proof", r.Write())
	leaf := r.Leaf
	golden(t, "leaf.txt", []byte(base64.StdEncoding.EncodeToString(leaf.Append(nil))+"\n"))
	text, err := os.ReadFile("testdata/golden/receipt.tlog-proof")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifyReceipt(text, l); err != nil {
		t.Fatal(err)
	}
}

// mutants calls f with every text that is one flipped bit, one lost byte, or one lost, doubled or swapped line away.
func mutants(text []byte, f func(what string, mutant []byte)) {
	for i := range text {
		for bit := range 8 {
			m := bytes.Clone(text)
			m[i] ^= 1 << bit
			f("bit "+strconv.Itoa(bit)+" of byte "+strconv.Itoa(i), m)
		}
		f("without byte "+strconv.Itoa(i), slices.Delete(bytes.Clone(text), i, i+1))
		f("with a line break before byte "+strconv.Itoa(i), slices.Insert(bytes.Clone(text), i, '\n'))
		f("cut off at byte "+strconv.Itoa(i), text[:i])
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if line == "" {
			continue
		}
		f("without line "+strconv.Itoa(i+1), []byte(strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")))
		f("line "+strconv.Itoa(i+1)+" twice", []byte(strings.Join(slices.Insert(slices.Clone(lines), i, line), "")))
		for j := range i {
			if lines[i] != lines[j] {
				swapped := slices.Clone(lines)
				swapped[i], swapped[j] = swapped[j], swapped[i]
				f("lines "+strconv.Itoa(j+1)+" and "+strconv.Itoa(i+1)+" swapped", []byte(strings.Join(swapped, "")))
			}
		}
	}
}

// TestReceiptMutants: nothing can be changed in a receipt.
func TestReceiptMutants(t *testing.T) {
	l := newTestLog(t, 12)
	for _, text := range [][]byte{
		l.receipt(11, l.size(), l.leaves[11].First+4).Write(), l.receipt(7, l.size(), l.leaves[7].First).Write(),
	} {
		if _, err := verifyReceipt(text, l); err != nil {
			t.Fatal(err)
		}
		mutants(text, func(what string, mutant []byte) {
			if _, err := verifyReceipt(mutant, l); err == nil {
				t.Errorf("%s: it still verifies:\n%s", what, mutant)
			} else if !errors.Is(err, tlog.ErrForm) && !errors.Is(err, tlog.ErrProof) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// TestReceiptForgeries: what is changed in meaning and written well is named.
func TestReceiptForgeries(t *testing.T) {
	l := newTestLog(t, 40)
	other := newTestLog(t, 41)
	for _, c := range []struct {
		want   string
		change func(r *tlog.Receipt)
	}{
		{"do not lead to its block's root", func(r *tlog.Receipt) { r.Entry.Legs[0].Amount++ }},
		{"do not lead to its block's root", func(r *tlog.Receipt) { r.Entry.Legs[0].To++ }},
		{"do not lead to its block's root", func(r *tlog.Receipt) { r.Entry.Seq++ }},
		{"do not lead to its block's root", func(r *tlog.Receipt) { r.Inner.Salt[3]++ }},
		{"do not lead to its block's root", func(r *tlog.Receipt) { r.Inner.Path[20][3]++ }},
		{"do not lead to its block's root", func(r *tlog.Receipt) {
			r.Inner.Path[0], r.Inner.Path[1] = r.Inner.Path[1], r.Inner.Path[0]
		}},
		{"is not of its block", func(r *tlog.Receipt) { r.Entry.Seq = r.Leaf.First - 1 }},
		{"is not of its block", func(r *tlog.Receipt) { r.Entry.Seq = r.Leaf.First + uint64(r.Leaf.Entries) }},
		{"the entry's time", func(r *tlog.Receipt) { r.Entry.Time++ }},
		{"path of", func(r *tlog.Receipt) { r.Inner.Path = r.Inner.Path[1:] }},
		{"path of", func(r *tlog.Receipt) { r.Inner.Path = append(r.Inner.Path, tlog.Hash{}) }},
		{"path of", func(r *tlog.Receipt) { r.Inner.Path = nil }},
		{"is not leaf", func(r *tlog.Receipt) { r.Leaf.Time++; r.Entry.Time++ }},
		{"is not leaf", func(r *tlog.Receipt) { r.Leaf.Head[0]++ }},
		{"is not leaf", func(r *tlog.Receipt) { r.Leaf.Root = tlog.Hash{} }},
		{"is not leaf", func(r *tlog.Receipt) { r.Leaf.Entries++ }},
		{"is not leaf", func(r *tlog.Receipt) { r.Number++ }},
		{"is not leaf", func(r *tlog.Receipt) { r.Outer = r.Outer[1:] }},
		{"is not leaf", func(r *tlog.Receipt) { r.Checkpoint = l.checkpoint(30) }},
		{"is not leaf", func(r *tlog.Receipt) { r.Checkpoint = other.checkpoint(41) }},
		{"in a checkpoint of 2", func(r *tlog.Receipt) { r.Checkpoint = l.checkpoint(2) }},
		{"in a checkpoint of 0", func(r *tlog.Receipt) { r.Checkpoint = l.checkpoint(0) }},
	} {
		r := l.receipt(2, l.size(), l.leaves[2].First+20)
		r.Entry.Legs = slices.Clone(r.Entry.Legs)
		c.change(r)
		if _, err := verifyReceipt(r.Write(), l); !errors.Is(err, tlog.ErrProof) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}

// TestReceiptSizes: what a receipt costs in a small block and in the largest, of a young log and of one with a million blocks.
func TestReceiptSizes(t *testing.T) {
	l := newTestLog(t, 4)
	first := l.leaves[3].First + uint64(l.leaves[3].Entries)
	leaf, entries := sampleBlock(5, first, ledger.MaxBlock/17)
	l.add(build(tlog.NewTree(testSecret), leaf, entries), entries)
	r := l.receipt(4, 5, first+30_000)
	if _, err := verifyReceipt(r.Write(), l); err != nil {
		t.Fatal(err)
	}
	r.Outer = make([]tlog.Hash, 62)
	r.Entry.Legs = slices.Repeat(r.Entry.Legs[:1], tlog.MaxLegs)
	r.Checkpoint = append(r.Checkpoint, bytes.Repeat([]byte("— witness.example.net "+strings.Repeat("A", 92)+"\n"), 98)...)
	if n := len(r.Write()); n > tlog.MaxReceipt {
		t.Errorf("a receipt can have %d bytes, at most %d are read", n, tlog.MaxReceipt)
	}
	if _, err := tlog.ParseReceipt(make([]byte, tlog.MaxReceipt+1)); !errors.Is(err, tlog.ErrForm) {
		t.Error(err)
	}
}

// TestReceiptRevealsNothingElse: neither salts nor bytes of other entries are in it, and the secret is not.
func TestReceiptRevealsNothingElse(t *testing.T) {
	l := newTestLog(t, 12)
	seq := l.leaves[2].First + 40
	text := string(l.receipt(2, l.size(), seq).Write())
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.Split(text, "\n")[1], "extra "))
	if err != nil {
		t.Fatal(err)
	}
	for i := range l.blocks[2] {
		own := l.blocks[2][i].Seq == seq
		if got := bytes.Contains(extra, slowSalt(testSecret, 3, i)); got != own {
			t.Errorf("salt %d is in the receipt: %v", i, got)
		}
		if got := bytes.Contains(extra, slowEntry(l.blocks[2][i])[8:]); got != own {
			t.Errorf("entry %d is in the receipt: %v", i, got)
		}
	}
	if bytes.Contains(extra, testSecret[:]) {
		t.Error("the secret is in the receipt")
	}
}
