package api

import (
	"cmp"

	"github.com/millrace/millrace/channels"
)

// pause is whether payouts are paused, in answers.
type pause struct {
	Paused   bool   `json:"paused"`
	Since    int64  `json:"since,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Restored bool   `json:"restored,omitempty"`
}

func (c *call) answerPause() *problem {
	p, paused := c.server.cfg.Rails.Paused()
	if !paused {
		return c.answerJSON(200, pause{})
	}
	return c.answerJSON(200, pause{true, since1970(p.Since), p.Reason, p.Restored})
}

func (c *call) getPause() *problem {
	q := c.query()
	if p := q.end(); p != nil {
		return p
	}
	return c.answerPause()
}

func (c *call) pausePayouts() *problem {
	o := c.body(false)
	reason := string(o.text("reason", channels.MaxNote-32, true))
	if p := o.end(); p != nil {
		return p
	}
	if _, err := c.server.cfg.Rails.Pause(c.operator() + ": " + reason); err != nil {
		return c.railsProblem(err)
	}
	return c.answerPause()
}

// resumePayouts ends a pause. That of a restored hub ends only when everything in its books was compared with the node's since it was
// restored: what that finds is not judged here, since mismatches stop payouts by themselves.
func (c *call) resumePayouts() *problem {
	o := c.body(true)
	note := string(o.text("note", channels.MaxNote-32, false))
	if p := o.end(); p != nil {
		return p
	}
	if p, paused := c.server.cfg.Rails.Paused(); paused && p.Restored && !c.compared(&p) {
		return &problem{status: 409, code: "not_compared", detail: "the hub was restored from a backup, and its books were not compared in full with its node's since: " +
			"millrace reconcile run --full"}
	}
	if err := c.server.cfg.Rails.Resume(c.operator() + ": " + cmp.Or(note, "resumed")); err != nil {
		return c.railsProblem(err)
	}
	return c.answerPause()
}

// compared says whether everything was compared since a pause began.
func (c *call) compared(p *channels.Pause) bool {
	if c.server.cfg.Audit == nil {
		return false
	}
	full := c.server.cfg.Audit.Full()
	return full.After(p.Since)
}
