package api

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/millrace/millrace/hub/statement"
	"github.com/millrace/millrace/ledger"
)

func (c *call) accountStatement() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	return c.statement(h)
}

func (c *call) channelStatement() *problem {
	h, p := c.channelHistory()
	if p != nil {
		return p
	}
	return c.statement(h)
}

// statement answers with what happened in a period, line by line. Until is the present when it is not given, so that the entries of
// this millisecond are in.
func (c *call) statement(h history) *problem {
	q := c.query()
	from := q.millis("from", 0)
	now := min(uint64(max(c.hub.Latest().UnixMilli(), 0)), maxMillis-2)
	until := q.millis("until", now+1)
	format, err := statement.ParseFormat(q.word("format", "csv", "json", "hledger", "parquet"))
	if err != nil {
		return malformed("%v", err)
	}
	switch {
	case from <= until:
	case c.ctx.QueryArgs().Has("until"):
		q.fail("from must not be after until")
	default:
		q.fail("from lies in the future: for the hub it is %s", time.UnixMilli(int64(now)).UTC().Format(time.RFC3339))
	}
	if p := q.end(); p != nil {
		return p
	}
	head := statement.Header{Hub: c.hub.Origin(), Account: h.account, Channel: h.channel, Contents: c.hub.ContentID,
		Period: statement.Period{From: from, Until: until}}
	g, err := c.period(from, until)
	if err != nil {
		return c.failed(err)
	}
	head.First, head.Last = g.From, max(g.To, g.From-1)
	opening, err := c.balanceAt(h, head.First-1)
	if err != nil {
		return c.failed(err)
	}
	closing, err := c.balanceAt(h, head.Last)
	if err != nil {
		return c.failed(err)
	}
	head.Opening = opening
	server := c.server
	p := c.stream(format.ContentType(), func() io.ReadCloser {
		return write(server.stopping, func(w io.Writer) error {
			err := server.writeStatement(w, h, format, head, closing)
			if err != nil && err != io.ErrClosedPipe && err != errStopping {
				server.cfg.Logger.Error("a statement was cut off", "of", h.String(), "err", err)
			}
			return err
		})
	})
	if p == nil {
		c.ctx.Response.Header.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", head.FileName(format)))
	}
	return p
}

// balanceAt is what there was after the last entry up to a seq.
func (c *call) balanceAt(h history, seq uint64) ([2]int64, error) {
	switch {
	case seq == 0:
		return [2]int64{}, nil
	case h.account != 0:
		return c.hub.BalanceAt(h.account, seq)
	}
	return c.hub.ChannelAt(h.channel, seq)
}

func (s *Server) writeStatement(w io.Writer, h history, format statement.Format, head statement.Header, closing [2]int64) error {
	out := bufio.NewWriterSize(w, 32<<10)
	doc, err := statement.New(format, out, head)
	if err != nil {
		return err
	}
	if head.First <= head.Last {
		c := call{hub: s.hub}
		read := func(g ledger.Range, f func(*ledger.Line) bool) error { return c.lines(h, g, f) }
		if err := inPages(ledger.Range{From: head.First, To: head.Last}, read, doc.Line); err != nil {
			return err
		}
	}
	if err := doc.Close(closing); err != nil {
		return err
	}
	return out.Flush()
}

// readAhead is how many lines of a statement are read from the index at a time, some 90 KB.
const readAhead = 1000

// inPages calls f with the lines that read finds in a range, oldest first, until it returns an error. It never does so while they
// are read: f waits for whoever the lines are for, and a read that waited with it would keep the index from letting go of what it
// is reading, whole segments in memory and tables on the disk, for as long as that takes.
func inPages(g ledger.Range, read func(ledger.Range, func(*ledger.Line) bool) error, f func(*ledger.Line) error) error {
	page := make([]ledger.Line, 0, readAhead)
	for {
		page = page[:0]
		err := read(g, func(l *ledger.Line) bool {
			page = append(page, *l)
			return len(page) < readAhead
		})
		if err != nil {
			return err
		}
		for i := range page {
			if err := f(&page[i]); err != nil {
				return err
			}
		}
		if len(page) < readAhead || page[len(page)-1].Seq >= g.To {
			return nil
		}
		g.From = page[len(page)-1].Seq + 1
	}
}
