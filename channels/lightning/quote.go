package lightning

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Quote is what a payment would cost, as far as the node knows the network: it asks nobody, and sends nothing. Where no single
// route is wide enough it is quoted as up to 16 equal parts, each by the cheapest route, as if it were the only one: so that it
// was quoted does not say that it will arrive. The fee limit is not looked at. channels.ErrNoRoute: there is no such route. An invoice with blinded paths can be paid, but not quoted: the same error.
func (c *Client) Quote(ctx context.Context, p channels.Payment) (fee ledger.Msat, err error) {
	q := &lnrpc.QueryRoutesRequest{PubKey: p.Payee, UseMissionControl: true}
	amount := p.Amount
	if p.Invoice != "" {
		i, z, err := c.decode(p.Invoice)
		if err != nil {
			return 0, err
		}
		if len(z.BlindedPaymentPaths) > 0 {
			return 0, fmt.Errorf("an invoice with blinded paths: %w", channels.ErrNoRoute)
		}
		if i.Amount != 0 {
			amount = i.Amount
		}
		q.PubKey, q.FinalCltvDelta, q.RouteHints = i.Payee, int32(i.FinalDelta), hints(z)
	}
	if amount == 0 || amount > amountAtMost {
		return 0, fmt.Errorf("a quote for %d msat: %w", amount, channels.ErrRefused)
	}
	for parts := ledger.Msat(1); parts <= partsAtMost; parts *= 2 {
		q.AmtMsat = int64((amount + parts - 1) / parts)
		q.FeeLimit = &lnrpc.FeeLimit{Limit: &lnrpc.FeeLimit_FixedMsat{FixedMsat: int64(amount)}} // by default it is 5 %
		var found *lnrpc.QueryRoutesResponse
		found, err = ask(ctx, c, "looking for a route", c.lightning.QueryRoutes, q)
		if err == nil && len(found.Routes) > 0 {
			return ledger.Msat(found.Routes[0].TotalFeesMsat) * parts, nil
		}
		if err != nil && !errors.Is(err, channels.ErrNoRoute) {
			return 0, err
		}
		if parts == 1 {
			have, err := ask(ctx, c, "looking for a route", c.lightning.ChannelBalance, &lnrpc.ChannelBalanceRequest{})
			if err != nil {
				return 0, err
			}
			if amount > ledger.Msat(have.LocalBalance.GetMsat()) {
				break
			}
		}
	}
	return 0, fmt.Errorf("a payment of %d msat to %s: %w", amount, q.PubKey, channels.ErrNoRoute)
}

// hints are an invoice's ways through channels that are not announced.
func hints(z *zpay32.Invoice) (all []*lnrpc.RouteHint) {
	for _, way := range z.RouteHints {
		h := &lnrpc.RouteHint{}
		for _, hop := range way {
			h.HopHints = append(h.HopHints, &lnrpc.HopHint{
				NodeId: hex.EncodeToString(hop.NodeID.SerializeCompressed()), ChanId: hop.ChannelID,
				FeeBaseMsat: hop.FeeBaseMSat, FeeProportionalMillionths: hop.FeeProportionalMillionths,
				CltvExpiryDelta: uint32(hop.CLTVExpiryDelta),
			})
		}
		all = append(all, h)
	}
	return all
}
