package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/media"
)

// cinema is a market with a film of 80 frames on sale, 4 units of 2 s at 10 msat each, of which the first is free.
type cinema struct {
	market
	web     *httptest.Server
	content string
	report  chan []byte // what a page says
}

func newCinema(t *testing.T) cinema {
	t.Helper()
	c := cinema{market: newMarket(t), report: make(chan []byte, 8)}
	in := film(t, c.path("film.mp4"))
	got := ok(t, c.pack(t, c.path("film"), in, "--unit", "2s", "--free", "1", "--reencode")...)
	if got["units"] != json.Number("4") {
		t.Fatalf("%v", got)
	}
	c.content = got["content"].(string)
	mux := http.NewServeMux()
	mux.Handle("/film/", http.FileServer(http.Dir(c.dir)))
	mux.HandleFunc("/player.html", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/player.html") })
	mux.HandleFunc("/metered.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "../../hub/web/metered.js") })
	mux.HandleFunc("/hls.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, hlsjs) })
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 64<<10)
		n, _ := r.Body.Read(b)
		c.report <- b[:n]
	})
	c.web = httptest.NewServer(mux)
	t.Cleanup(c.web.Close)
	return c
}

const hlsjs = "testdata/npm/node_modules/hls.js/dist/hls.light.min.js"

// frames counts the pictures that ffmpeg decodes of the film, whatever its exit code: refused a key, it goes on with what it
// cannot decode.
func (c cinema) frames(t *testing.T, token string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"-v", "quiet", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"}
	if token != "" {
		args = append(args, "-headers", "Authorization: Bearer "+token+"\r\n")
	}
	out, _ := exec.CommandContext(ctx, "ffprobe", append(args, c.web.URL+"/film/"+media.PlaylistFile)...).Output()
	for i, b := range out { // the number may stand there for a program, too
		if b < '0' || b > '9' {
			out = out[:i]
			break
		}
	}
	n, _ := strconv.Atoi(string(out))
	return n
}

func (c cinema) session(t *testing.T, token, total string) string {
	t.Helper()
	return ok(t, "content", "session", c.content, "--hub", c.url, "--token-file", token, "--max-total-msat", total)["token"].(string)
}

// TestPlayFFmpeg: ffmpeg plays the whole film for who pays, once however often, the free unit for who does not, and no more
// than a session's cap.
func TestPlayFFmpeg(t *testing.T) {
	c := newCinema(t)
	const whole, unit = 80, 20
	if n := c.frames(t, ""); n < unit-5 || n > unit {
		t.Errorf("%d frames without a token, of a free unit of %d", n, unit)
	}
	_, poor := c.account(t, "")
	if n := c.frames(t, c.session(t, poor, "1000")); n < unit-5 || n > unit {
		t.Errorf("%d frames without money, of a free unit of %d", n, unit)
	}
	if n := c.frames(t, c.session(t, c.buyer, "20")); n < 2*unit-5 || n > 2*unit { // the free unit, and one more
		t.Errorf("%d frames with a cap of two units of %d", n, unit)
	}
	if got := c.balance(t, c.buyer); got != "990" {
		t.Errorf("the viewer has %s", got)
	}
	token := c.session(t, c.buyer, "1000")
	for range 2 {
		if n := c.frames(t, token); n != whole {
			t.Errorf("%d frames of a film of %d", n, whole)
		}
	}
	if got := c.balance(t, c.buyer); got != "970" {
		t.Errorf("the viewer has %s", got)
	}
	ok(t, append(c.unit(c.path("unit"), c.path("film"), "3"), "--max-msat", "10")...)
	if got := c.balance(t, c.buyer); got != "970" {
		t.Errorf("a unit that was played was paid for again: the viewer has %s", got)
	}
}

// TestPlayBrowser: hls.js in a browser, on a page of another origin than the hub's, keeps still when it is refused a key, and plays
// the film to its end when the viewer has paid.
func TestPlayBrowser(t *testing.T) {
	if _, err := os.Stat(hlsjs); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the npm package hls.js is not installed: make deps does it")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium on this machine: make deps-chromium")
	}
	c := newCinema(t)
	account, err := readToken(t.Context(), c.buyer)
	if err != nil {
		t.Fatal(err)
	}
	c.browse(t, chromium, c.web.URL+"/player.html?"+url.Values{"hub": {c.url}, "account": {account}}.Encode())
	var said struct {
		Offers []struct {
			Unit  int `json:"unit"`
			Price int `json:"price_msat"`
		}
		Refusals, Still, Stopped, Frames int
		Ended                            bool
		Fatal                            string
	}
	select {
	case b := <-c.report:
		if err := json.Unmarshal(b, &said); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("the page says nothing")
	}
	if said.Fatal != "" || !said.Ended || said.Frames < 60 { // of 80: a busy machine may skip some, and shows some twice where it stood still
		t.Errorf("played: %+v", said)
	}
	if len(said.Offers) != 2 || said.Offers[0].Unit != 1 || said.Offers[1].Unit != 2 || said.Offers[0].Price != 10 {
		t.Errorf("offers: %+v", said.Offers)
	}
	if said.Still != 1 || said.Stopped < 1800 || said.Stopped > 2200 {
		t.Errorf("refused, and not paid yet: %d requests, %d ms in the buffer", said.Still, said.Stopped)
	}
	if got := c.balance(t, c.buyer); got != "970" {
		t.Errorf("the viewer has %s", got)
	}
}

// browse opens a page until the test ends.
func (c cinema) browse(t *testing.T, chromium, page string) {
	t.Helper()
	profile, err := os.MkdirTemp("", "millrace-chromium-") // not t.TempDir: what a browser leaves running for a moment may still write
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--no-first-run",
		"--disable-background-networking", "--autoplay-policy=no-user-gesture-required", "--user-data-dir="+profile, page)
	cmd.Env = append(os.Environ(), "HOME="+filepath.Join(profile, "home"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = os.RemoveAll(profile)
	})
}
