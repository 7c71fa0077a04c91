package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/deploy/regtest/network"
)

// nodes are btcd and three lnd on this machine, and clients of the hub's.
type nodes struct {
	net  *network.Network
	lnd  *lightning.Client
	btcd *chain.Client
}

// startNodes starts a network of real nodes.
func startNodes(ctx context.Context, c *Config, dir string) (n *nodes, err error) {
	n = &nodes{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	log := func(text string) { fmt.Fprintln(c.Progress, text) }
	n.net, err = network.Start(ctx, network.Config{Dir: filepath.Join(dir, "network"), Log: log})
	if errors.Is(err, network.ErrNotBuilt) {
		return n, fmt.Errorf("%w, or name the folder that has them in MILLRACE_NODES", err)
	}
	if err != nil {
		return n, fmt.Errorf("starting the nodes: %w", err)
	}
	hub := n.net.Hub
	n.lnd, err = lightning.New(lightning.Config{Address: hub.Address(), Certificate: hub.CertFile(), Macaroon: hub.MacaroonFile(),
		Network: simnet, Node: hub.Key()})
	if err != nil {
		return n, err
	}
	of, err := chain.ParseNetwork(simnet)
	if err != nil {
		return n, err
	}
	cert, err := os.ReadFile(n.net.Chain.CertFile())
	if err != nil {
		return n, fmt.Errorf("the certificate of btcd: %w", err)
	}
	n.btcd, err = chain.New(chain.Config{Network: of, Address: n.net.Chain.Address(), User: n.net.Chain.User(), Password: n.net.Chain.Password(), Cert: cert})
	return n, err
}

func (n *nodes) close() error {
	var errs []error
	if n.lnd != nil {
		errs = append(errs, n.lnd.Close())
	}
	if n.btcd != nil {
		n.btcd.Close()
	}
	if n.net != nil {
		errs = append(errs, n.net.Close())
	}
	return errors.Join(errs...)
}

// open starts a house's rails on the nodes.
func (n *nodes) open(h *house) error {
	ask, err := addresses()
	if err != nil {
		return err
	}
	ask.Decode, ask.Assets, ask.FeeRate = n.lnd.Decode, n.lnd.Assets, n.btcd.FeeRate
	return h.open(channels.Config{
		Payer: n.lnd, Receiver: n.lnd, Wallet: n.lnd, Purse: n.lnd, Watcher: n.btcd, Node: n.net.Hub.Key(),
		Script: ask.Script, Dust: ask.Dust, Replace: chain.Replace, Policy: channels.Policy{Concurrency: atOnce},
	}, ask, ask.Market)
}

// simnet is the network that the nodes are on.
const simnet = "simnet"

// addresses is what settings of payees need to know of the network.
func addresses() (*settle.Nodes, error) {
	of, err := chain.ParseNetwork(simnet)
	if err != nil {
		return nil, err
	}
	dust := func(script []byte) channels.Sat { return chain.Dust(script, chain.RelayRate) }
	return &settle.Nodes{Script: of.Script, Dust: dust}, nil
}

// address is a P2WPKH address of its own for each number. Nobody has its key.
func address(of chain.Network, i int) (string, error) {
	script := make([]byte, 22)
	script[1] = 20
	binary.BigEndian.PutUint64(script[2:], uint64(i)+1)
	return of.Address(script)
}
