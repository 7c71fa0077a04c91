package media

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// kiosk serves a package, and the keys of those units that are paid for.
type kiosk struct {
	t     *testing.T
	web   *httptest.Server
	dir   string
	key   seal.PrivateKey
	id    ledger.ContentID
	mu    sync.Mutex
	paid  uint32 // units below have their keys
	file  seal.FileKey
	asked []string // for keys, with the answer's status
	told  []string // of progress
}

func newKiosk(t *testing.T) *kiosk {
	k := &kiosk{t: t, dir: t.TempDir(), id: ledger.ContentID{0xc0, 1}}
	var err error
	if k.key, err = seal.NewPrivateKeyFor(seal.X25519, bytes.Repeat([]byte{3}, 32)); err != nil {
		t.Fatal(err)
	}
	k.web = httptest.NewServer(k)
	t.Cleanup(k.web.Close)
	return k
}

func (k *kiosk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, ok := strings.CutPrefix(r.URL.Path, "/v1/contents/"+k.id.String()+"/units/")
	if !ok {
		http.FileServer(http.Dir(k.dir)).ServeHTTP(w, r)
		return
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "/key"), 10, 32)
	if err != nil {
		http.Error(w, "what", http.StatusBadRequest)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if uint32(n) >= k.paid {
		k.asked = append(k.asked, fmt.Sprintf("%d 402", n))
		w.WriteHeader(http.StatusPaymentRequired)
		return
	}
	k.asked = append(k.asked, fmt.Sprintf("%d 200", n))
	key := k.file.Unit(uint32(n))
	_, _ = w.Write(key[:])
}

// pay pays for the units below, and returns what was asked for since it was called last.
func (k *kiosk) pay(units uint32) (asked []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked, k.asked, k.paid = k.asked, nil, units
	return asked
}

// pack makes a package and opens its file key, as the hub does.
func (k *kiosk) pack(s Source) *Manifest {
	k.t.Helper()
	sealed, m, err := Pack(k.t.Context(), Config{Key: k.key.Public(), Origin: k.web.URL, Content: k.id, Dir: k.dir, Temp: k.t.TempDir(), Source: s, Mode: 0o644,
		Progress: func(step string, done, total int64) {
			k.told = append(k.told, fmt.Sprintf("%s %t", step, done == total))
		}})
	if err != nil {
		k.t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(k.dir, WorkFile))
	if err != nil {
		k.t.Fatal(err)
	}
	defer f.Close()
	h, whole, err := seal.ReadHeader(f)
	if err != nil || !bytes.Equal(h.Raw, sealed.Header) || h.Content != k.id {
		k.t.Fatalf("%s: %v", WorkFile, err)
	}
	file, err := k.key.OpenHeader(h)
	if err != nil {
		k.t.Fatal(err)
	}
	k.mu.Lock()
	k.file = file
	k.mu.Unlock()
	var inside bytes.Buffer
	manifest := k.read(ManifestFile)
	if err := seal.Open(&inside, whole, file); err != nil || !bytes.Equal(inside.Bytes(), manifest) {
		k.t.Fatalf("the work's payload is not the manifest: %v", err)
	}
	got, err := ParseManifest(manifest, h)
	if err != nil || got.Units != m.Units || len(got.Chunks) != len(m.Chunks) {
		k.t.Fatalf("manifest: %+v, %v", got, err)
	}
	return got
}

func (k *kiosk) read(name string) []byte {
	k.t.Helper()
	b, err := os.ReadFile(filepath.Join(k.dir, name))
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// opened is all of a package's plain chunks.
func (k *kiosk) opened(m *Manifest) (all [][]byte) {
	k.t.Helper()
	for i, c := range m.Chunks {
		plain, err := m.Open(i, k.file.Unit(c.Unit), k.read(m.File(i)))
		if err != nil {
			k.t.Fatal(err)
		}
		all = append(all, plain)
	}
	return all
}

// generate has ffmpeg make a file: without ffmpeg the test is skipped, and make deps installs it.
func generate(t *testing.T, name string, args ...string) string {
	t.Helper()
	for _, program := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed: make deps")
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("ffmpeg", append(append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, args...), path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	return path
}

const seconds12 = 12

// film is 12 s of pictures, ten a second, with a tone; a key frame every second.
func film(t *testing.T) string {
	return generate(t, "film.mp4", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=10", "-f", "lavfi", "-i", "sine=frequency=440", "-t", strconv.Itoa(seconds12),
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10", "-c:a", "aac", "-b:a", "32k")
}

// decoded counts what ffmpeg decodes of a stream ("v:0", "a:0"): frames, whatever its exit code.
func decoded(t *testing.T, url, stream string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "ffprobe", "-v", "quiet", "-count_frames", "-select_streams", stream, "-show_entries", "stream=nb_read_frames", "-of", "json", "-i", url).Output()
	var said struct {
		Streams []struct {
			Frames string `json:"nb_read_frames"`
		} `json:"streams"`
	}
	if json.Unmarshal(out, &said) != nil || len(said.Streams) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(said.Streams[0].Frames)
	return n
}

func TestFilm(t *testing.T) {
	k, path := newKiosk(t), film(t)
	f, err := Probe(t.Context(), path)
	if err != nil || f.video != "h264" || f.audio != "aac" || f.Duration < seconds12*1e6 || !f.copies(false) || f.copies(true) {
		t.Fatalf("%+v, %v", f, err)
	}
	s, err := f.Source(4*time.Second, false)
	if err != nil {
		t.Fatal(err)
	}
	m := k.pack(s)
	if m.Kind != HLS || m.Unit != "4s" || m.Units != 3 || len(m.Chunks) != 3 {
		t.Fatalf("%+v", m)
	}
	k.opened(m)
	k.pay(m.Units)
	if n := decoded(t, k.web.URL+"/"+PlaylistFile, "v:0"); n != 10*seconds12 {
		t.Errorf("%d frames of a film that was paid for, want %d", n, 10*seconds12)
	}
	k.pay(m.Units)
	whole := decoded(t, k.web.URL+"/"+PlaylistFile, "a:0")
	if want := decoded(t, path, "a:0"); whole < want-2 || whole > want+2 { // the encoder's lead-in
		t.Errorf("%d frames of sound, the film has %d", whole, want)
	}
	if asked := k.pay(1); !slices.Equal(asked, []string{"0 200", "1 200", "2 200"}) {
		t.Errorf("asked for keys: %v", asked)
	}
	if n := decoded(t, k.web.URL+"/"+PlaylistFile, "v:0"); n < 30 || n > 40 {
		t.Errorf("%d frames when one unit of 40 is paid for", n)
	}
	k.pay(0)
	if n := decoded(t, k.web.URL+"/"+PlaylistFile, "v:0"); n != 0 {
		t.Errorf("%d frames without a key", n)
	}
}

// TestFilmAnew: pictures with no key frame but the first are made anew, and cut to the frame.
func TestFilmAnew(t *testing.T) {
	k := newKiosk(t)
	path := generate(t, "film.mkv", "-f", "lavfi", "-i", "testsrc=size=127x95:rate=10", "-t", "9", "-c:v", "mpeg4", "-g", "1000")
	f, err := Probe(t.Context(), path)
	if err != nil || f.audio != "" || f.copies(false) {
		t.Fatalf("%+v, %v", f, err)
	}
	s, err := f.Source(8*time.Second, false)
	if err != nil {
		t.Fatal(err)
	}
	m := k.pack(s)
	if m.Units != 2 || len(m.Chunks) != 3 || m.Chunks[0].Micros != 4_000_000 || m.Chunks[1].Unit != 0 || m.Chunks[2].Unit != 1 {
		t.Fatalf("%+v", m)
	}
	k.pay(2)
	if n := decoded(t, k.web.URL+"/"+PlaylistFile, "v:0"); n != 90 {
		t.Errorf("%d frames, want 90", n)
	}
}

// TestSong: a song whose cover is a picture is no film.
func TestSong(t *testing.T) {
	cover := generate(t, "cover.png", "-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1")
	path := generate(t, "song.mp3", "-f", "lavfi", "-i", "sine=frequency=330:duration=7", "-i", cover, "-map", "0:a", "-map", "1:v", "-c:v", "copy",
		"-disposition:v", "attached_pic", "-c:a", "libmp3lame")
	k := newKiosk(t)
	f, err := Probe(t.Context(), path)
	if err != nil || f.video != "" || f.audio != "mp3" {
		t.Fatalf("%+v, %v", f, err)
	}
	s, err := f.Source(2*time.Second, false)
	if err != nil {
		t.Fatal(err)
	}
	m := k.pack(s)
	k.pay(m.Units)
	if got, want := decoded(t, k.web.URL+"/"+PlaylistFile, "a:0"), decoded(t, path, "a:0"); m.Units != 4 || got != want {
		t.Errorf("%d units, %d frames of sound, want %d", m.Units, got, want)
	}
	if !slices.Contains(k.told, "encrypting true") {
		t.Errorf("told %v", k.told)
	}
}

func TestProbeRefuses(t *testing.T) {
	generate(t, "nothing.png", "-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1") // or skip
	text := filepath.Join(t.TempDir(), "-text")
	if err := os.WriteFile(text, []byte("no film"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, filepath.Join(t.TempDir(), "nothing"), "concat:" + text, "https://localhost/film.mp4"} {
		if f, err := Probe(t.Context(), path); err == nil {
			t.Errorf("%s: %+v", path, f)
		}
	}
	if _, err := (Film{}).Source(time.Millisecond, false); err == nil {
		t.Error("a unit of a millisecond")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Probe(t.Context(), text); err != ErrNoFFmpeg {
		t.Errorf("without ffmpeg: %v", err)
	}
}
