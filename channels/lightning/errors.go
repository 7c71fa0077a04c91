package lightning

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace/millrace/channels"
)

// unreachable are the codes by which gRPC, not lnd, says that there is no answer. Unauthenticated is a macaroon that cannot be
// read, and Unimplemented what lnd says of services that it has not started yet; Canceled is a server that ends.
var unreachable = map[codes.Code]bool{
	codes.Unavailable: true, codes.DeadlineExceeded: true, codes.Canceled: true,
	codes.Unauthenticated: true, codes.Unimplemented: true, codes.Aborted: true,
}

// texts say what lnd means. Nearly all that it refuses has the code Unknown, so that only the text tells; they are those of
// v0.21, and of btcd behind it. The first that is found counts.
var texts = []struct {
	text string
	err  error
}{
	// while lnd starts, waits for its password, or ends (rpcperms, lnd.go, and the services' own)
	{"waiting to start, RPC services not available", channels.ErrDown},
	{"wallet not created, create one", channels.ErrDown},
	{"wallet locked, unlock it", channels.ErrDown},
	{"in the process of starting", channels.ErrDown},
	{"shutting down", channels.ErrDown},
	{"has been shutdown", channels.ErrDown}, // also lnd's client of btcd
	{"unable to retrieve current height", channels.ErrDown},
	{"connection refused", channels.ErrDown}, // of btcd
	{"error reading from server", channels.ErrDown},

	// the macaroon (macaroons, bakery): the operator must see to it, and then it can be asked again
	{"permission denied", channels.ErrDown},
	{"verification failed", channels.ErrDown},
	{"cannot get macaroon", channels.ErrDown},
	{"expected 1 macaroon", channels.ErrDown},

	// payments (payments/db, lnrpc/routerrpc, routing)
	{"invoice is already paid", channels.ErrPaidBefore},
	{"payment isn't initiated", channels.ErrUnknownPayment},
	{"invoice expired", channels.ErrRefused},
	{"amount must be specified", channels.ErrRefused},
	{"amount must not be specified", channels.ErrRefused},
	{"self-payments not allowed", channels.ErrRefused},
	{"payment request must contain", channels.ErrRefused},
	{"invoice not for current active network", channels.ErrNetwork},
	{"unable to find a path to destination", channels.ErrNoRoute},
	{"insufficient local balance", channels.ErrNoRoute},

	// invoices (invoices)
	{"unable to locate invoice", channels.ErrUnknownPayment},
	{"there are no existing invoices", channels.ErrUnknownPayment},
	{"invoice already settled", channels.ErrPaidBefore},

	// the wallet (lnwallet, btcwallet)
	{"address is not for", channels.ErrNetwork},
	{"output is dust", channels.ErrDust},
	{"dust output", channels.ErrDust},
	{"insufficient funds available", channels.ErrFunds},
	{"not enough witness outputs", channels.ErrFunds},
	{"reserved wallet balance invalidated", channels.ErrFunds},
	{"transaction rejected: output already spent", channels.ErrConflict},
	{"rejected by the mempool because of low fees", channels.ErrFee},
	{"insufficient fee", channels.ErrFee},
	{"mempool min fee not met", channels.ErrFee},
	{"can not find transaction", channels.ErrNoTransaction},
}

// failed makes an error of package channels' words out of one of gRPC, and forgets which node this is when it was lost.
func (c *Client) failed(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil { // the caller's own end is told as that, too; what was asked may have been done
		return fmt.Errorf("lnd: %s: %w: %w", doing, channels.ErrDown, context.Cause(ctx))
	}
	if status.Code(err) == codes.Unavailable {
		c.known.Store(false)
	}
	return refusal(doing, err)
}

func refusal(doing string, err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("lnd: %s: %w", doing, err)
	}
	if word := word(s); word != nil {
		return fmt.Errorf("lnd: %s: %w: %s", doing, word, s.Message())
	}
	return fmt.Errorf("lnd: %s: %s", doing, s.Message())
}

// word is the sentinel of package channels for what lnd says, or nil.
func word(s *status.Status) error {
	if unreachable[s.Code()] {
		return channels.ErrDown
	}
	for _, t := range texts {
		if strings.Contains(s.Message(), t.text) {
			return t.err
		}
	}
	if s.Code() == codes.Internal { // a stream that broke; lnd does not use it
		return channels.ErrDown
	}
	return nil
}

// down says whether an error leaves open what became of a call.
func down(err error) bool { return errors.Is(err, channels.ErrDown) }
