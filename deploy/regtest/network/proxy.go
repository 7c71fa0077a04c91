package network

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// proxyBuffer is how much one direction of a connection holds, beside what the system does.
const proxyBuffer = 32 << 10

// Proxy stands between a client and a node, so that answers come late or never although the node has done what was asked: a pause
// of the node would stop that, too. It passes on bytes, so TLS goes through it, and a node's certificate is good for any port.
type Proxy struct {
	target string
	listen net.Listener
	ended  sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // of what follows
	held    bool
	closed  bool
	conns   map[net.Conn]bool // both sides of each
}

// NewProxy listens on loopback, for connections to an address.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", loopback(0))
	if err != nil {
		return nil, fmt.Errorf("a proxy: %w", err)
	}
	p := &Proxy{target: target, listen: l, conns: map[net.Conn]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.ended.Go(p.accept)
	return p, nil
}

// Address is what a client is told instead of the node's.
func (p *Proxy) Address() string { return p.listen.Addr().String() }

// Hold keeps back all that the node answers from now on. What clients send goes through.
func (p *Proxy) Hold() { p.set(func() { p.held = true }) }

// Let passes on what was held, and ends the Hold.
func (p *Proxy) Let() { p.set(func() { p.held = false }) }

// Cut ends all connections, with what is held in them. New ones can be made, which a Hold is about, too.
func (p *Proxy) Cut() {
	p.set(func() {
		for c := range p.conns {
			c.Close()
		}
		clear(p.conns)
	})
}

// Close ends the proxy with its connections.
func (p *Proxy) Close() error {
	p.set(func() { p.closed = true })
	err := p.listen.Close()
	p.Cut()
	p.ended.Wait()
	return err
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.changed.Broadcast()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil {
			continue
		}
		node, err := net.Dial("tcp", p.target)
		if err != nil { // to the client it is as if nobody listened
			client.Close()
			continue
		}
		p.set(func() {
			if p.closed {
				client.Close()
				node.Close()
				return
			}
			p.conns[client], p.conns[node] = true, true
			p.ended.Go(func() { p.pass(node, client, false) })
			p.ended.Go(func() { p.pass(client, node, true) })
		})
	}
}

// pass copies one direction until a side ends; then it ends both. An answer that is held stays in the buffer here.
func (p *Proxy) pass(to, from net.Conn, answers bool) {
	buffer := make([]byte, proxyBuffer)
	for {
		n, err := from.Read(buffer)
		if answers {
			p.mu.Lock()
			for p.held && p.conns[to] && !p.closed {
				p.changed.Wait()
			}
			p.mu.Unlock()
		}
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			break
		}
	}
	p.set(func() {
		delete(p.conns, to)
		delete(p.conns, from)
	})
	to.Close()
	from.Close()
}
