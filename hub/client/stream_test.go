package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

func event(seq uint64) string {
	return fmt.Sprintf("id: %d\nevent: entry\ndata: {\"seq\":%d,\"time\":1,\"kind\":\"transfer\",\"change_msat\":1,\"held_change_msat\":0,\"balance_msat\":1,\"held_msat\":0}\n\n", seq, seq)
}

// TestEventsResume: connections that break anywhere, overload and a restart between; each entry comes once, in order.
func TestEventsResume(t *testing.T) {
	n := 0
	c, _ := dial(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		last, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
		if n == 1 && (r.URL.RawQuery != "after=7" || last != 0) || n > 1 && (r.URL.RawQuery != "" || last < 7) {
			t.Errorf("request %d: %s, last %d", n, r.URL, last)
		}
		if n%5 == 2 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(503)
			io.WriteString(w, overrun)
			return
		}
		if n == 1 {
			last = 7
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "retry: 2000\nid: %d\n\n: ping\n\n", last)
		io.WriteString(w, event(last+2)+event(last+3))
		if n%5 == 3 {
			return // an orderly end
		}
		whole := event(last + 4)
		io.WriteString(w, whole[:len(whole)*(n%4+1)/5])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	after, enough := uint64(7), errors.New("enough")
	var got []uint64
	err := c.Events(context.Background(), 16, &after, func(e client.Event) error {
		if got = append(got, e.Seq); len(got) == 20 {
			return enough
		}
		return nil
	})
	var want []uint64
	for last := uint64(7); len(want) < 20; last += 3 {
		want = append(want, last+2, last+3)
	}
	if !errors.Is(err, enough) || !slices.Equal(got, want) {
		t.Errorf("%v\ngot  %v\nwant %v", err, got, want)
	}
}

// TestEventsEnd: what is refused, or is no stream, is not asked for again; nor is a hub that was never reached, for ever.
func TestEventsEnd(t *testing.T) {
	n, refused := 0, ""
	c, _ := dial(t, func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(403)
		io.WriteString(w, refused)
	})
	refused = `{"type":"urn:millrace:problem:foreign_account","title":"Foreign account","status":403,"code":"foreign_account","retryable":false}`
	none := func(client.Event) error { t.Error("an event"); return nil }
	var p *client.Problem
	if err := c.Events(context.Background(), 16, nil, none); !errors.As(err, &p) || p.Code != "foreign_account" || n != 1 {
		t.Errorf("%v after %d requests", err, n)
	}
	lone, err := client.New(client.Config{Hub: "http://127.0.0.1:1", Backoff: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := lone.Events(context.Background(), 16, nil, none); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Events(gone, 16, nil, none); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for _, body := range []string{event(3) + event(3), event(4) + event(3), "id: x\nevent: entry\ndata: {}\n\n", "id: 9\nevent: entry\ndata: {\n\n", "data: " + strings.Repeat("x", 70_000) + "\n\n"} {
		odd, err := client.New(client.Config{Hub: serveText(t, "text/event-stream", body), Backoff: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := odd.Events(context.Background(), 16, nil, func(client.Event) error { return nil }); !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%.40q: %v", body, err)
		}
	}
	html, err := client.New(client.Config{Hub: serveText(t, "text/html", event(1)), Backoff: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := html.Events(context.Background(), 16, nil, none); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("%v", err)
	}
}

// TestStatementCutOff: a statement that breaks off is an error, whatever was written.
func TestStatementCutOff(t *testing.T) {
	c, _ := dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Set("Content-Disposition", `attachment; filename="x.csv"`)
		io.WriteString(w, "a,b\n")
		if r.URL.Path == "/v1/channels/c101/statement" {
			return
		}
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	var out bytes.Buffer
	if err := client.Statement(context.Background(), c, ledger.ChannelNo(1), zeroTime, zeroTime, "csv", &out); err != nil || out.String() != "a,b\n" {
		t.Errorf("%v, %q", err, out.String())
	}
	raw, err := client.New(client.Config{Hub: c.URL(), Token: bearer})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Statement(context.Background(), raw, ledger.AccountNo(16), zeroTime, zeroTime, "csv", &out); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

var zeroTime time.Time

// serveText is the URL of what answers everything with a text.
func serveText(t *testing.T, kind, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
