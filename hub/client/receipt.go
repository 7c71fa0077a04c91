package client

import (
	"context"
	"strconv"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// LogKey is what verifies the hub's transparency log, and where that is.
type LogKey struct {
	LogKey string `json:"log_key"` // name+hash+key
	URL    string `json:"url"`
}

// LogKey asks for the key that verifies checkpoints, receipts and proofs of liabilities. It needs no token, and sends none.
func (c *Client) LogKey(ctx context.Context) (LogKey, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/hub/log-key", anonymous: true}, func(a LogKey) checks {
		return checks{"log_key": strings.Count(a.LogKey, "+") >= 2, "url": a.URL != ""}
	})
}

// Receipt asks for the receipt of an entry that touches the account: a text that ledger/tlog verifies.
func (c *Client) Receipt(ctx context.Context, no ledger.AccountNo, seq uint64) ([]byte, error) {
	return c.text(ctx, call{method: "GET", path: "/v1/accounts/" + no.String() + "/receipts/" + strconv.FormatUint(seq, 10)})
}

// Liability asks for the account's part of the newest proof of liabilities: a text that ledger/tlog verifies.
func (c *Client) Liability(ctx context.Context, no ledger.AccountNo) ([]byte, error) {
	return c.text(ctx, call{method: "GET", path: "/v1/accounts/" + no.String() + "/liability"})
}

// Liabilities asks for the signed root of the newest proof of liabilities. It needs no token, and sends none.
func (c *Client) Liabilities(ctx context.Context) ([]byte, error) {
	return c.text(ctx, call{method: "GET", path: "/v1/liabilities", anonymous: true})
}

// MakeLiabilities has the hub make a proof of liabilities, and returns its signed root. The token must be the operator's.
func (c *Client) MakeLiabilities(ctx context.Context) ([]byte, error) {
	return c.text(ctx, call{method: "POST", path: "/v1/liabilities", once: true})
}

// Checkpoint asks for the newest checkpoint of the transparency log. It needs no token, and sends none.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	return c.text(ctx, call{method: "GET", path: "/log/checkpoint", anonymous: true})
}

// text sends a call whose answer is a text.
func (c *Client) text(ctx context.Context, op call) ([]byte, error) {
	var text []byte
	err := c.do(ctx, op, &text)
	return text, err
}
