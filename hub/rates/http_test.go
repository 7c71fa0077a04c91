package rates

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels/outbound"
)

// site is a real HTTP server whose paths are as a source could be.
func site(t *testing.T, called *atomic.Int64) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(pattern, text string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			called.Add(1)
			if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" {
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = w.Write([]byte(text))
		})
	}
	answer("/all", `{"data":{"rates":{"EUR":"65000.12","USD":70000}},"time":1795000000}`)
	answer("/one/EUR", `{"price":65000}`)
	answer("/one/USD", `{"price":0}`)
	answer("/large", `{"EUR":65000,"USD":70000,"x":"`+strings.Repeat("x", MaxAnswer)+`"}`)
	answer("/text", "<html>EUR 65000</html>")
	answer("/empty", "")
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/all", http.StatusFound) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte(`{"EUR":65000,"USD":70000}`))
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"EUR":65000,`))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestHTTP(t *testing.T) {
	var called atomic.Int64
	s, clock := site(t, &called), newDial()
	for _, c := range []struct{ name, path, at, timeAt, found, err string }{
		{"all at once", "/all?key=SECRET", "data.rates.{currency}", "time", "EUR USD", ""},
		{"one each", "/one/{currency}?key=SECRET", "price", "", "EUR", `USD: "0" is no positive decimal number`},
		{"another path", "/all?key=SECRET", "rates.{currency}", "", "", `there is no "rates" (and 1 more)`},
		{"no time", "/all?key=SECRET", "data.rates.{currency}", "updated", "", `there is no "updated"`},
		{"redirect", "/moved?key=SECRET", "data.rates.{currency}", "", "", "answered 302"},
		{"bad status", "/broken?key=SECRET", "", "", "", "answered 502"},
		{"large", "/large?key=SECRET", "", "", "", "more than 256000 bytes"},
		{"no JSON", "/text?key=SECRET", "", "", "", "it is no JSON"},
		{"nothing", "/empty?key=SECRET", "", "", "", "it is no JSON"},
		{"cut off", "/cut?key=SECRET", "", "", "", "unexpected EOF"},
		{"not there", "/none?key=SECRET", "", "", "", "answered 404"},
	} {
		source := Source{Name: "x", URL: s.URL + c.path, Currencies: list(t, "EUR", "USD"), Path: c.at, TimePath: c.timeAt, Private: true, Timeout: time.Minute}
		config := Config{Sources: []Source{source}, Every: time.Minute, Clock: clock.now}
		if err := config.Validate(); err != nil {
			t.Fatal(err)
		}
		p := newPage(&config.Sources[0], &config)
		found, err := p.read(t.Context())
		p.client.CloseIdleConnections()
		var got []string
		for _, r := range found {
			got = append(got, r.currency.String())
			if !r.at.Equal(clock.now()) {
				t.Errorf("%s: %v of %v", c.name, r.currency, r.at)
			}
		}
		if strings.Join(got, " ") != c.found || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	for _, c := range []struct {
		name, url, err string
		private        bool
		timeout        time.Duration
	}{
		{"the hub's own network", s.URL + "/all?key=SECRET", outbound.ErrTarget.Error(), false, time.Minute},
		{"a name of it", strings.Replace(s.URL, "127.0.0.1", "localhost", 1) + "/all?key=SECRET", outbound.ErrTarget.Error(), false, time.Minute},
		{"slow", s.URL + "/slow?key=SECRET", "no answer within 50ms", true, 50 * time.Millisecond},
		{"slow, one each", s.URL + "/slow?key=SECRET&c={currency}", "EUR: no answer within 50ms (and 1 more)", true, 50 * time.Millisecond},
	} {
		before := called.Load()
		p := newPage(&Source{URL: c.url, Currencies: list(t, "EUR", "USD"), Private: c.private, Timeout: c.timeout}, &Config{Every: time.Minute, Clock: clock.now})
		if found, err := p.read(t.Context()); err == nil || len(found) != 0 || err.Error() != c.err {
			t.Errorf("%s: %v, %v", c.name, found, err)
		}
		if !c.private && called.Load() != before {
			t.Errorf("%s: it was called", c.name)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p := newPage(&Source{URL: s.URL + "/all", Currencies: list(t, "EUR"), Private: true, Timeout: time.Minute}, &Config{Every: time.Minute, Clock: clock.now})
	if _, err := p.read(ended); err == nil {
		t.Error("a round that was ended asked")
	}
}
