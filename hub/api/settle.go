package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/ledger"
)

// onDesk is for routes that a hub without settlement does not have.
func onDesk(handle func(*call) *problem) func(*call) *problem {
	return func(c *call) *problem {
		if c.server.cfg.Settle == nil {
			return &problem{status: 404, code: "route_unknown", detail: "this hub settles nobody"}
		}
		return handle(c)
	}
}

// askDesk is onDesk for what asks the nodes, or writes much.
func askDesk(handle railsHandler) func(*call) *problem { return onDesk(askRails(handle)) }

// operator names who a token of the operator's was given to: by what the hub has signed, which its holder cannot change.
func (c *call) operator() string { return "op-" + hex.EncodeToString(c.grant.ID[:6]) }

// unnarrowed says that only whole tokens change where an account's money goes by itself.
func (c *call) unnarrowed() *problem {
	if narrowed(c.grant) {
		return &problem{status: 403, code: "token_narrowed", detail: "it outlives the token: it takes one with all scopes, without a cap, that does not expire"}
	}
	return nil
}

// into reads the body as a JSON object whose members are those of a struct, and no others.
func (c *call) into(v any) *problem {
	o := c.body(false)
	if o.err != nil {
		return o.err
	}
	d := json.NewDecoder(bytes.NewReader(c.ctx.Request.Body()))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed("%s", clip(err.Error()))
	}
	return nil
}

func (c *call) deskProblem(err error) *problem {
	for _, r := range []struct {
		err    error
		status int
		code   string
	}{
		{settle.ErrUnknownRun, 404, "run_unknown"}, {settle.ErrAccount, 404, "account_unknown"}, {settle.ErrState, 409, "run_state"},
		{settle.ErrOperator, 409, "operator_refused"}, {settle.ErrNothingDue, 409, "nothing_due"}, {settle.ErrTooManyRuns, 409, "too_many"},
		{settle.ErrFileID, 409, "id_reused"}, {settle.ErrUpload, 422, "file_refused"}, {settle.ErrFormat, 422, "format_unknown"},
		{settle.ErrPayee, 422, "payee_invalid"}, {settle.ErrRules, 422, "rules_invalid"}, {settle.ErrClosed, 503, "stopping"},
	} {
		if errors.Is(err, r.err) {
			return &problem{status: r.status, code: r.code, retryable: r.status == 503, detail: err.Error()}
		}
	}
	return c.railsProblem(err)
}

// payee is how an account is settled, in answers.
type payee struct {
	Account string `json:"account"`
	settle.Payee
	Last *settle.Status `json:"last,omitempty"`
}

func (c *call) getPayee() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	got, last, err := c.server.cfg.Settle.Payee(no)
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, payee{no.String(), got, last})
}

// setPayee replaces an account's settings. Who may pay everything the account has may say where it goes.
func (c *call) setPayee() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	if p := c.unnarrowed(); p != nil {
		return p
	}
	var b struct {
		Lightning string            `json:"lightning"`
		Address   string            `json:"address"`
		Internal  string            `json:"internal"`
		Prefer    settle.Preference `json:"prefer"`
		Threshold ledger.Msat       `json:"threshold_msat"`
		Reserve   ledger.Msat       `json:"reserve_msat"`
		Schedule  settle.Schedule   `json:"schedule"`
		MaxFee    uint32            `json:"max_fee_ppm"`
		Paused    bool              `json:"paused"`
	}
	if p := c.into(&b); p != nil {
		return p
	}
	got, err := c.server.cfg.Settle.SetPayee(no, settle.Payee{Lightning: b.Lightning, Address: b.Address, Internal: b.Internal, Prefer: b.Prefer,
		Threshold: b.Threshold, Reserve: b.Reserve, Schedule: b.Schedule, MaxFee: b.MaxFee, Paused: b.Paused})
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, payee{no.String(), got, nil})
}

func (c *call) setFeeShare() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	o := c.body(false)
	percent := o.whole("percent", 0, 100, true)
	if p := o.end(); p != nil {
		return p
	}
	got, err := c.server.cfg.Settle.SetFeeShare(no, uint8(percent))
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, payee{no.String(), got, nil})
}

func (c *call) getRules() *problem { return c.answerJSON(200, c.server.cfg.Settle.Rules()) }

// setRules changes the rules. One operator can take away what asks for two: so every change is an incident, which says who made it.
func (c *call) setRules() *problem {
	var r settle.Rules
	if p := c.into(&r); p != nil {
		return p
	}
	before := c.server.cfg.Settle.Rules()
	if err := c.server.cfg.Settle.SetRules(r); err != nil {
		return c.deskProblem(err)
	}
	if rails := c.server.cfg.Rails; r != before && rails != nil {
		was, _ := json.Marshal(before) // numbers alone
		is, _ := json.Marshal(r)
		rails.Raise(channels.Incident{Kind: "rules", Subject: c.operator() + " " + time.Now().UTC().Format(time.RFC3339Nano),
			Text: fmt.Sprintf("the rules for payouts were %s, and %s has made them %s", was, c.operator(), is)})
	}
	return c.answerJSON(200, c.server.cfg.Settle.Rules())
}

// due is a payment of a plan, in answers.
type due struct {
	Account  string        `json:"account"`
	Rail     channels.Rail `json:"rail"`
	Amount   ledger.Msat   `json:"amount_msat"`
	FeeLimit ledger.Msat   `json:"fee_limit_msat"`
}

// maxDue bounds how many payments of a plan are told one by one.
const maxDue = 1000

// plan is what a run would pay now. Nothing is written.
func (c *call) plan(ctx context.Context) *problem {
	p, m, err := c.server.cfg.Settle.Preview(ctx)
	if err != nil {
		return c.deskProblem(err)
	}
	type left struct {
		Account string        `json:"account"`
		Reason  settle.Reason `json:"reason"`
		Amount  ledger.Msat   `json:"amount_msat"`
	}
	a := struct {
		Total  settle.Tally                   `json:"total"`
		Fees   ledger.Msat                    `json:"fee_limit_msat"`
		ByRail map[channels.Rail]settle.Tally `json:"by_rail"`
		NotDue map[settle.Reason]settle.Tally `json:"not_due"`
		Due    []due                          `json:"due"`
		Left   []left                         `json:"left"`
		Market settle.Market                  `json:"market"`
	}{p.Total, p.Fees, filled(p.ByRail), filled(p.NotDue), []due{}, []left{}, m}
	for _, d := range p.Due[:min(len(p.Due), maxDue)] {
		a.Due = append(a.Due, due{d.Account.String(), d.Rail, d.Amount, d.FeeLimit})
	}
	for _, l := range p.Left[:min(len(p.Left), maxDue)] {
		a.Left = append(a.Left, left{l.Account.String(), l.Reason, l.Amount})
	}
	return c.answerJSON(200, a)
}

// waitingPayout is a payout that waits for operators, in answers.
type waitingPayout struct {
	Account   string            `json:"account"`
	ID        string            `json:"id"`
	To        string            `json:"to"`
	Amount    ledger.Msat       `json:"amount_msat"`
	Limit     ledger.Msat       `json:"max_fee_msat"`
	Approvals []settle.Approval `json:"approvals"`
}

func newWaiting(r settle.Request) waitingPayout {
	return waitingPayout{r.Account.String(), r.ID.String(), r.To, r.Amount, r.FeeLimit, append([]settle.Approval{}, r.Approvals...)}
}

func (c *call) listRequests() *problem {
	list := []waitingPayout{}
	for _, r := range c.server.cfg.Settle.Requests() {
		list = append(list, newWaiting(r))
	}
	return c.answerJSON(200, map[string][]waitingPayout{"requests": list})
}

// approvePayout adds an operator's word; with the second, the payout goes on.
func (c *call) approvePayout() *problem {
	key, p := c.payoutKey()
	if p != nil {
		return p
	}
	o := c.body(true)
	if p := o.end(); p != nil {
		return p
	}
	r, err := c.server.cfg.Settle.ApprovePayout(key, c.operator())
	if err != nil {
		return c.deskProblem(err)
	}
	c.server.cfg.Rails.Wake()
	return c.answerJSON(200, newWaiting(r))
}

// payoutKey reads the account and the id in a path.
func (c *call) payoutKey() (key channels.Key, p *problem) {
	no, err := ledger.ParseAccountNo(c.name)
	if err != nil {
		return key, malformed("%v", err)
	}
	key.Account = no
	if key.ID.UnmarshalText(c.second) != nil {
		return key, malformed("a payout is named by its account and its id, a UUID")
	}
	return key, nil
}
