package nwc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// testRelay is a small Nostr relay (NIP-01): it keeps the events that it gets, the newest of what is replaceable, and passes them on to
// those who have asked for them.
type testRelay struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	events  []*event
	clients map[*testClient]struct{}
	refuse  func(*event) string // why an event is not taken; empty: it is
	deaf    bool                // events are swallowed without a word
}

type testClient struct {
	conn *websocket.Conn
	mu   sync.Mutex // of writes
	subs map[string][]filter
}

type filter struct {
	Kinds   []int    `json:"kinds"`
	Authors []string `json:"authors"`
	P       []string `json:"#p"`
	E       []string `json:"#e"`
	Since   int64    `json:"since"`
}

func (f *filter) match(e *event) bool {
	p, _ := e.tag("p")
	to, _ := e.tag("e")
	return (f.Kinds == nil || slices.Contains(f.Kinds, e.Kind)) && (f.Authors == nil || slices.Contains(f.Authors, e.Key.String())) &&
		(f.P == nil || slices.Contains(f.P, p)) && (f.E == nil || slices.Contains(f.E, to)) && e.Made >= f.Since
}

func newTestRelay(t *testing.T) *testRelay {
	r := &testRelay{t: t, clients: make(map[*testClient]struct{})}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(func() {
		r.drop()
		r.Close()
	})
	return r
}

func (r *testRelay) url() string { return "ws" + strings.TrimPrefix(r.URL, "http") }

// drop ends all connections.
func (r *testRelay) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.clients {
		_ = c.conn.Close()
	}
}

func (r *testRelay) serve(w http.ResponseWriter, req *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	c := &testClient{conn: conn, subs: make(map[string][]filter)}
	r.mu.Lock()
	r.clients[c] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.clients, c)
		r.mu.Unlock()
		_ = conn.Close()
	}()
	for {
		var m []json.RawMessage
		if err := conn.ReadJSON(&m); err != nil {
			return
		}
		var what, sub string
		if len(m) < 2 || json.Unmarshal(m[0], &what) != nil {
			continue
		}
		switch what {
		case "EVENT":
			r.take(c, m[1])
		case "REQ":
			_ = json.Unmarshal(m[1], &sub)
			var filters []filter
			for _, text := range m[2:] {
				var f filter
				if err := json.Unmarshal(text, &f); err != nil {
					r.t.Errorf("a filter: %v", err)
				}
				filters = append(filters, f)
			}
			r.subscribe(c, sub, filters)
		case "CLOSE":
			_ = json.Unmarshal(m[1], &sub)
			r.mu.Lock()
			delete(c.subs, sub)
			r.mu.Unlock()
		}
	}
}

func (c *testClient) say(m ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.WriteJSON(m)
}

func (r *testRelay) take(c *testClient, text []byte) {
	e, err := parseEvent(text)
	if err == nil {
		err = e.verify()
	}
	if err != nil {
		c.say("OK", "", false, "invalid: "+err.Error())
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaf {
		return
	}
	if r.refuse != nil {
		if why := r.refuse(e); why != "" {
			c.say("OK", e.ID, false, why)
			return
		}
	}
	if e.Kind >= 10000 && e.Kind < 20000 {
		r.events = slices.DeleteFunc(r.events, func(o *event) bool { return o.Kind == e.Kind && o.Key == e.Key })
	}
	r.events = append(r.events, e)
	c.say("OK", e.ID, true, "")
	for to := range r.clients {
		for sub, filters := range to.subs {
			if slices.ContainsFunc(filters, func(f filter) bool { return f.match(e) }) {
				to.say("EVENT", sub, e)
			}
		}
	}
}

func (r *testRelay) subscribe(c *testClient, sub string, filters []filter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.subs[sub] = filters
	for _, e := range r.events {
		if slices.ContainsFunc(filters, func(f filter) bool { return f.match(e) }) {
			c.say("EVENT", sub, e)
		}
	}
	c.say("EOSE", sub)
}

// put is what a client publishes.
func (r *testRelay) put(e *event) {
	text, err := json.Marshal(e)
	if err != nil {
		r.t.Fatal(err)
	}
	conn, _, err := websocket.DefaultDialer.Dial(r.url(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, slices.Concat([]byte(`["EVENT",`), text, []byte("]"))); err != nil {
		r.t.Fatal(err)
	}
	var said []any
	if err := conn.ReadJSON(&said); err != nil {
		r.t.Fatal(err)
	}
}

// kept are the events that the relay has, of a kind.
func (r *testRelay) kept(kind int) (all []*event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

// keys is how many keys the relay is asked about.
func (r *testRelay) keys() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.clients {
		for _, filters := range c.subs {
			for _, f := range filters {
				n += len(f.P)
			}
		}
	}
	return n
}

// asked says whether somebody has asked for events of a kind.
func (r *testRelay) asked(kind int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.clients {
		for _, filters := range c.subs {
			if slices.ContainsFunc(filters, func(f filter) bool { return slices.Contains(f.Kinds, kind) }) {
				return true
			}
		}
	}
	return false
}
