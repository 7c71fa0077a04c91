package media

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// The names of a package's files. Those of the chunks are numbers: see [Manifest.File].
const (
	WorkFile     = "work.age"
	ManifestFile = "manifest.json"
	PlaylistFile = "index.m3u8"
)

// The kinds of a package.
const (
	HLS    = "hls"    // a film or a song, in segments
	Chunks = "chunks" // anything else
)

// The bounds of a package. A chunk is encrypted in memory; a row of the manifest takes at most some 500 bytes.
const (
	MaxChunk    = 256 << 20 // bytes of a plain chunk
	MaxChunks   = seal.MaxUnits
	MaxManifest = 64 << 20 // bytes
	MaxName     = 200      // bytes of a chunk's name
	format      = "units/1"
)

// ErrManifest means that a manifest is malformed, or not the one that its work's header names.
var ErrManifest = errors.New("bad manifest of a package")

// Manifest is what a package consists of. It holds no secret.
type Manifest struct {
	Format  string  `json:"millrace"` // units/1
	Kind    string  `json:"kind"`
	Hub     string  `json:"hub"`     // the origin of the hub that sells the keys
	Content string  `json:"content"` // what the work is sold as
	Unit    string  `json:"unit"`    // what one unit is, for people: "10s", "20 rows"
	Units   uint32  `json:"units"`
	Chunks  []Chunk `json:"chunks"` // in order; their units begin at 0 and leave none out
}

// Chunk is a row of a manifest: one file.
type Chunk struct {
	Unit      uint32 `json:"unit"`
	Size      int64  `json:"size"`                  // bytes of the file
	SHA256    string `json:"sha256"`                // of the file
	PlainSize int64  `json:"plain_size"`            // bytes when it is opened
	Micros    int64  `json:"duration_us,omitempty"` // of a segment: microseconds
	Name      string `json:"name,omitempty"`        // of the file that it was
}

// File is the name of chunk i.
func (m *Manifest) File(i int) string {
	if m.Kind == HLS {
		return fmt.Sprintf("%05d.ts", i)
	}
	return fmt.Sprintf("%05d.chunk", i)
}

// Of returns the numbers of the chunks that a unit has: from first until before end.
func (m *Manifest) Of(unit uint32) (first, end int) {
	for first < len(m.Chunks) && m.Chunks[first].Unit < unit {
		first++
	}
	for end = first; end < len(m.Chunks) && m.Chunks[end].Unit == unit; {
		end++
	}
	return first, end
}

// Longest is how long the longest unit plays.
func (m *Manifest) Longest() time.Duration {
	var longest, micros int64
	for i, c := range m.Chunks {
		if i == 0 || c.Unit != m.Chunks[i-1].Unit {
			micros = 0
		}
		micros += c.Micros
		longest = max(longest, micros)
	}
	return time.Duration(longest) * time.Microsecond
}

// encode is the manifest as its file has it.
func (m *Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(m)
	return b.Bytes(), err
}

// ParseManifest reads the manifest of the work that has the header, and refuses any other.
func ParseManifest(data []byte, h seal.Header) (*Manifest, error) {
	if h.Units.Count == 0 {
		return nil, fmt.Errorf("%w: content %s is not sold by units", ErrManifest, h.Content)
	}
	if sha256.Sum256(data) != h.Units.Manifest {
		return nil, fmt.Errorf("%w: it is not the one that the header of content %s names", ErrManifest, h.Content)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if m.Hub != h.Origin || m.Content != h.Content.String() || m.Units != h.Units.Count {
		return nil, fmt.Errorf("%w: hub, content or number of units are not the header's", ErrManifest)
	}
	return &m, nil
}

func (m *Manifest) validate() error {
	if m.Format != format || m.Kind != HLS && m.Kind != Chunks {
		return fmt.Errorf("format %.20q, kind %.20q", m.Format, m.Kind)
	}
	if origin, err := seal.ParseOrigin(m.Hub); err != nil || origin != m.Hub {
		return errors.New("hub: not an origin")
	}
	if _, err := ledger.ParseContentID(m.Content); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	if len(m.Chunks) == 0 || len(m.Chunks) > MaxChunks {
		return fmt.Errorf("%d chunks: want 1 to %d", len(m.Chunks), MaxChunks)
	}
	next := uint32(0) // the unit that may begin here
	for i, c := range m.Chunks {
		if c.Unit != next && (i == 0 || c.Unit != next-1) {
			return fmt.Errorf("chunk %d is of unit %d, out of order", i, c.Unit)
		}
		next = c.Unit + 1
		digest, err := hex.DecodeString(c.SHA256)
		switch {
		case err != nil || len(digest) != sha256.Size:
			return fmt.Errorf("chunk %d: sha256", i)
		case c.PlainSize < 0 || c.PlainSize > MaxChunk || c.Size <= c.PlainSize || c.Size > c.PlainSize+maxGrowth:
			return fmt.Errorf("chunk %d: sizes %d and %d", i, c.PlainSize, c.Size)
		case c.Micros < 0 || !nameOK(c.Name):
			return fmt.Errorf("chunk %d: duration or name", i)
		}
	}
	if m.Units != next {
		return fmt.Errorf("%d units, and chunks of %d", m.Units, next)
	}
	return nil
}

// nameOK says whether a chunk may have the name: it is shown, and never a path.
func nameOK(name string) bool {
	if len(name) > MaxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if r == '/' || r == '\\' || r < 0x20 || r == 0x7f {
			return false
		}
	}
	return name != "." && name != ".."
}
