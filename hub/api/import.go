package api

import (
	"bytes"
	"context"
	"strings"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
)

// maxImportBody bounds a file of payments: what the engine takes. Only whoever has a token of this hub is let send so much; should 100 do so
// at once, that is 3.2 GiB.
const maxImportBody = settle.MaxFile

// isImport says whether a request is an upload, by how its path begins and ends.
func isImport(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return strings.HasPrefix(path, "/v1/accounts/") && strings.HasSuffix(path, "/imports")
}

// addImport takes a file of payments. What is wrong in it stands in the answer; then nothing is paid, but where skip_invalid says so.
func (c *call) addImport(ctx context.Context) *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	if p := c.unnarrowed(); p != nil { // a file pays many, and goes on for longer than a call
		return p
	}
	if p := c.wantType("application/octet-stream"); p != nil {
		return p
	}
	q := c.query()
	u := settle.Upload{Account: no, Format: settle.Format(q.word("format", "csv", "ndjson", "pain.001")), ID: string(q.text("id")), Name: string(q.text("name")),
		SkipInvalid: q.word("skip_invalid", "no", "yes") == "yes", DryRun: q.word("dry_run", "no", "yes") == "yes",
		MaxFee: uint32(q.whole("max_fee_ppm", 0, 1_000_000, 0)), By: "token-" + c.operator()[3:], Body: bytes.NewReader(c.ctx.Request.Body())}
	if p := q.end(); p != nil {
		return p
	}
	got, err := c.server.cfg.Settle.Import(ctx, u)
	if err != nil {
		return c.deskProblem(err)
	}
	a := struct {
		settle.Import
		Run *run `json:"run,omitempty"`
	}{Import: got}
	if got.Run != nil {
		r := newRun(*got.Run)
		a.Run = &r
	}
	return c.answerJSON(200, a)
}

func (c *call) listImports() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	q := c.query()
	limit, behind := int(q.whole("limit", 1, settle.MaxPage, defaultPage)), string(q.text("behind"))
	if p := q.end(); p != nil {
		return p
	}
	found, err := c.server.cfg.Settle.Imports(no, behind, limit)
	if err != nil {
		return c.deskProblem(err)
	}
	a := newRunList(found, limit)
	if a.Next != "" {
		a.Next = found[len(found)-1].File.ID
	}
	return c.answerJSON(200, a)
}

// ownImport is the run of an import of the account in the path.
func (c *call) ownImport() (id channels.ID, p *problem) {
	no, p := c.ownAccount()
	if p != nil {
		return id, p
	}
	if id.UnmarshalText(c.second) != nil {
		return id, malformed("an import is named by the UUID of its run")
	}
	r, err := c.server.cfg.Settle.Run(id)
	if err != nil {
		return id, c.deskProblem(err)
	}
	if r.Account != no || no == 0 {
		return id, c.deskProblem(settle.ErrUnknownRun)
	}
	return id, nil
}

func (c *call) getImport() *problem {
	id, p := c.ownImport()
	if p != nil {
		return p
	}
	r, err := c.server.cfg.Settle.Run(id)
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, newRun(r))
}

func (c *call) importResult() *problem {
	id, p := c.ownImport()
	if p != nil {
		return p
	}
	return c.download(id)
}

// settledItems are what runs paid an account, or could not, the newest first.
func (c *call) settledItems() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	q := c.query()
	limit := int(q.whole("limit", 1, settle.MaxPage, defaultPage))
	behind := settle.Numbered{Run: q.uuid("run"), Number: uint32(q.whole("number", 0, settle.MaxItems, 0)), Item: settle.Item{Account: no}}
	if p := q.end(); p != nil {
		return p
	}
	found, err := c.server.cfg.Settle.ItemsOf(no, behind, limit)
	if err != nil {
		return c.deskProblem(err)
	}
	return c.answerJSON(200, newItems(found))
}
