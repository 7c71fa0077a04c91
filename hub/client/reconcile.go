package client

import (
	"context"
	"errors"

	"github.com/millrace/millrace/ledger"
)

// Reconciliation is what a comparison of the hub's books with its node's has found, in msat.
type Reconciliation struct {
	Time       int64      `json:"time"` // milliseconds since 1970
	Full       bool       `json:"full"`
	Steady     bool       `json:"steady"` // nothing moved while it was read: Difference means something
	Height     int64      `json:"height"`
	Held       int64      `json:"held_msat"`
	Backing    int64      `json:"backing_msat"`   // what the node holds for accounts
	Due        int64      `json:"due_msat"`       // what accounts have
	Ratio      int64      `json:"ratio_permille"` // of the two, in thousandths, rounded down
	Difference int64      `json:"difference_msat"`
	Mismatches []Mismatch `json:"mismatches"`
	More       int        `json:"more"` // mismatches beside those listed
	Warnings   []string   `json:"warnings"`
	Stopped    string     `json:"stopped,omitempty"` // why payouts are stopped; empty: they are not
}

// Mismatch is something that one of the books says and another does not.
type Mismatch struct {
	Kind    string      `json:"kind"`
	Subject string      `json:"subject"`
	Amount  ledger.Msat `json:"amount_msat"`
	Text    string      `json:"text"`
}

// Adjustment is something that the operator has moved past the hub.
type Adjustment struct {
	ID     string `json:"id"`
	Amount int64  `json:"amount_msat"` // that the node holds more since
	Rail   string `json:"rail,omitempty"`
	Ref    string `json:"ref,omitempty"`
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	Time   int64  `json:"time"`
}

const reconciliationPath = "/v1/rails/reconciliation"

// LastReconciliation is the last comparison since the hub was started.
func (c *Client) LastReconciliation(ctx context.Context) (Reconciliation, error) {
	return ask(ctx, c, call{method: "GET", path: reconciliationPath}, func(Reconciliation) checks { return nil })
}

// Reconcile compares the books now, or everything that there ever was in them. It asks for as long as the context lasts: a comparison that
// finds something takes a minute, a full one of a large hub some more.
func (c *Client) Reconcile(ctx context.Context, full bool) (Reconciliation, error) {
	body := map[string]bool{"full": full}
	for {
		r, err := ask(ctx, c, call{method: "POST", path: reconciliationPath, body: body}, func(Reconciliation) checks { return nil })
		var p *Problem
		if !errors.As(err, &p) || p.Code != "comparing" || ctx.Err() != nil {
			return r, err
		}
	}
}

// Adjust writes an adjustment down, under an id of the caller's: the same one again is the same adjustment.
func (c *Client) Adjust(ctx context.Context, j Adjustment) (Adjustment, error) {
	body := map[string]any{"id": j.ID, "reason": j.Reason}
	if j.Amount >= 0 {
		body["came_in_msat"] = j.Amount
	} else {
		body["went_out_msat"] = -j.Amount
	}
	if j.Rail != "" {
		body["rail"] = j.Rail
	}
	if j.Ref != "" {
		body["ref"] = j.Ref
	}
	return ask(ctx, c, call{method: "POST", path: "/v1/rails/adjustments", body: body}, func(a Adjustment) checks { return checks{"id": a.ID == j.ID} })
}
