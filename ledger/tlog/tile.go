package tlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrNoTile is returned, wrapped, for a path that names no tile, or one that the log does not have yet.
var ErrNoTile = errors.New("no such tile")

// tileHeight makes tiles 256 hashes wide.
const tileHeight = 8

// LeafReader reads the bytes of the log's leaves, from 0 on, with the indexes of their blocks.
type LeafReader interface {
	Leaf(n int64) (data []byte, block uint64, err error)
}

// Tile names hashes, or leaves, of a log by c2sp.org/tlog-tiles.
type Tile struct{ tile tlog.Tile }

// ParseTile reads the path of a tile below the log's address, without a slash before it: tile/<L>/<N>[.p/<W>] or
// tile/entries/<N>[.p/<W>], such as tile/0/x001/234.p/7.
func ParseTile(path string) (Tile, error) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if entries, is := strings.CutPrefix(rest, "entries/"); is {
		rest = "data/" + entries
	} else if strings.HasPrefix(rest, "data/") {
		ok = false
	}
	t, err := tlog.ParseTilePath("tile/8/" + rest)
	if !ok || err != nil || t.H != tileHeight || t.L > 63 {
		return Tile{}, fmt.Errorf("%w: %.100q", ErrNoTile, path)
	}
	return Tile{t}, nil
}

// Full says whether the tile has all its 256 places filled. It never changes; one that is not does not either, but is
// succeeded by wider ones.
func (t Tile) Full() bool { return t.tile.W == 1<<tileHeight }

// Path is the path that ParseTile reads.
func (t Tile) Path() string {
	path := strings.TrimPrefix(t.tile.Path(), "tile/8/")
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// within says whether a log of a size fills the tile.
func (t Tile) within(size int64) bool {
	nodes := size >> (tileHeight * max(t.tile.L, 0)) // a shift by more than 63 gives zero
	return t.tile.N <= nodes>>tileHeight && t.tile.N<<tileHeight+int64(t.tile.W) <= nodes
}

// Read returns the tile's bytes: 32 for each hash, or the leaves of an entry bundle, each behind its length as a big-endian
// uint16. The size is that of the log's newest checkpoint: what lies beyond is not served.
func (t Tile) Read(size int64, hashes tlog.HashReader, leaves LeafReader) ([]byte, error) {
	if !t.within(size) {
		return nil, fmt.Errorf("%w: %s of a log of %d", ErrNoTile, t.Path(), size)
	}
	if t.tile.L >= 0 {
		b, err := tlog.ReadTileData(t.tile, hashes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Path(), err)
		}
		return b, nil
	}
	b := make([]byte, 0, t.tile.W*(2+LeafSize))
	for i := range int64(t.tile.W) {
		leaf, _, err := leaves.Leaf(t.tile.N<<tileHeight + i)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Path(), err)
		}
		if len(leaf) != LeafSize {
			return nil, fmt.Errorf("%s: a leaf of %d bytes, want %d", t.Path(), len(leaf), LeafSize)
		}
		b = append(binary.BigEndian.AppendUint16(b, LeafSize), leaf...)
	}
	return b, nil
}
