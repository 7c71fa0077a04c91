package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/millrace/millrace/ledger"
)

// Incident is something that an operator must look at.
type Incident struct {
	Kind       string      `json:"kind"`
	Subject    string      `json:"subject"`
	Text       string      `json:"text"`
	Account    string      `json:"account,omitempty"`
	AmountMsat ledger.Msat `json:"amount_msat,omitempty"`
	Raised     int64       `json:"raised"`
	Times      int         `json:"times"`
	Closed     int64       `json:"closed,omitempty"`
	Note       string      `json:"note,omitempty"`
}

// OnchainBatch is a transaction that pays many.
type OnchainBatch struct {
	Batch      string      `json:"batch"`
	Status     string      `json:"status"`
	Payouts    int         `json:"payouts"`
	AmountMsat ledger.Msat `json:"amount_msat"`
	SatPerKVB  int64       `json:"sat_per_kvb"`
	TxIDs      []string    `json:"txids"`
	Made       int64       `json:"made"`
}

// Payouts are those under way, the oldest first, and how many there are. Rail and status may be empty.
func (c *Client) Payouts(ctx context.Context, rail, status string, limit int) ([]Withdrawal, int, error) {
	type page struct {
		Count   int          `json:"count"`
		Payouts []Withdrawal `json:"payouts"`
	}
	q := pageQuery("", limit)
	for name, value := range map[string]string{"rail": rail, "status": status} {
		if value != "" {
			q.Set(name, value)
		}
	}
	a, err := ask(ctx, c, call{method: "GET", path: withQuery("/v1/rails/payouts", q)}, func(page) checks { return nil })
	return a.Payouts, a.Count, err
}

// CancelPayout ends a payout that was not sent yet.
func (c *Client) CancelPayout(ctx context.Context, no ledger.AccountNo, id, note string) (Withdrawal, error) {
	var body any
	if note != "" {
		body = map[string]string{"note": note}
	}
	return c.onPayout(ctx, no, id, "cancel", body)
}

// DecidePayout says how a payout ended of which the node will not. Whoever decides wrongly loses the money.
func (c *Client) DecidePayout(ctx context.Context, no ledger.AccountNo, id string, paid bool, note string) (Withdrawal, error) {
	return c.onPayout(ctx, no, id, "decide", map[string]any{"paid": paid, "note": note})
}

func (c *Client) onPayout(ctx context.Context, no ledger.AccountNo, id, verb string, body any) (Withdrawal, error) {
	path := "/v1/rails/payouts/" + no.String() + "/" + url.PathEscape(id) + "/" + verb
	return ask(ctx, c, call{method: "POST", path: path, body: body}, func(a Withdrawal) checks { return checks{"id": a.ID == id} })
}

// OnchainBatches are those that are not buried yet.
func (c *Client) OnchainBatches(ctx context.Context) ([]OnchainBatch, error) {
	type list struct {
		Batches []OnchainBatch `json:"batches"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: "/v1/rails/batches"}, func(list) checks { return nil })
	return a.Batches, err
}

// BumpBatch has a batch pay more, in satoshis per 1,000 virtual bytes.
func (c *Client) BumpBatch(ctx context.Context, id string, rate int64) (OnchainBatch, error) {
	path := "/v1/rails/batches/" + url.PathEscape(id) + "/bump"
	return ask(ctx, c, call{method: "POST", path: path, body: map[string]int64{"sat_per_kvb": rate}}, func(a OnchainBatch) checks { return checks{"batch": a.Batch == id} })
}

// AbandonBatch gives up a batch whose coins were spent by another transaction, which must be buried.
func (c *Client) AbandonBatch(ctx context.Context, id string) error {
	type gone struct {
		Batch string `json:"batch"`
	}
	_, err := ask(ctx, c, call{method: "POST", path: "/v1/rails/batches/" + url.PathEscape(id) + "/abandon"}, func(a gone) checks { return checks{"batch": a.Batch == id} })
	return err
}

// Flush cuts what waits for a batch into one now.
func (c *Client) Flush(ctx context.Context) error {
	_, err := ask(ctx, c, call{method: "POST", path: "/v1/rails/flush"}, func(struct{}) checks { return nil })
	return err
}

// Pause is whether payouts are paused, and why.
type Pause struct {
	Paused   bool   `json:"paused"`
	Since    int64  `json:"since,omitempty"` // milliseconds since 1970
	Reason   string `json:"reason,omitempty"`
	Restored bool   `json:"restored,omitempty"` // the hub was restored from a backup
}

// PayoutsPaused says whether payouts are paused.
func (c *Client) PayoutsPaused(ctx context.Context) (Pause, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/rails/pause"}, func(Pause) checks { return nil })
}

// PausePayouts has nothing sent until ResumePayouts.
func (c *Client) PausePayouts(ctx context.Context, reason string) (Pause, error) {
	body := map[string]string{"reason": reason}
	return ask(ctx, c, call{method: "POST", path: "/v1/rails/pause", body: body}, func(p Pause) checks { return checks{"paused": p.Paused} })
}

// ResumePayouts goes on with what a pause holds back. A restored hub must have compared its books in full before. The note may be empty.
func (c *Client) ResumePayouts(ctx context.Context, note string) (Pause, error) {
	body := map[string]string{}
	if note != "" {
		body["note"] = note
	}
	return ask(ctx, c, call{method: "POST", path: "/v1/rails/resume", body: body}, func(Pause) checks { return nil })
}

// Incidents are the open ones, the oldest first, and so many of those closed last.
func (c *Client) Incidents(ctx context.Context, closed int) ([]Incident, error) {
	type list struct {
		Incidents []Incident `json:"incidents"`
	}
	path := "/v1/rails/incidents?closed=" + strconv.Itoa(closed)
	a, err := ask(ctx, c, call{method: "GET", path: path}, func(list) checks { return nil })
	return a.Incidents, err
}

// CloseIncident takes one off the list.
func (c *Client) CloseIncident(ctx context.Context, kind, subject, note string) error {
	type closed struct {
		Subject string `json:"subject"`
	}
	body := map[string]string{"kind": kind, "subject": subject, "note": note}
	_, err := ask(ctx, c, call{method: "POST", path: "/v1/rails/incidents/close", body: body}, func(a closed) checks { return checks{"subject": a.Subject == subject} })
	return err
}

// Unassigned is a page of the deposits that nobody knows the owner of, the newest first, and the cursor of the next page; empty: there is
// none.
func (c *Client) Unassigned(ctx context.Context, cursor string, limit int) ([]Deposit, string, error) {
	type page struct {
		Deposits []Deposit `json:"deposits"`
		Next     string    `json:"next"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: withQuery("/v1/rails/deposits", pageQuery(cursor, limit))}, func(page) checks { return nil })
	return a.Deposits, a.Next, err
}

// AssignDeposit says whose money is that nobody knew the owner of.
func (c *Client) AssignDeposit(ctx context.Context, name string, no ledger.AccountNo) (Deposit, error) {
	body := map[string]string{"account": no.String()}
	return ask(ctx, c, call{method: "POST", path: "/v1/rails/deposits/" + url.PathEscape(name) + "/assign", body: body}, func(a Deposit) checks {
		return checks{"deposit": a.Deposit == name, "account": a.Account == no.String()}
	})
}
