package tlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

const testOrigin = "hub.example.com/log"

// testLog is a log in memory, with the entries that its blocks were made of.
type testLog struct {
	t      testing.TB
	signer note.Signer
	key    note.Verifier
	hashes []sumdb.Hash
	leaves []tlog.Leaf
	blocks [][]ledger.Entry
}

func (l *testLog) ReadHashes(indexes []int64) ([]sumdb.Hash, error) {
	out := make([]sumdb.Hash, len(indexes))
	for i, n := range indexes {
		if n >= int64(len(l.hashes)) {
			return nil, fmt.Errorf("no hash %d", n)
		}
		out[i] = l.hashes[n]
	}
	return out, nil
}

func (l *testLog) Leaf(n int64) ([]byte, uint64, error) {
	if n >= int64(len(l.leaves)) {
		return nil, 0, errors.New("no such leaf")
	}
	return l.leaves[n].Append(nil), l.leaves[n].Index, nil
}

// newTestLog has so many blocks; block n from zero has the index n+1, and 0 to 39 entries, or more when it is the third.
func newTestLog(t testing.TB, blocks int) *testLog {
	signer, key, err := tlog.NewSigner(testOrigin, [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := tlog.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	l := &testLog{t: t, signer: signer, key: verifier}
	tree, first := tlog.NewTree(testSecret), uint64(1)
	for n := range blocks {
		size := n * 7 % 40
		if n == 2 {
			size = 300
		}
		leaf, entries := sampleBlock(uint64(n)+1, first, size)
		l.add(build(tree, leaf, entries), entries)
		first += uint64(size)
	}
	return l
}

func (l *testLog) add(leaf tlog.Leaf, entries []ledger.Entry) {
	stored, err := sumdb.StoredHashes(int64(len(l.leaves)), leaf.Append(nil), l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.hashes = append(l.hashes, stored...)
	l.leaves = append(l.leaves, leaf)
	l.blocks = append(l.blocks, entries)
}

func (l *testLog) size() int64 { return int64(len(l.leaves)) }

func (l *testLog) checkpoint(size int64, extensions ...string) []byte {
	l.t.Helper()
	c, err := tlog.NewCheckpoint(testOrigin, size, l, extensions...)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := c.Sign(l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

func (l *testLog) root(size int64) []byte {
	h, err := sumdb.TreeHash(size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return h[:]
}

func bytesOf(hashes []sumdb.Hash) (out [][]byte) {
	for i := range hashes {
		out = append(out, hashes[i][:])
	}
	return out
}

// TestOuterTreeIndependently: inclusion and consistency, by another implementation of RFC 6962.
func TestOuterTreeIndependently(t *testing.T) {
	l := newTestLog(t, 70)
	size := l.size()
	for n := range size {
		p, err := sumdb.ProveRecord(size, n, l)
		if err != nil {
			t.Fatal(err)
		}
		leaf, _, _ := l.Leaf(n)
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(n), uint64(size), rfc6962.DefaultHasher.HashLeaf(leaf), bytesOf(p), l.root(size)); err != nil {
			t.Errorf("leaf %d: %v", n, err)
		}
		if n == 0 {
			continue
		}
		c, err := sumdb.ProveTree(size, n, l)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(n), uint64(size), bytesOf(c), l.root(n), l.root(size)); err != nil {
			t.Errorf("size %d: %v", n, err)
		}
	}
}

func TestCheckpoint(t *testing.T) {
	l := newTestLog(t, 5)
	line := "liabilities epoch 1 block 3 time 5 leaves 2 total 9 root " + tlog.Hash{1}.String()
	for _, extensions := range [][]string{nil, {line}} {
		c, err := tlog.OpenCheckpoint(l.checkpoint(5, extensions...), l.key)
		if err != nil || c.Origin != testOrigin || c.Size != 5 || !bytes.Equal(c.Root[:], l.root(5)) || len(c.Extensions) != len(extensions) {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	empty, err := tlog.OpenCheckpoint(newTestLog(t, 0).checkpoint(0), l.key)
	if err != nil || !bytes.Equal(empty.Root[:], rfc6962.DefaultHasher.EmptyRoot()) {
		t.Fatalf("%+v, %v", empty, err)
	}
	for _, bad := range []tlog.Checkpoint{
		{Origin: "other.example.com/log", Size: 1}, {Origin: testOrigin, Size: -1}, {Origin: testOrigin, Size: 1, Extensions: []string{""}},
		{Origin: testOrigin, Size: 1, Extensions: []string{"a\nb\n"}}, {Origin: testOrigin + "\n9", Size: 1},
	} {
		if _, err := bad.Sign(l.signer); !errors.Is(err, tlog.ErrForm) {
			t.Errorf("%+v was signed: %v", bad, err)
		}
	}
}

// TestCheckpointOfAnother: a key for another origin, another key for this origin, and one key that signs for two.
func TestCheckpointOfAnother(t *testing.T) {
	l := newTestLog(t, 5)
	signed := l.checkpoint(5)
	for _, c := range []struct {
		origin string
		seed   byte
		want   string
	}{
		{testOrigin, 8, "not signed with the key"}, {"other.example.com/log", 7, "not signed with the key"},
	} {
		_, key, err := tlog.NewSigner(c.origin, [32]byte{c.seed})
		if err != nil {
			t.Fatal(err)
		}
		v, _ := tlog.NewVerifier(key)
		if _, err := tlog.OpenCheckpoint(signed, v); !errors.Is(err, tlog.ErrProof) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", key, err)
		}
	}
	foreign, err := note.Sign(&note.Note{Text: strings.Replace(string(signed[:bytes.Index(signed, []byte("\n\n"))+1]), "hub.", "hob.", 1)}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tlog.OpenCheckpoint(foreign, l.key); !errors.Is(err, tlog.ErrProof) || !strings.Contains(err.Error(), "the key is for") {
		t.Error(err)
	}
	for _, bad := range []string{"", "x", "hub.example.com/log+00000000+AQ==", "with space+12345678+AQ=="} {
		if _, err := tlog.NewVerifier(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
	if _, _, err := tlog.NewSigner("two words", [32]byte{}); err == nil {
		t.Error("an origin of two words has a key")
	}
}

// TestWitness: signatures of others may stand beside the hub's.
func TestWitness(t *testing.T) {
	l := newTestLog(t, 5)
	witness, key, err := tlog.NewSigner("witness.example.net", [32]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(l.checkpoint(5), note.VerifierList(l.key))
	if err != nil {
		t.Fatal(err)
	}
	both, err := note.Sign(n, witness)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tlog.OpenCheckpoint(both, l.key); err != nil {
		t.Error(err)
	}
	v, _ := tlog.NewVerifier(key)
	if _, err := tlog.OpenCheckpoint(both, v); !errors.Is(err, tlog.ErrProof) {
		t.Errorf("a witness's key opens the hub's checkpoint: %v", err)
	}
}

// tileClient is a client of tlog-tiles that has nothing but the paths.
type tileClient struct {
	l    *testLog
	size int64
}

func (c tileClient) Height() int                      { return 8 }
func (c tileClient) SaveTiles([]sumdb.Tile, [][]byte) {}
func (c tileClient) get(path string) (b []byte, _ error) {
	tile, err := tlog.ParseTile(path)
	if err != nil {
		return nil, err
	}
	return tile.Read(c.size, c.l, c.l)
}

func (c tileClient) ReadTiles(tiles []sumdb.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		b, err := c.get(strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}

// TestTiles: a client that reads tiles, and checks them against the root, finds every leaf.
func TestTiles(t *testing.T) {
	l := newTestLog(t, 600)
	for _, size := range []int64{1, 255, 256, 257, 512, 600} {
		c := tileClient{l, size}
		reader := sumdb.TileHashReader(sumdb.Tree{N: size, Hash: sumdb.Hash(l.root(size))}, c)
		for n := int64(0); n < size; n += 37 {
			if _, err := sumdb.ProveRecord(size, n, reader); err != nil {
				t.Fatalf("leaf %d of %d: %v", n, size, err)
			}
		}
		var read int64
		for read < size {
			path := fmt.Sprintf("tile/entries/%03d", read/256)
			if size-read < 256 {
				path += fmt.Sprintf(".p/%d", size-read)
			}
			b, err := c.get(path)
			if err != nil {
				t.Fatal(err)
			}
			for ; len(b) > 0; read++ {
				n := int(binary.BigEndian.Uint16(b))
				leaf, err := tlog.DecodeLeaf(b[2 : 2+n])
				if err != nil || leaf != l.leaves[read] {
					t.Fatalf("entry %d: %+v, %v", read, leaf, err)
				}
				h, err := reader.ReadHashes([]int64{sumdb.StoredHashIndex(0, read)})
				if err != nil || h[0] != leaf.Hash() || h[0] != sumdb.RecordHash(b[2:2+n]) {
					t.Fatalf("entry %d does not have its hash: %v", read, err)
				}
				b = b[2+n:]
			}
		}
	}
}

func TestTilePaths(t *testing.T) {
	for path, full := range map[string]bool{
		"tile/0/000": true, "tile/0/x001/x234/067": true, "tile/63/000.p/255": false, "tile/entries/000": true, "tile/entries/x001/000.p/1": false,
	} {
		tile, err := tlog.ParseTile(path)
		if err != nil || tile.Full() != full || tile.Path() != path {
			t.Errorf("%s: full is %v, path %s, %v", path, tile.Full(), tile.Path(), err)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/00/000", "tile/64/000", "tile/-1/000", "tile/0/0", "tile/0/0000", "tile/0/x000/000",
		"tile/0/001/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/8/0/000", "tile/data/000",
		"tile/entries", "tile/entries/", "tile/entries/1", "/tile/0/000", "tile/0/000/", "tile/+1/000", "tile/0/x001", "0/000", "tile/entries/data/000",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/999", "tile/data/entries/000",
	} {
		if tile, err := tlog.ParseTile(path); !errors.Is(err, tlog.ErrNoTile) {
			t.Errorf("%q is %s: %v", path, tile.Path(), err)
		}
	}
}

func TestTilesThatAreNotThere(t *testing.T) {
	l := newTestLog(t, 300)
	for path, there := range map[string]bool{
		"tile/0/000": true, "tile/0/001": false, "tile/0/001.p/44": true, "tile/0/001.p/45": false, "tile/0/002.p/1": false, "tile/1/000": false,
		"tile/1/000.p/1": true, "tile/1/000.p/2": false, "tile/2/000.p/1": false, "tile/entries/000": true, "tile/entries/001.p/44": true,
		"tile/entries/001": false, "tile/entries/001.p/45": false, "tile/63/000.p/1": false, "tile/0/x999/x999/x999/x999/x999/999": false,
		"tile/0/000.p/7": true,
	} {
		tile, err := tlog.ParseTile(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := tile.Read(300, l, l)
		if there != (err == nil) || !there && !errors.Is(err, tlog.ErrNoTile) {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
}

func TestLeafRoundTrip(t *testing.T) {
	l := newTestLog(t, 4).leaves[3]
	b := l.Append(nil)
	if got, err := tlog.DecodeLeaf(b); err != nil || got != l || len(b) != tlog.LeafSize {
		t.Fatalf("%+v, %v", got, err)
	}
	overflow := l
	overflow.First = 1<<64 - 1
	for _, bad := range [][]byte{nil, b[:len(b)-1], append(b, 0), append([]byte{2}, b[1:]...), overflow.Append(nil)} {
		if _, err := tlog.DecodeLeaf(bad); !errors.Is(err, tlog.ErrForm) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}
