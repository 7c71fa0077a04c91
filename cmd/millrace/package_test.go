package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/media"
)

// generate has ffmpeg make a file: without ffmpeg the test is skipped, and make deps installs it.
func generate(t *testing.T, path string, args ...string) string {
	t.Helper()
	for _, program := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed: make deps")
		}
	}
	if out, err := exec.Command("ffmpeg", append(append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, args...), path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	return path
}

// film is 8 s of pictures, ten a second, with a tone. Its only key frame is the first.
func film(t *testing.T, path string) string {
	return generate(t, path, "-f", "lavfi", "-i", "testsrc=size=128x96:rate=10", "-f", "lavfi", "-i", "sine=frequency=440", "-t", "8",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "1000", "-c:a", "aac", "-b:a", "32k")
}

func (m market) pack(t *testing.T, out, in string, more ...string) []string {
	t.Helper()
	return append([]string{"package", "--hub", m.url, "-o", out, in}, more...)
}

func TestPackageRows(t *testing.T) {
	m := newMarket(t)
	in, out := writeFile(t, m.path("rows"), []byte("1\n2\n3\n4\n5\n")), m.path("rows.sold")
	r := millrace(t, nil, nil, m.pack(t, out, in, "--chunks", "--unit", "2")...)
	if r.code != 0 || !strings.Contains(r.err, "keep "+out+".claim to yourself") || !strings.Contains(r.out, "3 times 2 rows, in 3 files\n") {
		t.Fatalf("%+v", r)
	}
	onlyIn(t, m.dir, "rows", "rows.sold", "rows.sold.claim")
	onlyIn(t, out, "00000.chunk", "00001.chunk", "00002.chunk", media.ManifestFile, media.WorkFile)
	if info, err := os.Stat(out + ".claim"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the claim: %v, %v", info, err)
	}
	work := filepath.Join(out, media.WorkFile)
	if got := ok(t, "inspect", work); got["units"] != json.Number("3") || got["origin"] != m.url {
		t.Errorf("inspect: %v", got)
	}
	fails(t, exitUsage, "exists already", m.pack(t, out, in, "--chunks")...)
	fails(t, exitUsage, "exists already", m.pack(t, m.path("other"), in, "--chunks", "--claim", out+".claim")...)
	onlyIn(t, m.dir, "rows", "rows.sold", "rows.sold.claim")
}

func TestPackageRefuses(t *testing.T) {
	m := newMarket(t)
	text, out := writeFile(t, m.path("text"), []byte("words")), m.path("out")
	fails(t, exitUsage, "--chunks sells its files", m.pack(t, out, m.dir)...)
	fails(t, exitUsage, "no such file", m.pack(t, out, m.path("nothing"))...)
	fails(t, exitUsage, "no such file", m.pack(t, out, m.path("nothing"), "--chunks")...)
	fails(t, exitUsage, "a number of files or rows", m.pack(t, out, text, "--chunks", "--unit", "10s")...)
	fails(t, exitUsage, "want a length", m.pack(t, out, text, "--unit", "10")...)
	fails(t, exitUsage, "want a length", m.pack(t, out, text, "--unit", "1ms")...)
	fails(t, exitUsage, "is for films", m.pack(t, out, text, "--chunks", "--reencode")...)
	fails(t, exitUsage, "are for --offline", m.pack(t, out, text, "--chunks", "--hub-key", "x")...)
	fails(t, exitUsage, "--offline needs", "package", "--offline", "-o", out, text, "--chunks")
	fails(t, exitUsage, "is empty", m.pack(t, out, writeFile(t, m.path("empty"), nil), "--chunks")...)
	t.Setenv("PATH", t.TempDir())
	fails(t, exitInternal, "which are not installed", m.pack(t, out, text)...)
	onlyIn(t, m.dir, "empty", "text")
}

func TestPackageFilm(t *testing.T) {
	m := newMarket(t)
	in, out := film(t, m.path("film.mp4")), m.path("film")
	fails(t, exitFile, "not a film or a song", m.pack(t, out, writeFile(t, m.path("text"), []byte("words")))...)
	r := millrace(t, nil, nil, m.pack(t, out, in, "--unit", "4s")...)
	if r.code != 0 || !strings.Contains(r.err, "with --reencode each has 4s") {
		t.Fatalf("%+v", r)
	}
	got := ok(t, m.pack(t, m.path("exact"), in, "--unit", "4s", "--reencode")...)
	if got["kind"] != "hls" || got["units"] != json.Number("2") || got["unit"] != "4s" || got["origin"] != m.url {
		t.Errorf("%v", got)
	}
	onlyIn(t, m.path("exact"), "00000.ts", "00001.ts", media.PlaylistFile, media.ManifestFile, media.WorkFile)
	onlyIn(t, m.dir, "exact", "exact.claim", "film", "film.claim", "film.mp4", "text")
	playlist := string(read(t, filepath.Join(m.path("exact"), media.PlaylistFile)))
	if !strings.Contains(playlist, `URI="`+m.url+"/v1/contents/"+got["content"].(string)+`/units/1/key"`) {
		t.Errorf("playlist:\n%s", playlist)
	}
}
