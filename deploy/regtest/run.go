package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrace/millrace/deploy/regtest/network"
)

// run runs the network and the hub until the context ends. Where there is a terminal or a start that waits, out is that.
func run(ctx context.Context, s settings, out *os.File) (err error) {
	held, err := take(s)
	if err != nil {
		return err
	}
	defer held.Close()
	began := time.Now()
	if s.nodes, err = network.Programs(s.nodes); err != nil {
		return err
	}
	say := func(text string) { fmt.Fprintln(out, text) }
	n, err := network.Start(ctx, network.Config{Dir: s.dir, Nodes: s.nodes, Port: s.port, Log: say})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	h, err := startHub(ctx, s, n, say)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	if err := shortcuts(s, n); err != nil {
		return err
	}
	text := summarise(s, n, h)
	if err := os.WriteFile(s.summary(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("the summary: %w", err)
	}
	fmt.Fprintf(out, "\nready in %.1f s\n\n%s%s\n", time.Since(began).Seconds(), text, readyLine)
	return attend(ctx, s, n, h)
}

// attend makes a block now and then, so that what waits for one goes on and the nodes do not take the chain for an old one.
func attend(ctx context.Context, s settings, n *network.Network, h *hub) error {
	var blocks <-chan time.Time
	if s.every > 0 {
		tick := time.NewTicker(s.every)
		defer tick.Stop()
		blocks = tick.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.ended():
			return errors.New("the hub has ended: its log says why")
		case <-blocks:
			if _, err := n.Chain.Mine(ctx, 1); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "a block:", err)
			}
		}
	}
}

// shortcuts writes commands that speak to each node.
func shortcuts(s settings, n *network.Network) error {
	dir := filepath.Join(s.dir, "bin")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the shortcuts: %w", err)
	}
	scripts := map[string]string{"chain": fmt.Sprintf("%s --configfile=/dev/null --simnet --rpcserver=%s --rpcuser=%s --rpcpass=%s --rpccert=%s",
		quote(filepath.Join(s.nodes, "btcctl")), n.Chain.Address(), n.Chain.User(), n.Chain.Password(), quote(n.Chain.CertFile()))}
	for _, l := range []*network.Lightning{n.Hub, n.Publisher, n.Payer} {
		scripts[l.Name] = fmt.Sprintf("%s --network=simnet --rpcserver=%s --lnddir=%s",
			quote(filepath.Join(s.nodes, "lncli")), l.Address(), quote(filepath.Dir(l.CertFile())))
	}
	for name, line := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec "+line+" \"$@\"\n"), 0o700); err != nil {
			return fmt.Errorf("the shortcuts: %w", err)
		}
	}
	return nil
}

// summarise says what runs and what to try.
func summarise(s settings, n *network.Network, h *hub) string {
	var t strings.Builder
	bin := shorten(filepath.Join(s.dir, "bin"))
	row := func(name, where, more string) { fmt.Fprintf(&t, "%-14s %-16s %s\n", name, where, more) }
	row("btcd", n.Chain.Address(), bin+"/chain getblockcount")
	for _, l := range []*network.Lightning{n.Hub, n.Publisher, n.Payer} {
		row("lnd "+l.Name, l.Address(), bin+"/"+l.Name+" getinfo")
	}
	h.describe(row)
	fmt.Fprintf(&t, "\na payment, a block, the channels:\n\n")
	fmt.Fprintf(&t, "  %s/payer payinvoice --force $(%s/publisher addinvoice --amt 1000 | sed -n 's/.*\"payment_request\": *\"\\(.*\\)\".*/\\1/p')\n", bin, bin)
	fmt.Fprintf(&t, "  %s/chain generate 1\n", bin)
	fmt.Fprintf(&t, "  %s/hub listchannels\n\n", bin)
	h.tryOut(&t)
	fmt.Fprintf(&t, "make regtest-stop ends it, and make regtest goes on with the same chain and channels; rm -r %s for new ones.\n", shorten(s.dir))
	return t.String()
}

// shorten is a path as seen from the working folder, when it is below that.
func shorten(path string) string {
	if at, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(at, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// quote is a word for a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
