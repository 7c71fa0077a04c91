package statement

import (
	"fmt"
	"io"

	"github.com/millrace/millrace/ledger"
)

// journal is a statement as hledger reads it, and Ledger and its other kin as far as they know balance assertions. Each entry
// is a transaction whose code is the seq; each posting of the account asserts the balance after it, so hledger adds up what
// the hub did and fails where the two differ. The accounts:
//
//	assets:millrace:<account>:available and :held       of a channel :left, and expenses:millrace:<channel>:paid
//	income:millrace:<kind>:<other side>                 what came in
//	expenses:millrace:<kind>:<other side>               what went out
//	equity:millrace:<kind>:<other side>                 money that came from or went outside, or into and out of a channel
//	equity:millrace:opening                             what was there before
type journal struct {
	text
	names [2]string // of the accounts of the two balances
}

func newJournal(w io.Writer, h *Header) *journal {
	j := &journal{text: newText(w, h)}
	word, name := h.subject()
	j.names = [2]string{"assets:millrace:" + name + ":available", "assets:millrace:" + name + ":held"}
	if h.Channel != 0 {
		j.names = [2]string{"assets:millrace:" + name + ":left", "expenses:millrace:" + name + ":paid"}
	}
	j.b = fmt.Appendf(j.b, "; statement of %s %s at %s\n; from ", word, name, h.Hub)
	j.at(h.From)
	j.add(" until ")
	j.at(h.Until)
	j.b = fmt.Appendf(j.b, ", entries %d to %d\n\ncommodity 1000. msat\n\n", h.First, h.Last)
	j.day(h.From)
	j.add(" opening balance\n")
	for i, amount := range h.Opening {
		j.posting(i, amount, amount)
	}
	j.counter("equity:millrace:opening", -(h.Opening[0] + h.Opening[1]))
	return j
}

// day adds the date, in UTC: a journal knows no time of day.
func (j *journal) day(millis uint64) {
	n := len(j.b)
	j.at(millis)
	j.b = j.b[:n+len("2006-01-02")]
}

func (j *journal) posting(i int, change, after int64) {
	j.add("    ")
	j.add(j.names[i])
	j.add("  ")
	j.int(change)
	j.add(" msat = ")
	j.int(after)
	j.add(" msat\n")
}

// counter is the other end of a transaction, which is left out when there is nothing to balance.
func (j *journal) counter(name string, amount int64) {
	if amount != 0 {
		j.add("    ")
		j.add(name)
		j.add("  ")
		j.int(amount)
		j.add(" msat\n")
	}
	j.add("\n")
}

func (j *journal) line(l *ledger.Line) error {
	j.day(l.Time)
	j.add(" (")
	j.uint(l.Seq)
	j.add(") ")
	j.add(l.Kind.String())
	if l.Other != 0 {
		j.add(" ")
		j.b = l.Other.Append(j.b)
	}
	j.add("  ; time:")
	j.at(l.Time)
	if l.Object != 0 {
		j.add(", object:")
		j.object(l)
	}
	if l.ID != (ledger.OpID{}) {
		j.add(", id:")
		j.b = l.ID.Append(j.b)
	}
	j.add("\n")
	for i := range l.Change {
		if l.Change[i] != 0 || i == 0 && l.Change[1] == 0 { // an entry without money has a posting of nothing
			j.posting(i, l.Change[i], l.After[i])
		}
	}
	if sum := l.Change[0] + l.Change[1]; sum != 0 {
		j.counter(j.otherSide(l, sum), -sum)
	} else {
		j.add("\n")
	}
	return j.pass()
}

// otherSide names the account of what an entry brought or took.
func (j *journal) otherSide(l *ledger.Line, sum int64) string {
	class := "income"
	switch {
	case j.header.Channel != 0, l.Other.External(), l.Kind == ledger.OpCredit, l.Kind == ledger.OpDebit:
		class = "equity"
	case sum < 0:
		class = "expenses"
	}
	name := class + ":millrace:" + l.Kind.String()
	if l.Other != 0 {
		name += ":" + l.Other.String()
	}
	return name
}

func (j *journal) finish(closing [2]int64) error {
	j.day(j.header.Until - 1) // its last day, not the day after it
	j.add(" closing balance\n")
	for i, amount := range closing {
		j.posting(i, 0, amount)
	}
	return j.flush()
}
