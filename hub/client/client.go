// Package client speaks the hub's HTTP API (hub/api/openapi.yaml): one method per operation, plain structs in and out.
//
//	c, err := client.New(client.Config{Hub: "https://hub.example", Token: token})
//	paid, err := c.Transfer(ctx, client.NewID(), to, 1000)
//
// What the hub refuses is a *[Problem]; a hub that cannot be reached is [ErrUnreachable]. Both are found with errors.As and
// errors.Is. Every operation but CreateAccount may be sent again after either of them, with the same arguments: nothing
// happens twice.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/seal"
)

// DefaultHub is the URL of a hub on this machine that was told no other.
const DefaultHub = "http://127.0.0.1:8402"

// maxAnswer bounds what is read of an answer: the largest, the results of 8,192 unlocks in JSON, takes about 1 MiB.
const maxAnswer = 4 << 20

// maxWait bounds the time that one Retry-After, or the backoff, can make an operation wait.
const maxWait = 10 * time.Second

// ErrUnreachable means that no answer came: the hub is down, or the way to it. Whether the operation was carried out is not
// known; send it again.
var ErrUnreachable = errors.New("the hub cannot be reached")

// ErrAnswer means that what answered does not speak the hub's API.
var ErrAnswer = errors.New("not an answer of a hub")

// Config says which hub to speak to and how.
type Config struct {
	Hub   string       // the hub's URL: scheme://host[:port]
	Token string       // bearer token; empty: only operations that need none
	HTTP  *http.Client // nil: one with a transport of its own. Redirects are never followed: they would carry the token along

	Attempts int           // how often an operation is sent at most; 0: 4
	Backoff  time.Duration // wait after the first lost attempt, doubled after each more, give or take a half; 0: 200 ms
	Timeout  time.Duration // of one attempt; 0: 30 s
}

// Client is a client of one hub with one token. Its methods may be called by any goroutine.
type Client struct {
	cfg  Config
	http http.Client
}

// New checks the configuration. It does not contact the hub.
func New(cfg Config) (*Client, error) {
	if strings.Contains(cfg.Hub, "@") {
		return nil, errors.New("hub URL: no user or password can stand in it") // and it is not quoted: it may hold one
	}
	hub, err := seal.ParseOrigin(strings.TrimSuffix(cfg.Hub, "/"))
	if err != nil {
		return nil, fmt.Errorf("hub URL %.300q: %w", cfg.Hub, err)
	}
	cfg.Hub = hub
	if strings.Trim(cfg.Token, tokenLetters) != "" {
		return nil, errors.New("token: not base64url without padding") // and never quoted: it is a secret
	}
	if cfg.Attempts <= 0 {
		cfg.Attempts = 4
	}
	if cfg.Backoff <= 0 {
		cfg.Backoff = 200 * time.Millisecond
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	c := &Client{cfg: cfg}
	if cfg.HTTP != nil {
		c.http = *cfg.HTTP
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		c.http.Transport = t.Clone()
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// URL is the hub's, in its normal form.
func (c *Client) URL() string { return c.cfg.Hub }

// call is one operation.
type call struct {
	method, path string
	body         any    // sent as JSON; nil: none
	raw          []byte // sent as it is, in place of body; nil: none
	anonymous    bool   // the token is left out
	once         bool   // not idempotent: sent again only if it certainly did not arrive
}

// anything is an answer that is decoded elsewhere.
type anything []byte

// ask sends a call and decodes the answer, which must be one to what was asked.
func ask[A any](ctx context.Context, c *Client, op call, check func(A) checks) (A, error) {
	var a, none A
	err := c.do(ctx, op, &a)
	if err != nil {
		return none, err
	}
	if err := check(a).failed(); err != nil {
		return none, fmt.Errorf("%s %s: %w", op.method, op.path, err)
	}
	return a, nil
}

// do sends a call until it is answered, refused or given up, and decodes the answer.
func (c *Client) do(ctx context.Context, op call, answer any) error {
	body := op.raw
	if op.body != nil {
		var err error
		if body, err = json.Marshal(op.body); err != nil {
			return fmt.Errorf("%s %s: encoding: %w", op.method, op.path, err)
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.try(ctx, op, body, answer)
		if err == nil {
			return nil
		}
		wait, again := c.again(op, attempt, err)
		if !again || ctx.Err() != nil {
			return fmt.Errorf("%s %s: %w", op.method, op.path, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w, after %w", op.method, op.path, ctx.Err(), err)
		}
	}
}

// again says whether a call that failed may be sent once more, and when.
func (c *Client) again(op call, attempt int, err error) (time.Duration, bool) {
	if attempt >= c.cfg.Attempts {
		return 0, false
	}
	wait := min(maxWait, c.cfg.Backoff<<min(attempt-1, 16))
	wait = wait/2 + rand.N(wait)
	var problem *Problem
	var dial *net.OpError
	switch {
	case errors.As(err, &problem) && op.once && problem.Code == "outcome_unknown":
		return 0, false
	case errors.As(err, &problem):
		return min(maxWait, max(wait, problem.RetryAfter)), problem.Status == http.StatusServiceUnavailable && problem.hasRetryAfter
	case !errors.Is(err, ErrUnreachable):
		return 0, false
	case op.once:
		return wait, errors.As(err, &dial) && dial.Op == "dial"
	}
	return wait, true
}

// try sends a call once.
func (c *Client) try(ctx context.Context, op call, body []byte, answer any) error {
	attempt, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var reader io.Reader // an interface of a nil *bytes.Reader would be a body
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(attempt, op.method, c.cfg.Hub+op.path, reader)
	if err != nil {
		return err
	}
	text, isText := answer.(*[]byte)
	object, isAny := answer.(*anything)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if isText {
		req.Header.Set("Accept", "text/*, application/problem+json")
	}
	if op.body != nil {
		req.Header.Set("Content-Type", "application/json")
	} else if op.raw != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	if c.cfg.Token != "" && !op.anonymous {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return lost(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return lost(ctx, err)
	case len(data) > maxAnswer:
		return fmt.Errorf("%w: more than %d bytes", ErrAnswer, maxAnswer)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return readProblem(resp, data)
	case isAny:
		*object = data
		return nil
	case isText && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/"):
		return fmt.Errorf("%w: it is no text", ErrAnswer)
	case isText:
		*text = data
		return nil
	}
	return decode(data, answer)
}

// lost tells a caller who gave up from a hub that does not answer.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

func retryAfter(h http.Header) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16)
	return time.Duration(seconds) * time.Second, err == nil
}
