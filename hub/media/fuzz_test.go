package media

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// FuzzParseManifest: a manifest may come from anyone who also makes the header. What is accepted names files and units in order.
func FuzzParseManifest(f *testing.F) {
	id := ledger.ContentID{15: 1}
	f.Add([]byte(`{"millrace":"units/1","kind":"hls","hub":"https://hub.example","content":"` + id.String() + `","unit":"4s","units":1,"chunks":[{"unit":0,"size":16,"sha256":"` +
		strings.Repeat("ab", 32) + `","plain_size":7,"duration_us":4000000}]}`))
	f.Add([]byte(`{"chunks":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := seal.Header{Stanza: seal.Stanza{Origin: "https://hub.example", Content: id}, Units: seal.Units{Count: 1, Manifest: sha256.Sum256(data)}}
		m, err := ParseManifest(data, h)
		if err != nil {
			if !errors.Is(err, ErrManifest) {
				t.Fatalf("an error without a kind: %v", err)
			}
			return
		}
		if first, end := m.Of(0); first != 0 || end != len(m.Chunks) || end == 0 {
			t.Fatalf("unit 0 has chunks %d to %d of %d", first, end, len(m.Chunks))
		}
		for i := range m.Chunks {
			if name := m.File(i); strings.ContainsAny(name, `/\`) {
				t.Fatalf("chunk %d: %q", i, name)
			}
			_, _ = m.Open(i, seal.UnitKey{}, data)
		}
	})
}

// FuzzReadPlaylist: what ffmpeg writes is not trusted to be what it should be.
func FuzzReadPlaylist(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXTINF:5.005000,\n00000.ts\n#EXT-X-ENDLIST\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := readPlaylist(text)
		if err == nil && assign(all, 10_000_000) > uint32(len(all)) {
			t.Fatalf("more units than segments: %d", len(all))
		}
	})
}
