// Package lndhub is the LndHub API as BlueWallet and Zeus call it, so that a phone's wallet works with an account of the hub. There is no
// specification that holds: what these two send and read is the contract (BlueWallet's lightning-custodian-wallet.ts, Zeus' LndHub.ts),
// and where they leave it open, what getAlby/lndhub.go does.
//
//	POST /create                 {partnerid, accounttype}              {login, password}
//	POST /auth                   {login, password} or {refresh_token}  {access_token, refresh_token}
//	GET  /balance                                                      {BTC: {AvailableBalance}}
//	GET  /gettxs                 ?limit&offset                         payments, and what came on-chain, the newest first
//	GET  /getuserinvoices        ?limit                                invoices, the newest last
//	GET  /getpending                                                   what comes on-chain
//	GET  /getbtc                                                       [{address}]
//	POST /addinvoice             {amt, memo, description_hash}         {r_hash, payment_request, pay_req}
//	POST /payinvoice             {invoice, amount}                     the preimage
//	GET  /decodeinvoice          ?invoice                              what is in it
//	GET  /checkpayment/<hash>                                          {paid}
//	GET  /getinfo                                                      the node
//
// Errors are answers with status 200: {error: true, code, message}. Money is in whole satoshis: what one has is rounded down, what one pays
// up. The account has no other login than these: a wallet's password opens this API, and nothing else of the hub. An account's holder makes
// logins (Issue); /create makes an account with its first one, for those partners that Config.Open lets: by default for none.
//
// # Payments
//
// /payinvoice has no id and no end: Zeus gives up after 60 seconds and shows a button to try again, while the payment may still be under
// way. So what makes a payment one is the invoice's hash: to pay an invoice again is to ask how it went, until it has failed. After
// patience the answer is that it is on its way.
//
// # Records
//
//	lndhub/secret                          32 bytes: tokens are signed with them
//	lndhub/login/<login>                   a Login; logins are 20 hexadecimal digits
//	lndhub/logins/<account, 4 bytes><login>  empty but for a mark: the logins of an account
package lndhub

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fasthttp"
)

// Wallet is an account's money.
type Wallet interface {
	Balance(account ledger.AccountNo) (ledger.Msat, error)
	// Address is where the account can be paid on-chain.
	Address(ctx context.Context, account ledger.AccountNo) (string, error)
	Invoice(ctx context.Context, account ledger.AccountNo, n channels.NewInvoice) (channels.Item, error)
	// Pay makes the payment that an order is, or finds the one that there is under its key, and waits until it is settled or failed or the
	// context ends: then it is pending, and no error. An error may say that there is no payment: channels.NotOrdered.
	Pay(ctx context.Context, account ledger.AccountNo, o channels.Order) (channels.Item, error)
}

// History is what an account's money has done.
type History interface {
	// Item is an invoice of the account's or a payment that it makes; channels.ErrNoItem.
	Item(ctx context.Context, account ledger.AccountNo, hash channels.Hash) (channels.Item, error)
	// Outgoing is the newest payment that the account makes to a payment hash; channels.ErrNoItem.
	Outgoing(account ledger.AccountNo, hash channels.Hash) (channels.Item, error)
	// Items calls f, the newest first, until it returns false.
	Items(account ledger.AccountNo, filter channels.Filter, f func(channels.Item) bool) error
}

// Info is who the node is.
type Info struct {
	Key     string // in hex
	Alias   string
	URIs    []string // key@host:port
	Network string   // mainnet, testnet, signet, simnet or regtest
	Height  uint32
	Synced  bool
	Version string
}

// Config is what a handler is made of.
type Config struct {
	Records channels.Records
	Wallet  Wallet
	History History
	Decode  func(invoice string) (channels.Invoice, error) // of our network; channels.ErrNetwork
	Fee     func(amount ledger.Msat) ledger.Msat           // the most that a payment may cost beside
	Info    func(context.Context) (Info, error)
	// Open opens an account for whom a partner sends, if he may; ErrPartner: he may not. nil: nobody may.
	Open   func(partner string) (ledger.AccountNo, error)
	Prefix string           // before all paths, without a slash at its end: /lndhub
	Logger *slog.Logger     // nil: nowhere
	Clock  func() time.Time // nil: the machine's
}

// ErrPartner is what a partner's account is refused with.
var ErrPartner = errors.New("this hub opens no accounts for this partner")

const (
	maxBody   = 16 << 10 // bytes
	patience  = 50 * time.Second
	answerFor = 20 * time.Second // that anything but a payment may take
	beginBy   = 60 * time.Second // a payment that is not under way by then is none: its wallet has given up

	maxWaiting     = 256 // payments that somebody waits for, each a connection; with further ones the answer is that they are under way
	maxWaitingEach = 8   // of an account
	briefly        = time.Second
)

// Handler answers. Its methods may be called by any goroutine.
type Handler struct {
	cfg    Config
	secret []byte
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting map[ledger.AccountNo]int
	total   int        // of waiting
	logins  sync.Mutex // of making one, from counting to writing
}

// New makes a handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Open == nil {
		cfg.Open = func(string) (ledger.AccountNo, error) { return 0, ErrPartner }
	}
	if cfg.Records == nil || cfg.Wallet == nil || cfg.History == nil || cfg.Decode == nil || cfg.Fee == nil || cfg.Info == nil {
		return nil, errors.New("lndhub: records, wallet, history, Decode, Fee or Info are missing")
	}
	secret, err := readSecret(cfg.Records)
	if err != nil {
		return nil, err
	}
	h := &Handler{cfg: cfg, secret: secret, waiting: make(map[ledger.AccountNo]int)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// Close ends waits for payments, which go on without.
func (h *Handler) Close() { h.cancel() }

// Handles says whether a path is one of this handler's.
func (h *Handler) Handles(path string) bool { return strings.HasPrefix(path, h.cfg.Prefix+"/") }

// request is one request under way.
type request struct {
	ctx     context.Context
	http    *fasthttp.RequestCtx
	account ledger.AccountNo // zero: nobody's
	name    string           // behind the path, if it ends in one
}

// Handle answers a request whose path Handles.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Cache-Control", "no-store")
	within, cancel := context.WithTimeout(h.ctx, answerFor)
	defer cancel()
	r := &request{ctx: within, http: ctx}
	answer, err := h.route(r)
	if err != nil {
		answer = h.told(r, err)
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

// route finds out what is asked for, and who asks.
func (h *Handler) route(r *request) (any, error) {
	path := strings.TrimPrefix(string(r.http.Path()), h.cfg.Prefix)
	if rest, ok := strings.CutPrefix(path, "/checkpayment/"); ok {
		path, r.name = "/checkpayment/", rest
	}
	if len(r.http.PostBody()) > maxBody {
		return nil, errArguments
	}
	method := string(r.http.Method())
	switch method + " " + path {
	case "POST /create":
		return h.create(r)
	case "POST /auth":
		return h.auth(r)
	}
	var err error
	if r.account, err = h.authorized(r); err != nil {
		return nil, err
	}
	switch method + " " + path {
	case "GET /balance":
		return h.balance(r)
	case "GET /gettxs":
		return h.transactions(r)
	case "GET /getuserinvoices":
		return h.invoices(r)
	case "GET /getpending":
		return h.pending(r)
	case "GET /getbtc":
		return h.address(r)
	case "POST /addinvoice":
		return h.addInvoice(r)
	case "POST /payinvoice":
		return h.payInvoice(r)
	case "GET /decodeinvoice":
		return h.decodeInvoice(r)
	case "GET /checkpayment/":
		return h.checkPayment(r)
	case "GET /getinfo":
		return h.info(r)
	}
	return nil, errPath
}
