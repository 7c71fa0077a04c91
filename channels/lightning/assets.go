package lightning

import (
	"context"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Assets is what the node holds. It takes three questions or more: money that moves meanwhile, between the wallet and a channel or between
// what is pending and what is not, can be missing or twice in it. Who compares it with the ledger asks again when it does not fit.
func (c *Client) Assets(ctx context.Context) (a channels.Assets, err error) {
	const doing = "asking what it holds"
	in, err := ask(ctx, c, doing, c.lightning.ChannelBalance, &lnrpc.ChannelBalanceRequest{})
	if err != nil {
		return a, err
	}
	changing, err := ask(ctx, c, doing, c.lightning.PendingChannels, &lnrpc.PendingChannelsRequest{})
	if err != nil {
		return a, err
	}
	wallet, err := ask(ctx, c, doing, c.lightning.WalletBalance, &lnrpc.WalletBalanceRequest{})
	if err != nil {
		return a, err
	}
	a.Local, a.Remote = ledger.Msat(in.LocalBalance.GetMsat()), ledger.Msat(in.RemoteBalance.GetMsat())
	// What lnd calls unsettled on the remote side is in payments that we make: it is ours until they succeed.
	a.Pending = ledger.Msat(in.PendingOpenLocalBalance.GetMsat() + in.UnsettledRemoteBalance.GetMsat())
	for _, closing := range changing.WaitingCloseChannels {
		a.Pending += msat(closing.LimboBalance)
	}
	for _, closing := range changing.PendingForceClosingChannels {
		a.Pending += msat(closing.LimboBalance)
	}
	a.Confirmed, a.Unconfirmed = channels.Sat(wallet.ConfirmedBalance), channels.Sat(wallet.UnconfirmedBalance)
	a.Leased, a.Reserved = channels.Sat(wallet.LockedBalance), channels.Sat(wallet.ReservedBalanceAnchorChan)
	if a.Unconfirmed != 0 || a.Leased != 0 {
		err = c.correct(ctx, &a)
	}
	return a, err
}

// Lines are the node's Lightning channels, those that open or close among them.
func (c *Client) Lines(ctx context.Context) (all []channels.Line, err error) {
	const doing = "listing its channels"
	open, err := ask(ctx, c, doing, c.lightning.ListChannels, &lnrpc.ListChannelsRequest{})
	if err != nil {
		return nil, err
	}
	changing, err := ask(ctx, c, doing, c.lightning.PendingChannels, &lnrpc.PendingChannelsRequest{})
	if err != nil {
		return nil, err
	}
	for _, o := range open.Channels {
		all = append(all, channels.Line{
			Point: outpoint(o.ChannelPoint), Peer: o.RemotePubkey, Capacity: channels.Sat(o.Capacity),
			Local: channels.Sat(o.LocalBalance), Remote: channels.Sat(o.RemoteBalance), Unsettled: channels.Sat(o.UnsettledBalance),
			Tied: tied(o.CommitmentType, o.FeePerKw, o.CommitFee, len(o.PendingHtlcs)), Initiator: o.Initiator, Active: o.Active, Private: o.Private, Stage: channels.LineOpen,
		})
	}
	for _, p := range changing.PendingOpenChannels {
		l := line(p.Channel, channels.LineOpening)
		l.Tied = tied(p.Channel.GetCommitmentType(), p.FeePerKw, p.CommitFee, 0)
		all = append(all, l)
	}
	for _, p := range changing.WaitingCloseChannels {
		l := line(p.Channel, channels.LineClosing)
		l.Local = channels.Sat(p.LimboBalance)
		all = append(all, l)
	}
	for _, p := range changing.PendingForceClosingChannels {
		l := line(p.Channel, channels.LineClosing)
		l.Local = channels.Sat(p.LimboBalance)
		all = append(all, l)
	}
	return all, nil
}

func line(p *lnrpc.PendingChannelsResponse_PendingChannel, stage channels.LineStage) channels.Line {
	return channels.Line{
		Point: outpoint(p.GetChannelPoint()), Peer: p.GetRemoteNodePub(), Capacity: channels.Sat(p.GetCapacity()),
		Local: channels.Sat(p.GetLocalBalance()), Remote: channels.Sat(p.GetRemoteBalance()),
		Initiator: p.GetInitiator() == lnrpc.Initiator_INITIATOR_LOCAL, Private: p.GetPrivate(), Stage: stage,
	}
}

// msat of a balance in satoshis, which lnd does not let be negative.
func msat(sat int64) ledger.Msat { return ledger.Msat(max(sat, 0)) * 1000 }
