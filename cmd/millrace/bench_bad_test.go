package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// described is a load for a payment system that speaks HTTP.
const described = `
workers = 2
warmup = "0s"
duration = "300ms"
[population]
payers = 4
payees = 2
[mix]
transfer = 1
[retry]
attempts = 2
backoff = "1ms"
timeout = "100ms"
[http]
url = "%s"
[http.transfer]
path = "/pay/{id}"
want = "paid"
`

// TestBenchBadTargets holds what somebody is told of payment systems that are not there, say nothing, or say what nobody understands: what is wrong, in
// a bounded time, and that nothing was verified.
func TestBenchBadTargets(t *testing.T) {
	served := func(pay http.HandlerFunc) string {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("/pay/", pay)
		s := httptest.NewServer(mux)
		t.Cleanup(s.Close)
		return s.URL
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		url  string
		exit int
		want []string
	}{
		"nobody": {nobody, exitUnreachable, []string{"the target does not answer: http 127.0.0.1:", "connection refused"}},
		"silence": {served(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or nobody hears of its end
			<-r.Context().Done()
		}), exitFailed, []string{"the target has answered nothing", "nobody knows what became of", "deadline exceeded"}},
		"garbage":  {served(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "\x00lorem ipsum") }), exitFailed, []string{"the target has answered nothing", "nobody knows what became of", `no "paid" in`}},
		"hangs up": {served(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), exitFailed, []string{"the target has answered nothing", "EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSuite(t, "run", fmt.Sprintf(described, c.url), "--target", "http")
			code := s.exits()
			for _, want := range c.want {
				if !strings.Contains(s.text(), want) {
					t.Errorf("no %q", want)
				}
			}
			if code != c.exit || strings.Contains(s.text(), "the books agree") {
				t.Errorf("exit code %d, want %d", code, c.exit)
			}
			if strings.Contains(s.text(), "making") {
				t.Error("a population was made")
			}
			if t.Failed() {
				t.Log(s.text())
			}
		})
	}
}
