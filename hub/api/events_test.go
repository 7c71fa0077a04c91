package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stream is an event stream that a test reads.
type stream struct {
	t     testing.TB
	body  io.ReadCloser
	lines *bufio.Scanner
	id    string // of the last event
	pings int
}

func (u user) stream(path, last string) *stream {
	u.r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+u.r.addr+path, nil)
	u.r.must(err)
	req.Header.Set("Authorization", "Bearer "+u.token)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := u.r.http.Do(req)
	u.r.must(err)
	if resp.StatusCode != 200 {
		text, _ := io.ReadAll(resp.Body)
		u.r.t.Fatalf("%s: %d %s", path, resp.StatusCode, text)
	}
	s := &stream{t: u.r.t, body: resp.Body, lines: bufio.NewScanner(resp.Body)}
	u.r.t.Cleanup(func() { resp.Body.Close() })
	return s
}

// next is the seq of the next entry; false when the stream has ended.
func (s *stream) next() (uint64, bool) {
	s.t.Helper()
	isEntry := false
	for s.lines.Scan() {
		line := s.lines.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			s.id = id
		}
		isEntry = isEntry || line == "event: entry"
		if strings.HasPrefix(line, ": ping") {
			s.pings++
			return 0, true
		}
		if line == "" && isEntry {
			seq, err := strconv.ParseUint(s.id, 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return seq, true
		}
	}
	return 0, false
}

func (s *stream) take(n int) (all []uint64) {
	s.t.Helper()
	for len(all) < n {
		seq, ok := s.next()
		if !ok {
			s.t.Fatalf("the stream ended after %d events: %v", len(all), s.lines.Err())
		}
		if seq != 0 {
			all = append(all, seq)
		}
	}
	return all
}

// TestEventsResume: a client that is cut off by restarts, and goes on with Last-Event-ID, misses and repeats nothing.
func TestEventsResume(t *testing.T) {
	r := setup{segment: 64}.rig(t)
	a, b := r.user(100_000), r.user(0)
	path := "/v1/accounts/" + b.account + "/events"
	var got, want []uint64
	s := b.stream(path, "")
	pay := func(n int) {
		for range n {
			want = append(want, uint64(a.pay(b, 1).want(200).num("seq")))
			a.pay(r.user(0), 1).want(200) // what b has no part in
		}
	}
	for range 4 {
		pay(20)
		got = append(got, s.take(20)...)
		pay(10) // some of it read, some not
		got = append(got, s.take(3)...)
		r.restart()
		for { // what had been sent before the end
			seq, ok := s.next()
			if !ok {
				break
			}
			got = append(got, seq)
		}
		pay(5) // while nobody listens
		s = b.stream(path, s.id)
		got = append(got, s.take(len(want)-len(got))...)
		if !slices.Equal(got, want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	}
	if again := b.stream(path+"?after=0", "").take(len(want) + 1)[1:]; !slices.Equal(again, want) { // the first opened the account
		t.Errorf("from the beginning: %v", again)
	}
	if last := b.stream(path+"?after=0", fmt.Sprint(want[9])).take(1); last[0] != want[10] {
		t.Errorf("Last-Event-ID is not stronger: %v", last)
	}
}

// TestAllEvents: the operator sees every entry; nobody else does.
func TestAllEvents(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	op := a.with(r.operator)
	s := op.stream("/v1/events?after=0", "")
	for range 10 {
		a.pay(b, 1).want(200)
	}
	got := s.take(13)
	for i, seq := range got {
		if seq != uint64(i+1) {
			t.Fatalf("got %v", got)
		}
	}
	if got := op.stream("/v1/accounts/"+b.account+"/events?after=0", "").take(11); got[10] != 13 {
		t.Errorf("got %v", got)
	}
	a.get("/v1/events").refused(403, "not_operator", "operator")
	b.get("/v1/accounts/"+a.account+"/events").refused(403, "foreign_account", "another")
	r.do(ask{method: "GET", path: "/v1/events"}).refused(401, "token_missing", "token")
}

// TestEventStreamsBound: an account has its share of the streams, and a client that left gives its place back.
func TestEventStreamsBound(t *testing.T) {
	r := setup{ping: 10 * time.Millisecond}.rig(t)
	a, b := r.user(1000), r.user(0)
	path := "/v1/accounts/" + a.account + "/events"
	var open []*stream
	for range 16 {
		open = append(open, a.stream(path, ""))
	}
	a.get(path).refused(503, "streams_full", "close one")
	a.get("/v1/accounts/"+a.account+"/statement").refused(503, "streams_full", "close one")
	b.stream("/v1/accounts/"+b.account+"/events", "") // others have theirs
	for open[0].pings < 3 {
		if _, ok := open[0].next(); !ok {
			t.Fatal("the stream has ended")
		}
	}
	for _, s := range open[1:] {
		s.body.Close()
	}
	eventually(t, "those who left are gone", func() bool { return r.server.Streams() == 2 })
	a.stream(path, "")
	narrow := a.narrowed(object{"expires": startAt + 1000})
	s := narrow.stream(path, "")
	for ok := true; ok; {
		_, ok = s.next()
	}
	r.stop()
	for ok := true; ok; {
		_, ok = open[0].next()
	}
	if err := open[0].lines.Err(); err != nil {
		t.Errorf("the stream did not end, but broke: %v", err)
	}
}

// TestOperatorsStreams: accounts together cannot have all streams, and the operator's take nothing from theirs.
func TestOperatorsStreams(t *testing.T) {
	config := setup{}
	config.api.MaxStreams = 8
	r := config.rig(t)
	a, b := r.user(0), r.user(0)
	op := a.with(r.operator)
	op.stream("/v1/events", "")
	for _, u := range []user{a, a, a, b, b, b} {
		u.stream("/v1/accounts/"+u.account+"/events", "")
	}
	a.get("/v1/accounts/"+a.account+"/events").refused(503, "streams_full", "close one")
	b.get("/v1/accounts/"+b.account+"/statement").refused(503, "streams_full", "close one")
	op.stream("/v1/accounts/"+b.account+"/events", "")
	op.get("/v1/events").refused(503, "streams_full", "close one")
}

// TestSlowReader: a client that does not read holds up neither the payments nor the stop, and is dropped.
func TestSlowReader(t *testing.T) {
	config := setup{ping: 10 * time.Millisecond}
	config.api.RequestTimeout = 300 * time.Millisecond
	r := config.rig(t)
	a, b := r.user(1_000_000), r.user(0)
	conn, err := net.Dial("tcp", r.addr)
	r.must(err)
	defer conn.Close()
	r.must(conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(conn, head("GET", "/v1/accounts/"+a.account+"/events?after=0", a.token)+"\r\n")
	r.must(err)
	eventually(t, "it is open", func() bool { return r.server.Streams() == 1 })
	for dropped := false; !dropped; dropped = r.server.Streams() == 0 { // as many events as it takes to fill what lies between
		r.busy(a, b, 4500)
		r.credit(a, 1_000_000).want(200)
	}
	a.pay(b, 1).want(200)
}

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within twenty seconds: %s", what)
		}
	}
}
