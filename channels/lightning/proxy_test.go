package lightning_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels/lightning"
)

// proxy stands between a client and lnd. It can have lnd's answers come late, and lose them: what was asked is done then, and
// nobody was told.
type proxy struct {
	listener net.Listener
	to       string
	late     atomic.Int64 // nanoseconds

	mu    sync.Mutex
	conns []net.Conn
	ended chan struct{} // closed by the next cut
	all   sync.WaitGroup
}

// never is later than anybody waits for.
const never = time.Hour

// through has a client speak to its lnd over a proxy.
func through(t *testing.T, p **proxy) func(*lightning.Config) {
	return func(c *lightning.Config) {
		t.Helper()
		l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
		*p = &proxy{listener: l, to: c.Address, ended: make(chan struct{})}
		(*p).all.Go((*p).serve)
		t.Cleanup((*p).close)
		c.Address = l.Addr().String()
	}
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		ended := p.ended
		p.mu.Unlock()
		p.all.Go(func() { io.Copy(out, in); out.Close() }) //nolint:errcheck // it ends when either side does
		p.all.Go(func() { p.answer(in, out, ended) })
	}
}

func (p *proxy) answer(in, out net.Conn, ended <-chan struct{}) {
	defer in.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := out.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-ended:
			return
		case <-time.After(time.Duration(p.late.Load())):
		}
		if _, err := in.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// delay has answers come late from now on.
func (p *proxy) delay(d time.Duration) { p.late.Store(int64(d)) }

// cut ends all connections, and with them what is late. New ones work.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
	p.late.Store(0)
	close(p.ended)
	p.ended = make(chan struct{})
}

func (p *proxy) close() {
	p.listener.Close()
	p.cut()
	p.all.Wait()
}
