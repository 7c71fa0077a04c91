package lndhub

import (
	"errors"

	"github.com/millrace/millrace/channels"
)

// failure is what wallets are told instead of an answer. 1 makes them log in again; the others they only show.
type failure struct {
	Error   bool   `json:"error"`
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Codes as LndHub has them. Its document ends with 7; its server goes on.
const (
	badAuth      = 1
	noBalance    = 2
	badPartner   = 3
	badInvoice   = 4
	noRoute      = 5
	serverFault  = 6
	nodeFault    = 7
	badArguments = 8
	inTransit    = 9
	notPaid      = 10
)

var (
	errAuth      = errors.New("bad auth")
	errArguments = errors.New("bad arguments")
	errPath      = errors.New("there is nothing at this path")
	errTransit   = errors.New("the payment is on its way: do not pay it in another way")
	errNoRoute   = errors.New("the payment failed, and no money has left: there is no way to the receiver")
	errNotPaid   = errors.New("the payment failed, and no money has left")
)

// codes are the errors that wallets are told, and with which code. All others are the hub's own business.
var codes = [...]struct {
	err  error
	code int
	text string // empty: the error's own
}{
	{errAuth, badAuth, ""},
	{ErrPartner, badPartner, ""},
	{errArguments, badArguments, ""},
	{errPath, badArguments, ""},
	{errTransit, inTransit, ""},
	{errNoRoute, noRoute, ""},
	{errNotPaid, notPaid, ""},
	{channels.ErrBalance, noBalance, "not enough balance: leave some for fees"},
	{channels.ErrInTransit, inTransit, ""},
	{channels.ErrPaidBefore, badInvoice, "the invoice was paid before"},
	{channels.ErrExpired, badInvoice, "the invoice has expired"},
	{channels.ErrNetwork, badInvoice, "the invoice is of another network"},
	{channels.ErrInvoice, badInvoice, "not a valid invoice"},
	{channels.ErrNotAllowed, serverFault, "it is not allowed now"},
	{channels.ErrNoItem, badArguments, "there is no such invoice"},
}

func (h *Handler) told(r *request, err error) failure {
	for _, c := range codes {
		if !errors.Is(err, c.err) {
			continue
		}
		if c.text == "" {
			c.text = c.err.Error()
		}
		return failure{true, c.code, c.text}
	}
	h.cfg.Logger.Error("a wallet's request failed", "path", string(r.http.Path()), "err", err)
	return failure{true, nodeFault, "it cannot be done now: try again later"}
}
