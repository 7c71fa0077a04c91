package client

import (
	"context"
	"time"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Hub is what a hub is and what it allows.
type Hub struct {
	Origin       string `json:"origin"` // by which sealed files name it
	Version      string `json:"version"`
	Registration string `json:"registration"` // open, invite or closed
	Dev          bool   `json:"dev"`
	FeePPM       uint32 `json:"fee_ppm"`
	MaxBatchOps  int    `json:"max_batch_ops"`
	IDWindowMS   uint64 `json:"id_window_ms"`
	IDAheadMS    uint64 `json:"id_ahead_ms"`
}

// HubKey is what creators seal to.
type HubKey struct {
	KeyID     string   `json:"key_id"`
	PublicKey string   `json:"public_key"`
	Origin    string   `json:"origin"`
	Earlier   []string `json:"earlier"`
}

// CreatedAccount is a new account and its token, which is shown this once.
type CreatedAccount struct {
	Account string `json:"account"`
	Number  uint32 `json:"number"`
	Token   string `json:"token"`
}

// Account is what an account has.
type Account struct {
	Account     string      `json:"account"`
	Number      uint32      `json:"number"`
	BalanceMsat int64       `json:"balance_msat"`
	HeldMsat    ledger.Msat `json:"held_msat"`
}

// Limits narrow a token. The zero value narrows nothing.
type Limits struct {
	Scopes  []string    // of read, pay, sell
	Expires time.Time   // rounded down to the second
	MaxMsat ledger.Msat // per call
}

// Hub asks what the hub is. It needs no token, and sends none.
func (c *Client) Hub(ctx context.Context) (Hub, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/hub", anonymous: true}, func(a Hub) checks {
		return checks{"origin": isOrigin(a.Origin), "registration": a.Registration != ""}
	})
}

// Key asks for the key to seal to. It needs no token, and sends none.
func (c *Client) Key(ctx context.Context) (HubKey, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/hub/key", anonymous: true}, func(a HubKey) checks {
		_, err := seal.ParsePublicKey(a.PublicKey)
		return checks{"public_key": err == nil, "key_id": a.KeyID != "", "origin": isOrigin(a.Origin)}
	})
}

// CreateAccount makes an anonymous account. It is the one operation that is not idempotent: after [ErrUnreachable] there
// may be an account that nobody has the token of. It is empty, so that nothing is lost with it. It sends no token; invite may
// be empty.
func (c *Client) CreateAccount(ctx context.Context, invite string) (CreatedAccount, error) {
	var body any
	if invite != "" {
		body = struct {
			Invite string `json:"invite"`
		}{invite}
	}
	op := call{method: "POST", path: "/v1/accounts", body: body, anonymous: true, once: true}
	return ask(ctx, c, op, func(a CreatedAccount) checks {
		return checks{"account": isAccount(a.Account), "number": ledger.AccountNo(a.Number).String() == a.Account, "token": isToken(a.Token)}
	})
}

// Account reads the token's own account.
func (c *Client) Account(ctx context.Context, no ledger.AccountNo) (Account, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/accounts/" + no.String()}, func(a Account) checks {
		return checks{"account": a.Account == no.String(), "number": a.Number == uint32(no)}
	})
}

// CreateToken derives a token that can do what the client's own can, within the limits.
func (c *Client) CreateToken(ctx context.Context, no ledger.AccountNo, l Limits) (string, error) {
	body := struct {
		Scopes  []string    `json:"scopes,omitempty"`
		Expires int64       `json:"expires,omitempty"`
		Max     ledger.Msat `json:"max_msat_per_call,omitempty"`
	}{Scopes: l.Scopes, Max: l.MaxMsat}
	if !l.Expires.IsZero() {
		body.Expires = l.Expires.UnixMilli()
	}
	type created struct {
		Token string `json:"token"`
	}
	op := call{method: "POST", path: "/v1/accounts/" + no.String() + "/tokens", body: body}
	a, err := ask(ctx, c, op, func(a created) checks { return checks{"token": isToken(a.Token)} })
	return a.Token, err
}

// Credit is money that a development hub made.
type Credit struct {
	Result     string      `json:"result"` // applied or repeated
	Seq        uint64      `json:"seq"`
	ID         string      `json:"id"`
	Account    string      `json:"account"`
	AmountMsat ledger.Msat `json:"amount_msat"`
}

// DevCredit makes money on a development hub. The token must be the operator's.
func (c *Client) DevCredit(ctx context.Context, id ledger.OpID, no ledger.AccountNo, amount ledger.Msat) (Credit, error) {
	body := struct {
		ID      string      `json:"id"`
		Account string      `json:"account"`
		Amount  ledger.Msat `json:"amount_msat"`
	}{id.String(), no.String(), amount}
	return ask(ctx, c, call{method: "POST", path: "/v1/dev/credits", body: body}, func(a Credit) checks {
		return checks{"result": isDone(a.Result), "id": a.ID == body.ID, "account": a.Account == body.Account, "amount_msat": a.AmountMsat == amount}
	})
}
