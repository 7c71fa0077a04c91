// Package lnurlp is the HTTP of lightning addresses and LNURLs (package channels/lnurl):
//
//	GET /.well-known/lnurlp/<name>          what can be paid to an account (LUD-06, LUD-16)
//	GET /.well-known/keysend/<name>         how to pay without an invoice
//	GET /lnurl/pay/<name>/callback          an invoice: ?amount=<msat>&comment=<text> (LUD-12)
//	GET /lnurl/verify/<token>               whether it was paid (LUD-21)
//	GET /lnurl/withdraw/<id>                what can be withdrawn by a link (LUD-03)
//	GET /lnurl/withdraw/<id>/callback       an invoice to pay: ?k1=<k1>&pr=<BOLT11>
//
// Errors are answers with status 200, as wallets expect them: {"status":"ERROR","reason":"..."}. Web pages may call all of it (LUD-01).
package lnurlp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fasthttp"
)

const (
	patience = 8 * time.Second // for an invoice to be made, or a withdrawal to be refused
	maxQuery = 4 << 10         // bytes
)

// Config is what a handler is made of.
type Config struct {
	Desk   *lnurl.Desk
	Links  *lnurl.Links
	Logger *slog.Logger // nil: nowhere
}

// Handler answers. Its methods may be called by any goroutine.
type Handler struct{ cfg Config }

// New makes a handler.
func New(cfg Config) *Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{cfg: cfg}
}

// Handles says whether a path is one of this package's.
func Handles(path string) bool {
	return strings.HasPrefix(path, "/.well-known/lnurlp/") || strings.HasPrefix(path, "/.well-known/keysend/") || strings.HasPrefix(path, "/lnurl/")
}

// Handle answers a request whose path Handles.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Access-Control-Allow-Origin", "*")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	switch {
	case ctx.IsOptions():
		ctx.Response.Header.Set("Access-Control-Allow-Methods", "GET, OPTIONS")
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	case !ctx.IsGet() && !ctx.IsHead():
		ctx.Response.Header.Set("Allow", "GET, OPTIONS")
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
	}
	answer, err := h.answer(ctx)
	if err != nil {
		answer = lnurl.Failed(h.reason(ctx, err))
	}
	body, err := json.Marshal(answer)
	if err != nil {
		h.cfg.Logger.Error("an answer that is no JSON", "err", err)
		ctx.SetStatusCode(fasthttp.StatusInternalServerError)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

var (
	errMethod = errors.New("want GET")
	errPath   = errors.New("there is nothing here")
	errQuery  = errors.New("the parameters are missing or too long")
)

// answer is what is said to one request.
func (h *Handler) answer(ctx *fasthttp.RequestCtx) (any, error) {
	if !ctx.IsGet() && !ctx.IsHead() {
		return nil, errMethod
	}
	path, args := string(ctx.Path()), ctx.QueryArgs()
	if len(ctx.URI().QueryString()) > maxQuery {
		return nil, errQuery
	}
	within, cancel := context.WithTimeout(context.Background(), patience) // a request has no end of its own: fasthttp does not tell who left
	defer cancel()
	if name, ok := strings.CutPrefix(path, "/.well-known/lnurlp/"); ok {
		return h.cfg.Desk.Offer(name)
	}
	if name, ok := strings.CutPrefix(path, "/.well-known/keysend/"); ok {
		return h.cfg.Desk.Keysend(name)
	}
	if token, ok := strings.CutPrefix(path, "/lnurl/verify/"); ok {
		return h.cfg.Desk.Verify(within, token)
	}
	if rest, ok := strings.CutPrefix(path, "/lnurl/pay/"); ok {
		name, callback := strings.CutSuffix(rest, "/callback")
		amount, err := strconv.ParseUint(string(args.Peek("amount")), 10, 64)
		switch {
		case !callback:
			return nil, errPath
		case err != nil:
			return nil, errQuery
		}
		return h.cfg.Desk.Answer(within, name, ledger.Msat(amount), string(args.Peek("comment")))
	}
	if rest, ok := strings.CutPrefix(path, "/lnurl/withdraw/"); ok {
		id, callback := strings.CutSuffix(rest, "/callback")
		if !callback {
			return h.cfg.Links.Request(id)
		}
		return lnurl.OK(), h.cfg.Links.Withdraw(within, id, string(args.Peek("k1")), string(args.Peek("pr")))
	}
	return nil, errPath
}

// told are the errors whose text is for strangers; all others are the hub's own business.
var told = [...]error{
	errMethod, errPath, errQuery, lnurl.ErrNoName, lnurl.ErrAmount, lnurl.ErrComment, lnurl.ErrBusy, lnurl.ErrNoLink, lnurl.ErrUsed, lnurl.ErrWrongK1,
	channels.ErrNoItem, channels.ErrBalance, channels.ErrInvoice, channels.ErrExpired, channels.ErrInTransit, channels.ErrPaidBefore, channels.ErrNetwork,
}

func (h *Handler) reason(ctx *fasthttp.RequestCtx, err error) string {
	for _, e := range told {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	if errors.Is(err, channels.ErrNotAllowed) {
		return "the operator's rules do not allow it"
	}
	h.cfg.Logger.Error("an LNURL request failed", "path", string(ctx.Path()), "err", err)
	return "it cannot be done now: try again later"
}
