package client

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/millrace/millrace/ledger"
)

// NewID makes an id for a payment: now, and random. Keep it until the payment is answered; sent again under the same id,
// it happens once.
func NewID() ledger.OpID {
	var random [10]byte
	_, _ = rand.Read(random[:]) // it never fails: the runtime ends the process first
	return ledger.NewOpID(uint64(time.Now().UnixMilli()), random)
}

// Transfer is a payment to another account.
type Transfer struct {
	Result     string      `json:"result"` // applied or repeated
	Seq        uint64      `json:"seq"`
	ID         string      `json:"id"`
	From       string      `json:"from"`
	To         string      `json:"to"`
	AmountMsat ledger.Msat `json:"amount_msat"`
}

// funding is the body of whatever moves an amount under an id.
type funding struct {
	ID      string      `json:"id"`
	To      string      `json:"to,omitempty"`
	Amount  ledger.Msat `json:"amount_msat"`
	Expires int64       `json:"expires,omitempty"`
}

// Transfer pays from the token's account.
func (c *Client) Transfer(ctx context.Context, id ledger.OpID, to ledger.AccountNo, amount ledger.Msat) (Transfer, error) {
	body := funding{ID: id.String(), To: to.String(), Amount: amount}
	return ask(ctx, c, call{method: "POST", path: "/v1/transfers", body: body}, func(a Transfer) checks {
		return checks{"result": isDone(a.Result), "id": a.ID == body.ID, "from": isAccount(a.From), "to": a.To == body.To,
			"amount_msat": a.AmountMsat == amount}
	})
}

// OpenedChannel is a channel that was opened, now or by the same id before.
type OpenedChannel struct {
	Result  string `json:"result"`
	Seq     uint64 `json:"seq"`
	Channel string `json:"channel"`
	Number  uint32 `json:"number"`
}

// Channel is a channel's terms and state.
type Channel struct {
	Channel    string      `json:"channel"`
	Number     uint32      `json:"number"`
	From       string      `json:"from"`
	To         string      `json:"to"`
	FundedMsat ledger.Msat `json:"funded_msat"`
	TotalMsat  ledger.Msat `json:"total_msat"`
	Expires    int64       `json:"expires"` // milliseconds since 1970
	Status     string      `json:"status"`  // open, closed or expired
	Mode       string      `json:"mode"`    // payer_advances, payee_advances or signed
	Key        string      `json:"key,omitempty"`
	PerMinute  ledger.Msat `json:"per_minute_msat,omitempty"` // 0: no limit
}

// Advance is the total that a channel has paid.
type Advance struct {
	Result    string      `json:"result"`
	Seq       uint64      `json:"seq"`
	Channel   string      `json:"channel"`
	PaidMsat  ledger.Msat `json:"paid_msat"` // by this advance
	TotalMsat ledger.Msat `json:"total_msat"`
}

// TopUp is funds that were added to a channel.
type TopUp struct {
	Result     string      `json:"result"`
	Seq        uint64      `json:"seq"`
	Channel    string      `json:"channel"`
	AmountMsat ledger.Msat `json:"amount_msat"`
}

// ClosedChannel is a channel that is closed, and what its payer got back.
type ClosedChannel struct {
	Result       string      `json:"result"`
	Seq          uint64      `json:"seq"`
	Channel      string      `json:"channel"`
	RefundedMsat ledger.Msat `json:"refunded_msat"`
}

// OpenChannel opens a channel from the token's account to another and funds it.
func (c *Client) OpenChannel(ctx context.Context, id ledger.OpID, to ledger.AccountNo, amount ledger.Msat, expires time.Time) (OpenedChannel, error) {
	body := funding{ID: id.String(), To: to.String(), Amount: amount, Expires: expires.UnixMilli()}
	return ask(ctx, c, call{method: "POST", path: "/v1/channels", body: body}, OpenedChannel.check)
}

// Channel reads a channel that the token's account pays or is paid by.
func (c *Client) Channel(ctx context.Context, no ledger.ChannelNo) (Channel, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/channels/" + no.String()}, func(a Channel) checks {
		return checks{"channel": a.Channel == no.String(), "number": a.Number == uint32(no), "from": isAccount(a.From), "to": isAccount(a.To),
			"total_msat": a.TotalMsat <= a.FundedMsat, "status": a.Status != ""}
	})
}

// Advance raises what a channel has paid to a cumulative total.
func (c *Client) Advance(ctx context.Context, no ledger.ChannelNo, total ledger.Msat) (Advance, error) {
	body := struct {
		Total ledger.Msat `json:"total_msat"`
	}{total}
	return ask(ctx, c, call{method: "POST", path: "/v1/channels/" + no.String() + "/advance", body: body}, func(a Advance) checks {
		return checks{"result": isDone(a.Result), "channel": a.Channel == no.String(), "total_msat": a.TotalMsat == total, "paid_msat": a.PaidMsat <= total}
	})
}

// TopUp adds funds to a channel.
func (c *Client) TopUp(ctx context.Context, no ledger.ChannelNo, id ledger.OpID, amount ledger.Msat) (TopUp, error) {
	body := funding{ID: id.String(), Amount: amount}
	return ask(ctx, c, call{method: "POST", path: "/v1/channels/" + no.String() + "/top-up", body: body}, func(a TopUp) checks {
		return checks{"result": isDone(a.Result), "channel": a.Channel == no.String(), "amount_msat": a.AmountMsat == amount}
	})
}

// CloseChannel closes a channel and gives back what it did not pay.
func (c *Client) CloseChannel(ctx context.Context, no ledger.ChannelNo) (ClosedChannel, error) {
	return ask(ctx, c, call{method: "POST", path: "/v1/channels/" + no.String() + "/close"}, func(a ClosedChannel) checks {
		return checks{"result": isDone(a.Result), "channel": a.Channel == no.String()}
	})
}
