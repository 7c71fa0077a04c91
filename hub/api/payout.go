package api

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
	"github.com/millrace/millrace/ledger"
)

// listPayouts are the payouts under way, the oldest first: an operator looks for what does not end.
func (c *call) listPayouts() *problem {
	q := c.query()
	limit := int(q.whole("limit", 1, channels.MaxPage, defaultPage))
	rail, status := q.word("rail", "", "internal", "lightning", "chain"), q.word("status", "", "asked", "held", "in_transit", "paid", "dropped")
	if p := q.end(); p != nil {
		return p
	}
	all := slices.DeleteFunc(c.server.cfg.Rails.Underway(), func(p channels.Payout) bool {
		return rail != "" && string(p.Rail) != rail || status != "" && string(p.Status) != status
	})
	slices.SortFunc(all, func(a, b channels.Payout) int {
		return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.Account, b.Account), slices.Compare(a.ID[:], b.ID[:]))
	})
	count, size := len(all), 0
	for i := range all[:min(limit, count)] {
		if size += all[i].Size(); size > maxPageSize {
			limit = i
			break
		}
	}
	page := c.withdrawals(all[:min(limit, count)], "")
	return c.answerJSON(200, struct {
		Count   int          `json:"count"`
		Payouts []withdrawal `json:"payouts"`
	}{count, page.Withdrawals})
}

func (c *call) cancelPayout() *problem {
	key, p := c.payoutKey()
	if p != nil {
		return p
	}
	o := c.body(true)
	note := string(o.text("note", channels.MaxNote, false))
	if p := o.end(); p != nil {
		return p
	}
	w, err := c.server.cfg.Rails.Cancel(key, "cancelled: "+cmp.Or(note, "by an operator"))
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, c.newWithdrawal(&w))
}

// decidePayout ends a payout of which the node will not say how it ended. Whoever decides wrongly loses the money.
func (c *call) decidePayout() *problem {
	key, p := c.payoutKey()
	if p != nil {
		return p
	}
	o := c.body(false)
	note := string(o.text("note", channels.MaxNote, true))
	if !o.peek("paid") {
		o.fail("paid is missing")
	}
	paid := o.flag("paid")
	if p := o.end(); p != nil {
		return p
	}
	w, err := c.server.cfg.Rails.Payout(key)
	if err == nil && paid {
		if p := borne(c.server.cfg.Audit, &w); p != nil {
			return p
		}
	}
	if err == nil {
		w, err = c.server.cfg.Rails.Decide(key, paid, c.operator()+": "+note)
	}
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, c.newWithdrawal(&w))
}

// borne refuses to let an account pay for a payment that an adjustment has explained as the operator's: the books would have it twice.
func borne(a *audit.Auditor, w *channels.Payout) *problem {
	if a == nil || w.Rail != channels.Lightning {
		return nil
	}
	j, known := a.Borne(w.Hash.String())
	if !known {
		return nil
	}
	return &problem{status: 409, code: "nothing_to_decide", detail: fmt.Sprintf("adjustment %q says that the operator has borne this payment: decide that "+
		"it failed, and the account has its money again. If the account is to pay it, adjust that back first, and once more with the rail lightning", j.ID)}
}

// onchain is a transaction that pays many, in answers.
type onchain struct {
	Batch   string           `json:"batch"`
	Status  string           `json:"status"`
	Payouts int              `json:"payouts"`
	Amount  ledger.Msat      `json:"amount_msat"`
	Rate    channels.FeeRate `json:"sat_per_kvb"`
	Txs     []string         `json:"txids"` // the last was made last
	Made    int64            `json:"made"`
	Changed int64            `json:"changed"`
}

func newOnchain(b *channels.Batch) onchain {
	a := onchain{Batch: b.ID.String(), Status: string(b.Status), Payouts: len(b.Parts), Rate: b.Rate, Txs: []string{}, Made: since1970(b.Made), Changed: since1970(b.Changed)}
	for _, p := range b.Parts {
		a.Amount += ledger.Msat(p.Amount) * 1000
	}
	for _, t := range b.Tries {
		a.Txs = append(a.Txs, t.ID.TxID())
	}
	return a
}

func (c *call) listOnchain() *problem {
	list := []onchain{}
	for _, b := range c.server.cfg.Rails.Batches() {
		list = append(list, newOnchain(&b))
	}
	return c.answerJSON(200, map[string][]onchain{"batches": list})
}

// onBatch does something to a batch, and answers with what it then is.
func (c *call) onBatch(do func(id channels.ID) error) *problem {
	var id channels.ID
	if id.UnmarshalText(c.name) != nil {
		return malformed("a batch is named by a UUID")
	}
	err := do(id)
	var b channels.Batch
	if err == nil {
		b, err = c.server.cfg.Rails.Batch(id)
	}
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, newOnchain(&b))
}

func (c *call) bumpBatch() *problem {
	o := c.body(false)
	rate := channels.FeeRate(o.whole("sat_per_kvb", 1, 10_000_000, true))
	if p := o.end(); p != nil {
		return p
	}
	return c.onBatch(func(id channels.ID) error { return c.server.cfg.Rails.Bump(id, rate) })
}

// abandonBatch has the payouts of a batch wait for the next, once its coins were spent by another transaction that is buried.
func (c *call) abandonBatch() *problem {
	var id channels.ID
	if id.UnmarshalText(c.name) != nil {
		return malformed("a batch is named by a UUID")
	}
	o := c.body(true)
	if p := o.end(); p != nil {
		return p
	}
	if err := c.server.cfg.Rails.Abandon(id); err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, map[string]string{"batch": id.String()})
}

// flush has what waits for a batch cut into one now.
func (c *call) flush() *problem {
	o := c.body(true)
	if p := o.end(); p != nil {
		return p
	}
	c.server.cfg.Rails.Flush()
	return c.answerJSON(200, struct{}{})
}
