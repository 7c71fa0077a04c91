package webhook

import (
	"strconv"

	"github.com/millrace/millrace/hub/entry"
	"github.com/millrace/millrace/ledger"
)

// batch is the entries of one delivery.
type batch struct {
	span
	entries int
	time    uint64 // of the last one
	body    []byte
}

// maxFrame bounds what stands around the entries of a body.
const maxFrame = 256

// collect reads the entries of a span, or as many as there are and fit. The same entries always make the same body.
func (d *Dispatcher) collect(account ledger.AccountNo, s span) (b batch, err error) {
	var list, one []byte
	add := func(seq, time uint64) bool {
		if b.entries == MaxEntries || len(list)+len(one)+1 > MaxBody-maxFrame {
			return false
		}
		if b.entries > 0 {
			list = append(list, ',')
		} else {
			b.First = seq
		}
		list = append(list, one...)
		b.entries++
		b.Last, b.time = seq, time
		return true
	}
	if account != 0 {
		err = d.cfg.Source.AccountLines(account, ledger.Range{From: s.First, To: s.Last}, func(l *ledger.Line) bool {
			one = entry.AppendLine(one[:0], l, d.cfg.Contents)
			return add(l.Seq, l.Time)
		})
	} else {
		err = d.cfg.Source.Entries(s.First, func(e *ledger.Entry) bool {
			one = entry.AppendEntry(one[:0], e, d.cfg.Contents)
			return (s.Last == 0 || e.Seq <= s.Last) && add(e.Seq, e.Time)
		})
	}
	if err == nil && b.entries > 0 {
		b.body = frame(account, b, list)
	}
	return b, err
}

func frame(account ledger.AccountNo, b batch, list []byte) []byte {
	body := make([]byte, 0, len(list)+maxFrame)
	body = at(b.time).AppendFormat(append(body, `{"type":"entries","timestamp":"`...), "2006-01-02T15:04:05.000Z07:00")
	body = append(body, `","data":{`...)
	if account != 0 {
		body = append(account.Append(append(body, `"account":"`...)), `",`...)
	}
	body = strconv.AppendUint(append(body, `"first":`...), b.First, 10)
	body = strconv.AppendUint(append(body, `,"last":`...), b.Last, 10)
	return append(append(append(body, `,"entries":[`...), list...), "]}}"...)
}
