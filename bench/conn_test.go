package bench

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// pieces is a server that writes what it is told, in pieces of a size, and then hangs up.
func pieces(t *testing.T, text string, size int) *conn {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		for len(text) > 0 {
			n := min(size, len(text))
			if _, err := io.WriteString(theirs, text[:n]); err != nil {
				return
			}
			text = text[n:]
		}
	}()
	t.Cleanup(func() { ours.Close() })
	return &conn{net: ours, buf: make([]byte, 32)}
}

func TestAnswersInPieces(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	text := "HTTP/1.1 200 OK\r\nServer: s\r\ncontent-length: 5\r\n\r\nhello" +
		"HTTP/1.1 404 Not Found\r\nContent-Length:0\r\nX: y\r\n\r\n" +
		"HTTP/1.1 200\r\nContent-Length:  10000 \r\n\r\n" + long +
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"
	for _, size := range []int{1, 2, 3, 7, 31, 32, 33, 100, len(text)} {
		c := pieces(t, text, size)
		for i, want := range []struct {
			status int
			body   string
		}{{200, "hello"}, {404, ""}, {200, long}, {503, "{}"}} {
			status, body, err := c.answer()
			if err != nil || status != want.status || string(body) != want.body {
				t.Fatalf("pieces of %d, answer %d: %d %.20q, %v", size, i, status, body, err)
			}
		}
		if _, _, err := c.answer(); !errors.Is(err, io.EOF) {
			t.Errorf("pieces of %d: %v after the last answer", size, err)
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"no length":       "HTTP/1.1 200 OK\r\n\r\n",
		"chunked":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"negative length": "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"huge length":     "HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n",
		"other protocol":  "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"no status":       "HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n",
		"four digits":     "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"endless head":    "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHead),
	} {
		if _, _, err := pieces(t, text, 1000).answer(); !errors.Is(err, errAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"cut head": "HTTP/1.1 200 OK\r\nContent-Le",
		"cut body": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
	} {
		if _, _, err := pieces(t, text, 1000).answer(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// asking is a source of one request, over and over.
type asking struct{}

func (asking) next(time.Time) ([]byte, int)           { return get("/", "token"), 1 }
func (asking) answered(status int, body []byte) error { return wantOK(status, body) }

// TestIdleConnections: the server may have hung up on those that waited long for their turn.
func TestIdleConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	defer server.Close()
	f, err := newFleet(server.Listener.Addr().String(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	for turn, idle := range []time.Duration{0, 2 * maxIdle, 3 * maxIdle} {
		for _, c := range f.conns {
			c.until = c.until.Add(-idle)
		}
		s, err := f.run(t.Context(), []source{asking{}, asking{}}, 10*time.Millisecond)
		if err != nil || s.ops == 0 {
			t.Errorf("turn %d, after %v: %d requests, %v", turn, idle, s.ops, err)
		}
		server.CloseClientConnections()
	}
	if _, err := f.run(t.Context(), []source{asking{}, asking{}}, 10*time.Millisecond); err == nil {
		t.Error("the server hangs up, and nobody notices")
	}
}
