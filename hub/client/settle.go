package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/millrace/millrace/ledger"
)

// Tally counts payments and their money.
type Tally struct {
	Count      int         `json:"count"`
	AmountMsat ledger.Msat `json:"amount_msat"`
}

// Schedule says when an account is settled by itself: at most one of these.
type Schedule struct {
	EveryMinutes uint16      `json:"every_minutes,omitempty"`
	Daily        string      `json:"daily,omitempty"`  // "06:30", UTC
	Weekly       string      `json:"weekly,omitempty"` // "monday 06:30", UTC
	BalanceMsat  ledger.Msat `json:"balance_msat,omitempty"`
}

// SettlementSettings is how an account wants to be settled.
type SettlementSettings struct {
	Lightning     string      `json:"lightning,omitempty"`
	Address       string      `json:"address,omitempty"`
	Internal      string      `json:"internal,omitempty"`
	Prefer        string      `json:"prefer,omitempty"` // cheapest, lightning or chain
	ThresholdMsat ledger.Msat `json:"threshold_msat,omitempty"`
	ReserveMsat   ledger.Msat `json:"reserve_msat,omitempty"`
	Schedule      Schedule    `json:"schedule"`
	MaxFeePPM     uint32      `json:"max_fee_ppm,omitempty"`
	Paused        bool        `json:"paused,omitempty"`
}

// Settlement is how an account is settled.
type Settlement struct {
	Account       string      `json:"account"`
	Lightning     string      `json:"lightning,omitempty"`
	Address       string      `json:"address,omitempty"`
	Internal      string      `json:"internal,omitempty"`
	Prefer        string      `json:"prefer,omitempty"`
	ThresholdMsat ledger.Msat `json:"threshold_msat,omitempty"`
	ReserveMsat   ledger.Msat `json:"reserve_msat,omitempty"`
	Schedule      Schedule    `json:"schedule,omitempty"` // zero: none
	MaxFeePPM     uint32      `json:"max_fee_ppm,omitempty"`
	HubFeePercent uint8       `json:"hub_fee_percent,omitempty"`
	Paused        bool        `json:"paused,omitempty"`
	Version       uint32      `json:"version"`
}

// Run is a number of payments that are decided on, and reported, together.
type Run struct {
	ID           string           `json:"id"`
	Cause        string           `json:"cause"`
	By           string           `json:"by,omitempty"`
	Waits        string           `json:"waits,omitempty"` // why nothing of it begins though it is running; empty: it does
	Made         int64            `json:"made"`
	State        string           `json:"state"` // created, running, paused or closed
	Items        int              `json:"items"`
	PlannedMsat  ledger.Msat      `json:"planned_msat"`
	ByRail       map[string]Tally `json:"by_rail"`
	FeeLimitMsat ledger.Msat      `json:"fee_limit_msat"`
	Needs        int              `json:"needs,omitempty"`
	Approvals    []RunApproval    `json:"approvals,omitempty"`
	Account      string           `json:"account,omitempty"`
	Report       *RunReport       `json:"report,omitempty"`
}

// RunApproval is an operator's word.
type RunApproval struct {
	By   string `json:"by"`
	Time int64  `json:"time"`
}

// RunReport is what became of a run.
type RunReport struct {
	Paid     Tally            `json:"paid"`
	Failed   Tally            `json:"failed"`
	Skipped  Tally            `json:"skipped"`
	FeesMsat ledger.Msat      `json:"fees_msat"`
	Reasons  map[string]Tally `json:"reasons"`
}

// RunItem is one payment of a run.
type RunItem struct {
	Run        string      `json:"run"`
	Number     uint32      `json:"number"`
	Account    string      `json:"account"`
	Rail       string      `json:"rail"`
	AmountMsat ledger.Msat `json:"amount_msat"`
	Stage      string      `json:"stage"`
	Reason     string      `json:"reason,omitempty"`
	FeeMsat    ledger.Msat `json:"fee_msat,omitempty"`
	Hash       string      `json:"hash,omitempty"`
}

// Plan is what a run would pay now.
type Plan struct {
	Total        Tally            `json:"total"`
	FeeLimitMsat ledger.Msat      `json:"fee_limit_msat"`
	ByRail       map[string]Tally `json:"by_rail"`
	NotDue       map[string]Tally `json:"not_due"`
}

// Upload is a file of payments.
type Upload struct {
	Format      string // csv, ndjson or pain.001
	ID, Name    string
	SkipInvalid bool
	DryRun      bool
	MaxFeePPM   uint32
	Body        []byte
}

// Import is what was found in a file, and the run that pays it.
type Import struct {
	Accepted     bool        `json:"accepted"`
	Repeated     bool        `json:"repeated"`
	Run          *Run        `json:"run,omitempty"`
	TotalMsat    ledger.Msat `json:"total_msat"`
	FeeLimitMsat ledger.Msat `json:"fee_limit_msat"`
	Problems     []struct {
		Line uint32 `json:"line"`
		Text string `json:"text"`
	} `json:"problems,omitempty"`
}

// Waiting is a payout that waits for two operators.
type Waiting struct {
	Account    string        `json:"account"`
	ID         string        `json:"id"`
	To         string        `json:"to"`
	AmountMsat ledger.Msat   `json:"amount_msat"`
	MaxFeeMsat ledger.Msat   `json:"max_fee_msat"` // what it may cost beside
	Approvals  []RunApproval `json:"approvals"`
}

func isRun(id string) func(Run) checks {
	return func(a Run) checks { return checks{"id": a.ID != "" && (id == "" || a.ID == id)} }
}

// Settlement is how an account is settled.
func (c *Client) Settlement(ctx context.Context, no ledger.AccountNo) (Settlement, error) {
	return ask(ctx, c, call{method: "GET", path: account(no) + "/settlement"}, func(a Settlement) checks { return checks{"account": a.Account == no.String()} })
}

// SetSettlement replaces an account's settings.
func (c *Client) SetSettlement(ctx context.Context, no ledger.AccountNo, s SettlementSettings) (Settlement, error) {
	return ask(ctx, c, call{method: "POST", path: account(no) + "/settlement", body: s}, func(a Settlement) checks { return checks{"account": a.Account == no.String()} })
}

// SetFeeShare sets the hub's part of the fee, in percent. The token must be the operator's.
func (c *Client) SetFeeShare(ctx context.Context, no ledger.AccountNo, percent uint8) (Settlement, error) {
	body := map[string]uint8{"percent": percent}
	return ask(ctx, c, call{method: "POST", path: account(no) + "/settlement/fee-share", body: body}, func(a Settlement) checks { return checks{"account": a.Account == no.String()} })
}

// Settled is what runs paid an account, or could not, the newest first.
func (c *Client) Settled(ctx context.Context, no ledger.AccountNo, limit int) ([]RunItem, error) {
	return c.items(ctx, withQuery(account(no)+"/settlement/items", pageQuery("", limit)))
}

func (c *Client) items(ctx context.Context, path string) ([]RunItem, error) {
	type page struct {
		Items []RunItem `json:"items"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: path}, func(page) checks { return nil })
	return a.Items, err
}

// Import has a file of payments paid by an account, or only checked. The same file again is the same import.
func (c *Client) Import(ctx context.Context, no ledger.AccountNo, u Upload) (Import, error) {
	q := url.Values{"format": {u.Format}}
	for name, value := range map[string]string{"id": u.ID, "name": u.Name} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, yes := range map[string]bool{"skip_invalid": u.SkipInvalid, "dry_run": u.DryRun} {
		if yes {
			q.Set(name, "yes")
		}
	}
	if u.MaxFeePPM != 0 {
		q.Set("max_fee_ppm", strconv.FormatUint(uint64(u.MaxFeePPM), 10))
	}
	path := withQuery(account(no)+"/imports", q)
	return ask(ctx, c, call{method: "POST", path: path, raw: bytes.Clone(u.Body)}, func(Import) checks { return nil })
}

// Imports are the files that an account had paid.
func (c *Client) Imports(ctx context.Context, no ledger.AccountNo, limit int) ([]Run, error) {
	return c.runs(ctx, withQuery(account(no)+"/imports", pageQuery("", limit)))
}

// ImportRun is the run of one.
func (c *Client) ImportRun(ctx context.Context, no ledger.AccountNo, id string) (Run, error) {
	return ask(ctx, c, call{method: "GET", path: account(no) + "/imports/" + url.PathEscape(id)}, isRun(id))
}

// ImportResult is what became of a file, as csv, pain.002 or camt.054.
func (c *Client) ImportResult(ctx context.Context, no ledger.AccountNo, id, format string) ([]byte, error) {
	return c.file(ctx, account(no)+"/imports/"+url.PathEscape(id)+"/result", format)
}

func (c *Client) file(ctx context.Context, path, format string) (text []byte, err error) {
	err = c.do(ctx, call{method: "GET", path: withQuery(path, url.Values{"format": {format}})}, &text)
	return text, err
}

// Rules are the operator's caps and limits, as JSON.
func (c *Client) Rules(ctx context.Context) (map[string]uint64, error) {
	return c.rules(ctx, call{method: "GET", path: "/v1/settlement/rules"})
}

// SetRules replaces them.
func (c *Client) SetRules(ctx context.Context, rules map[string]uint64) (map[string]uint64, error) {
	return c.rules(ctx, call{method: "POST", path: "/v1/settlement/rules", body: rules})
}

func (c *Client) rules(ctx context.Context, op call) (map[string]uint64, error) {
	var text []byte
	if err := c.do(ctx, op, (*anything)(&text)); err != nil {
		return nil, err
	}
	all := make(map[string]uint64)
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %w", op.method, op.path, ErrAnswer, err)
	}
	return all, nil
}

// Plan is what a run would pay now.
func (c *Client) Plan(ctx context.Context) (Plan, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/settlement/plan"}, func(Plan) checks { return nil })
}

// Waiting are the payouts that wait for two operators.
func (c *Client) Waiting(ctx context.Context) ([]Waiting, error) {
	type list struct {
		Requests []Waiting `json:"requests"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: "/v1/settlement/requests"}, func(list) checks { return nil })
	return a.Requests, err
}

// ApprovePayout adds the operator's word.
func (c *Client) ApprovePayout(ctx context.Context, no ledger.AccountNo, id string) (Waiting, error) {
	path := "/v1/settlement/requests/" + no.String() + "/" + url.PathEscape(id) + "/approve"
	return ask(ctx, c, call{method: "POST", path: path}, func(a Waiting) checks { return checks{"id": a.ID == id} })
}

// StartRun pays what is due. With hold, operators must approve it first. It is not idempotent: after ErrUnreachable see Runs.
func (c *Client) StartRun(ctx context.Context, hold bool) (Run, error) {
	return ask(ctx, c, call{method: "POST", path: "/v1/settlement/runs", body: map[string]bool{"hold": hold}, once: true}, isRun(""))
}

// Runs are the newest.
func (c *Client) Runs(ctx context.Context, limit int) ([]Run, error) {
	return c.runs(ctx, withQuery("/v1/settlement/runs", pageQuery("", limit)))
}

func (c *Client) runs(ctx context.Context, path string) ([]Run, error) {
	type page struct {
		Runs []Run `json:"runs"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: path}, func(page) checks { return nil })
	return a.Runs, err
}

// Run is one run.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return ask(ctx, c, call{method: "GET", path: "/v1/settlement/runs/" + url.PathEscape(id)}, isRun(id))
}

// OnRun does what a verb says to a run: approve, pause, resume or cancel.
func (c *Client) OnRun(ctx context.Context, id, verb string) (Run, error) {
	return ask(ctx, c, call{method: "POST", path: "/v1/settlement/runs/" + url.PathEscape(id) + "/" + verb}, isRun(id))
}

// RunItems are the payments of a run, from a number on.
func (c *Client) RunItems(ctx context.Context, id string, from uint32, limit int) ([]RunItem, error) {
	q := pageQuery("", limit)
	q.Set("from", strconv.FormatUint(uint64(from), 10))
	return c.items(ctx, withQuery("/v1/settlement/runs/"+url.PathEscape(id)+"/items", q))
}

// RunResult is a run as a file.
func (c *Client) RunResult(ctx context.Context, id, format string) ([]byte, error) {
	return c.file(ctx, "/v1/settlement/runs/"+url.PathEscape(id)+"/result", format)
}
