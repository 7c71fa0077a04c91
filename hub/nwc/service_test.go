package nwc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

func TestConnections(t *testing.T) {
	r := newRig(t, 1)
	a, c := r.connect(alice, Wanted{Name: "phone", Methods: []string{"get_balance"}, Budget: 7, Period: Weekly, Life: time.Hour})
	if c.Name != "phone" || c.Period != Weekly || c.Expires-c.Made != 3_600_000 {
		t.Errorf("%+v", c)
	}
	text, err := r.cfg.Records.Get(connectionKey(c.ID))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), fmt.Sprintf("%x", a.key.bytes())) {
		t.Error("the application's key is kept")
	}
	if key, err := serviceKey(r.cfg.Secret, c.ID); err != nil || key.public() != c.Public || strings.Contains(string(text), fmt.Sprintf("%x", key.bytes())) {
		t.Errorf("the service's key: %v", err)
	}
	other := r.cfg
	other.Secret[0]++
	if _, err := New(other); !errors.Is(err, errKey) {
		t.Errorf("another secret: %v", err)
	}
	for _, bad := range []Wanted{
		{Methods: []string{"sign_message"}}, {Methods: []string{"get_balance", "get_balance"}}, {Period: "hourly"}, {Budget: ledger.MaxMsat + 1},
		{Life: -1}, {Name: strings.Repeat("x", 101)}, {Name: "\xff"},
	} {
		if _, _, err := r.Connect(alice, bad); !errors.Is(err, ErrConnection) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for range MaxPerAccount - 1 {
		if _, _, err := r.Connect(alice, Wanted{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := r.Connect(alice, Wanted{}); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	if err := r.Disconnect(bob, c.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	if f := a.call("get_balance", paramsOf(), new(any)); f != nil {
		t.Errorf("%+v", f)
	}
	if err := r.Disconnect(alice, c.ID); err != nil {
		t.Error(err)
	}
	r.eventually("the relay is asked about it no more", func() bool { return r.relays[0].keys() == MaxPerAccount-1 })
	r.relays[0].put(a.ask("get_balance", paramsOf()))
	r.restart()
	if n := len(r.Connections(alice)); n != MaxPerAccount-1 {
		t.Errorf("%d connections", n)
	}
	if n := len(r.relays[0].kept(kindResponse)); n != 1 {
		t.Errorf("%d responses", n)
	}
}

// TestRelayLost: what is asked and answered while relays come and go.
func TestRelayLost(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{Notify: true})
	for range 3 {
		r.relays[0].drop()
		r.eventually("the connection is lost", func() bool { return r.Connected() == 0 })
		e := a.ask("get_balance", paramsOf()) // while the service is away: the relay keeps it
		r.relays[0].put(e)
		r.clock.pass(2 * time.Minute / 3)
		if s := a.answer(e); s.Error != nil {
			t.Errorf("%+v", s)
		}
		r.eventually("it is back", func() bool { return r.Connected() == 1 })
	}
	// What a relay has swallowed is sent again over the next connection.
	r.relays[0].mu.Lock()
	r.relays[0].deaf = true
	r.relays[0].mu.Unlock()
	e := a.ask("get_balance", paramsOf())
	if err := r.publish(e); err != nil { // as if another had put it there
		t.Fatal(err)
	}
	before := r.relays[0].keys()
	r.relays[0].drop()
	r.eventually("the connection is lost", func() bool { return r.Connected() == 0 })
	r.relays[0].mu.Lock()
	r.relays[0].deaf = false
	r.relays[0].mu.Unlock()
	r.clock.pass(2 * time.Minute)
	r.eventually("it is back", func() bool { return r.relays[0].keys() == before })
	if s := a.answer(e); s.Error != nil {
		t.Errorf("%+v", s)
	}
}

// TestRelayRefuses: an event that a relay does not want is not sent for ever, and connections are told of again later.
func TestRelayRefuses(t *testing.T) {
	r := newRig(t, 1)
	r.relays[0].mu.Lock()
	refused := 0
	r.relays[0].refuse = func(e *event) string {
		if refused++; e.Kind == kindInfo {
			return "rate-limited: slow down"
		}
		return ""
	}
	r.relays[0].mu.Unlock()
	a, _ := r.connect(alice, Wanted{})
	if f := a.call("get_balance", paramsOf(), new(any)); f != nil {
		t.Errorf("%+v", f)
	}
	r.relays[0].mu.Lock()
	if refused > 5 {
		t.Errorf("%d events", refused)
	}
	r.relays[0].refuse = nil
	r.relays[0].mu.Unlock()
	r.clock.pass(infoAgain)
	r.changed() // which a ping would do, too
	r.eventually("it is told again", func() bool { return len(r.relays[0].kept(kindInfo)) == 1 })
}

// TestOutbox is bounded, and keeps the newest.
func TestOutbox(t *testing.T) {
	r := newRig(t, 1)
	r.Close() // nobody takes anything
	relay := r.Service.relays[0]
	for i := range 3 * maxOutbox / (64 << 10) {
		relay.add(eventID{byte(i), byte(i >> 8)}, make([]byte, 64<<10))
	}
	if relay.size > maxOutbox || len(relay.outbox) != maxOutbox/(64<<10) {
		t.Errorf("%d bytes in %d events", relay.size, len(relay.outbox))
	}
	last := relay.outbox[len(relay.outbox)-1].id
	relay.taken(last)
	relay.taken(last)
	if relay.size != maxOutbox-64<<10 {
		t.Errorf("%d bytes", relay.size)
	}
	r.clock.pass(outboxFor + time.Second)
	relay.add(eventID{1, 2, 3}, []byte("{}"))
	if len(relay.outbox) != 1 || relay.size != 2 {
		t.Errorf("%d bytes in %d events", relay.size, len(relay.outbox))
	}
	r.start()
}

// TestPurge: rows of payments and periods go when nobody asks for them any more, and not before.
func TestPurge(t *testing.T) {
	r := newRig(t, 1)
	a, c := r.connect(alice, Wanted{Budget: 1_000_000, Period: Daily})
	count := func(prefix string) (n int) {
		if err := r.cfg.Records.Scan([]byte(prefix), nil, func(_, _ []byte) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if _, f := a.pay(5000); f != nil {
		t.Fatal(f)
	}
	r.clock.pass(keepRows - time.Hour)
	r.clock.pass(sweepWait)
	if n := count("nwc/payment/"); n != 1 {
		t.Errorf("%d payments", n)
	}
	r.eventually("they go", func() bool {
		r.clock.pass(time.Hour)
		return count("nwc/payment/") == 0 && count("nwc/spent/") == 0
	})
	if _, f := a.pay(5000); f != nil {
		t.Fatal(f)
	}
	if err := r.Disconnect(alice, c.ID); err != nil {
		t.Fatal(err)
	}
	r.eventually("and those of a connection that is gone", func() bool {
		r.clock.pass(time.Hour)
		return count("nwc/") == 0
	})
}

func TestSeen(t *testing.T) {
	s := newSeen()
	id := func(i int) eventID { return eventID{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range 3 * maxSeen {
		if !s.add(id(i)) || s.add(id(i)) || len(s.ids) > maxSeen {
			t.Fatal(i)
		}
	}
	if s.has(id(0)) || !s.has(id(3*maxSeen-1)) || !s.has(id(2*maxSeen)) {
		t.Error("not the newest")
	}
}

func TestConfig(t *testing.T) {
	r := newRig(t, 1)
	for _, relays := range [][]string{nil, {"http://x"}, {"wss://"}, {"ws://x", "ws://x", "ws://x", "ws://x", "ws://x"}} {
		c := r.cfg
		if c.Relays = relays; c.validate() == nil {
			t.Errorf("%v", relays)
		}
	}
	c := r.cfg
	if c.Secret = [32]byte{}; c.validate() == nil {
		t.Error("no secret")
	}
	c = r.cfg
	if c.Development = false; c.validate() == nil {
		t.Error("ws:// outside of development")
	}
	if n := len(r.Collectors()); n != 6 {
		t.Errorf("%d collectors", n)
	}
}
