package lndhub

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const (
	usualList = 200
	maxList   = 1000
	maxOffset = 100_000
)

// sent is a payment in a list.
type sent struct {
	Type     string  `json:"type"` // paid_invoice
	Hash     *buffer `json:"payment_hash,omitempty"`
	RHash    *buffer `json:"r_hash,omitempty"`
	Preimage string  `json:"payment_preimage"`
	Value    int64   `json:"value"` // with the fee
	Fee      int64   `json:"fee"`
	Time     int64   `json:"timestamp"`
	Memo     string  `json:"memo"`
	Request  string  `json:"payment_request,omitempty"`
	PayReq   string  `json:"pay_req,omitempty"`
	Keysend  bool    `json:"keysend"`
}

// onChain is what bitcoind's listtransactions has. The amount is in BTC; less than nothing: it went out.
type onChain struct {
	Type          string      `json:"type"` // bitcoind_tx
	Category      string      `json:"category"`
	Amount        json.Number `json:"amount"`
	Address       string      `json:"address"`
	Confirmations int64       `json:"confirmations"`
	Tx            string      `json:"txid"`
	Time          int64       `json:"time"`
	Received      int64       `json:"timereceived"`
	Stamp         int64       `json:"timestamp"`
}

// billed is an invoice in a list.
type billed struct {
	Type     string  `json:"type"` // user_invoice
	RHash    *buffer `json:"r_hash"`
	Hash     string  `json:"payment_hash"`
	Preimage string  `json:"payment_preimage,omitempty"`
	Request  string  `json:"payment_request"`
	PayReq   string  `json:"pay_req"`
	Memo     string  `json:"description"`
	Amount   int64   `json:"amt"`
	Paid     bool    `json:"ispaid"`
	Time     int64   `json:"timestamp"`
	Expiry   int64   `json:"expire_time"` // seconds
	Keysend  bool    `json:"keysend"`
}

func (h *Handler) balance(r *request) (any, error) {
	b, err := h.cfg.Wallet.Balance(r.account)
	return map[string]any{"BTC": map[string]any{"AvailableBalance": down(b)}}, err
}

// transactions are payments that were made or are under way, and what came on-chain.
func (h *Handler) transactions(r *request) (any, error) {
	limit, offset, err := r.page()
	if err != nil {
		return nil, err
	}
	list := []any{}
	err = h.cfg.History.Items(r.account, channels.Filter{Unsettled: true}, func(i channels.Item) bool {
		var entry any
		switch {
		case i.State == channels.GaveBack, i.State == channels.Expired, i.Incoming && (i.Rail != channels.Chain || i.State != channels.Settled):
			return true // of which /getuserinvoices and /getpending tell
		case i.Rail == channels.Chain:
			entry = chainEntry(&i)
		default:
			entry = sentEntry(&i)
		}
		if offset > 0 {
			offset--
			return true
		}
		list = append(list, entry)
		return len(list) < limit
	})
	return list, err
}

func sentEntry(i *channels.Item) *sent {
	s := &sent{
		Type: "paid_invoice", Value: up(i.Amount + i.Fee), Fee: up(i.Fee), Time: i.Made.Unix(), Memo: i.Memo, Request: i.Invoice, PayReq: i.Invoice,
		Keysend: i.Invoice == "" && i.Rail == channels.Lightning,
	}
	if i.Hash != (channels.Hash{}) {
		s.Hash, s.RHash = (*buffer)(&i.Hash), (*buffer)(&i.Hash)
	}
	if i.Preimage != (channels.Hash{}) {
		s.Preimage = i.Preimage.String()
	}
	if i.State != channels.Settled {
		s.Memo = "Payment in transition"
	}
	return s
}

func chainEntry(i *channels.Item) *onChain {
	e := &onChain{
		Type: "bitcoind_tx", Category: "receive", Amount: btc(int64(i.Amount / 1000)), Address: i.Payee, Confirmations: i.Depth, Time: i.Made.Unix(),
		Received: i.Made.Unix(), Stamp: i.Made.Unix(),
	}
	if !i.Incoming {
		e.Category, e.Amount = "send", btc(-up(i.Amount+i.Fee))
	}
	if i.Hash != (channels.Hash{}) {
		e.Tx = i.Hash.TxID()
	}
	return e
}

// invoices are those of the account, the newest last: limit cuts the oldest off.
func (h *Handler) invoices(r *request) (any, error) {
	limit, _, err := r.page()
	if err != nil {
		return nil, err
	}
	list, incoming := []*billed{}, true
	err = h.cfg.History.Items(r.account, channels.Filter{Unsettled: true, Incoming: &incoming}, func(i channels.Item) bool {
		if i.Rail == channels.Chain {
			return true
		}
		b := &billed{
			Type: "user_invoice", RHash: (*buffer)(&i.Hash), Hash: i.Hash.String(), Request: i.Invoice, PayReq: i.Invoice, Memo: i.Memo,
			Amount: down(i.Amount), Paid: i.State == channels.Settled, Time: i.Made.Unix(), Keysend: i.Invoice == "",
		}
		if !i.Expires.IsZero() {
			b.Expiry = int64(i.Expires.Sub(i.Made) / time.Second)
		}
		if b.Paid && i.Preimage != (channels.Hash{}) {
			b.Preimage = i.Preimage.String()
		}
		list = append(list, b)
		return len(list) < limit
	})
	slices.Reverse(list)
	return list, err
}

// pending is what is on its way on-chain.
func (h *Handler) pending(r *request) (any, error) {
	list, incoming := []*onChain{}, true
	err := h.cfg.History.Items(r.account, channels.Filter{Unsettled: true, Incoming: &incoming}, func(i channels.Item) bool {
		if i.Rail == channels.Chain && i.State == channels.Open {
			list = append(list, chainEntry(&i))
		}
		return len(list) < usualList
	})
	return list, err
}

// address is a list of one. A hub without a wallet on-chain has none to give.
func (h *Handler) address(r *request) (any, error) {
	type entry struct {
		Address string `json:"address"`
	}
	a, err := h.cfg.Wallet.Address(r.ctx, r.account)
	if err != nil {
		h.cfg.Logger.Warn("no address for a wallet", "err", err)
		return []entry{}, nil
	}
	return []entry{{a}}, nil
}

func (h *Handler) info(r *request) (any, error) {
	i, err := h.cfg.Info(r.ctx)
	if err != nil {
		return nil, err
	}
	if i.URIs == nil {
		i.URIs = []string{}
	}
	return map[string]any{
		"identity_pubkey": i.Key, "alias": i.Alias, "uris": i.URIs, "block_height": i.Height, "synced_to_chain": i.Synced, "version": i.Version,
		"testnet": i.Network != "mainnet", "chains": []string{"bitcoin"}, "num_active_channels": 0, "num_pending_channels": 0, "num_peers": 0,
	}, nil
}

// body reads JSON. Fields that are not known are passed over: wallets send what they like.
func (r *request) body(into any) error {
	if err := json.Unmarshal(r.http.PostBody(), into); err != nil {
		return fmt.Errorf("%w: %w", errArguments, err)
	}
	return nil
}

// page is how much of a list is wanted.
func (r *request) page() (limit, offset int, err error) {
	args := r.http.QueryArgs()
	for _, p := range []struct {
		name  string
		value *int
		usual int
	}{{"limit", &limit, usualList}, {"offset", &offset, 0}} {
		text := string(args.Peek(p.name))
		if *p.value = p.usual; text == "" {
			continue
		}
		if *p.value, err = strconv.Atoi(text); err != nil || *p.value < 0 || *p.value > maxOffset {
			return 0, 0, errArguments
		}
	}
	if limit == 0 || limit > maxList {
		limit = maxList
	}
	return limit, offset, nil
}

// sats is a number of satoshis: wallets send it as a number, or as text.
type sats uint64

// UnmarshalJSON reads whole numbers up to all the bitcoin there can be.
func (s *sats) UnmarshalJSON(text []byte) error {
	var quoted string
	if json.Unmarshal(text, &quoted) == nil {
		text = []byte(quoted)
	}
	if len(text) == 0 || string(text) == "null" {
		*s = 0
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || n > uint64(ledger.MaxMsat/1000) {
		return fmt.Errorf("%.32q is not a number of satoshis", text)
	}
	*s = sats(n)
	return nil
}

// up and down are amounts in whole satoshis.
func up(m ledger.Msat) int64   { return int64((m + 999) / 1000) }
func down(m ledger.Msat) int64 { return int64(m / 1000) }

// btc writes satoshis in BTC, exactly.
func btc(sat int64) json.Number {
	sign := ""
	if sat < 0 {
		sign, sat = "-", -sat
	}
	return json.Number(fmt.Sprintf("%s%d.%08d", sign, sat/1e8, sat%1e8))
}

// buffer is bytes as Node's JSON has them.
type buffer channels.Hash

// MarshalJSON writes {"type":"Buffer","data":[...]}.
func (b *buffer) MarshalJSON() ([]byte, error) {
	data := make([]int, len(b))
	for i, c := range b {
		data[i] = int(c)
	}
	return json.Marshal(struct {
		Type string `json:"type"`
		Data []int  `json:"data"`
	}{"Buffer", data})
}
