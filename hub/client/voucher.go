package client

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/millrace/millrace/ledger"
)

// OpenTerms is OpenChannel with terms: on whose word the channel pays, and how much in a minute.
func (c *Client) OpenTerms(ctx context.Context, id ledger.OpID, to ledger.AccountNo, amount ledger.Msat, expires time.Time, t ledger.ChannelTerms) (OpenedChannel, error) {
	body := struct {
		funding
		Mode      string      `json:"mode"`
		Key       string      `json:"key,omitempty"`
		PerMinute ledger.Msat `json:"per_minute_msat,omitempty"`
	}{funding: funding{ID: id.String(), To: to.String(), Amount: amount, Expires: expires.UnixMilli()}, PerMinute: t.PerMinute}
	switch t.Mode {
	case ledger.PayeeAdvances:
		body.Mode = "payee_advances"
	case ledger.Signed:
		body.Mode, body.Key = "signed", hex.EncodeToString(t.Key[:])
	default:
		body.Mode = "payer_advances"
	}
	return ask(ctx, c, call{method: "POST", path: "/v1/channels", body: body}, OpenedChannel.check)
}

func (a OpenedChannel) check() checks {
	no, err := ledger.ParseChannelNo(a.Channel)
	return checks{"result": isDone(a.Result), "channel": err == nil, "number": a.Number == uint32(no)}
}

// Redeem shows a voucher to the hub: the channel then has paid its total.
func (c *Client) Redeem(ctx context.Context, v *ledger.Voucher) (Advance, error) {
	body := struct {
		Total     ledger.Msat `json:"total_msat"`
		Signature string      `json:"signature"`
	}{v.Total, hex.EncodeToString(v.Signature[:])}
	name := v.Channel.String()
	return ask(ctx, c, call{method: "POST", path: "/v1/channels/" + name + "/vouchers", body: body}, func(a Advance) checks {
		return checks{"result": isDone(a.Result), "channel": a.Channel == name, "total_msat": a.TotalMsat == v.Total, "paid_msat": a.PaidMsat <= v.Total}
	})
}

// Voucher is a voucher as the hub keeps it.
type Voucher struct {
	Hub       string      `json:"hub"`
	Channel   string      `json:"channel"`
	TotalMsat ledger.Msat `json:"total_msat"`
	Signature string      `json:"signature"`
}

// Voucher reads the newest voucher of a signed channel.
func (c *Client) Voucher(ctx context.Context, no ledger.ChannelNo) (Voucher, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/channels/" + no.String() + "/voucher"}, func(a Voucher) checks {
		_, err := hex.DecodeString(a.Signature)
		return checks{"hub": a.Hub != "", "channel": a.Channel == no.String(), "total_msat": a.TotalMsat > 0,
			"signature": err == nil && len(a.Signature) == 2*ledger.SignatureSize}
	})
}

// RenewedChannel is a channel whose expiry was put off.
type RenewedChannel struct {
	Result  string `json:"result"`
	Seq     uint64 `json:"seq"`
	Channel string `json:"channel"`
	Expires int64  `json:"expires"` // milliseconds since 1970
}

// Renew puts a channel's expiry off.
func (c *Client) Renew(ctx context.Context, no ledger.ChannelNo, expires time.Time) (RenewedChannel, error) {
	body := struct {
		Expires int64 `json:"expires"`
	}{expires.UnixMilli()}
	return ask(ctx, c, call{method: "POST", path: "/v1/channels/" + no.String() + "/renew", body: body}, func(a RenewedChannel) checks {
		return checks{"result": isDone(a.Result), "channel": a.Channel == no.String(), "expires": a.Expires >= body.Expires}
	})
}
