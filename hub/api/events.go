package api

import (
	"io"
	"strconv"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/entry"
	"github.com/millrace/millrace/ledger"
)

const (
	pingPause   = 15 * time.Second      // at most between two signs of life, by which either side finds that the other is gone
	lookPause   = 20 * time.Millisecond // at least between two looks for new entries
	streamPause = time.Millisecond      // the same for all streams together: so that many do not cost more than a few
	eventsAhead = 32 << 10              // bytes of events that are gathered before they are sent
)

func (c *call) accountEvents() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	return c.events(h.account)
}

func (c *call) allEvents() *problem { return c.events(0) }

// events streams the entries that touch an account, or with zero all of them, behind a seq: by Last-Event-ID or after, and
// otherwise from now on.
func (c *call) events(account ledger.AccountNo) *problem {
	newest := c.hub.Seq()
	q := c.query()
	after := q.whole("after", 0, maxSeq, newest)
	if text := c.ctx.Request.Header.Peek("Last-Event-ID"); len(text) > 0 { // stronger: a client that resumes has the old URL
		var ok bool
		if after, ok = parseWhole(text); !ok {
			q.fail("Last-Event-ID must be the id of an event of this hub")
		}
	}
	if after > newest {
		q.fail("the stream is to begin behind entry %d, and the newest one is %d", after, newest)
	}
	if p := q.end(); p != nil {
		return p
	}
	s, expires := c.server, time.Duration(1<<63-1)
	if at := c.grant.Expires; !at.IsZero() {
		expires = at.Sub(c.hub.Now())
	}
	p := c.stream("text/event-stream", func() io.ReadCloser {
		return &events{
			hub: s.hub, stopping: s.stopping, streams: &s.streams, ping: s.pingPause,
			account: account, cursor: after, expires: time.NewTimer(expires),
		}
	})
	if p == nil {
		c.ctx.Response.Header.Set("X-Accel-Buffering", "no") // nginx would keep events back
	}
	return p
}

// events is the body of an event stream, as https://html.spec.whatwg.org/multipage/server-sent-events.html has it. It is read on
// the connection's own goroutine, which waits for entries there: a slow reader costs one buffer, and holds up nobody.
type events struct {
	hub      *hub.Hub
	stopping <-chan struct{}
	streams  *streams
	ping     time.Duration
	account  ledger.AccountNo // zero: every entry
	cursor   uint64           // what was sent, or did not have to be, up to this seq
	expires  *time.Timer      // the token's end
	begun    bool
	buffer   []byte
	left     []byte // of the buffer, to be sent
}

func (e *events) Close() error {
	e.expires.Stop()
	return nil
}

func (e *events) Read(b []byte) (int, error) {
	if len(e.left) == 0 {
		e.buffer = e.buffer[:0]
		if err := e.fill(); err != nil {
			return 0, err
		}
		e.left = e.buffer
	}
	n := copy(b, e.left)
	e.left = e.left[n:]
	return n, nil
}

// fill waits for something to send.
func (e *events) fill() error {
	if !e.begun { // at once, so that the client sees that it is connected, and has an id to resume with
		e.begun = true
		e.buffer = strconv.AppendUint(append(e.buffer, "retry: 2000\nid: "...), e.cursor, 10)
		e.buffer = append(e.buffer, "\n\n"...)
		return nil
	}
	ping := time.NewTimer(e.ping)
	defer ping.Stop()
	for {
		appended := e.hub.Appended() // asked for before looking: what comes later closes it
		newest := e.hub.Seq()
		if err := e.gather(); err != nil || len(e.buffer) > 0 {
			return err
		}
		e.cursor = max(e.cursor, newest)
		if ok, err := e.wait(appended, ping.C); !ok {
			return err
		}
		pause := time.NewTimer(max(lookPause, time.Duration(e.streams.count())*streamPause))
		ok, err := e.wait(nil, pause.C)
		pause.Stop()
		if !ok && err != nil {
			return err
		}
		e.buffer = e.buffer[:0] // the pause is no ping
	}
}

// wait returns true when the Go channel is closed, and false when the time has come to send a comment, or with an error to end.
func (e *events) wait(appended <-chan struct{}, ping <-chan time.Time) (bool, error) {
	select {
	case <-appended:
		return true, nil
	case <-ping:
		e.buffer = append(e.buffer, ": ping\n\n"...)
		return false, nil
	case <-e.stopping:
	case <-e.hub.Dead():
	case <-e.expires.C:
	}
	return false, io.EOF
}

// gather reads the next entries, as many as are worth sending at once.
func (e *events) gather() error {
	if e.account == 0 {
		return e.hub.Entries(e.cursor+1, func(x *ledger.Entry) bool {
			e.event(x.Seq)
			e.buffer = append(entry.AppendEntry(e.buffer, x, e.hub.ContentID), "\n\n"...)
			return len(e.buffer) < eventsAhead
		})
	}
	return e.hub.AccountLines(e.account, ledger.Range{From: e.cursor + 1}, func(l *ledger.Line) bool {
		e.event(l.Seq)
		e.buffer = append(entry.AppendLine(e.buffer, l, e.hub.ContentID), "\n\n"...)
		return len(e.buffer) < eventsAhead
	})
}

func (e *events) event(seq uint64) {
	e.cursor = seq
	e.buffer = strconv.AppendUint(append(e.buffer, "id: "...), seq, 10)
	e.buffer = append(e.buffer, "\nevent: entry\ndata: "...)
}
