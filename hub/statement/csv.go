package statement

import (
	"fmt"
	"io"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// sheet is a statement as CSV of RFC 4180: the first line names the columns; the opening and the closing balance are rows of their own kinds, so
// that opening and changes add up to closing column by column. The columns:
//
//	hub, account or channel          the same in every row: statements can be put one behind the other
//	seq, time, time_ms, kind
//	object, other, id                empty where there is none
//	change_msat, held_change_msat, balance_msat, held_msat
//	                                 of a channel left_change_msat, paid_change_msat, left_msat, paid_msat
//
// Every amount and every seq is a whole number; a spreadsheet that keeps numbers as floats rounds those above 2^53.
type sheet struct {
	text
	prefix string // the first two fields
}

func newCSV(w io.Writer, h *Header) *sheet {
	word, name := h.subject()
	c := &sheet{text: newText(w, h), prefix: field(h.Hub) + "," + name + ","}
	change, after := h.columns()
	c.b = fmt.Appendf(c.b, "hub,%s,seq,time,time_ms,kind,object,other,id,%s,%s,%s,%s\r\n", word, change[0], change[1], after[0], after[1])
	c.balance(h.From, "opening", h.Opening)
	return c
}

// field is a field of text. What a spreadsheet would take for a formula gets an apostrophe, which makes it text; the other
// fields begin with a letter or a digit, or are numbers.
func field(s string) string {
	if strings.IndexAny(s, "=+-@\t\r") == 0 {
		s = "'" + s
	}
	if strings.ContainsAny(s, "\",\r\n") {
		s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

func (c *sheet) balance(millis uint64, kind string, balance [2]int64) {
	c.add(c.prefix)
	c.add(",")
	c.at(millis)
	c.b = fmt.Appendf(c.b, ",%d,%s,,,,,,%d,%d\r\n", millis, kind, balance[0], balance[1])
}

func (c *sheet) line(l *ledger.Line) error {
	c.add(c.prefix)
	c.uint(l.Seq)
	c.add(",")
	c.at(l.Time)
	c.add(",")
	c.uint(l.Time)
	c.add(",")
	c.add(l.Kind.String())
	c.add(",")
	c.object(l)
	c.add(",")
	if l.Other != 0 {
		c.b = l.Other.Append(c.b)
	}
	c.add(",")
	if l.ID != (ledger.OpID{}) {
		c.b = l.ID.Append(c.b)
	}
	for _, n := range [...]int64{l.Change[0], l.Change[1], l.After[0], l.After[1]} {
		c.add(",")
		c.int(n)
	}
	c.add("\r\n")
	return c.pass()
}

func (c *sheet) finish(closing [2]int64) error {
	c.balance(c.header.Until, "closing", closing)
	return c.flush()
}
