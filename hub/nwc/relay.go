package nwc

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// The bounds of a relay's connection.
const (
	dialTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	pingEvery    = 30 * time.Second
	silence      = 75 * time.Second // without a word, not even a pong: the connection is lost
	maxMessage   = 256 << 10        // bytes
	maxBackoff   = time.Minute
	calm         = time.Minute // after which a connection was a good one: the next backoff begins anew

	sinceAgo = 2 * time.Minute // a subscription asks for what has come as long ago, while there was no connection
	keysEach = 500             // keys of a subscription: 34 KiB
)

// relay is one relay: a connection to it that comes back, and events that wait for it.
type relay struct {
	s    *Service
	url  string
	poke chan struct{} // that there is something to write; one token

	mu       sync.Mutex
	up       bool
	outbox   []*outgoing           // in the order of their making
	size     int                   // bytes in it
	informed map[publicKey]eventID // info events that are on their way, or there, since the process began
	there    map[eventID]bool      // of informed: those that the relay has taken
	quiet    time.Time             // until when it is told no more of them
}

func newRelay(s *Service, url string) *relay {
	return &relay{s: s, url: url, poke: make(chan struct{}, 1), informed: make(map[publicKey]eventID), there: make(map[eventID]bool)}
}

func (r *relay) wake() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// run keeps a connection to the relay until the context ends.
func (r *relay) run(ctx context.Context) {
	wait := time.Second
	for ctx.Err() == nil {
		began := time.Now()
		err := r.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > calm {
			wait = time.Second
		}
		r.s.cfg.Logger.Warn("no connection to a relay: trying again", "relay", r.url, "in", wait.String(), "err", err)
		select {
		case <-ctx.Done():
		case <-r.s.cfg.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, maxBackoff)
	}
}

// connect is one connection, from dialling to its loss.
func (r *relay) connect(ctx context.Context) error {
	dialer := websocket.Dialer{
		NetDialContext:   (&net.Dialer{Timeout: dialTimeout}).DialContext,
		HandshakeTimeout: dialTimeout,
		TLSClientConfig:  &tls.Config{MinVersion: tls.VersionTLS12},
	}
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	conn, resp, err := dialer.DialContext(dialing, r.url, http.Header{"User-Agent": {"Millrace-NWC/1"}})
	cancel()
	if err != nil {
		return fmt.Errorf("dialling: %w", err)
	}
	_ = resp.Body.Close()
	ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends whoever reads or writes
	defer stop()
	r.setUp(true)
	defer r.setUp(false)
	failed := make(chan error, 2)
	go func() { failed <- r.read(conn) }()
	go func() { failed <- r.write(ctx, conn) }()
	err = <-failed
	cancel()
	_ = conn.Close()
	return errors.Join(err, <-failed)
}

func (r *relay) setUp(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up = up
	for _, o := range r.outbox { // what was on its way may have been lost: again is no harm
		o.sent = false
	}
	for key, id := range r.informed {
		if !r.there[id] {
			delete(r.informed, key)
			delete(r.there, id)
		}
	}
}

// write sends what there is to send: subscriptions, events, what connections can do, and pings.
func (r *relay) write(ctx context.Context, conn *websocket.Conn) error {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	put := func(text []byte) error {
		if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		return conn.WriteMessage(websocket.TextMessage, text)
	}
	var asked []string // the subscriptions as the relay has them
	for {
		want := r.subscriptions()
		for i, keys := range want {
			if i < len(asked) && asked[i] == keys {
				continue
			}
			if err := put(r.subscribe(i, keys)); err != nil {
				return fmt.Errorf("subscribing: %w", err)
			}
		}
		for i := len(want); i < len(asked); i++ {
			if err := put(fmt.Appendf(nil, `["CLOSE","nwc%d"]`, i)); err != nil {
				return fmt.Errorf("subscribing: %w", err)
			}
		}
		asked = want
		if err := r.inform(); err != nil {
			return err
		}
		for _, text := range r.unsent() {
			if err := put(append(append([]byte(`["EVENT",`), text...), ']')); err != nil {
				return fmt.Errorf("writing an event: %w", err)
			}
		}
		select {
		case <-r.poke:
		case <-ping.C:
			if err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)); err != nil {
				return fmt.Errorf("writing a ping: %w", err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscriptions are the service's keys, in JSON, so many in each.
func (r *relay) subscriptions() (all []string) {
	var keys []string
	cut := func() {
		if len(keys) > 0 {
			all = append(all, `"`+strings.Join(keys, `","`)+`"`)
			keys = keys[:0]
		}
	}
	for _, l := range r.s.all() {
		if keys = append(keys, l.Public.String()); len(keys) == keysEach {
			cut()
		}
	}
	cut()
	return all
}

func (r *relay) subscribe(n int, keys string) []byte {
	since := r.s.cfg.Clock().Add(-sinceAgo).Unix()
	return fmt.Appendf(nil, `["REQ","nwc%d",{"kinds":[%d],"#p":[%s],"since":%d}]`, n, kindRequest, keys, since)
}

// read takes what the relay says.
func (r *relay) read(conn *websocket.Conn) error {
	conn.SetReadLimit(maxMessage)
	alive := func() error { return conn.SetReadDeadline(time.Now().Add(silence)) }
	conn.SetPongHandler(func(string) error { return alive() })
	for {
		if err := alive(); err != nil {
			return err
		}
		kind, text, err := conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		if kind == websocket.TextMessage {
			r.hear(text)
		}
	}
}

// hear takes one message. What is not understood is passed over.
func (r *relay) hear(text []byte) {
	var m []json.RawMessage
	var what string
	if json.Unmarshal(text, &m) != nil || len(m) < 2 || json.Unmarshal(m[0], &what) != nil {
		return
	}
	switch what {
	case "EVENT":
		if len(m) == 3 {
			r.s.receive(m[2])
		}
	case "OK":
		var id eventID
		var ok bool
		if len(m) < 3 || json.Unmarshal(m[1], &id) != nil || json.Unmarshal(m[2], &ok) != nil {
			return
		}
		if ok {
			r.taken(id)
		} else {
			r.refused(id)
			r.s.metrics.dropped.Inc()
			r.s.cfg.Logger.Warn("a relay refuses an event", "relay", r.url, "says", printable(m[len(m)-1]))
		}
	case "CLOSED", "NOTICE", "AUTH":
		r.s.cfg.Logger.Warn("a relay says something", "relay", r.url, "what", what, "says", printable(m[len(m)-1]))
	}
}

// printable is a stranger's text for the log.
func printable(text []byte) string { return fmt.Sprintf("%.200q", text) }
