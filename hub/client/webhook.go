package client

import (
	"context"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// Webhook is a URL that entries are posted to, and how it does.
type Webhook struct {
	Webhook     string `json:"webhook"`
	URL         string `json:"url"`
	Secret      string `json:"secret,omitempty"` // when it is new
	Created     int64  `json:"created"`          // this and the other times: milliseconds since 1970
	Cursor      uint64 `json:"cursor"`           // up to this seq all has arrived or is parked
	Parked      int    `json:"parked"`
	Disabled    string `json:"disabled,omitempty"` // why nothing is sent
	Attempts    int    `json:"attempts"`           // of the delivery under way, that failed
	NextAttempt int64  `json:"next_attempt,omitempty"`
	Error       string `json:"error,omitempty"`

	EarlierSecretsUntil []int64 `json:"earlier_secrets_until,omitempty"`
}

// Parked is a delivery that did not arrive in time.
type Parked struct {
	Delivery string `json:"delivery"` // its webhook-id
	First    uint64 `json:"first"`    // seq
	Last     uint64 `json:"last"`
	At       int64  `json:"at"` // milliseconds since 1970
	Error    string `json:"error"`
}

// hooks is where the webhooks of an account are, or with zero the operator's.
func hooks(no ledger.AccountNo) string {
	if no == 0 {
		return "/v1/webhooks"
	}
	return "/v1/accounts/" + no.String() + "/webhooks"
}

func (w Webhook) checks(id, url string) checks {
	return checks{"webhook": isWebhook(w.Webhook) && (id == "" || w.Webhook == id), "url": w.URL != "" && (url == "" || w.URL == url)}
}

func isWebhook(id string) bool {
	rest, ok := strings.CutPrefix(id, "wh_")
	return ok && len(rest) == 16 && strings.Trim(rest, "0123456789abcdef") == ""
}

// Webhooks lists the webhooks of an account, or with zero the operator's.
func (c *Client) Webhooks(ctx context.Context, no ledger.AccountNo) ([]Webhook, error) {
	type list struct {
		Webhooks []Webhook `json:"webhooks"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: hooks(no)}, func(list) checks { return nil })
	return a.Webhooks, err
}

// AddWebhook has what comes behind the entry of seq after posted to a URL; nil: what comes from now on. It is not idempotent: after
// ErrUnreachable there may be a webhook whose secret nobody knows; it is in the list, and can be removed.
func (c *Client) AddWebhook(ctx context.Context, no ledger.AccountNo, url string, after *uint64) (Webhook, error) {
	body := struct {
		URL   string  `json:"url"`
		After *uint64 `json:"after,omitempty"`
	}{url, after}
	return ask(ctx, c, call{method: "POST", path: hooks(no), body: body, once: true}, func(a Webhook) checks {
		all := a.checks("", url)
		all["secret"] = strings.HasPrefix(a.Secret, "whsec_")
		return all
	})
}

// RemoveWebhook ends a webhook.
func (c *Client) RemoveWebhook(ctx context.Context, no ledger.AccountNo, id string) error {
	type removed struct {
		Webhook string `json:"webhook"`
	}
	_, err := ask(ctx, c, call{method: "DELETE", path: hooks(no) + "/" + id}, func(a removed) checks { return checks{"webhook": a.Webhook == id} })
	return err
}

// RotateWebhook gives a webhook a new secret. The one before signs as well for a day.
func (c *Client) RotateWebhook(ctx context.Context, no ledger.AccountNo, id string) (Webhook, error) {
	return ask(ctx, c, call{method: "POST", path: hooks(no) + "/" + id + "/rotate", once: true}, func(a Webhook) checks {
		all := a.checks(id, "")
		all["secret"] = strings.HasPrefix(a.Secret, "whsec_")
		return all
	})
}

// ReplayWebhook has a webhook go on behind the entry of seq after, whatever has arrived already; or, with nil, a parked delivery
// sent again, or with an empty name all of them. It enables the webhook.
func (c *Client) ReplayWebhook(ctx context.Context, no ledger.AccountNo, id string, after *uint64, delivery string) (Webhook, error) {
	body := struct {
		After    *uint64 `json:"after,omitempty"`
		Delivery string  `json:"delivery,omitempty"`
	}{after, delivery}
	return ask(ctx, c, call{method: "POST", path: hooks(no) + "/" + id + "/replay", body: body}, func(a Webhook) checks { return a.checks(id, "") })
}

// ParkedDeliveries lists what did not arrive at a webhook in time, oldest first.
func (c *Client) ParkedDeliveries(ctx context.Context, no ledger.AccountNo, id string) ([]Parked, error) {
	type list struct {
		Parked []Parked `json:"parked"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: hooks(no) + "/" + id + "/parked"}, func(list) checks { return nil })
	return a.Parked, err
}
