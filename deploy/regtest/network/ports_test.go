package network

import (
	"net"
	"testing"
)

func TestPorts(t *testing.T) {
	a, err := takePorts(0)
	if err != nil {
		t.Fatal(err)
	}
	defer a.release()
	if _, err := takePorts(a.first); err == nil {
		t.Error("the same ports were taken twice")
	}
	for range Ports - 1 {
		address, err := a.next()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
	if address, err := a.next(); err == nil {
		t.Errorf("%s is one too many", address)
	}
	if err := a.held.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", loopback(a.first+Ports-1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := takePorts(a.first); err == nil {
		t.Error("ports were taken of which one is not free")
	}
}
