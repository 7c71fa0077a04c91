package generic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

const described = `
workers = 3
warmup = "20ms"
duration = "250ms"
[population]
payers = 12
payees = 5
channels = 24
works = 8
funds_msat = 1_000_000_000
[mix]
advance = 4
transfer = 4
unlock = 1
history = 1
[request]
most_msat = 20
[retry]
attempts = 20
backoff = "5ms"
timeout = "20s"
[http]
url = "URL"
account = "user-{n}"
headers = { Authorization = "$GENERIC_SECRET", Idempotency-Key = "{id}" }
repeated = [208]
cut_msat = 10
transfer = { path = "/pay", body = '{"from":"{from}","to":"{to}","amount":{amount}}', want = '"ok":"{id}"' }
advance = { method = "PUT", path = "/channels/{channel}", body = '{"from":"{from}","to":"{to}","amount":{amount}}' }
unlock = { path = "/works/{work}/{from}", body = '{"from":"{from}","to":"{to}","amount":{amount}}' }
history = { method = "GET", path = "/history/{from}" }
balance = { path = "/balance/{account}", pointer = "/money/0/msat" }
channel = { path = "/channels/{channel}" }
direct = true
`

// shop is a payment system that somebody else has written, whose accounts have something already.
type shop struct {
	mu       sync.Mutex
	has      map[string]int64
	totals   map[string]int64
	seen     map[string]bool
	requests int

	twice, mute, garbage, busy, odd int // of so many requests one is done twice, not answered, answered with rubbish, turned away, answered with a status that means nothing
}

func (s *shop) nth(n int) bool { return n > 0 && s.requests%n == 0 }

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "open sesame" {
		w.WriteHeader(401)
		return
	}
	kind, rest, _ := strings.Cut(r.URL.Path[1:], "/")
	switch {
	case kind == "balance":
		fmt.Fprintf(w, `{"money":[{"msat":"%d"}]}`, s.has[rest]+7_000)
		return
	case kind == "channels" && r.Method == "GET":
		fmt.Fprint(w, s.totals[rest]+5)
		return
	}
	s.requests++
	switch {
	case s.nth(s.busy):
		w.WriteHeader(503)
		return
	case s.nth(s.odd):
		w.WriteHeader(418)
		return
	}
	var o struct {
		From, To string
		Amount   int64
	}
	key := r.Header.Get("Idempotency-Key")
	if kind != "history" {
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			w.WriteHeader(400)
			return
		}
		switch kind {
		case "channels":
			before := s.totals[rest]
			if s.totals[rest] = max(before, o.Amount); o.Amount <= before {
				w.WriteHeader(208)
				return
			}
			o.Amount -= before
		case "works":
			key = r.URL.Path
		}
		if again := s.seen[key]; kind == "channels" || !again {
			s.seen[key] = kind != "channels"
			paid := o.Amount
			if s.nth(s.twice) {
				paid *= 2
			}
			if s.has[o.From] -= paid; kind == "works" {
				paid -= 10
			}
			s.has[o.To] += paid
		} else if kind == "works" {
			w.WriteHeader(208)
		}
	}
	switch {
	case s.nth(s.mute):
		panic(http.ErrAbortHandler)
	case s.nth(s.garbage):
		fmt.Fprint(w, "<html>lorem ipsum")
	default:
		fmt.Fprintf(w, `{"ok":"%s"}`, key)
	}
}

func run(t *testing.T, text string, s *shop) *generator.Result {
	t.Helper()
	s.has, s.totals, s.seen = make(map[string]int64), make(map[string]int64), make(map[string]bool)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Setenv("GENERIC_SECRET", "open sesame")
	scene, err := scenario.Parse([]byte(strings.Replace(text, "URL", server.URL, 1)), "test")
	if err != nil {
		t.Fatal(err)
	}
	p := workload.NewPlan(scene)
	target, err := New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := generator.New(generator.Config{Plan: p, Target: target, Settle: 500 * time.Millisecond}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGeneric holds that every kind of op is asked for as described, and that the books agree though answers are lost or there is no room.
func TestGeneric(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		shop *shop
	}{
		"honest":        {described, &shop{}},
		"batches":       {strings.NewReplacer("[request]", "[request]\nops = 9", "history = 1", "history = 0").Replace(described), &shop{}},
		"loses answers": {described, &shop{mute: 9}},
		"has no room":   {described, &shop{busy: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, c.text, c.shop)
			if !r.Verdict.Agree || r.Counts.Ops == 0 || (r.Counts.Errors > 0) != (c.shop.mute+c.shop.busy > 0) {
				t.Errorf("%+v %+v %v %v", r.Verdict, r.Counts, r.Refusals, r.Errors)
			}
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), "sesame") {
				t.Errorf("the result holds a secret: %v", err)
			}
		})
	}
}

// TestLies holds that one that does something wrong is found out, and that what cannot be known is not called good.
func TestLies(t *testing.T) {
	blind := strings.Replace(described, "balance = {", "#", 1)
	for name, c := range map[string]struct {
		text string
		shop *shop
		want string
	}{
		"pays twice":       {described, &shop{twice: 7}, "the books differ"},
		"has no books":     {blind, &shop{}, "does not say how to read"},
		"answers rubbish":  {strings.NewReplacer("advance = 4", "advance = 0", "unlock = 1", "unlock = 0", "history = 1", "history = 0").Replace(described), &shop{garbage: 1}, "nobody knows what became of"},
		"is a tea machine": {described, &shop{odd: 1}, "status 418"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, strings.Replace(c.text, "attempts = 20", "attempts = 1", 1), c.shop)
			if r.Passed() || !strings.Contains(strings.Join(r.Failures(), "\n"), c.want) {
				t.Errorf("%+v: want %q", r.Verdict, c.want)
			}
		})
	}
}

func TestUndescribed(t *testing.T) {
	plain, err := scenario.Load("tips")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), workload.NewPlan(plain)); !errors.Is(err, ErrUndescribed) {
		t.Errorf("without a description: %v", err)
	}
	good := strings.Replace(described, "URL", "http://127.0.0.1:1", 1)
	s, err := scenario.Parse([]byte(good), "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), workload.NewPlan(s)); err == nil || !strings.Contains(err.Error(), "GENERIC_SECRET") {
		t.Errorf("without its secret: %v", err)
	}
	t.Setenv("GENERIC_SECRET", "x")
	if _, err := New(t.Context(), workload.NewPlan(s)); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("where nobody is: %v", err)
	}
	for want, bend := range map[string][2]string{
		"http.url":                {"http://127.0.0.1:1", "ftp://x"},
		"http.account":            {"user-{n}", "user"},
		"http.cut_msat":           {"cut_msat = 10", "cut_msat = 1001"},
		"http.transfer.path":      {`path = "/pay", `, ""},
		"http.advance.method":     {`"PUT"`, `"CHARGE"`},
		"http.unlock.path":        {"/works", "works"},
		"http.balance.pointer":    {"/money", "money"},
		"status 200 stands twice": {"repeated = [208]", "repeated = [200]"},
		`no key "http.refund"`:    {"direct = true", "refund = true"},
	} {
		if _, err := scenario.Parse([]byte(strings.Replace(good, bend[0], bend[1], 1)), "test"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPoint(t *testing.T) {
	text := []byte(`{"a":[{"b/c":12},{"~":"-7"}],"d":1.5,"e":null}`)
	for pointer, want := range map[string]int64{"/a/0/b~1c": 12, "/a/1/~0": -7} {
		if n, err := point(text, pointer); err != nil || n != want {
			t.Errorf("%s: %d, %v", pointer, n, err)
		}
	}
	for _, pointer := range []string{"", "/a", "/a/2", "/a/-1", "/d", "/e", "/f", "/a/0/b/c", "/d/0"} {
		if n, err := point(text, pointer); !errors.Is(err, generator.ErrAnswer) {
			t.Errorf("%s: %d, %v", pointer, n, err)
		}
	}
}
