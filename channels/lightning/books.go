package lightning

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const (
	paymentsAtOnce = 500
	forwardsAtOnce = 50_000 // what lnd gives at most
)

// Receipts calls f with what was paid to us after a settle index, as the node's books have it now, in the order in which the
// invoices were made. Unlike Settled it ends. It reads all invoices that were ever made. It returns f's error.
func (c *Client) Receipts(ctx context.Context, after uint64, f func(channels.Receipt) error) error {
	return c.eachInvoice(ctx, func(i *lnrpc.Invoice) error {
		if i.State != lnrpc.Invoice_SETTLED || i.SettleIndex <= after {
			return nil
		}
		return f(receipt(i))
	})
}

// Payments calls f with the payments of an index after the given one, in order, those under way and those that failed among them.
// How far a reader came is the index below the first one that is Pending: what is under way changes later. It returns f's error.
func (c *Client) Payments(ctx context.Context, after uint64, f func(channels.Sent) error) error {
	for {
		list, err := ask(ctx, c, "listing payments", c.lightning.ListPayments,
			&lnrpc.ListPaymentsRequest{IncludeIncomplete: true, IndexOffset: after, MaxPayments: paymentsAtOnce, OmitHops: true})
		if err != nil {
			return err
		}
		for _, p := range list.Payments {
			s := channels.Sent{Index: p.PaymentIndex, Amount: ledger.Msat(p.ValueMsat), Made: time.Unix(0, p.CreationTimeNs)}
			if err := s.Hash.UnmarshalText([]byte(p.PaymentHash)); err != nil {
				return err
			}
			if s.Attempt, err = attempt(p, s.Hash); err != nil {
				return err
			}
			if err := f(s); err != nil {
				return err
			}
		}
		if len(list.Payments) < paymentsAtOnce || list.LastIndexOffset <= after {
			return nil
		}
		after = list.LastIndexOffset
	}
}

// Movements calls f with the wallet's transactions, in blocks from a height on and in the mempool, but for those of its own that were
// replaced by others. It returns f's error.
func (c *Client) Movements(ctx context.Context, since int64, f func(channels.Movement) error) error {
	waiting, err := c.waiting(ctx)
	if err != nil {
		return err
	}
	gone := replaced(waiting)
	return c.eachTransaction(ctx, since, func(t *lnrpc.Transaction, p channels.Place) error {
		if gone[t.TxHash] && p.Confirmations == 0 {
			return nil
		}
		return f(channels.Movement{
			ID: txid(t.TxHash), Amount: channels.Sat(t.Amount), Fee: channels.Sat(t.TotalFees),
			Place: p, Label: t.Label, Time: time.Unix(t.TimeStamp, 0),
		})
	})
}

// Forwards is what the node earned by passing on payments of others, in a span of time: whole seconds, the end not included.
func (c *Client) Forwards(ctx context.Context, from, until time.Time) (sum channels.Forwards, err error) {
	q := &lnrpc.ForwardingHistoryRequest{
		StartTime: uint64(max(from.Unix(), 0)), EndTime: uint64(max(until.Unix()-1, 0)), NumMaxEvents: forwardsAtOnce,
	}
	for {
		list, err := ask(ctx, c, "listing forwards", c.lightning.ForwardingHistory, q)
		if err != nil {
			return sum, err
		}
		for _, e := range list.ForwardingEvents {
			sum.Count++
			sum.Amount += ledger.Msat(e.AmtOutMsat)
			sum.Fees += ledger.Msat(e.FeeMsat)
		}
		if len(list.ForwardingEvents) < forwardsAtOnce || list.LastOffsetIndex <= q.IndexOffset {
			return sum, nil
		}
		q.IndexOffset = list.LastOffsetIndex
	}
}

// outpoint reads lnd's text for one, txid:index. What is none is zero.
func outpoint(text string) (o channels.Outpoint) {
	id, index, ok := strings.Cut(text, ":")
	n, err := strconv.ParseUint(index, 10, 32)
	if !ok || err != nil {
		return o
	}
	return channels.Outpoint{Tx: txid(id), Index: uint32(n)}
}
