package network

import (
	"context"
	"fmt"
	"strings"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/millrace/millrace/deploy/regtest/process"
)

// announced is how deep a channel's funding must be before other nodes hear of it (BOLT 7).
const announced = 6

// Open opens a channel of ChannelSize, and returns when the two nodes can pay each other.
func (n *Network) Open(ctx context.Context, from, to *Lightning) error {
	ctx, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	if err := n.open(ctx, from, to); err != nil {
		return err
	}
	return n.settle(ctx, from, to)
}

// open connects two nodes, and leaves a channel between them in the mempool when they have none.
func (n *Network) open(ctx context.Context, from, to *Lightning) error {
	host, peer := to.listen, to.Key()
	_, err := from.RPC().ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{Addr: &lnrpc.LightningAddress{Pubkey: peer, Host: host}})
	if err != nil && !strings.Contains(err.Error(), "already connected") {
		return fmt.Errorf("connecting %s to %s: %w", from.Name, to.Name, err)
	}
	have, err := from.channels(ctx, to)
	if err != nil || have > 0 {
		return err
	}
	key, err := decodeKey(peer)
	if err != nil {
		return err
	}
	_, err = from.RPC().OpenChannelSync(ctx, &lnrpc.OpenChannelRequest{NodePubkey: key, LocalFundingAmount: ChannelSize, PushSat: ChannelPush, SatPerVbyte: 5})
	if err != nil {
		return fmt.Errorf("opening a channel from %s to %s: %w", from.Name, to.Name, err)
	}
	return nil
}

// channels counts those to a peer, open and pending.
func (l *Lightning) channels(ctx context.Context, to *Lightning) (count int, err error) {
	open, err := l.RPC().ListChannels(ctx, &lnrpc.ListChannelsRequest{})
	if err != nil {
		return 0, fmt.Errorf("%s: its channels: %w", l.Name, err)
	}
	for _, c := range open.Channels {
		if c.RemotePubkey == to.Key() {
			count++
		}
	}
	pending, err := l.RPC().PendingChannels(ctx, &lnrpc.PendingChannelsRequest{})
	if err != nil {
		return 0, fmt.Errorf("%s: its channels: %w", l.Name, err)
	}
	for _, c := range pending.PendingOpenChannels {
		if c.Channel.RemoteNodePub == to.Key() {
			count++
		}
	}
	return count, nil
}

// confirm mines what was sent to wallets.
func (n *Network) confirm(ctx context.Context, nodes ...*Lightning) error {
	if _, err := n.Chain.Mine(ctx, 1); err != nil {
		return err
	}
	return each(nodes, func(l *Lightning) error {
		return process.Until(ctx, "the coins of "+l.Name+" are confirmed", l.confirmed)
	})
}

// settle mines what announces channels, and waits until each of the nodes can pay each other.
func (n *Network) settle(ctx context.Context, nodes ...*Lightning) error {
	if _, err := n.Chain.Mine(ctx, announced); err != nil {
		return err
	}
	return n.Ready(ctx, nodes...)
}

// Ready waits until each of the nodes has followed the chain and finds a way to pay each other: some time after a channel is
// active, when the edges are in the graph and peers are connected again. No nodes are the network's first three.
func (n *Network) Ready(ctx context.Context, nodes ...*Lightning) error {
	ctx, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	if len(nodes) == 0 {
		nodes = []*Lightning{n.Hub, n.Publisher, n.Payer}
	}
	return each(nodes, func(from *Lightning) error {
		if err := from.sees(ctx); err != nil {
			return err
		}
		for _, to := range nodes {
			if to == from {
				continue
			}
			err := process.Until(ctx, from.Name+" finds a way to "+to.Name, func(ctx context.Context) (bool, error) {
				r, err := from.RPC().QueryRoutes(ctx, &lnrpc.QueryRoutesRequest{PubKey: to.Key(), AmtMsat: 1000, UseMissionControl: true})
				return err == nil && len(r.Routes) > 0, err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
