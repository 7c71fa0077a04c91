package lightning

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/channels"
)

// TestWords: what lnd v0.21.2 and the btcd behind it were seen to say.
func TestWords(t *testing.T) {
	for _, c := range []struct {
		code codes.Code
		text string
		want error // nil: no word for it
	}{
		{codes.AlreadyExists, "invoice is already paid", channels.ErrPaidBefore},
		{codes.NotFound, "payment isn't initiated", channels.ErrUnknownPayment},
		{codes.NotFound, "unable to locate invoice", channels.ErrUnknownPayment},
		{codes.NotFound, "there are no existing invoices", channels.ErrUnknownPayment},
		{codes.Unknown, "invoice already settled", channels.ErrPaidBefore},
		{codes.Unknown, "invoice expired. Valid until 2026-11-20 12:00:00 +0000 UTC", channels.ErrRefused},
		{codes.Unknown, "amount must be specified when paying a zero amount invoice", channels.ErrRefused},
		{codes.Unknown, "amount must not be specified when paying a non-zero amount invoice", channels.ErrRefused},
		{codes.Unknown, "self-payments not allowed", channels.ErrRefused},
		{codes.Unknown, "invoice not for current active network 'simnet'", channels.ErrNetwork},
		{codes.Unknown, "unable to find a path to destination", channels.ErrNoRoute},
		{codes.Unknown, "insufficient local balance", channels.ErrNoRoute},
		{codes.Unknown, "wallet couldn't fund PSBT: transaction output is dust", channels.ErrDust},
		{codes.Unknown, "wallet couldn't fund PSBT: error creating funding TX: insufficient funds available to construct transaction", channels.ErrFunds},
		{codes.Unknown, "reserved wallet balance invalidated: transaction would leave insufficient funds for fee bumping anchor channel closings (see debug log for details)",
			channels.ErrFunds},
		{codes.Unknown, "address is not for simnet", channels.ErrNetwork},
		{codes.Unknown, "transaction rejected: output already spent", channels.ErrConflict},
		{codes.Unknown, "transaction rejected by the mempool because of low fees: min relay fee not met", channels.ErrFee},
		{codes.Unknown, "insufficient fee", channels.ErrFee},
		{codes.Unknown, "can not find transaction: txid 00..01", channels.ErrNoTransaction},

		{codes.Unavailable, "error reading from server: EOF", channels.ErrDown},
		{codes.Unavailable, "connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused\"", channels.ErrDown},
		{codes.DeadlineExceeded, "context deadline exceeded", channels.ErrDown},
		{codes.Canceled, "context canceled", channels.ErrDown},
		{codes.Unauthenticated, "transport: per-RPC creds failed due to error: lnd's macaroon: open x: no such file or directory", channels.ErrDown},
		{codes.Unimplemented, "unknown service walletrpc.WalletKit", channels.ErrDown},
		{codes.Internal, "stream terminated by RST_STREAM with error code: INTERNAL_ERROR", channels.ErrDown},
		{codes.Unknown, "waiting to start, RPC services not available", channels.ErrDown},
		{codes.Unknown, "wallet locked, unlock it to enable full RPC access", channels.ErrDown},
		{codes.Unknown, "wallet not created, create one to enable full RPC access", channels.ErrDown},
		{codes.Unknown, "the RPC server is in the process of starting up, but not yet ready to accept calls", channels.ErrDown},
		{codes.Unknown, "server is still in the process of starting", channels.ErrDown},
		{codes.Unknown, "routerrpc server shutting down", channels.ErrDown},
		{codes.Unknown, "the client has been shutdown", channels.ErrDown},

		{codes.Unknown, "permission denied", channels.ErrDown},
		{codes.Unknown, "verification failed: signature mismatch after caveat verification", channels.ErrDown},
		{codes.Unknown, "cannot get macaroon: root key with id 0 doesn't exist", channels.ErrDown},

		{codes.Unknown, "tx size", nil},
		{codes.ResourceExhausted, "grpc: received message larger than max", nil},
		{codes.Unknown, "something that nobody has seen", nil},
	} {
		s := status.New(c.code, c.text)
		if got := word(s); got != c.want {
			t.Errorf("%s: %s: %v; want %v", c.code, c.text, got, c.want)
		}
		err := refusal("asking", s.Err())
		if c.want != nil && !errors.Is(err, c.want) || down(err) != (c.want == channels.ErrDown) {
			t.Errorf("%s: %s: %v", c.code, c.text, err)
		}
	}
}

// TestFailed: who ends a call is told so, and what came of it is not known.
func TestFailed(t *testing.T) {
	c := &Client{}
	c.known.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.failed(ctx, "asking", status.Error(codes.Unknown, "tx size")); down(err) || !c.known.Load() {
		t.Error(err)
	}
	if err := c.failed(ctx, "asking", status.Error(codes.DeadlineExceeded, "")); !down(err) || !c.known.Load() {
		t.Error(err)
	}
	if err := c.failed(ctx, "asking", status.Error(codes.Unavailable, "")); !down(err) || c.known.Load() {
		t.Error(err)
	}
	cancel()
	if err := c.failed(ctx, "asking", status.Error(codes.Canceled, "")); !down(err) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
