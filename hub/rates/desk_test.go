package rates

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestDesk: a rate is set at first, when it moved, and before it is stale; not otherwise.
func TestDesk(t *testing.T) {
	clock, ledger := newDial(), newBooks()
	eur := list(t, "EUR")[0]
	file := inTemp(t, "rates")
	d, err := New(Config{Ledger: ledger, Clock: clock.now, Sources: []Source{{Name: "a", File: file, Currencies: list(t, "EUR"), Stale: time.Hour}}})
	if err != nil {
		t.Fatal(err)
	}
	round := func(pass time.Duration, text string, price int64, sets int) {
		t.Helper()
		clock.pass(pass)
		if text != "" {
			clock.file(t, file, text)
		}
		d.Round(t.Context())
		ledger.want(t, eur, price, sets)
	}
	round(0, "", 0, 0) // there is no file
	round(time.Minute, "EUR 65000", 65000, 1)
	if r, _ := ledger.Rate(eur); !r.Until.Equal(clock.now().Add(30 * time.Minute)) {
		t.Errorf("until %v", r.Until)
	}
	round(time.Minute, "", 65000, 1)
	round(time.Minute, "EUR 65300", 65000, 1)      // less than half a percent
	round(time.Minute, "EUR 65400", 65400, 2)      // more
	round(22*time.Minute, "EUR 65400", 65400, 2)   // 8 minutes before it is stale
	round(time.Minute, "", 65400, 3)               // 7
	round(50*time.Minute, "", 65400, 4)            // it became stale, and the file has been as it was for less than an hour
	round(10*time.Minute, "", 65400, 4)            // now that is too old
	round(time.Minute, "EUR 6540 # oh", 65400, 4)  // held
	round(time.Minute, "", 65400, 4)               // nothing new about it
	round(20*time.Minute, "EUR 65400", 65400, 5)   // mended, and the rate is about to be stale
	round(time.Minute, "EUR 100000", 65400, 5)     // held
	round(time.Minute, "EUR 100000", 65400, 5)     // once more
	round(time.Minute, "EUR 100001", 100001, 6)    // twice
	round(time.Minute, "EUR 65401 1", 100001, 6)   // of 1970
	ledger.fail = errors.New("the ledger is full") // of a row, or the like
	round(time.Minute, "EUR 101000", 100001, 6)
	if s, _ := d.Status(eur); s.Problem != "the ledger is full" || len(s.Sources) != 1 || !s.Sources[0].Fresh || s.Sources[0].Msat != priced(101000) {
		t.Errorf("%+v", s)
	}
	ledger.fail = nil
	round(time.Minute, "", 101000, 7)
	clock.pass(-time.Hour)
	round(0, "", 101000, 7) // our clock was set back: the file is of the future
	if s, _ := d.Status(eur); s.Sources[0].Problem != "its time is 59m0s from now" {
		t.Errorf("%+v", s)
	}
}

// TestDeskSources: with several, one that is bad in any way does not stop the others.
func TestDeskSources(t *testing.T) {
	clock, ledger := newDial(), newBooks()
	var answers sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers.Load(r.URL.Path)
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(text.(string)))
	}))
	defer server.Close()
	var log bytes.Buffer
	source := func(name string, letters ...string) Source {
		return Source{Name: name, URL: server.URL + "/" + name + "?key=SECRET", Currencies: list(t, letters...), Private: true, Stale: 5 * time.Minute, Timeout: time.Minute}
	}
	d, err := New(Config{
		Ledger: ledger, Clock: clock.now, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Sources: []Source{source("a", "EUR", "USD"), source("b", "EUR"), source("c", "EUR"), {Name: "d", File: inTemp(t, "none"), Currencies: list(t, "USD")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	eur, usd := list(t, "EUR")[0], list(t, "USD")[0]
	steps := []struct {
		a, b, c  string
		eur, usd int64
		sets     int
	}{
		{"", "", "", 0, 0, 0},
		{`{"EUR":60000,"USD":70000}`, `{"EUR":61000}`, `{"EUR":62000}`, 61000, 70000, 2},
		{"", "nonsense", `{"EUR":62000}`, 61000, 70000, 2},                               // what they said is fresh yet
		{`{"EUR":60000}`, `{"EUR":6}`, `{"EUR":60000}`, 60000, 70000, 3},                 // b is far away
		{`{"EUR":60000,"USD":"x"}`, `{"EUR":6}`, `{"EUR":600}`, 60000, 70000, 3},         // none is near another, and one near the last: too few
		{`{"EUR":90000,"USD":70000}`, `{"EUR":91000}`, `{"EUR":92000}`, 91000, 70000, 4}, // all say so
	}
	for i, s := range steps {
		for path, text := range map[string]string{"/a": s.a, "/b": s.b, "/c": s.c} {
			if answers.Delete(path); text != "" {
				answers.Store(path, text)
			}
		}
		d.Round(t.Context())
		t.Logf("step %d", i)
		ledger.want(t, eur, s.eur, s.sets)
		ledger.want(t, usd, s.usd, s.sets)
		clock.pass(time.Minute)
	}
	status, ok := d.Status(eur)
	if !ok || len(status.Sources) != 3 || status.Problem != "" || status.Sources[1].Msat != priced(91000) {
		t.Errorf("%+v", status)
	}
	if _, ok := d.Status(list(t, "JPY")[0]); ok {
		t.Error("there is a status of JPY")
	}
	if text := log.String(); strings.Contains(text, "SECRET") || !strings.Contains(text, "answered 503") || !strings.Contains(text, "apart") {
		t.Error(text)
	}
	registry := prometheus.NewPedanticRegistry()
	for _, c := range d.Collectors() {
		registry.MustRegister(c)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != "millrace_rate_readings_total" {
				got[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	want := map[string]float64{"millrace_rate_held EUR": 0, "millrace_rate_held USD": 0, "millrace_rate_sources EUR": 3, "millrace_rate_sources USD": 1}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestRun: rounds follow each other as long as nobody ends them, and a source that never answers is ended with them.
func TestRun(t *testing.T) {
	var asked atomic.Int64
	stuck := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 3 {
			stuck <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`{"EUR":65000}`))
	}))
	defer server.Close()
	ledger, waited := newBooks(), make(chan time.Duration)
	d, err := New(Config{
		Ledger: ledger, Sources: []Source{{Name: "a", URL: server.URL, Currencies: list(t, "EUR"), Private: true, Timeout: time.Hour}}, Every: time.Hour, Valid: 24 * time.Hour,
		After: func(d time.Duration) <-chan time.Time {
			waited <- d
			now := make(chan time.Time, 1)
			now <- time.Time{}
			return now
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Run(ctx)
	}()
	for range 3 {
		if d := <-waited; d != time.Hour {
			t.Errorf("waits %v", d)
		}
	}
	<-stuck
	cancel()
	<-ended
	ledger.want(t, list(t, "EUR")[0], 65000, 1)
	if s, _ := d.Status(list(t, "EUR")[0]); s.Sources[0].Problem != "" {
		t.Errorf("%+v", s) // the stop is nothing that the source did
	}
}

func TestNew(t *testing.T) {
	if _, err := New(Config{Ledger: newBooks()}); err == nil {
		t.Error("a desk without a source")
	}
	if _, err := New(Config{Sources: []Source{{Name: "a", File: "x", Currencies: list(t, "EUR")}}}); err == nil {
		t.Error("a desk without a ledger")
	}
}
