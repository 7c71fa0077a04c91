package lightning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const (
	keysendRecord = 5482373484 // the preimage's type in a keysend (BLIP 3)
	firstRecord   = 65536      // lower types are the protocol's own (BOLT 1)
	partsAtMost   = 16         // of one payment: what lnd itself takes
	timeoutAtMost = time.Hour
	payGrace      = 5 * time.Second // after a payment's own timeout, for parts that are on their way
)

// reasons are lnd's for a payment that failed.
var reasons = map[lnrpc.PaymentFailureReason]string{
	lnrpc.PaymentFailureReason_FAILURE_REASON_TIMEOUT:                   "timeout",
	lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE:                  "no_route",
	lnrpc.PaymentFailureReason_FAILURE_REASON_ERROR:                     "error",
	lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: "incorrect_details",
	lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE:      "insufficient_balance",
	lnrpc.PaymentFailureReason_FAILURE_REASON_CANCELED:                  "canceled",
}

// Pay makes a payment, once, however often it is called with the same hash: if there is one under way or done it says how that
// stands. It returns when the payment has succeeded or failed, or as Pending when it is still under way some seconds after its
// timeout: a receiver can hold it for days, until its HTLCs expire. Then Track is what to call.
//
//	channels.ErrRefused    nothing was sent, now or before, and the cause is wrapped
//	channels.ErrNetwork    the same: its invoice is of another network
//	channels.ErrDown       nobody knows: it is Pending; Track or Pay again
//	any other error        the same
//
// A payment goes on at the node when the context ends.
func (c *Client) Pay(ctx context.Context, p channels.Payment) (channels.Attempt, error) {
	const doing = "paying"
	pending := channels.Attempt{Stage: channels.Pending}
	request, err := c.request(p)
	if err != nil {
		return channels.Attempt{Stage: channels.Failed, Reason: "refused"}, err
	}
	if err := c.recognize(ctx); err != nil {
		return pending, fmt.Errorf("%s: %w", doing, err)
	}
	limited, cancel := untimed(ctx)
	defer cancel()
	defer time.AfterFunc(p.Timeout+payGrace, cancel).Stop()
	stream, err := c.router.SendPaymentV2(limited, request)
	a, err := last(stream, err, p.Hash)
	switch {
	case err == nil:
		return a, nil
	case ctx.Err() == nil && limited.Err() != nil:
		return pending, nil
	case status.Code(err) == codes.AlreadyExists:
		return c.Track(limited, p.Hash)
	}
	if err = c.failed(ctx, doing, err); down(err) {
		return pending, err
	}
	// lnd refused. Whether it did so before or after it had written the payment down is for its books to say, not for a text; and
	// there may be an earlier attempt of the same hash.
	a, known := c.Track(limited, p.Hash)
	switch {
	case errors.Is(known, channels.ErrUnknownPayment):
		if !errors.Is(err, channels.ErrRefused) {
			err = fmt.Errorf("%w: %w", channels.ErrRefused, err)
		}
		return channels.Attempt{Stage: channels.Failed, Reason: "refused"}, err
	case known != nil:
		return pending, errors.Join(known, err)
	}
	return a, nil
}

// Track says how a payment stands. It waits until that is final; when the context ends before, it is Pending, without an error.
// channels.ErrUnknownPayment: the node has no such payment. To send it is safe. To give it up is only safe when it cannot be on
// its way to the node any more, as it is for a moment after a Pay that ended in channels.ErrDown: so rather Pay again.
func (c *Client) Track(ctx context.Context, hash channels.Hash) (channels.Attempt, error) {
	const doing = "asking about a payment"
	pending := channels.Attempt{Stage: channels.Pending}
	err := c.recognize(ctx)
	if err == nil {
		open, cancel := untimed(ctx)
		defer cancel()
		var stream grpc.ServerStreamingClient[lnrpc.Payment]
		stream, err = c.router.TrackPaymentV2(open, &routerrpc.TrackPaymentRequest{PaymentHash: hash[:], NoInflightUpdates: true})
		var a channels.Attempt
		if a, err = last(stream, err, hash); err == nil {
			return a, nil
		}
		if ctx.Err() == nil {
			err = c.failed(ctx, doing, err)
		}
	}
	if ctx.Err() != nil {
		return pending, nil
	}
	return pending, err
}

// last waits for what a payment came to.
func last(stream grpc.ServerStreamingClient[lnrpc.Payment], err error, hash channels.Hash) (channels.Attempt, error) {
	for err == nil {
		var p *lnrpc.Payment
		if p, err = stream.Recv(); err == nil {
			if a, err := attempt(p, hash); err != nil || a.Stage != channels.Pending {
				return a, err
			}
		}
	}
	if errors.Is(err, io.EOF) { // before the payment was final: the node ends
		err = status.Error(codes.Unavailable, "it ended the stream")
	}
	return channels.Attempt{Stage: channels.Pending}, err
}

// attempt is what lnd says of a payment. It has failed only when nothing of it is on its way any more.
func attempt(p *lnrpc.Payment, hash channels.Hash) (a channels.Attempt, err error) {
	a.Stage = channels.Pending
	switch p.Status {
	case lnrpc.Payment_SUCCEEDED:
		if err := a.Preimage.UnmarshalText([]byte(p.PaymentPreimage)); err != nil {
			return channels.Attempt{Stage: channels.Pending}, fmt.Errorf("the preimage of payment %s: %w", hash, err)
		}
		if sha256.Sum256(a.Preimage[:]) != hash {
			return channels.Attempt{Stage: channels.Pending}, fmt.Errorf("payment %s: what lnd has for its preimage is another's", hash)
		}
		a.Stage, a.Fee = channels.Succeeded, ledger.Msat(p.FeeMsat)
	case lnrpc.Payment_FAILED:
		a.Stage, a.Reason = channels.Failed, reasons[p.FailureReason]
		if a.Reason == "" {
			a.Reason = "error"
		}
	}
	return a, nil
}

// request is what is asked of lnd for a payment. It refuses only what would be refused each time, so that nothing of the same
// hash can be on its way; an invoice that has expired meanwhile is not for here.
func (c *Client) request(p channels.Payment) (*routerrpc.SendPaymentRequest, error) {
	if p.Timeout < time.Second || p.Timeout > timeoutAtMost || p.FeeLimit > amountAtMost || p.Amount > amountAtMost {
		return nil, fmt.Errorf("a payment of %d msat with a fee of at most %d within %v: %w", p.Amount, p.FeeLimit, p.Timeout, channels.ErrRefused)
	}
	r := &routerrpc.SendPaymentRequest{
		AmtMsat: int64(p.Amount), FeeLimitMsat: int64(p.FeeLimit), TimeoutSeconds: int32(p.Timeout / time.Second),
		MaxParts: partsAtMost, NoInflightUpdates: true,
	}
	if p.Invoice != "" {
		i, err := c.Decode(p.Invoice)
		if err != nil {
			return nil, err
		}
		if i.Hash != p.Hash || (i.Amount == 0) == (p.Amount == 0) {
			return nil, fmt.Errorf("hash %s and %d msat for the invoice of %s and %d msat: %w", p.Hash, p.Amount, i.Hash, i.Amount, channels.ErrRefused)
		}
		r.PaymentRequest = i.Text
		return r, nil
	}
	key, err := hex.DecodeString(p.Payee)
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%q is not a node's key: %w", p.Payee, channels.ErrRefused)
	}
	if sha256.Sum256(p.Preimage[:]) != p.Hash || p.Amount == 0 {
		return nil, fmt.Errorf("a keysend of %d msat whose preimage is not that of %s, or of nothing: %w", p.Amount, p.Hash, channels.ErrRefused)
	}
	r.Dest, r.PaymentHash = key, p.Hash[:]
	r.DestFeatures = []lnrpc.FeatureBit{lnrpc.FeatureBit_TLV_ONION_OPT} // the node may not be in the graph
	r.DestCustomRecords = map[uint64][]byte{keysendRecord: p.Preimage[:]}
	for kind, value := range p.Records {
		if kind < firstRecord || kind == keysendRecord {
			return nil, fmt.Errorf("a record of type %d: %w", kind, channels.ErrRefused)
		}
		r.DestCustomRecords[kind] = value
	}
	return r, nil
}
