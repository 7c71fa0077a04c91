package nwc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const (
	payFor    = 90 * time.Second // that somebody waits for a payment; sweep goes on with it
	beginBy   = 60 * time.Second // from when it was asked for: a payment that is not under way by then is none
	keepRows  = 24 * time.Hour   // far longer than maxAge
	maxOpen   = 16               // payments of a connection of which nobody knows the end
	sweepWait = 20 * time.Second
	lookFor   = 200 * time.Millisecond // that a sweep waits for each
	maxWaits  = 4096                   // payments that somebody waits for, some 8 KiB each
)

// payment is what became of a request to pay. It is a record, and all that a response is made of.
type payment struct {
	Event    eventID        `json:"event"`
	Method   string         `json:"method"`
	Scheme   scheme         `json:"scheme"`
	Made     int64          `json:"made"`   // milliseconds since 1970
	Period   int64          `json:"period"` // that it was reserved in
	Reserved ledger.Msat    `json:"reserved"`
	Order    channels.Order `json:"order"`
	Over     bool           `json:"over"`
	Fault    *fault         `json:"fault,omitempty"` // of one that failed
	Preimage channels.Hash  `json:"preimage"`
	Fee      ledger.Msat    `json:"fee"`

	busy bool // a request or a sweep is at it
}

func paymentKey(id string, e eventID) []byte { return append([]byte("nwc/payment/"+id), e[:]...) }

// response is what the application is told.
func (p *payment) response() (any, *fault) {
	if p.Fault != nil {
		return nil, p.Fault
	}
	return payResult{Preimage: p.Preimage, Fees: p.Fee}, nil
}

type payResult struct {
	Preimage channels.Hash `json:"preimage"`
	Fees     ledger.Msat   `json:"fees_paid"`
}

// pay reserves a payment and has it made. Done is false if it is under way: the response is sent by whoever learns how it ended. It is false,
// too, if records fail: a response would say too much, since nobody knows whether the next process finds the payment.
//
// What was asked for before the process began, and is not written down, is not begun: the process before may have refused it, and its
// application may have asked again.
func (s *Service) pay(l *link, r *request, o channels.Order, amount ledger.Msat) (result any, f *fault, done bool) {
	now := s.cfg.Clock()
	p := &payment{Event: r.event, Method: r.Method, Scheme: r.scheme, Made: now.UnixMilli(), Order: o, busy: true}
	p.Order.Key = "nwc/" + l.ID + "/" + r.event.String()
	p.Order.FeeLimit = s.cfg.Fee(amount)
	p.Order.Until = r.made.Add(beginBy).UTC()
	old, err := s.begin(l, p, amount, now)
	switch told := (*faultError)(nil); {
	case errors.As(err, &told):
		return nil, &told.fault, true
	case errors.Is(err, errBefore):
		return nil, nil, false
	case err != nil:
		s.cfg.Logger.Error("a payment is not begun", "connection", l.ID, "event", p.Event.String(), "err", err)
		return nil, nil, false
	case old == nil:
		s.follow(l, p)
		return nil, nil, false
	case !old.Over:
		return nil, nil, false // it is being paid
	}
	result, f = old.response()
	return result, f, true
}

var errBefore = errors.New("it was asked for before the process began")

// follow waits for a payment's end where there is room for another that waits; sweep does it otherwise, and with what takes longer.
func (s *Service) follow(l *link, p *payment) {
	select {
	case s.waits <- struct{}{}:
		s.running.Go(func() {
			defer func() { <-s.waits }()
			s.takeUp(s.ctx, l, p, payFor)
		})
	default:
		l.mu.Lock()
		defer l.mu.Unlock()
		p.busy = false
	}
}

// begin reserves a payment, or finds the one that there is of the same event.
func (s *Service) begin(l *link, p *payment, amount ledger.Msat, now time.Time) (old *payment, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if open := l.open[p.Event]; open != nil {
		return open, nil
	}
	text, err := s.cfg.Records.Get(paymentKey(l.ID, p.Event))
	if err != nil {
		return nil, fmt.Errorf("reading a payment: %w", err)
	}
	if text != nil {
		old = new(payment)
		if err := json.Unmarshal(text, old); err != nil {
			return nil, fmt.Errorf("reading a payment: %w", err)
		}
		return old, nil
	}
	if !p.Order.Until.Add(-beginBy).After(s.began) {
		return nil, errBefore
	}
	if len(l.open) >= maxOpen {
		return nil, refuse(RateLimited, "too many payments are under way")
	}
	if err := l.reserve(s.cfg.Records, p, amount, now); errors.Is(err, errQuota) {
		return nil, refuse(QuotaExceeded, "the connection's budget does not allow it")
	} else if err != nil {
		return nil, fmt.Errorf("reserving a payment: %w", err)
	}
	return nil, nil
}

// attempt orders a payment, for the first time or again, and writes down what came of it. The end is nil if nobody knows it yet. Nobody
// else may be at it: see busy.
func (s *Service) attempt(ctx context.Context, l *link, p *payment) (end *payment, err error) {
	item, err := s.cfg.Wallet.Pay(ctx, l.Account, p.Order)
	l.mu.Lock()
	defer l.mu.Unlock()
	p.busy = false
	var cost ledger.Msat
	over := *p
	switch {
	case channels.NotOrdered(err):
		over.Fault = refusal(err)
	case err != nil:
		return nil, err
	case item.State == channels.Settled:
		over.Preimage, over.Fee, cost = item.Preimage, item.Fee, item.Amount+item.Fee
	case item.State == channels.GaveBack:
		over.Fault = &fault{PaymentFailed, "the payment did not arrive: " + item.Reason}
	default:
		return nil, nil
	}
	over.Over = true
	if err := l.settle(s.cfg.Records, over, cost); err != nil {
		return nil, fmt.Errorf("writing down what came of a payment: %w", err)
	}
	return &over, nil
}

// refusal is an error of an order, as an application is told it.
func refusal(err error) *fault {
	for _, f := range [...]struct {
		err  error
		code Code
	}{
		{channels.ErrBalance, InsufficientBalance},
		{channels.ErrPaidBefore, PaymentFailed},
		{channels.ErrInTransit, PaymentFailed},
		{channels.ErrExpired, PaymentFailed},
		{channels.ErrNetwork, Other},
		{channels.ErrInvoice, Other},
	} {
		if errors.Is(err, f.err) {
			return &fault{f.code, f.err.Error()}
		}
	}
	return &fault{Other, "it is not allowed now"}
}

// sweep goes on, from time to time, with payments that took longer than their requests or that a crash has left, and answers them.
func (s *Service) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		for _, l := range s.all() {
			for _, p := range l.idle() {
				s.takeUp(ctx, l, p, lookFor)
			}
		}
		s.purge()
		select {
		case <-ctx.Done():
		case <-s.cfg.After(sweepWait):
		}
	}
}

// idle are the payments that nobody is at, and from now on the caller.
func (l *link) idle() (all []*payment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.open {
		if !p.busy {
			p.busy = true
			all = append(all, p)
		}
	}
	return all
}

// takeUp orders a payment and answers it when it is over.
func (s *Service) takeUp(ctx context.Context, l *link, p *payment, most time.Duration) {
	each, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	end, err := s.attempt(each, l, p)
	if err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("a payment's end is not known yet", "connection", l.ID, "event", p.Event.String(), "err", err)
	}
	if end != nil {
		result, f := end.response()
		s.respond(l, end.Event, end.Scheme, end.Method, result, f)
	}
}
