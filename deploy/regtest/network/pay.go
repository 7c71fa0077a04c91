package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/millrace/millrace/deploy/regtest/process"
	"google.golang.org/grpc"
)

const (
	payMost       = 60         // for how long a payment looks for ways, in seconds
	keysendRecord = 5482373484 // the type of the record with a keysend's preimage
)

// Invoice makes one, in BOLT11. An amount of zero, in msat, leaves it to the payer.
func (l *Lightning) Invoice(ctx context.Context, msat int64, memo string) (string, error) {
	r, err := l.RPC().AddInvoice(ctx, &lnrpc.Invoice{ValueMsat: msat, Memo: memo})
	if err != nil {
		return "", fmt.Errorf("%s: an invoice: %w", l.Name, err)
	}
	return r.PaymentRequest, nil
}

// Hold makes an invoice whose payment stays on its way until Settle or Release.
func (l *Lightning) Hold(ctx context.Context, hash [32]byte, msat int64) (string, error) {
	r, err := invoicesrpc.NewInvoicesClient(l.Conn()).AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{Hash: hash[:], ValueMsat: msat})
	if err != nil {
		return "", fmt.Errorf("%s: a hold invoice: %w", l.Name, err)
	}
	return r.PaymentRequest, nil
}

// Held waits until the payment of a hold invoice has come in.
func (l *Lightning) Held(ctx context.Context, hash [32]byte) error {
	return process.Until(ctx, l.Name+" holds the payment", func(ctx context.Context) (bool, error) {
		i, err := l.RPC().LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})
		return err == nil && i.State == lnrpc.Invoice_ACCEPTED, err
	})
}

// Settle takes the payment that a hold invoice holds, by the preimage of its hash.
func (l *Lightning) Settle(ctx context.Context, preimage [32]byte) error {
	if _, err := invoicesrpc.NewInvoicesClient(l.Conn()).SettleInvoice(ctx, &invoicesrpc.SettleInvoiceMsg{Preimage: preimage[:]}); err != nil {
		return fmt.Errorf("%s: settling: %w", l.Name, err)
	}
	return nil
}

// Cancel gives the payment back that a hold invoice holds, or ends an invoice that is not paid.
func (l *Lightning) Cancel(ctx context.Context, hash [32]byte) error {
	if _, err := invoicesrpc.NewInvoicesClient(l.Conn()).CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]}); err != nil {
		return fmt.Errorf("%s: cancelling: %w", l.Name, err)
	}
	return nil
}

// Paid is a payment that has arrived. Amounts are in msat.
type Paid struct {
	Preimage string // in hex
	Amount   int64
	Fee      int64
}

// Pay pays an invoice and waits for the end. msat is for one without an amount, otherwise zero. A payment that fails is an error.
func (l *Lightning) Pay(ctx context.Context, invoice string, msat int64) (Paid, error) {
	return l.pay(ctx, &routerrpc.SendPaymentRequest{PaymentRequest: invoice, AmtMsat: msat})
}

func (l *Lightning) pay(ctx context.Context, r *routerrpc.SendPaymentRequest) (paid Paid, err error) {
	r.TimeoutSeconds, r.FeeLimitMsat, r.NoInflightUpdates = payMost, 1<<40, true
	stream, err := routerrpc.NewRouterClient(l.Conn()).SendPaymentV2(ctx, r)
	if err != nil {
		return paid, fmt.Errorf("%s: paying: %w", l.Name, err)
	}
	return l.await(stream)
}

// Track waits for the end of a payment that was sent before.
func (l *Lightning) Track(ctx context.Context, hash [32]byte) (paid Paid, err error) {
	stream, err := routerrpc.NewRouterClient(l.Conn()).TrackPaymentV2(ctx, &routerrpc.TrackPaymentRequest{PaymentHash: hash[:], NoInflightUpdates: true})
	if err != nil {
		return paid, fmt.Errorf("%s: following a payment: %w", l.Name, err)
	}
	return l.await(stream)
}

func (l *Lightning) await(stream grpc.ServerStreamingClient[lnrpc.Payment]) (paid Paid, err error) {
	for {
		p, err := stream.Recv()
		if err != nil {
			return paid, fmt.Errorf("%s: paying: %w", l.Name, err)
		}
		switch p.Status {
		case lnrpc.Payment_SUCCEEDED:
			return Paid{Preimage: p.PaymentPreimage, Amount: p.ValueMsat, Fee: p.FeeMsat}, nil
		case lnrpc.Payment_FAILED:
			return paid, fmt.Errorf("%s: paying: %s", l.Name, p.FailureReason)
		}
	}
}

// Keysend pays a node without an invoice. records go with it, under keys from 65536 on (BOLT 1).
func (l *Lightning) Keysend(ctx context.Context, to string, preimage [32]byte, msat int64, records map[uint64][]byte) (Paid, error) {
	key, err := decodeKey(to)
	if err != nil {
		return Paid{}, err
	}
	all := map[uint64][]byte{keysendRecord: preimage[:]}
	maps.Copy(all, records)
	hash := sha256.Sum256(preimage[:])
	return l.pay(ctx, &routerrpc.SendPaymentRequest{Dest: key, AmtMsat: msat, PaymentHash: hash[:], DestCustomRecords: all, FinalCltvDelta: 144})
}

func decodeKey(key string) ([]byte, error) {
	b, err := hex.DecodeString(key)
	if err != nil || len(b) != 33 {
		return nil, fmt.Errorf("%q is not a node's key", key)
	}
	return b, nil
}
