package api

import (
	"context"
	"errors"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
	"github.com/millrace/millrace/ledger"
)

// reconciliation is what a comparison of the hub's books with its node's has found, in answers. Amounts can be below zero.
type reconciliation struct {
	Time       int64      `json:"time"`
	Full       bool       `json:"full"`
	Steady     bool       `json:"steady"`
	Height     int64      `json:"height"`
	Held       int64      `json:"held_msat"`
	Backing    int64      `json:"backing_msat"`
	Due        int64      `json:"due_msat"`
	Ratio      int64      `json:"ratio_permille"`
	Difference int64      `json:"difference_msat"`
	Mismatches []mismatch `json:"mismatches"`
	More       int        `json:"more"`
	Warnings   []string   `json:"warnings"`
	Stopped    string     `json:"stopped,omitempty"`
}

type mismatch struct {
	Kind    string      `json:"kind"`
	Subject string      `json:"subject"`
	Amount  ledger.Msat `json:"amount_msat"`
	Text    string      `json:"text"`
}

func newReconciliation(r *audit.Report) reconciliation {
	a := reconciliation{Time: since1970(r.Time), Full: r.Full, Steady: r.Steady, Height: r.Height, Held: r.Sheet.Held, Backing: r.Sheet.Backing,
		Due: r.Sheet.Due, Ratio: int64(r.Sheet.Ratio * 1000), Difference: r.Sheet.Difference, Mismatches: []mismatch{}, More: r.More, Warnings: []string{}, Stopped: r.Stopped}
	for _, m := range r.Mismatches {
		a.Mismatches = append(a.Mismatches, mismatch{string(m.Kind), m.Subject, m.Amount, m.Text})
	}
	a.Warnings = append(a.Warnings, r.Warnings...)
	return a
}

// noNode is the answer of a hub whose books nobody else has.
func noNode() *problem {
	return &problem{status: 404, code: "route_unknown", detail: "this hub has no node to compare its books with"}
}

// getReconciliation is the last comparison since the start.
func (c *call) getReconciliation() *problem {
	a := c.server.cfg.Audit
	if a == nil {
		return noNode()
	}
	r, ok := a.Last()
	if !ok {
		return &problem{status: 404, code: "not_compared", detail: "the books were not compared yet since the hub was started"}
	}
	return c.answerJSON(200, c.reconciliation(&r))
}

// reconciliation is a report in answers: payouts are stopped by a pause, too.
func (c *call) reconciliation(r *audit.Report) reconciliation {
	a := newReconciliation(r)
	if p, paused := c.server.cfg.Rails.Paused(); paused && a.Stopped == "" {
		a.Stopped = p.Reason
	}
	return a
}

// reconcile compares the books now.
func (c *call) reconcile(ctx context.Context) *problem {
	a := c.server.cfg.Audit
	if a == nil {
		return noNode()
	}
	o := c.body(true)
	full := o.flag("full")
	if p := o.end(); p != nil {
		return p
	}
	r, err := a.Ask(ctx, full)
	switch {
	case errors.Is(err, audit.ErrComparing):
		return &problem{status: 503, code: "comparing", retryable: true, detail: "the books are being compared, twice where they differ: send the same request again for what that finds"}
	case errors.Is(err, audit.ErrBusy):
		return &problem{status: 409, code: "busy", retryable: true, detail: "something is on its way, and the books are opened when nothing is: try again in a moment"}
	case err != nil:
		return c.railsProblem(err)
	}
	return c.answerJSON(200, c.reconciliation(&r))
}

// adjustment is the operator's word for something that only the node's books have, in answers.
type adjustment struct {
	ID     string `json:"id"`
	Amount int64  `json:"amount_msat"`
	Rail   string `json:"rail,omitempty"`
	Ref    string `json:"ref,omitempty"`
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	Time   int64  `json:"time"`
}

// adjust writes down what the operator has moved past the hub.
func (c *call) adjust() *problem {
	a := c.server.cfg.Audit
	if a == nil {
		return noNode()
	}
	o := c.body(false)
	j := audit.Adjustment{
		ID: string(o.text("id", 64, true)), Rail: channels.Rail(o.text("rail", 16, false)), Ref: string(o.text("ref", 80, false)),
		Reason: string(o.text("reason", 500, true)), By: c.operator(),
	}
	in, out := o.whole("came_in_msat", 0, uint64(ledger.MaxMsat), false), o.whole("went_out_msat", 0, uint64(ledger.MaxMsat), false)
	j.Amount = int64(in) - int64(out)
	if p := o.end(); p != nil {
		return p
	}
	j, err := a.Adjust(j)
	switch {
	case errors.Is(err, audit.ErrAdjustment):
		return &problem{status: 422, code: "adjustment_refused", detail: err.Error()}
	case err != nil:
		return c.railsProblem(err)
	}
	return c.answerJSON(200, adjustment{j.ID, j.Amount, string(j.Rail), j.Ref, j.Reason, j.By, since1970(j.Time)})
}
