package lndhub

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// paid is the answer to a payment. Bytes are as Node writes a Buffer, where LndHub's own server has them so.
type paid struct {
	Error       string  `json:"payment_error"` // always empty
	Preimage    *buffer `json:"payment_preimage,omitempty"`
	Hash        *buffer `json:"payment_hash"`
	Request     string  `json:"payment_request"`
	PayReq      string  `json:"pay_req"`
	Amount      int64   `json:"num_satoshis"`
	Description string  `json:"description"`
	DescHash    string  `json:"description_hash"`
	Route       route   `json:"payment_route"`
}

type route struct {
	Amount     int64      `json:"total_amt"`
	Fees       int64      `json:"total_fees"`
	AmountMsat int64      `json:"total_amt_msat"`
	FeesMsat   int64      `json:"total_fees_msat"`
	Hops       []struct{} `json:"hops"`
}

func (h *Handler) payInvoice(r *request) (any, error) {
	var in struct {
		Invoice string `json:"invoice"`
		Amount  sats   `json:"amount"`
	}
	if err := r.body(&in); err != nil {
		return nil, err
	}
	invoice, err := h.cfg.Decode(strings.ToLower(strings.TrimSpace(in.Invoice)))
	if err != nil {
		return nil, err
	}
	o := channels.Order{Invoice: invoice.Text, Until: h.cfg.Clock().Add(beginBy)}
	amount := invoice.Amount
	if amount == 0 { // otherwise what the wallet says beside does not matter: they send zero, or the same
		if amount = ledger.Msat(in.Amount) * 1000; amount == 0 || amount > ledger.MaxMsat {
			return nil, fmt.Errorf("%w: the invoice has no amount", errArguments)
		}
		o.Amount = amount
	}
	o.FeeLimit = h.cfg.Fee(amount)
	if o.Key, err = h.key(r.account, invoice.Hash); err != nil {
		return nil, err
	}
	ctx, done := h.wait(r.account)
	defer done()
	item, err := h.cfg.Wallet.Pay(ctx, r.account, o)
	switch {
	case errors.Is(err, channels.ErrPaidBefore), errors.Is(err, channels.ErrInTransit):
		// perhaps by this account, in another way: then it is what was asked for
		other, errOther := h.cfg.History.Outgoing(r.account, invoice.Hash)
		if errOther != nil {
			return nil, err
		}
		item = other
	case err != nil:
		return nil, err
	}
	switch {
	case item.State == channels.Settled:
		return paidBy(&item, &invoice), nil
	case item.State == channels.GaveBack && item.Reason == "no_route":
		return nil, errNoRoute
	case item.State == channels.GaveBack:
		return nil, errNotPaid
	}
	return nil, errTransit
}

// key is the order's: of the try that is under way or has succeeded, or of the next one after the last has failed. Of calls at the same time
// all come to the same.
func (h *Handler) key(account ledger.AccountNo, hash channels.Hash) (string, error) {
	prefix, try := "lndhub/"+hash.String()+"/", 1
	last, err := h.cfg.History.Outgoing(account, hash)
	if err != nil && !errors.Is(err, channels.ErrNoItem) {
		return "", err
	}
	if text, ours := strings.CutPrefix(last.Key, prefix); err == nil && ours {
		if try, err = strconv.Atoi(text); err != nil {
			return "", fmt.Errorf("lndhub: the payment's key %q: %w", last.Key, err)
		}
		if last.State == channels.GaveBack {
			try++
		}
	}
	return prefix + strconv.Itoa(try), nil
}

// wait is how long a wallet is kept waiting for a payment: long, where there is room for another that waits.
func (h *Handler) wait(account ledger.AccountNo) (ctx context.Context, done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= maxWaiting || h.waiting[account] >= maxWaitingEach {
		return context.WithTimeout(h.ctx, briefly)
	}
	h.total++
	h.waiting[account]++
	ctx, cancel := context.WithTimeout(h.ctx, patience)
	return ctx, func() {
		cancel()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.total--
		if h.waiting[account]--; h.waiting[account] == 0 {
			delete(h.waiting, account)
		}
	}
}

func paidBy(i *channels.Item, invoice *channels.Invoice) *paid {
	p := &paid{
		Hash: (*buffer)(&i.Hash), Request: invoice.Text, PayReq: invoice.Text, Amount: up(i.Amount), Description: invoice.Description,
		DescHash: hex.EncodeToString(invoice.DescHash),
		Route: route{
			Amount: up(i.Amount + i.Fee), Fees: up(i.Fee), AmountMsat: int64(i.Amount + i.Fee), FeesMsat: int64(i.Fee), Hops: []struct{}{},
		},
	}
	if i.Preimage != (channels.Hash{}) {
		p.Preimage = (*buffer)(&i.Preimage)
	}
	return p
}

func (h *Handler) addInvoice(r *request) (any, error) {
	var in struct {
		Amount   *sats  `json:"amt"`
		Memo     string `json:"memo"`
		DescHash string `json:"description_hash"`
	}
	if err := r.body(&in); err != nil {
		return nil, err
	}
	const maxMemo = 639 // bytes: BOLT11
	if in.Amount == nil || ledger.Msat(*in.Amount)*1000 > ledger.MaxMsat || len(in.Memo) > maxMemo {
		return nil, errArguments
	}
	n := channels.NewInvoice{Amount: ledger.Msat(*in.Amount) * 1000, Memo: in.Memo, Expiry: 24 * time.Hour}
	if in.DescHash != "" {
		var err error
		if n.DescHash, err = hex.DecodeString(in.DescHash); err != nil || len(n.DescHash) != 32 {
			return nil, errArguments
		}
	}
	i, err := h.cfg.Wallet.Invoice(r.ctx, r.account, n)
	if err != nil {
		return nil, err
	}
	return struct {
		Hash    string `json:"r_hash"`
		Request string `json:"payment_request"`
		PayReq  string `json:"pay_req"`
	}{i.Hash.String(), i.Invoice, i.Invoice}, nil
}

// decodeInvoice writes numbers as text, as lnd does.
func (h *Handler) decodeInvoice(r *request) (any, error) {
	i, err := h.cfg.Decode(strings.ToLower(strings.TrimSpace(string(r.http.QueryArgs().Peek("invoice")))))
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"destination": i.Payee, "payment_hash": i.Hash.String(), "num_satoshis": strconv.FormatInt(up(i.Amount), 10),
		"num_msat": strconv.FormatUint(uint64(i.Amount), 10), "timestamp": strconv.FormatInt(i.Made.Unix(), 10),
		"expiry": strconv.FormatInt(int64(i.Expires.Sub(i.Made)/time.Second), 10), "description": i.Description,
		"description_hash": hex.EncodeToString(i.DescHash), "fallback_addr": "", "cltv_expiry": strconv.Itoa(int(i.FinalDelta)), "route_hints": []any{},
	}, nil
}

func (h *Handler) checkPayment(r *request) (any, error) {
	var hash channels.Hash
	if err := hash.UnmarshalText([]byte(r.name)); err != nil {
		return nil, errArguments
	}
	i, err := h.cfg.History.Item(r.ctx, r.account, hash)
	return map[string]any{"paid": i.State == channels.Settled}, err
}
