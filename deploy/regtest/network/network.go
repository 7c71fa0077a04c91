// Package network runs a Bitcoin and Lightning network on this machine: btcd and three lnd, hub, publisher and payer, in one
// folder and on loopback. They are the real programs, on simnet, where blocks are made when they are asked for; make nodes
// builds them.
//
//	payer ---- 4 | 1 ----> hub ---- 4 | 1 ----> publisher       channels of 5 BTC: what this side and what the other side has
//
// What a test of the rails needs can be done to it: blocks mined, forks, nodes killed, stopped, paused and started again.
package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The first names of the nodes. Each has a folder of its name in the network's.
const (
	Hub       = "hub"
	Publisher = "publisher"
	Payer     = "payer"
)

// What a network begins with, in satoshis.
const (
	ChannelSize = 500_000_000 // of each of the two channels
	ChannelPush = 100_000_000 // of it, what the side that did not open the channel has at first
	WalletCoins = 20          // in each wallet before the channels are opened, so that payments on-chain do not wait for change
	WalletCoin  = 200_000_000 // each
)

// startMost bounds Start: seconds on an idle machine, but tests run beside each other.
const startMost = 4 * time.Minute

// ErrNotBuilt is of a machine on which make nodes was not run.
var ErrNotBuilt = errors.New("the nodes are not built: run make nodes")

// Config says where a network is.
type Config struct {
	Dir   string // with everything it writes; made when it is not there. A folder of an earlier network goes on where that stopped
	Nodes string // with the programs; empty: what Programs finds
	Port  int    // the first of Ports that it takes, on 127.0.0.1; zero: some that are free
	Log   func(text string)
}

// Network is one that runs. Its methods may be called by any goroutine, but those that mine not beside those that fork.
type Network struct {
	Chain     *Bitcoin
	Hub       *Lightning
	Publisher *Lightning
	Payer     *Lightning

	cfg   Config
	ports *ports
	mu    sync.Mutex // guards nodes
	nodes map[string]*Lightning
}

// Start runs a network, and returns when payments from each node to each other find a way. Close ends it.
func Start(ctx context.Context, cfg Config) (n *Network, err error) {
	ctx, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	if cfg.Nodes, err = Programs(cfg.Nodes); err != nil {
		return nil, err
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("the network's folder: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("the network's folder: %w", err)
	}
	p, err := takePorts(cfg.Port)
	if err != nil {
		return nil, err
	}
	n = &Network{cfg: cfg, ports: p, nodes: map[string]*Lightning{}}
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) start(ctx context.Context) (err error) {
	if n.Chain, err = newBitcoin(n.cfg.Nodes, filepath.Join(n.cfg.Dir, "btcd"), n.ports); err != nil {
		return err
	}
	n.cfg.Log("starting btcd")
	if err := n.Chain.Start(ctx); err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(n.cfg.Dir, Hub))
	if err := n.Chain.begin(ctx, err == nil); err != nil {
		return err
	}
	n.cfg.Log("starting lnd: " + Hub + ", " + Publisher + " and " + Payer)
	names := []string{Hub, Publisher, Payer}
	nodes := make([]*Lightning, len(names))
	for i, name := range names {
		if nodes[i], err = n.add(name); err != nil {
			return err
		}
	}
	n.Hub, n.Publisher, n.Payer = nodes[0], nodes[1], nodes[2]
	if err := each(nodes, func(l *Lightning) error { return l.Start(ctx) }); err != nil {
		return err
	}
	return n.furnish(ctx)
}

// furnish gives wallets coins and opens the channels, unless it was done when the folder was new.
func (n *Network) furnish(ctx context.Context) error {
	nodes := []*Lightning{n.Hub, n.Publisher, n.Payer}
	n.cfg.Log("funding the wallets")
	for _, l := range nodes {
		if b, err := l.Coins(ctx); err != nil {
			return err
		} else if b == 0 {
			if err := n.Chain.fund(ctx, l, WalletCoins, WalletCoin); err != nil {
				return err
			}
		}
	}
	if err := n.confirm(ctx, nodes...); err != nil {
		return err
	}
	n.cfg.Log("opening the channels")
	err := each(nodes[1:], func(l *Lightning) error {
		if l == n.Payer {
			return n.open(ctx, n.Payer, n.Hub)
		}
		return n.open(ctx, n.Hub, n.Publisher)
	})
	if err != nil {
		return err
	}
	return n.settle(ctx, nodes...)
}

// Add starts one more node, with coins but without channels (Open).
func (n *Network) Add(ctx context.Context, name string) (*Lightning, error) {
	ctx, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	l, err := n.add(name)
	if err != nil {
		return nil, err
	}
	if err := l.Start(ctx); err != nil {
		return nil, err
	}
	if err := n.Chain.fund(ctx, l, WalletCoins, WalletCoin); err != nil {
		return nil, err
	}
	return l, n.confirm(ctx, l)
}

func (n *Network) add(name string) (*Lightning, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes[name] != nil {
		return nil, fmt.Errorf("there is a node %s already", name)
	}
	l, err := newLightning(name, n.cfg.Nodes, filepath.Join(n.cfg.Dir, name), n.Chain, n.ports)
	if err != nil {
		return nil, err
	}
	n.nodes[name] = l
	return l, nil
}

// Close ends all nodes: lnd first, so that it sees its chain to the end. The folder stays.
func (n *Network) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var nodes []*Lightning
	for _, l := range n.nodes {
		nodes = append(nodes, l)
	}
	err := each(nodes, (*Lightning).close)
	if n.Chain != nil {
		err = errors.Join(err, n.Chain.Stop())
	}
	n.ports.release()
	return err
}

// Programs is the folder with the nodes: the one that is given, or MILLRACE_NODES, or bin/nodes of the repository that the working
// folder is in.
func Programs(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv("MILLRACE_NODES")
	}
	if dir == "" {
		at, err := os.Getwd()
		if err != nil {
			return "", fmt.Errorf("looking for the nodes: %w", err)
		}
		for ; dir == "" && at != filepath.Dir(at); at = filepath.Dir(at) {
			if _, err := os.Stat(filepath.Join(at, "deploy", "regtest", "nodes", "go.mod")); err == nil {
				dir = filepath.Join(at, "bin", "nodes")
			}
		}
	}
	for _, name := range []string{"btcd", "lnd"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%w (%w)", ErrNotBuilt, err)
		}
	}
	return filepath.Abs(dir)
}

// each does the same with all nodes at once.
func each(nodes []*Lightning, do func(*Lightning) error) error {
	errs := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, l := range nodes {
		all.Go(func() { errs[i] = do(l) })
	}
	all.Wait()
	return errors.Join(errs...)
}
