package api

import (
	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// incident is something that an operator must look at, in answers.
type incident struct {
	Kind    string      `json:"kind"`
	Subject string      `json:"subject"`
	Text    string      `json:"text"`
	Account string      `json:"account,omitempty"`
	Amount  ledger.Msat `json:"amount_msat,omitempty"`
	Raised  int64       `json:"raised"`
	Again   int64       `json:"again"`
	Times   int         `json:"times"`
	Closed  int64       `json:"closed,omitempty"`
	Note    string      `json:"note,omitempty"`
}

// maxClosed bounds how many incidents that are over are told.
const maxClosed = 1000

// listIncidents are the open ones, the oldest first, and then as many of the newest closed ones as are asked for.
func (c *call) listIncidents() *problem {
	q := c.query()
	closed := int(q.whole("closed", 0, maxClosed, 0))
	if p := q.end(); p != nil {
		return p
	}
	all, err := c.server.cfg.Rails.Incidents(closed)
	if err != nil {
		return c.railsProblem(err)
	}
	list := []incident{}
	for _, i := range all {
		a := incident{Kind: i.Kind, Subject: i.Subject, Text: i.Text, Amount: i.Amount, Raised: since1970(i.Raised), Again: since1970(i.Again),
			Times: i.Times, Closed: since1970(i.Closed), Note: i.Note}
		if i.Account != 0 {
			a.Account = i.Account.String()
		}
		list = append(list, a)
	}
	return c.answerJSON(200, map[string][]incident{"incidents": list})
}

// closeIncident takes an incident off the list. It changes nothing else.
func (c *call) closeIncident() *problem {
	o := c.body(false)
	kind, subject := string(o.text("kind", channels.MaxKind, true)), string(o.text("subject", channels.MaxSubject, true))
	note := string(o.text("note", channels.MaxNote-32, true))
	if p := o.end(); p != nil {
		return p
	}
	found, err := c.server.cfg.Rails.CloseIncident(kind, subject, c.operator()+": "+note)
	switch {
	case err != nil:
		return c.railsProblem(err)
	case !found:
		return &problem{status: 404, code: "incident_unknown", detail: "there is no such open incident"}
	}
	return c.answerJSON(200, map[string]string{"kind": kind, "subject": subject})
}

// assignDeposit says whose money is that nobody knew the owner of.
func (c *call) assignDeposit() *problem {
	ref, p := parseDeposit(string(c.name))
	if p != nil {
		return p
	}
	o := c.body(false)
	no := o.account("account")
	if p := o.end(); p != nil {
		return p
	}
	if err := c.server.cfg.Rails.Assign(ref, no); err != nil {
		return c.railsProblem(err)
	}
	d, err := c.server.cfg.Rails.Deposit(no, ref)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, newDeposit(&d))
}
