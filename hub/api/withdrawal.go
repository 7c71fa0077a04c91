package api

import (
	"context"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// withdrawal is money on its way out, in answers.
type withdrawal struct {
	ID       string      `json:"id"`
	Account  string      `json:"account"`
	To       string      `json:"to"`
	Rail     string      `json:"rail"`
	Status   string      `json:"status"`
	Amount   ledger.Msat `json:"amount_msat"`
	Limit    ledger.Msat `json:"max_fee_msat"`
	Held     ledger.Msat `json:"held_msat"`
	Fee      ledger.Msat `json:"fee_msat"`
	Payee    string      `json:"payee,omitempty"`
	Hash     string      `json:"payment_hash,omitempty"`
	Proof    string      `json:"preimage,omitempty"`
	Batch    string      `json:"batch,omitempty"`
	Tx       string      `json:"txid,omitempty"`
	Memo     string      `json:"memo,omitempty"`
	About    string      `json:"description,omitempty"`
	Origin   string      `json:"origin,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	Foreign  bool        `json:"needs_operator,omitempty"`
	Deadline int64       `json:"deadline,omitempty"`
	Made     int64       `json:"made"`
	Changed  int64       `json:"changed"`
}

// newWithdrawal says why a payout waits or has failed: all of it to an operator, and to the account what concerns it.
func (c *call) newWithdrawal(p *channels.Payout) withdrawal {
	reason := p.Told()
	if c.grant.Operator {
		reason = p.Reason
	}
	w := withdrawal{
		ID: p.ID.String(), Account: p.Account.String(), To: p.To, Rail: string(p.Rail), Status: string(p.Status), Amount: p.Pays,
		Limit: p.FeeLimit, Fee: p.Fee, Payee: p.Payee, Proof: hexOr(p.Proof), Memo: p.Memo, About: p.About, Origin: p.Origin,
		Reason: reason, Foreign: p.Foreign && p.Status == channels.Held, Deadline: since1970(p.Deadline), Made: since1970(p.Made), Changed: since1970(p.Changed),
	}
	if p.Hold != 0 && !p.Status.Over() {
		w.Held = p.Aside()
	}
	if p.Rail == channels.Lightning {
		w.Hash = hexOr(p.Hash)
	}
	if p.Batch != (channels.ID{}) {
		w.Batch = p.Batch.String()
	}
	if p.Tx != (channels.Hash{}) {
		w.Tx = p.Tx.TxID()
	}
	return w
}

// quote says what a withdrawal would cost. Nothing is set aside.
func (c *call) quoteWithdrawal(ctx context.Context) *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	o := c.body(false)
	q := channels.Request{Key: channels.Key{Account: no}, To: string(o.text("to", channels.MaxTo, true))}
	q.Amount = ledger.Msat(o.whole("amount_msat", 1, uint64(ledger.MaxMsat), false))
	if p := o.end(); p != nil {
		return p
	}
	got, err := c.server.cfg.Rails.Quote(ctx, q)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, struct {
		Rail   string      `json:"rail"`
		Amount ledger.Msat `json:"amount_msat"`
		Fee    ledger.Msat `json:"fee_msat"`
		Limit  ledger.Msat `json:"max_fee_msat"`
		About  string      `json:"description,omitempty"`
	}{string(got.Rail), got.Amount, got.Fee, got.Limit, got.Memo})
}

// withdraw orders a withdrawal, or finds the one of the same id. The token's cap is for the amount and the fee together.
func (c *call) withdraw(ctx context.Context) *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	o := c.body(false)
	q := channels.Request{Key: channels.Key{Account: no, ID: o.uuid("id")}}
	q.To = string(o.text("to", channels.MaxTo, true))
	q.Amount = ledger.Msat(o.whole("amount_msat", 1, uint64(ledger.MaxMsat), false))
	q.FeeLimit = ledger.Msat(o.whole("max_fee_msat", 0, uint64(ledger.MaxMsat), true))
	q.Memo = string(o.text("memo", channels.MaxMemo, false))
	if until := o.whole("until", 1, maxMillis-1, false); until != 0 {
		q.Until = time.UnixMilli(int64(until))
	}
	if p := o.end(); p != nil {
		return p
	}
	if c.grant.MaxMsat != 0 && q.Amount == 0 {
		return malformed("amount_msat is missing: the token has a cap, which is held against what the request says")
	}
	if p := c.within(q.Amount + q.FeeLimit); p != nil {
		return p
	}
	w, err := c.server.cfg.Rails.Withdraw(ctx, q)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, c.newWithdrawal(&w))
}

func (c *call) listWithdrawals() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	q := c.query()
	list := "withdrawals of " + no.String()
	g := q.railsPage(list)
	if p := q.end(); p != nil {
		return p
	}
	found, next, err := c.server.cfg.Rails.Payouts(no, g)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, c.withdrawals(found, railsCursor(list, next)))
}

// withdrawalPage is a page of withdrawals.
type withdrawalPage struct {
	Withdrawals []withdrawal `json:"withdrawals"`
	Next        string       `json:"next,omitempty"`
}

func (c *call) withdrawals(found []channels.Payout, next string) withdrawalPage {
	a := withdrawalPage{[]withdrawal{}, next}
	for i := range found {
		a.Withdrawals = append(a.Withdrawals, c.newWithdrawal(&found[i]))
	}
	return a
}

// getWithdrawal answers at once, or with wait_s when the withdrawal is over, but not later than that.
func (c *call) getWithdrawal(ctx context.Context) *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	key := channels.Key{Account: no}
	if err := key.ID.UnmarshalText(c.second); err != nil {
		return malformed("a withdrawal is named by its id, a UUID")
	}
	q := c.query()
	wait := q.whole("wait_s", 0, uint64(railsTime/time.Second), 0)
	if p := q.end(); p != nil {
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(wait)*time.Second)
	defer cancel()
	w, err := c.server.cfg.Rails.Wait(ctx, key)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, c.newWithdrawal(&w))
}
