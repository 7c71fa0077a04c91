package rates

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/millrace/millrace/channels/outbound"
	"github.com/millrace/millrace/hub/currency"
)

// page is an HTTP source with its client.
type page struct {
	*Source
	client *http.Client
	clock  func() time.Time
}

// newPage makes a client that calls public addresses alone, unless the source is the hub's own, and follows no redirect.
func newPage(s *Source, c *Config) *page {
	return &page{Source: s, clock: c.Clock, client: outbound.NewClient(outbound.Limits{
		Dial: s.Timeout, Whole: s.Timeout, MaxHeader: 16 << 10, MaxIdle: 1, Idle: 2 * c.Every,
	}, c.Development || s.Private)}
}

// read asks for all currencies at once, or for one after the other.
func (p *page) read(ctx context.Context) ([]reading, error) {
	if !strings.Contains(p.URL, placeholder) {
		return p.ask(ctx, p.URL, p.Currencies)
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	var found []reading
	var errs []error
	for _, code := range p.Currencies {
		some, err := p.ask(ctx, p.fill(p.URL, code), []currency.Code{code})
		if err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", code, err))
		}
		found = append(found, some...)
	}
	return found, first(errs)
}

func (p *page) ask(ctx context.Context, target string, codes []currency.Code) ([]reading, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, errors.New("the URL cannot be called")
	}
	req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {"Millrace-Rates/1"}}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, p.reason(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", resp.StatusCode)
	}
	b, err := all(resp.Body)
	if err != nil {
		return nil, p.reason(err)
	}
	return p.readJSON(b, p.clock(), codes)
}

// reason is an error without the URL, which can hold a key.
func (p *page) reason(err error) error {
	var outer *url.Error
	switch {
	case errors.Is(err, outbound.ErrTarget):
		return outbound.ErrTarget
	case errors.As(err, new(*net.DNSError)): // it says which servers were asked
		return errors.New("the host's name cannot be resolved")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &outer) && outer.Timeout():
		return fmt.Errorf("no answer within %v", p.Timeout)
	case outer != nil:
		return outer.Err
	}
	return err
}
