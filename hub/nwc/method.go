package nwc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const (
	maxMemo     = 639 // bytes: BOLT11
	maxExpiry   = 7 * 24 * time.Hour
	maxListed   = 20       // transactions in an answer: NIP-47 asks applications for no more
	maxAnswer   = 48 << 10 // bytes of a list; encrypted and escaped it must pass relays that take 64 KiB
	maxOffset   = 100_000
	maxRecords  = 16
	maxRecord   = 1024  // bytes of all records of a keysend together
	leastRecord = 65536 // numbers below are the protocol's own
)

// params reads a request's parameters. What is not known in them is passed over, as NIP-47 grows.
func params(r *request, into any) error {
	if len(r.Params) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.Params, into); err != nil {
		return refuse(Other, "the parameters are not what %s has", r.Method)
	}
	return nil
}

// told makes an error a fault, for methods that are not quick.
func told(err error) *fault {
	if f := (*faultError)(nil); errors.As(err, &f) {
		return &f.fault
	}
	return &fault{Other, "it cannot be done"}
}

func (s *Service) payInvoice(_ context.Context, l *link, r *request) (any, *fault, bool) {
	var in struct {
		Invoice string      `json:"invoice"`
		Amount  ledger.Msat `json:"amount"`
	}
	if err := params(r, &in); err != nil {
		return nil, told(err), true
	}
	invoice, err := s.cfg.Decode(strings.ToLower(strings.TrimSpace(in.Invoice)))
	switch {
	case errors.Is(err, channels.ErrNetwork):
		return nil, &fault{Other, "the invoice is of another network"}, true
	case err != nil:
		return nil, &fault{Other, "not an invoice that can be read"}, true
	case invoice.Amount != 0 && in.Amount != 0 && in.Amount != invoice.Amount:
		return nil, &fault{Other, "the invoice is of another amount"}, true
	case invoice.Amount == 0 && in.Amount == 0:
		return nil, &fault{Other, "the invoice has no amount: say how much"}, true
	}
	o, amount := channels.Order{Invoice: invoice.Text}, invoice.Amount
	if amount == 0 {
		o.Amount, amount = in.Amount, in.Amount
	}
	if amount > ledger.MaxMsat {
		return nil, &fault{Other, "the amount is more than there is"}, true
	}
	return s.pay(l, r, o, amount)
}

func (s *Service) payKeysend(_ context.Context, l *link, r *request) (any, *fault, bool) {
	var in struct {
		Amount   ledger.Msat `json:"amount"`
		Payee    string      `json:"pubkey"`
		Preimage string      `json:"preimage"`
		Records  []struct {
			Type  uint64 `json:"type"`
			Value string `json:"value"`
		} `json:"tlv_records"`
	}
	if err := params(r, &in); err != nil {
		return nil, told(err), true
	}
	o := channels.Order{Payee: strings.ToLower(in.Payee), Amount: in.Amount}
	node, err := hex.DecodeString(o.Payee)
	if err != nil || len(node) != 33 || node[0]&^1 != 2 {
		return nil, &fault{Other, "pubkey is not a node's key"}, true
	}
	if in.Amount == 0 || in.Amount > ledger.MaxMsat {
		return nil, &fault{Other, "say how much"}, true
	}
	if in.Preimage != "" && o.Preimage.UnmarshalText([]byte(in.Preimage)) != nil {
		return nil, &fault{Other, "the preimage is not 32 bytes in hexadecimal digits"}, true
	}
	size := 0
	for _, record := range in.Records {
		value, err := hex.DecodeString(record.Value)
		if size += len(value); err != nil || record.Type < leastRecord || len(in.Records) > maxRecords || size > maxRecord {
			return nil, &fault{Other, "the TLV records are not in hexadecimal digits, too many, or of types of the protocol's own"}, true
		}
		if record.Type == keysendRecord { // some applications put the preimage there, too
			continue
		}
		if o.Records == nil {
			o.Records = make(map[uint64][]byte)
		}
		o.Records[record.Type] = value
	}
	return s.pay(l, r, o, in.Amount)
}

// keysendRecord is where a keysend has its preimage.
const keysendRecord = 5482373484

func (s *Service) makeInvoice(ctx context.Context, l *link, r *request) (any, error) {
	var in struct {
		Amount   ledger.Msat `json:"amount"`
		Memo     string      `json:"description"`
		DescHash string      `json:"description_hash"`
		Expiry   int64       `json:"expiry"` // seconds
	}
	if err := params(r, &in); err != nil {
		return nil, err
	}
	n := channels.NewInvoice{Amount: in.Amount, Memo: in.Memo, Expiry: time.Duration(min(in.Expiry, int64(maxExpiry/time.Second))) * time.Second}
	if in.DescHash != "" {
		var err error
		if n.DescHash, err = hex.DecodeString(in.DescHash); err != nil || len(n.DescHash) != 32 {
			return nil, refuse(Other, "description_hash is not 32 bytes in hexadecimal digits")
		}
	}
	switch {
	case n.Amount > ledger.MaxMsat:
		return nil, refuse(Other, "the amount is more than there is")
	case len(n.Memo) > maxMemo:
		return nil, refuse(Other, "a description of at most %d bytes", maxMemo)
	case in.Expiry < 0:
		return nil, refuse(Other, "the invoice would have expired")
	case n.Expiry == 0:
		n.Expiry = time.Hour
	}
	i, err := s.cfg.Wallet.Invoice(ctx, l.Account, n)
	if errors.Is(err, channels.ErrNotAllowed) {
		return nil, refuse(RateLimited, "too many invoices are open")
	}
	if err != nil {
		return nil, err
	}
	return transactionOf(&i), nil
}

func (s *Service) lookupInvoice(ctx context.Context, l *link, r *request) (any, error) {
	var in struct {
		Hash    string `json:"payment_hash"`
		Invoice string `json:"invoice"`
	}
	if err := params(r, &in); err != nil {
		return nil, err
	}
	var hash channels.Hash
	if in.Hash != "" {
		if err := hash.UnmarshalText([]byte(in.Hash)); err != nil {
			return nil, refuse(Other, "payment_hash is not 32 bytes in hexadecimal digits")
		}
	} else {
		i, err := s.cfg.Decode(strings.ToLower(strings.TrimSpace(in.Invoice)))
		if err != nil {
			return nil, refuse(Other, "want payment_hash, or an invoice that can be read")
		}
		hash = i.Hash
	}
	i, err := s.cfg.History.Item(ctx, l.Account, hash)
	if errors.Is(err, channels.ErrNoItem) {
		return nil, refuse(NotFound, "there is no such invoice or payment")
	}
	if err != nil {
		return nil, err
	}
	return transactionOf(&i), nil
}

func (s *Service) listTransactions(_ context.Context, l *link, r *request) (any, error) {
	var in struct {
		From   int64  `json:"from"`
		Until  int64  `json:"until"`
		Limit  int    `json:"limit"`
		Offset int    `json:"offset"`
		Unpaid bool   `json:"unpaid"`
		Type   string `json:"type"`
	}
	if err := params(r, &in); err != nil {
		return nil, err
	}
	f := channels.Filter{Unsettled: in.Unpaid}
	if in.From > 0 {
		f.From = time.Unix(in.From, 0)
	}
	if in.Until > 0 {
		f.Until = time.Unix(in.Until, 999_999_999)
	}
	if incoming := in.Type == "incoming"; incoming || in.Type == "outgoing" {
		f.Incoming = &incoming
	} else if in.Type != "" {
		return nil, refuse(Other, "type is incoming or outgoing, or not there")
	}
	if in.Offset < 0 || in.Offset > maxOffset || in.Limit < 0 {
		return nil, refuse(Other, "limit or offset is out of bounds")
	}
	if in.Limit == 0 || in.Limit > maxListed {
		in.Limit = maxListed
	}
	list, size, skip := []*transaction{}, 0, in.Offset
	err := s.cfg.History.Items(l.Account, f, func(i channels.Item) bool {
		if i.Rail == channels.Chain || i.Hash == (channels.Hash{}) {
			return true // NIP-47 has words for Lightning alone
		}
		if skip > 0 {
			skip--
			return true
		}
		t := transactionOf(&i)
		if size += 600 + len(t.Invoice) + 2*len(t.Description); size > maxAnswer {
			return false
		}
		list = append(list, t)
		return len(list) < in.Limit
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"transactions": list}, nil
}

func (s *Service) getBalance(_ context.Context, l *link, _ *request) (any, error) {
	balance, err := s.cfg.Wallet.Balance(l.Account)
	return map[string]any{"balance": balance}, err
}

func (s *Service) getInfo(ctx context.Context, l *link, _ *request) (any, error) {
	info, err := s.cfg.Info(ctx)
	if err != nil { // the node may be away: what the connection can do is known without it
		s.cfg.Logger.Warn("the node does not say who it is", "err", err)
	}
	out := struct {
		Info
		Methods       []string `json:"methods"`
		Notifications []string `json:"notifications"`
		Address       string   `json:"lud16,omitempty"`
	}{Info: info, Methods: append(l.Methods[:len(l.Methods):len(l.Methods)], "get_info", "get_budget"), Notifications: []string{}}
	if l.Notify {
		out.Notifications = notifications[:]
	}
	if s.cfg.Address != nil {
		out.Address = s.cfg.Address(l.Account)
	}
	return out, nil
}

// getBudget is what many wallets have beside NIP-47. A connection without a budget answers with nothing in it.
func (s *Service) getBudget(_ context.Context, l *link, _ *request) (any, error) {
	now := s.cfg.Clock()
	c := l.view(now)
	if c.Budget == 0 {
		return struct{}{}, nil
	}
	out := map[string]any{"used_budget": c.Spent + c.Reserved, "total_budget": c.Budget, "renewal_period": c.Period}
	if at, ok := c.Period.renews(now); ok {
		out["renews_at"] = at.Unix()
	}
	return out, nil
}
