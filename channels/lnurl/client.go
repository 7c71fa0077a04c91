package lnurl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/outbound"
)

const (
	callTimeout  = 10 * time.Second // from dialling to the end of the answer, redirects and all
	dialTimeout  = 5 * time.Second
	maxAnswer    = 512 << 10 // bytes: metadata can have two pictures of 136,536 characters (LUD-06)
	maxRedirects = 3
)

// ErrAnswer is what an answer ends with that is not what was asked for: nothing is to be paid.
var ErrAnswer = errors.New("the service's answer does not fit")

// ClientConfig is what a client is made of.
type ClientConfig struct {
	Parser
	// Decode reads a BOLT11 invoice of our network. It must not ask anybody.
	Decode func(text string) (channels.Invoice, error)
	Clock  func() time.Time // nil: the machine's clock
}

// Client pays to LNURLs and lightning addresses. Its methods may be called by any goroutine.
type Client struct {
	cfg  ClientConfig
	http *http.Client
}

// NewClient makes a client.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Decode == nil {
		return nil, errors.New("lnurl: no Decode")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	c := &Client{cfg: cfg, http: outbound.NewClient(outbound.Limits{
		Dial: dialTimeout, Whole: callTimeout, MaxHeader: 16 << 10, MaxIdle: 32, Idle: 30 * time.Second,
	}, cfg.Development)}
	c.http.CheckRedirect = c.redirect
	return c, nil
}

// Close ends connections that are kept for a next call.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Parse is Parser.Parse.
func (c *Client) Parse(text string) (Target, error) { return c.cfg.Parse(text) }

// redirect follows what is as good as the first URL, a few times: many have moved.
func (c *Client) redirect(to *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	_, err := c.cfg.check(to.URL.String())
	return err
}

// get asks for JSON. As LUD-01 has it, neither the status nor a header of the answer means anything.
func (c *Client) get(ctx context.Context, where string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return errors.New("the URL cannot be called")
	}
	req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {"Millrace-LNURL/1"}}
	resp, err := c.http.Do(req)
	if err != nil {
		return reason(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return reason(err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("%w: more than %d bytes", ErrAnswer, maxAnswer)
	}
	if err := readRefusal(body); err != nil {
		if resp.StatusCode >= 400 && !errors.As(err, new(*Refusal)) {
			return fmt.Errorf("%w: %d %s", ErrAnswer, resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return nil
}

// reason is an error without the URL, and without what it says about our own network.
func reason(err error) error {
	var outer *url.Error
	switch {
	case errors.Is(err, outbound.ErrTarget):
		return outbound.ErrTarget
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, new(*net.DNSError)):
		return errors.New("the host's name cannot be resolved")
	case errors.As(err, &outer) && outer.Timeout():
		return fmt.Errorf("no answer within %v", callTimeout)
	case outer != nil:
		return errors.New(shorten(outer.Err.Error(), 200))
	}
	return errors.New(shorten(err.Error(), 200))
}
