package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// source makes the requests of one connection and keeps the tally of what was answered. One goroutine uses it.
type source interface {
	// next is the next whole request, and how many payments are in it. The bytes are valid until the call after.
	next(now time.Time) (request []byte, payments int)
	// answered takes the answer to it: an error unless everything in it was done.
	answered(status int, body []byte) error
}

// maxFaults bounds the answers that a connection takes amiss before it gives up.
const maxFaults = 10

// fleet is the connections to one server. They are kept from round to round.
type fleet struct{ conns []*conn }

func newFleet(addr string, n int) (*fleet, error) {
	f := &fleet{}
	for range n {
		c, err := dial(addr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connecting: %w", err), f.close())
		}
		f.conns = append(f.conns, c)
	}
	return f, nil
}

func (f *fleet) close() error {
	var errs []error
	for _, c := range f.conns {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// lane is one connection with its source in one round.
type lane struct {
	conn   *conn
	source source
	sum    sample
	faults []error
}

// run keeps every connection busy for some time. Any answer that is not what it should be fails it.
func (f *fleet) run(ctx context.Context, sources []source, d time.Duration) (sample, error) {
	lanes := make([]*lane, 0, len(sources))
	for i, src := range sources {
		lanes = append(lanes, &lane{conn: f.conns[i], source: src, sum: sample{waits: newWaits()}})
	}
	for _, c := range f.conns {
		if err := c.turn(d); err != nil {
			return sample{}, err
		}
	}
	began := time.Now()
	var wait sync.WaitGroup
	for _, l := range lanes {
		wait.Go(func() { l.run(ctx, began.Add(d)) })
	}
	wait.Wait()
	s := sample{took: time.Since(began), waits: newWaits()}
	faults, first := 0, error(nil)
	for _, l := range lanes {
		s.ops += l.sum.ops
		s.waits.Merge(l.sum.waits)
		faults += len(l.faults)
		if first == nil && len(l.faults) > 0 {
			first = l.faults[0]
		}
	}
	if first != nil {
		return s, fmt.Errorf("%d requests failed, the first: %w", faults, first)
	}
	return s, nil
}

func (l *lane) run(ctx context.Context, until time.Time) {
	for at := time.Now(); at.Before(until) && ctx.Err() == nil && len(l.faults) < maxFaults; {
		request, payments := l.source.next(at)
		if payments == 0 {
			l.faults = append(l.faults, errors.New("the generator has run out of requests: give it more payers"))
			return
		}
		status, body, err := l.conn.do(request)
		if err != nil {
			l.faults = append(l.faults, err)
			return
		}
		now := time.Now()
		if err := l.source.answered(status, body); err != nil {
			l.faults = append(l.faults, err)
		} else {
			l.sum.ops += uint64(payments)
			record(l.sum.waits, now.Sub(at))
		}
		at = now
	}
}

// paced is a source that does not send more than so many payments a second.
type paced struct {
	source
	rate float64
	due  time.Time // of the next request
}

func (p *paced) next(now time.Time) ([]byte, int) {
	time.Sleep(p.due.Sub(now))
	request, n := p.source.next(now)
	p.due = later(p.due, now).Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	return request, n
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// unheard is a source for the server that does nothing: the same requests, and only the status counts.
type unheard struct{ source }

func (unheard) answered(status int, body []byte) error { return wantOK(status, body) }

func wantOK(status int, body []byte) error {
	if status != 200 {
		return fmt.Errorf("status %d: %.300s", status, body)
	}
	return nil
}

// head is that of a POST with a body of a length.
func head(path, token, mediaType string, length int) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:8402\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		path, token, mediaType, length)
}
