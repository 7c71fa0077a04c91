package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	return append([]string{"package", "--hub", m.url, "--token-file", m.seller, "--price-msat", "10", "--title", "parts", "-o", out, in}, more...)
}

func (m market) unit(out, place, n string, more ...string) []string {
	return append([]string{"unit", "--hub", m.url, "--token-file", m.buyer, "--max-msat", "10", "-o", out, place, n}, more...)
}

// TestPackageRows: a text is sold by its rows, each unit for itself, from a folder and over HTTP.
func TestPackageRows(t *testing.T) {
	m := newMarket(t)
	in, out := writeFile(t, m.path("rows"), []byte("1\n2\n3\n4\n5\n")), m.path("rows.sold")
	r := millrace(t, nil, nil, m.pack(t, out, in, "--chunks", "--unit", "2", "--free", "1")...)
	if r.code != 0 || !strings.Contains(r.out, "3 times 2 rows, in 3 files\n") || !strings.Contains(r.out, "on sale at "+m.url+" for 10 msat a unit") {
		t.Fatalf("%+v", r)
	}
	onlyIn(t, m.dir, "rows", "rows.sold")
	onlyIn(t, out, "00000.chunk", "00001.chunk", "00002.chunk", media.ManifestFile, media.WorkFile)
	work := filepath.Join(out, media.WorkFile)
	if got := ok(t, "inspect", work); got["units"] != json.Number("3") || got["origin"] != m.url || got["file_agrees"] != true {
		t.Errorf("inspect: %v", got)
	}
	web := httptest.NewServer(http.FileServer(http.Dir(m.dir)))
	defer web.Close()
	for i, c := range []struct {
		place, n, result, plain, paid, left string
	}{
		{out, "0", "repeated", "1\n2\n", "0", "1000"},
		{out, "1", "applied", "3\n4\n", "10", "990"},
		{web.URL + "/rows.sold", "1", "repeated", "3\n4\n", "10", "990"},
		{web.URL + "/rows.sold/", "2", "applied", "5\n", "10", "980"},
	} {
		opened := m.path(fmt.Sprint("opened", i))
		got := ok(t, m.unit(opened, c.place, c.n)...)
		same(t, opened, []byte(c.plain))
		if got["result"] != c.result || got["paid_msat"] != json.Number(c.paid) || m.balance(t, m.buyer) != c.left {
			t.Errorf("unit %s of %s: %v", c.n, c.place, got)
		}
	}
	fails(t, exitUsage, "exists already", m.pack(t, out, in, "--chunks")...)
	fails(t, exitUsage, "units 0 to 2", m.unit(m.path("x"), out, "3")...)
	fails(t, exitUsage, "want the number", m.unit(m.path("x"), out, "one")...)
	fails(t, exitUsage, "want a folder", m.unit(m.path("x"), m.dir, "0")...)
	fails(t, exitUsage, "with http or https", m.unit(m.path("x"), "ftp://localhost/", "0")...)
	fails(t, exitInternal, "answered 404", m.unit(m.path("x"), web.URL, "0")...)
}

// TestUnitRefuses: what was changed in a package is found before money moves.
func TestUnitRefuses(t *testing.T) {
	m := newMarket(t)
	in, out := writeFile(t, m.path("rows"), []byte("1\n2\n3\n")), m.path("sold")
	ok(t, m.pack(t, out, in, "--chunks")...)
	other := m.path("other")
	ok(t, m.pack(t, other, in, "--chunks")...)
	chunk, manifest, opened := filepath.Join(out, "00001.chunk"), filepath.Join(out, media.ManifestFile), m.path("opened")
	good := read(t, chunk)
	writeFile(t, chunk, append(good[:len(good)-1:len(good)-1], good[len(good)-1]^1))
	fails(t, exitFile, "nothing was paid", m.unit(opened, out, "1")...)
	writeFile(t, chunk, append(good[:len(good):len(good)], 0))
	fails(t, exitFile, "nothing was paid", m.unit(opened, out, "1")...)
	writeFile(t, chunk, good)
	text := read(t, manifest)
	writeFile(t, manifest, read(t, filepath.Join(other, media.ManifestFile)))
	fails(t, exitFile, "not the one that the header", m.unit(opened, out, "1")...)
	writeFile(t, manifest, text)
	fails(t, exitRefused, "the price quoted was 10 msat", append(m.unit(opened, out, "1"), "--max-msat", "9")...)
	_, poor := m.account(t, "9")
	fails(t, exitRefused, "insufficient_funds", append(m.unit(opened, out, "1"), "--token-file", poor)...)
	if got := m.balance(t, m.buyer); got != "1000" {
		t.Errorf("the buyer has %s", got)
	}
	ok(t, m.unit(opened, out, "1")...)
}

// TestPackageOffline: a package that was made without the hub goes on sale with its claim.
func TestPackageOffline(t *testing.T) {
	m := newMarket(t)
	in, out := writeFile(t, m.path("rows"), []byte("1\n2\n3\n")), m.path("sold")
	key := ok(t, "key", "show", "--hub", m.url)
	r := millrace(t, nil, nil, "package", "--offline", "--hub-key", key["public_key"].(string), "--origin", key["origin"].(string), "-o", out, in, "--chunks")
	if r.code != 0 || !strings.Contains(r.err, "keep "+out+".claim to yourself") || !strings.Contains(r.out, "not on sale yet: millrace register ") {
		t.Fatalf("%+v", r)
	}
	if info, err := os.Stat(out + ".claim"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the claim: %v, %v", info, err)
	}
	register := []string{"register", "--hub", m.url, "--token-file", m.seller, "--price-msat", "10", "--title", "t", "--claim", out + ".claim", filepath.Join(out, media.WorkFile)}
	fails(t, exitUsage, "is sold by 3 units", append(register, "--free", "4")...)
	if r := millrace(t, nil, nil, append(register, "--free", "1")...); r.code != 0 || !strings.Contains(r.out, "for 10 msat a unit") {
		t.Fatalf("register: %+v", r)
	}
	ok(t, m.unit(m.path("opened"), out, "2")...)
	same(t, m.path("opened"), []byte("3\n"))
	fails(t, exitUsage, "exists already", m.pack(t, m.path("other"), in, "--chunks", "--claim", out+".claim")...)
	onlyIn(t, m.dir, "opened", "rows", "sold", "sold.claim")
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
	fails(t, exitUsage, "--price-msat is needed", "package", "--hub", m.url, "--token-file", m.seller, "-o", out, text, "--chunks")
	fails(t, exitUsage, "--offline needs", "package", "--offline", "-o", out, text, "--chunks")
	fails(t, exitUsage, "is empty", m.pack(t, out, writeFile(t, m.path("empty"), nil), "--chunks")...)
	onlyIn(t, m.dir, "empty", "text")
	fails(t, exitUsage, "sold by 1 units", m.pack(t, out, text, "--chunks", "--free", "2")...)
	onlyIn(t, m.dir, "empty", "out", "out.claim", "text")
	t.Setenv("PATH", t.TempDir())
	fails(t, exitInternal, "which are not installed", m.pack(t, m.path("film"), text)...)
	onlyIn(t, m.dir, "empty", "out", "out.claim", "text")
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
	onlyIn(t, m.dir, "exact", "film", "film.mp4", "text")
	playlist := string(read(t, filepath.Join(m.path("exact"), media.PlaylistFile)))
	if !strings.Contains(playlist, `URI="`+m.url+"/v1/contents/"+got["content"].(string)+`/units/1/key"`) {
		t.Errorf("playlist:\n%s", playlist)
	}
}
