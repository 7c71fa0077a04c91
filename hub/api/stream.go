package api

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/millrace/millrace/ledger"
)

// streams counts the answers that take as long as their readers like: event streams and statements.
type streams struct {
	most int

	mu  sync.Mutex
	of  map[ledger.AccountNo]int // by the token's account; zero: the operator's
	all int
}

// perAccount bounds an account's share of the streams, so that one cannot have them all.
const perAccount = 16

// kept is how many streams are the operator's alone, so that many accounts cannot have them all either.
func (s *streams) kept() int { return min(perAccount, s.most/4) }

func (s *streams) open(account ledger.AccountNo) *problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	others := s.all - s.of[0]
	if s.all >= s.most || s.of[account] >= perAccount || account != 0 && others >= s.most-s.kept() {
		return &problem{status: 503, code: "streams_full", retryable: true, detail: "the hub has as many event streams and statements open as it takes, from all or from this account: close one, or try again"}
	}
	s.all++
	s.of[account]++
	return nil
}

func (s *streams) close(account ledger.AccountNo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[account]--; s.of[account] == 0 {
		delete(s.of, account)
	}
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// errStopping cuts an answer off: its reader must not take it for whole.
var errStopping = errors.New("the hub is stopping")

// paced is the body of a stream. Each part of it must leave within the request timeout: a reader who stops reading is dropped,
// and one who is slow is not. fasthttp's own deadline is for the whole of an answer.
type paced struct {
	io.ReadCloser
	conn    net.Conn
	timeout time.Duration
	done    func() // gives back the stream's place
	closed  bool
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if deadline := p.conn.SetWriteDeadline(time.Now().Add(p.timeout)); err == nil {
		err = deadline
	}
	return n, err
}

func (p *paced) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	err := p.ReadCloser.Close()
	p.done()
	return err
}

// stream answers with a body of unknown length. What reads it must not use the call, which serves others by then.
func (c *call) stream(contentType string, body func() io.ReadCloser) *problem {
	account := c.grant.Account
	s := c.server
	if p := s.streams.open(account); p != nil {
		return p
	}
	c.ctx.SetStatusCode(200)
	c.ctx.SetContentType(contentType)
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	c.ctx.Response.SetBodyStream(&paced{
		ReadCloser: body(), conn: c.ctx.Conn(), timeout: s.cfg.RequestTimeout, done: func() { s.streams.close(account) },
	}, -1)
	return nil
}

// written is a body that a goroutine writes while it is read.
type written struct {
	*io.PipeReader
	ended chan struct{}
}

// write has f write a body. What f returns, the reader gets; when the reader is gone, f's writes fail, and Close waits for its end.
// When stopping is closed, the body is cut off.
func write(stopping <-chan struct{}, f func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	b := written{r, make(chan struct{})}
	go func() {
		defer close(b.ended)
		err := f(w)
		w.CloseWithError(err) // nil is the end
	}()
	go func() {
		select {
		case <-stopping:
			w.CloseWithError(errStopping)
		case <-b.ended:
		}
	}()
	return b
}

func (b written) Close() error {
	_ = b.PipeReader.Close() // it never fails
	<-b.ended
	return nil
}
