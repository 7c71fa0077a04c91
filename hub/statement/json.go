package statement

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/millrace/millrace/ledger"
)

// document is a statement as one JSON object, one line of text for each line. What an entry has none of is left out:
//
//	{"hub":"https://hub.example","account":"a…","from":"…","from_ms":…,"until":"…","until_ms":…,"first_seq":…,"last_seq":…,
//	"opening":{"balance_msat":…,"held_msat":…},
//	"lines":[
//	{"seq":…,"time":"…","time_ms":…,"kind":"transfer","object":"…","other":"a…","id":"…",
//	 "change_msat":…,"held_change_msat":…,"balance_msat":…,"held_msat":…},
//	…
//	],
//	"count":…,
//	"closing":{"balance_msat":…,"held_msat":…}}
//
// Every number is whole, and exact where the reader's numbers have 64 bits.
type document struct {
	text
	names [4]string // of the members with amounts, ready to be written
	count uint64
}

func newJSON(w io.Writer, h *Header) (*document, error) {
	hub, err := json.Marshal(h.Hub)
	if err != nil {
		return nil, fmt.Errorf("%w: hub: %w", ErrHeader, err)
	}
	d := &document{text: newText(w, h)}
	change, after := h.columns()
	for i, name := range [...]string{change[0], change[1], after[0], after[1]} {
		d.names[i] = `,"` + name + `":`
	}
	word, name := h.subject()
	d.b = fmt.Appendf(d.b, `{"hub":%s,"%s":"%s","from":"`, hub, word, name)
	d.at(h.From)
	d.b = fmt.Appendf(d.b, `","from_ms":%d,"until":"`, h.From)
	d.at(h.Until)
	d.b = fmt.Appendf(d.b, `","until_ms":%d,"first_seq":%d,"last_seq":%d`, h.Until, h.First, h.Last)
	d.balance("opening", h.Opening)
	d.add(",\n\"lines\":[")
	return d, nil
}

func (d *document) balance(name string, balance [2]int64) {
	d.b = fmt.Appendf(d.b, ",\n\"%s\":{%s%d%s%d}", name, d.names[2][1:], balance[0], d.names[3], balance[1])
}

func (d *document) line(l *ledger.Line) error {
	if d.count++; d.count > 1 {
		d.add(",")
	}
	d.add("\n{\"seq\":")
	d.uint(l.Seq)
	d.add(`,"time":"`)
	d.at(l.Time)
	d.add(`","time_ms":`)
	d.uint(l.Time)
	d.add(`,"kind":"`)
	d.add(l.Kind.String())
	d.add(`"`)
	if l.Object != 0 {
		d.add(`,"object":"`)
		d.object(l)
		d.add(`"`)
	}
	if l.Other != 0 {
		d.add(`,"other":"`)
		d.b = append(l.Other.Append(d.b), '"')
	}
	if l.ID != (ledger.OpID{}) {
		d.add(`,"id":"`)
		d.b = append(l.ID.Append(d.b), '"')
	}
	for i, n := range [...]int64{l.Change[0], l.Change[1], l.After[0], l.After[1]} {
		d.add(d.names[i])
		d.int(n)
	}
	d.add("}")
	return d.pass()
}

func (d *document) finish(closing [2]int64) error {
	d.b = fmt.Appendf(d.b, "\n],\n\"count\":%d", d.count)
	d.balance("closing", closing)
	d.add("}\n")
	return d.flush()
}
