package api

import (
	"bytes"
	"context"
	"io"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
)

func (c *call) startRun(ctx context.Context) *problem {
	o := c.body(true)
	hold := o.flag("hold")
	if p := o.end(); p != nil {
		return p
	}
	r, err := c.server.cfg.Settle.StartRun(ctx, c.operator(), hold)
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(201, newRun(r))
}

// run is one in answers: an account is told by its name.
type run struct {
	settle.Run
	Account string `json:"account,omitempty"`
}

func newRun(r settle.Run) run {
	a := run{Run: r}
	if r.Account != 0 {
		a.Account = r.Account.String()
	}
	a.ByRail = filled(a.ByRail)
	if r.Report != nil {
		report := *r.Report
		report.ByRail, report.Reasons = filled(report.ByRail), filled(report.Reasons)
		a.Report = &report
	}
	return a
}

// filled is an empty map for none, which JSON has as an object.
func filled[M ~map[K]settle.Tally, K comparable](m M) M {
	if m == nil {
		m = M{}
	}
	return m
}

// runList is a page of runs.
type runList struct {
	Runs []run  `json:"runs"`
	Next string `json:"next,omitempty"`
}

func (c *call) listRuns() *problem {
	q := c.query()
	limit := int(q.whole("limit", 1, settle.MaxPage, defaultPage))
	before := q.uuid("before")
	if p := q.end(); p != nil {
		return p
	}
	found, err := c.server.cfg.Settle.Runs(before, limit)
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, newRunList(found, limit))
}

func newRunList(found []settle.Run, limit int) runList {
	a := runList{Runs: []run{}}
	for _, r := range found {
		a.Runs = append(a.Runs, newRun(r))
	}
	if len(found) == limit {
		a.Next = found[len(found)-1].ID.String()
	}
	return a
}

// uuid is zero for a parameter that is not there.
func (q *query) uuid(name string) (id channels.ID) {
	if text := q.text(name); text != nil && id.UnmarshalText(text) != nil {
		q.fail("%s must be a UUID", name)
	}
	return id
}

// withRun answers with the run in the path, after something was done to it.
func (c *call) withRun(do func(id channels.ID) (settle.Run, error)) *problem {
	var id channels.ID
	if id.UnmarshalText(c.name) != nil {
		return malformed("a run is named by a UUID")
	}
	r, err := do(id)
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, newRun(r))
}

func (c *call) getRun() *problem { return c.withRun(c.server.cfg.Settle.Run) }

// onRun is for what an operator does to a run.
func onRun(do func(d *settle.Desk, id channels.ID, by string) (settle.Run, error)) func(*call) *problem {
	return onDesk(func(c *call) *problem {
		o := c.body(true)
		if p := o.end(); p != nil {
			return p
		}
		return c.withRun(func(id channels.ID) (settle.Run, error) { return do(c.server.cfg.Settle, id, c.operator()) })
	})
}

func resumeRun(d *settle.Desk, id channels.ID, _ string) (settle.Run, error) { return d.Resume(id) }

// item is one in answers.
type item struct {
	settle.Numbered
	Account string `json:"account"`
}

func (c *call) runItems() *problem {
	var id channels.ID
	if id.UnmarshalText(c.name) != nil {
		return malformed("a run is named by a UUID")
	}
	q := c.query()
	limit, from := int(q.whole("limit", 1, settle.MaxPage, defaultPage)), q.whole("from", 0, settle.MaxItems, 0)
	if p := q.end(); p != nil {
		return p
	}
	if _, err := c.server.cfg.Settle.Run(id); err != nil {
		return c.deskProblem(err)
	}
	found, err := c.server.cfg.Settle.Items(id, uint32(from), limit)
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, newItems(found))
}

func newItems(found []settle.Numbered) map[string][]item {
	list := []item{}
	for _, i := range found {
		list = append(list, item{i, i.Account.String()})
	}
	return map[string][]item{"items": list}
}

// runResult is a run as a file for those who keep books.
func (c *call) runResult() *problem {
	var id channels.ID
	if id.UnmarshalText(c.name) != nil {
		return malformed("a run is named by a UUID")
	}
	return c.download(id)
}

func (c *call) download(id channels.ID) *problem {
	q := c.query()
	format := q.word("format", "csv", "pain.002", "camt.054")
	if p := q.end(); p != nil {
		return p
	}
	r, err := c.server.cfg.Settle.Run(id)
	if err != nil {
		return c.deskProblem(err)
	}
	if r.File == nil && format != "csv" {
		return &problem{status: 422, code: "format_unknown", detail: "only the run of an import answers in " + format}
	}
	write := map[string]func(io.Writer, channels.ID) error{"csv": c.server.cfg.Settle.ResultCSV, "pain.002": c.server.cfg.Settle.Status, "camt.054": c.server.cfg.Settle.Bookings}[format]
	var out bytes.Buffer // at most settle.MaxItems lines; whole, so that an error is an answer
	if err := write(&out, id); err != nil {
		return c.deskProblem(err)
	}
	kind, extension := "text/xml; charset=utf-8", ".xml"
	if format == "csv" {
		kind, extension = "text/csv; charset=utf-8; header=present", ".csv"
	}
	c.ctx.SetContentType(kind)
	c.ctx.Response.Header.Set("Cache-Control", "no-store")
	c.ctx.Response.Header.Set("Content-Disposition", `attachment; filename="millrace-`+id.String()+extension+`"`)
	c.ctx.Response.SetBodyRaw(out.Bytes())
	return nil
}
