package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/seal"
)

func TestRows(t *testing.T) {
	for text, want := range map[string]int{"a\nb\nc\nd\ne\n": 3, "a\nb\nc\nd\ne": 3, "a\nb\nc\nd\n": 2, "a": 1, "\n": 1, strings.Repeat("x", 200_000) + "\ny\nz\n": 2} {
		k := newKiosk(t)
		s, err := Rows(strings.NewReader(text), 2)
		if err != nil {
			t.Fatal(err)
		}
		m := k.pack(s)
		if m.Kind != Chunks || m.Unit != "2 rows" || int(m.Units) != want || len(m.Chunks) != want {
			t.Errorf("%.20q: %+v", text, m)
		}
		if got := string(bytes.Join(k.opened(m), nil)); got != text {
			t.Errorf("%.20q became %.20q", text, got)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"p2.txt", "p1.txt", "p3.txt", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("page "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Folder(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	k := newKiosk(t)
	m := k.pack(s)
	if m.Units != 2 || len(m.Chunks) != 3 || m.Chunks[1].Name != "p2.txt" || m.Chunks[1].Unit != 0 || m.Chunks[2].Unit != 1 {
		t.Fatalf("%+v", m)
	}
	if got := fmt.Sprintf("%s", k.opened(m)); got != "[page p1.txt page p2.txt page p3.txt]" {
		t.Error(got)
	}
	if first, end := m.Of(0); first != 0 || end != 2 {
		t.Errorf("unit 0: %d to %d", first, end)
	}
	if first, end := m.Of(1); first != 2 || end != 3 {
		t.Errorf("unit 1: %d to %d", first, end)
	}
	line, _, _ := strings.Cut(string(k.read("00002.chunk")), "\n")
	if want := fmt.Sprintf("millrace.dev/chunk/v1 %s %s 1 2", k.web.URL, k.id); line != want {
		t.Errorf("a chunk begins with %q, want %q", line, want)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{dir, t.TempDir(), filepath.Join(dir, "nothing")} {
		if _, err := Folder(bad, 1); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// TestOpenRefuses: a chunk that was changed, cut off, moved or is opened with another unit's key, of either kind.
func TestOpenRefuses(t *testing.T) {
	m := &Manifest{Format: format, Kind: Chunks, Hub: "https://hub.example", Content: strings.Repeat("0a", 16)}
	file := seal.FileKey{1}
	for _, kind := range []string{Chunks, HLS} {
		m.Kind = kind
		for _, size := range []int{0, 1, 15, 16, 17, 1000} {
			plain := bytes.Repeat([]byte{7}, size)
			sealed, err := m.encrypt(3, 2, file.Unit(2), plain)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.decrypt(3, 2, file.Unit(2), sealed); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%s of %d bytes: %v", kind, size, err)
			}
			if len(sealed) > size+maxGrowth {
				t.Errorf("%d bytes became %d", size, len(sealed))
			}
			if _, err := m.decrypt(3, 2, file.Unit(2), sealed[:len(sealed)-1]); !errors.Is(err, ErrChunk) {
				t.Errorf("%s cut off: %v", kind, err)
			}
			if got, err := m.decrypt(3, 2, file.Unit(3), sealed); err == nil && bytes.Equal(got, plain) {
				t.Errorf("%s opened by another key", kind)
			}
			if got, err := m.decrypt(4, 2, file.Unit(2), sealed); err == nil && (kind == Chunks || size > 0 && bytes.Equal(got, plain)) {
				t.Errorf("%s of %d bytes opened in another's place", kind, size)
			}
		}
	}
	if _, err := m.decrypt(0, 0, file.Unit(0), nil); !errors.Is(err, ErrChunk) {
		t.Errorf("nothing: %v", err)
	}
}

func TestPackRefuses(t *testing.T) {
	k := newKiosk(t)
	empty, err := Rows(strings.NewReader(""), 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Key: k.key.Public(), Origin: k.web.URL, Content: k.id, Dir: t.TempDir(), Temp: t.TempDir(), Source: empty, Mode: 0o600}
	if _, _, err := Pack(t.Context(), cfg); err == nil {
		t.Error("a package of nothing")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if cfg.Source, err = Rows(strings.NewReader("a\n"), 1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Pack(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if _, err := Rows(nil, 0); err == nil {
		t.Error("units of no rows")
	}
}

func TestParseManifestRefuses(t *testing.T) {
	k := newKiosk(t)
	s, err := Rows(strings.NewReader("a\nb\n"), 1)
	if err != nil {
		t.Fatal(err)
	}
	k.pack(s)
	f, err := os.Open(filepath.Join(k.dir, WorkFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, _, err := seal.ReadHeader(f)
	if err != nil {
		t.Fatal(err)
	}
	manifest := k.read(ManifestFile)
	if _, err := ParseManifest(append(manifest, '\n'), h); !errors.Is(err, ErrManifest) {
		t.Errorf("another manifest: %v", err)
	}
	if _, err := ParseManifest(manifest, seal.Header{}); !errors.Is(err, ErrManifest) {
		t.Errorf("a work that is sold whole: %v", err)
	}
}

func TestManifestRefuses(t *testing.T) {
	good := func() *Manifest {
		row := Chunk{Size: 20, PlainSize: 4, SHA256: strings.Repeat("ab", 32)}
		last := row
		last.Unit = 1
		return &Manifest{Format: format, Kind: Chunks, Hub: "https://hub.example", Content: strings.Repeat("0a", 16), Units: 2, Chunks: []Chunk{row, row, last}}
	}
	if err := good().validate(); err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*Manifest){
		"format":      func(m *Manifest) { m.Format = "units/2" },
		"kind":        func(m *Manifest) { m.Kind = "film" },
		"hub":         func(m *Manifest) { m.Hub += "/" },
		"content":     func(m *Manifest) { m.Content = "x" },
		"no chunks":   func(m *Manifest) { m.Chunks, m.Units = nil, 0 },
		"units":       func(m *Manifest) { m.Units = 3 },
		"begins late": func(m *Manifest) { m.Chunks = m.Chunks[2:] },
		"a gap":       func(m *Manifest) { m.Chunks[2].Unit, m.Units = 2, 3 },
		"backwards":   func(m *Manifest) { m.Chunks[0].Unit = 1 },
		"huge":        func(m *Manifest) { m.Chunks[0].Unit, m.Chunks[1].Unit = 1<<32-1, 1<<32-1 },
		"sha256":      func(m *Manifest) { m.Chunks[0].SHA256 = "ab" },
		"size":        func(m *Manifest) { m.Chunks[0].Size = 4 },
		"plain size":  func(m *Manifest) { m.Chunks[0].PlainSize = -1 },
		"a path":      func(m *Manifest) { m.Chunks[0].Name = "../x" },
		"dots":        func(m *Manifest) { m.Chunks[0].Name = ".." },
	} {
		m := good()
		bend(m)
		if err := m.validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAssign(t *testing.T) {
	for _, c := range []struct {
		name  string
		long  []int64 // of the segments, in tenths of a second
		units []uint32
	}{
		{"even", []int64{50, 50, 50, 50, 20}, []uint32{0, 0, 1, 1, 2}},
		{"about even", []int64{48, 53, 49, 52, 20}, []uint32{0, 0, 1, 1, 2}},
		{"few key frames", []int64{250, 60, 60}, []uint32{0, 1, 2}},
		{"short ones", []int64{20, 20, 20, 20, 20, 20, 1}, []uint32{0, 0, 0, 0, 0, 1, 1}},
	} {
		var all []segment
		for _, l := range c.long {
			all = append(all, segment{micros: l * 100_000})
		}
		units := assign(all, 10_000_000)
		for i, s := range all {
			if s.unit != c.units[i] || units != c.units[len(c.units)-1]+1 {
				t.Errorf("%s: segment %d is of unit %d of %d, want %d", c.name, i, s.unit, units, c.units[i])
			}
		}
	}
}

func TestReadPlaylist(t *testing.T) {
	got, err := readPlaylist([]byte("#EXTM3U\n#EXTINF:5.005000,\n00000.ts\n#EXTINF:3,\n00001.ts\n#EXT-X-ENDLIST\n"))
	if err != nil || len(got) != 2 || got[0].micros != 5_005_000 || got[1].micros != 3_000_000 || got[1].file != "00001.ts" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "#EXTM3U\n#EXT-X-ENDLIST\n", "#EXTINF:5,\n0.ts\n", "#EXTINF:x,\n0.ts\n#EXT-X-ENDLIST\n", "#EXTINF:1.x,\n0.ts\n#EXT-X-ENDLIST\n"} {
		if got, err := readPlaylist([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
