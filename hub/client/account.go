package client

import (
	"context"
	"time"

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
	var a Hub
	return a, c.do(ctx, call{method: "GET", path: "/v1/hub", anonymous: true}, &a)
}

// Key asks for the key to seal to. It needs no token, and sends none.
func (c *Client) Key(ctx context.Context) (HubKey, error) {
	var a HubKey
	return a, c.do(ctx, call{method: "GET", path: "/v1/hub/key", anonymous: true}, &a)
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
	var a CreatedAccount
	return a, c.do(ctx, call{method: "POST", path: "/v1/accounts", body: body, anonymous: true, once: true}, &a)
}

// Account reads the token's own account.
func (c *Client) Account(ctx context.Context, no ledger.AccountNo) (Account, error) {
	var a Account
	return a, c.do(ctx, call{method: "GET", path: "/v1/accounts/" + no.String()}, &a)
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
	var a struct {
		Token string `json:"token"`
	}
	err := c.do(ctx, call{method: "POST", path: "/v1/accounts/" + no.String() + "/tokens", body: body}, &a)
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
	var a Credit
	return a, c.do(ctx, call{method: "POST", path: "/v1/dev/credits", body: body}, &a)
}
