package nwc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Code is why a request failed (NIP-47).
type Code string

const (
	RateLimited           Code = "RATE_LIMITED"
	NotImplemented        Code = "NOT_IMPLEMENTED"
	InsufficientBalance   Code = "INSUFFICIENT_BALANCE"
	QuotaExceeded         Code = "QUOTA_EXCEEDED"
	Restricted            Code = "RESTRICTED"
	Unauthorized          Code = "UNAUTHORIZED"
	Internal              Code = "INTERNAL"
	UnsupportedEncryption Code = "UNSUPPORTED_ENCRYPTION"
	Other                 Code = "OTHER"
	PaymentFailed         Code = "PAYMENT_FAILED"
	NotFound              Code = "NOT_FOUND"
)

// fault is what an application is told instead of a result.
type fault struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// request is what an application asks.
type request struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`

	event  eventID
	made   time.Time // as the event says: within maxAge of now, and maxAhead
	scheme scheme
}

// answer is what a response's content is.
type answer struct {
	Type   string `json:"result_type"`
	Error  *fault `json:"error"`
	Result any    `json:"result"`
}

const (
	maxAge    = 10 * time.Minute // of an event when it is seen
	maxAhead  = 5 * time.Minute  // that an application's clock may be ahead
	answerFor = 30 * time.Second // that a request may take, if it is not to pay
	maxAtOnce = 16               // requests of a connection; further ones are told to come again
)

// methodNames are what can be called, in the order in which applications are told.
var methodNames = [...]string{
	"pay_invoice", "pay_keysend", "make_invoice", "lookup_invoice", "list_transactions", "get_balance", "get_info", "get_budget",
}

// always are the methods that every connection has: what it is, it may know.
func always(method string) bool { return method == "get_info" || method == "get_budget" }

// call is a method. What it returns with done false is sent by somebody else.
type call func(s *Service, ctx context.Context, l *link, r *request) (result any, f *fault, done bool)

// method finds one of methodNames; nil: there is none.
func method(name string) call {
	switch name {
	case "pay_invoice":
		return (*Service).payInvoice
	case "pay_keysend":
		return (*Service).payKeysend
	case "make_invoice":
		return quick((*Service).makeInvoice)
	case "lookup_invoice":
		return quick((*Service).lookupInvoice)
	case "list_transactions":
		return quick((*Service).listTransactions)
	case "get_balance":
		return quick((*Service).getBalance)
	case "get_info":
		return quick((*Service).getInfo)
	case "get_budget":
		return quick((*Service).getBudget)
	}
	return nil
}

// Methods are what a connection can be made for.
func Methods() []string {
	return slices.DeleteFunc(slices.Clone(methodNames[:]), always)
}

// quick is a method whose answer is there when it returns.
func quick(f func(*Service, context.Context, *link, *request) (any, error)) call {
	return func(s *Service, ctx context.Context, l *link, r *request) (any, *fault, bool) {
		ctx, cancel := context.WithTimeout(ctx, answerFor)
		defer cancel()
		result, err := f(s, ctx, l, r)
		if err == nil {
			return result, nil, true
		}
		if told := (*faultError)(nil); errors.As(err, &told) {
			return nil, &told.fault, true
		}
		return nil, s.internal("answering "+r.Method, err), true
	}
}

// faultError is a fault on its way through errors.
type faultError struct{ fault }

func (e *faultError) Error() string { return string(e.Code) + ": " + e.Message }

func refuse(code Code, format string, args ...any) error {
	return &faultError{fault{code, fmt.Sprintf(format, args...)}}
}

// internal is what an application is told of an error that is none of its business.
func (s *Service) internal(doing string, err error) *fault {
	s.cfg.Logger.Error("a wallet's request failed", "doing", doing, "err", err)
	return &fault{Internal, "it cannot be done now"}
}

// handle answers one event, whose signature and connection are known to be right.
func (s *Service) handle(ctx context.Context, l *link, e *event) {
	how, ok := schemeOf(e)
	if !ok {
		s.respond(l, e.ID, nip44, "", nil, &fault{UnsupportedEncryption, "want one of: " + schemes})
		return
	}
	text, err := open(how, l.key, l.Client, e.Content)
	if err != nil {
		s.cfg.Logger.Debug("a request that cannot be opened", "connection", l.ID, "err", err)
		return // whoever tries keys out learns nothing
	}
	r := request{event: e.ID, made: time.Unix(e.Made, 0), scheme: how}
	if json.Unmarshal(text, &r) != nil || r.Method == "" {
		s.respond(l, e.ID, how, "", nil, &fault{Other, "not a request: want {\"method\":...,\"params\":{...}}"})
		return
	}
	result, f, done := s.call(ctx, l, &r)
	if done {
		s.respond(l, e.ID, how, r.Method, result, f)
	}
}

// call checks what the connection may do, and does it.
func (s *Service) call(ctx context.Context, l *link, r *request) (any, *fault, bool) {
	do := method(r.Method)
	if do == nil {
		return nil, &fault{NotImplemented, "there is no such method here"}, true
	}
	if f := l.enter(r.Method, s.cfg.Clock()); f != nil {
		return nil, f, true
	}
	defer l.leave()
	return do(s, ctx, l, r)
}

// enter lets a request in. leave must follow, if there is no fault.
func (l *link) enter(method string, now time.Time) *fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gone:
		return &fault{Unauthorized, "the connection was ended"}
	case l.expired(now):
		return &fault{Unauthorized, "the connection has expired"}
	case !l.may(method) && !always(method):
		return &fault{Restricted, "the connection is not for this"}
	case l.running >= maxAtOnce || !l.tokens.take(now):
		return &fault{RateLimited, "too many requests: try again in some seconds"}
	}
	l.running++
	return nil
}

func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
}

// respond sends a response.
func (s *Service) respond(l *link, to eventID, how scheme, method string, result any, f *fault) {
	a := answer{Type: method, Error: f, Result: result}
	if f != nil {
		a.Result = nil
	}
	s.metrics.requests.WithLabelValues(known(method), outcome(f)).Inc()
	text, err := json.Marshal(a)
	if err == nil {
		err = s.send(l, how, kindResponse, text, []string{"p", l.Client.String()}, []string{"e", to.String()})
	}
	if err != nil {
		s.cfg.Logger.Error("a response that cannot be sent", "connection", l.ID, "method", known(method), "err", err)
	}
}

// known keeps what strangers write out of metrics.
func known(method string) string {
	if slices.Contains(methodNames[:], method) {
		return method
	}
	return "unknown"
}

func outcome(f *fault) string {
	if f == nil {
		return "ok"
	}
	return string(f.Code)
}

// expires is when an event is not to be acted upon any more; false: it does not say, or what it says is no time.
func (e *event) expires() (time.Time, bool) {
	text, ok := e.tag("expiration")
	if !ok {
		return time.Time{}, false
	}
	at, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(at, 0), err == nil
}
