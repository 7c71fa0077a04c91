// Package networktest gives tests a network of real nodes: package network's. Such tests have names that begin with TestRegtest,
// so that make test-regtest finds them, and skip themselves where the nodes are not built or go test is told to be -short.
package networktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/deploy/regtest/network"
)

// Start starts a network for one test, which ends with it: for tests that leave it in another state than they found it in.
func Start(t testing.TB) *network.Network {
	t.Helper()
	programs := skip(t)
	n, err := network.Start(t.Context(), network.Config{Dir: t.TempDir(), Nodes: programs, Log: func(text string) { t.Log(text) }})
	if err != nil {
		t.Fatalf("starting the network: %v", err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("ending the network: %v", err)
		}
	})
	return n
}

func skip(t testing.TB) (programs string) {
	t.Helper()
	if !strings.HasPrefix(t.Name(), "TestRegtest") && !strings.HasPrefix(t.Name(), "BenchmarkRegtest") {
		t.Fatal("a test with real nodes has a name that begins with TestRegtest")
	}
	if testing.Short() {
		t.Skip("real nodes take longer than -short allows")
	}
	programs, err := network.Programs("")
	if errors.Is(err, network.ErrNotBuilt) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return programs
}

// Shared is one network for all tests of a package. It starts with the first that wants it:
//
//	var shared networktest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }
//
//	func TestRegtestThis(t *testing.T) { n := shared.Get(t) ... }
type Shared struct {
	mu   sync.Mutex
	main bool
	n    *network.Network
	dir  string
	err  error
}

// Main runs the tests, and ends the network after them.
func (s *Shared) Main(m *testing.M) (code int) {
	s.main = true
	code = m.Run()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n != nil {
		s.err = s.n.Close()
	}
	if err := errors.Join(s.err, os.RemoveAll(s.dir)); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "ending the network:", err)
		code = 1
	}
	return code
}

// Get is the network, for a test. Tests leave it as they found it, but for balances and the height of the chain.
func (s *Shared) Get(t testing.TB) *network.Network {
	t.Helper()
	programs := skip(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.main {
		t.Fatal("the package's TestMain does not call Main of networktest.Shared, which ends the network")
	}
	if s.n == nil && s.err == nil {
		if s.dir, s.err = os.MkdirTemp("", "millrace-network-*"); s.err == nil {
			s.n, s.err = network.Start(context.Background(), network.Config{Dir: s.dir, Nodes: programs})
		}
	}
	if s.err != nil {
		t.Fatalf("starting the network: %v", s.err)
	}
	return s.n
}
