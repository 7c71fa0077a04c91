package network

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports is how many a network takes, side by side.
const Ports = 16

// The free ones are looked for below what systems give to outgoing connections, so that a node that is down keeps its own.
const (
	lowest  = 15_000
	highest = 32_000
	tries   = 200
)

// ports are a network's. The first is only held: whoever has it has those behind it.
type ports struct {
	held  net.Listener
	first int
	taken int // with the first
}

// takePorts takes a range, from a given port on or anywhere.
func takePorts(first int) (*ports, error) {
	if first != 0 {
		return tryPorts(first)
	}
	for range tries {
		first := lowest + rand.IntN((highest-lowest)/Ports)*Ports
		if p, err := tryPorts(first); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports in a row between %d and %d", Ports, lowest, highest)
}

func tryPorts(first int) (*ports, error) {
	held, err := net.Listen("tcp", loopback(first))
	if err != nil {
		return nil, fmt.Errorf("taking the ports from %d on: %w", first, err)
	}
	for port := first + 1; port < first+Ports; port++ {
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("taking the ports from %d on: %w", first, err), held.Close())
		}
		if err := l.Close(); err != nil {
			return nil, errors.Join(err, held.Close())
		}
	}
	return &ports{held: held, first: first, taken: 1}, nil
}

// next is one for a node, as an address.
func (p *ports) next() (string, error) {
	if p.taken == Ports {
		return "", fmt.Errorf("no ports are left of %d", Ports)
	}
	p.taken++
	return loopback(p.first + p.taken - 1), nil
}

func (p *ports) release() { p.held.Close() } //nolint:errcheck // nothing was written to it

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
