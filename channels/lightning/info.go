package lightning

import (
	"context"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
)

// Info says who the node is and how it stands. Unlike all other calls it is also made to a node of another network.
func (c *Client) Info(ctx context.Context) (channels.Node, error) {
	i, err := askAny(ctx, c, "asking who it is", c.lightning.GetInfo, &lnrpc.GetInfoRequest{})
	if err != nil {
		return channels.Node{}, err
	}
	n := channels.Node{
		Key: i.IdentityPubkey, Alias: i.Alias, Version: i.Version,
		Height: int64(i.BlockHeight), Block: txid(i.BlockHash), BlockTime: time.Unix(i.BestHeaderTimestamp, 0),
		Synced: i.SyncedToChain, GraphSynced: i.SyncedToGraph,
		Peers: int(i.NumPeers), Active: int(i.NumActiveChannels), Inactive: int(i.NumInactiveChannels),
	}
	for _, chain := range i.Chains { // there is one
		n.Network = chain.Network
	}
	return n, nil
}

// txid reads a hash that is written as the chain's are, backwards. What is none, such as the block of a transaction that is in
// none, is zero.
func txid(text string) (h channels.Hash) {
	if parsed, err := chainhash.NewHashFromStr(text); err == nil {
		h = channels.Hash(*parsed)
	}
	return h
}
