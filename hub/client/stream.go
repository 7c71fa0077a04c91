package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/ledger"
)

// silence is how long nothing may come of an answer that streams: event streams have a comment every 15 s.
const silence = 45 * time.Second

// maxEvent bounds a line of an event stream in bytes: the largest entry takes some 2.5 KiB.
const maxEvent = 64 << 10

// Statement has a statement written to w as the hub sends it: of an account, or with a ChannelNo of a channel, from a time on
// (zero: the beginning) and before another (zero: now), in one of the formats csv, json, hledger and parquet. After an error what was
// written is no statement. It is not tried again.
func Statement[N ledger.AccountNo | ledger.ChannelNo](ctx context.Context, c *Client, no N, from, until time.Time, format string, w io.Writer) error {
	path := "/v1/channels/" + ledger.ChannelNo(no).String()
	if _, ok := any(no).(ledger.AccountNo); ok {
		path = "/v1/accounts/" + ledger.AccountNo(no).String()
	}
	q := url.Values{"format": {format}}
	setTime(q, "from", from)
	setTime(q, "until", until)
	path += "/statement"
	err := c.stream(ctx, path+encode(q), "*/*", "", func(_ http.Header, body io.Reader) error {
		_, err := io.Copy(w, body)
		return err
	})
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// Event is an entry as the hub streams it.
type Event struct {
	Seq  uint64
	Data json.RawMessage // an Entry; of the operator's stream an entry with its legs
}

// Events calls f with every entry that touches an account, or with zero of the whole ledger, which takes the operator's token,
// behind the one of seq after; nil: from now on. A connection that was lost is made again, without end, and no entry is missed or repeated.
// It returns when f returns an error, when the context ends, when the hub refuses, or cannot be reached to begin with.
func (c *Client) Events(ctx context.Context, no ledger.AccountNo, after *uint64, f func(Event) error) error {
	path := "/v1/events"
	if no != 0 {
		path = "/v1/accounts/" + no.String() + "/events"
	}
	first := path
	if after != nil {
		first += "?after=" + strconv.FormatUint(*after, 10)
	}
	s, connected := eventStream{f: f}, false
	for attempt := 1; ; attempt++ {
		url := first
		if s.id != "" {
			url = path
		}
		s.came = false
		err := c.stream(ctx, url, "text/event-stream", s.id, s.read)
		if s.came {
			attempt, connected = 1, true
		}
		var problem *Problem
		switch {
		case s.err != nil:
			return s.err
		case ctx.Err() != nil:
			return fmt.Errorf("GET %s: %w", path, ctx.Err())
		case err != nil && !errors.Is(err, ErrUnreachable) && (!errors.As(err, &problem) || !problem.hasRetryAfter):
			return fmt.Errorf("GET %s: %w", path, err)
		case err != nil && !connected && attempt >= c.cfg.Attempts:
			return fmt.Errorf("GET %s: %w", path, err)
		}
		wait := min(maxWait, c.cfg.Backoff<<min(attempt-1, 16))
		if problem != nil {
			wait = min(maxWait, max(wait, problem.RetryAfter))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// eventStream reads events (https://html.spec.whatwg.org/multipage/server-sent-events.html, as far as a hub uses it).
type eventStream struct {
	f    func(Event) error
	id   string // of the last event
	seq  uint64 // of the last entry
	came bool   // something, on this connection
	err  error  // of f
}

func (s *eventStream) read(header http.Header, body io.Reader) error {
	if kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); kind != "text/event-stream" {
		return fmt.Errorf("%w: not a stream of events", ErrAnswer)
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEvent)
	var id, name string
	var data []byte
	for lines.Scan() {
		s.came = true
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			data = []byte(value)
		case "":
			if lines.Text() != "" {
				break // a comment
			}
			if err := s.take(id, name, data); err != nil {
				return err
			}
			name, data = "", nil
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%w: an event of more than %d bytes", ErrAnswer, maxEvent)
	}
	return lines.Err()
}

// take hands on an event, if it is one. Its id is kept once it was taken.
func (s *eventStream) take(id, name string, data []byte) error {
	if data != nil && name == "entry" {
		seq, err := strconv.ParseUint(id, 10, 64)
		if err != nil || seq <= s.seq || !json.Valid(data) {
			return fmt.Errorf("%w: an event out of order, or that is none", ErrAnswer)
		}
		if s.err = s.f(Event{Seq: seq, Data: data}); s.err != nil {
			return s.err
		}
		s.seq = seq
	}
	s.id = id
	return nil
}

// stream asks once for an answer of any length, and has it read. Silence ends it.
func (c *Client) stream(ctx context.Context, path, accept, last string, read func(http.Header, io.Reader) error) error {
	attempt, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(silence, cancel)
	defer quiet.Stop()
	req, err := http.NewRequestWithContext(attempt, http.MethodGet, c.cfg.Hub+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", accept+", application/problem+json")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	endless := c.http
	endless.Timeout = 0 // silence is what counts
	resp, err := endless.Do(req)
	if err != nil {
		return lost(ctx, err)
	}
	defer resp.Body.Close()
	body := &heard{resp.Body, quiet, nil}
	if resp.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(body, maxAnswer))
		if err != nil {
			return lost(ctx, err)
		}
		return readProblem(resp, data)
	}
	err = read(resp.Header, body)
	if body.err != nil {
		return lost(ctx, body.err)
	}
	return err
}

// heard is a body of which every part puts off the end that silence makes.
type heard struct {
	io.Reader
	quiet *time.Timer
	err   error // of reading, but for the end
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Reader.Read(b)
	h.quiet.Reset(silence)
	if err != nil && err != io.EOF {
		h.err = err
	}
	return n, err
}
