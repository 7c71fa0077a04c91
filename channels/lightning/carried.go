package lightning

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"github.com/millrace/millrace/channels"
)

// Carried says whether a payment that is under way is on its way in one of the node's Lightning channels, and since when the last of its
// attempts is. False: no attempt is, though the channel that each of them took is open and its peer there.
//
// An lnd that dies between writing an attempt down and giving it to the channel, says for ever after that it is under way
// (https://github.com/lightningnetwork/lnd/issues/8146). This is how that can be told from a payment that its receiver holds. It proves
// nothing: it is for operators.
func (c *Client) Carried(ctx context.Context, hash channels.Hash) (carried bool, since time.Time, err error) {
	const doing = "asking whether a payment is on its way"
	if err := c.recognize(ctx); err != nil {
		return true, since, err
	}
	short, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	stream, err := c.router.TrackPaymentV2(short, &routerrpc.TrackPaymentRequest{PaymentHash: hash[:]})
	var p *lnrpc.Payment
	if err == nil {
		p, err = stream.Recv()
	}
	if err != nil {
		return true, since, c.failed(ctx, doing, err)
	}
	open, err := ask(ctx, c, doing, c.lightning.ListChannels, &lnrpc.ListChannelsRequest{})
	if err != nil {
		return true, since, err
	}
	lines := make(map[uint64]*lnrpc.Channel)
	for _, o := range open.Channels {
		lines[o.ChanId] = o
	}
	attempts := 0
	for _, a := range p.Htlcs {
		if a.Status != lnrpc.HTLCAttempt_IN_FLIGHT {
			continue
		}
		if len(a.GetRoute().GetHops()) == 0 {
			return true, since, fmt.Errorf("lnd: %s: an attempt without a route", doing)
		}
		attempts++
		if at := time.Unix(0, a.AttemptTimeNs); at.After(since) {
			since = at
		}
		if carries(lines[a.Route.Hops[0].ChanId], hash) {
			carried = true
		}
	}
	return carried || attempts == 0, since, nil
}

// carries says whether a channel has a payment, or nobody can tell.
func carries(o *lnrpc.Channel, hash channels.Hash) bool {
	if o == nil || !o.Active {
		return true
	}
	for _, h := range o.PendingHtlcs {
		if hex.EncodeToString(h.HashLock) == hash.String() && !h.Incoming {
			return true
		}
	}
	return false
}
