package nwc

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Period is after what time a budget is whole again. Days, weeks (from Monday), months and years are UTC's.
type Period string

const (
	Never   Period = "never"
	Daily   Period = "daily"
	Weekly  Period = "weekly"
	Monthly Period = "monthly"
	Yearly  Period = "yearly"
)

func (p Period) known() bool {
	return p == Never || p == Daily || p == Weekly || p == Monthly || p == Yearly
}

// begin is when the period that a moment lies in began; zero time: it has no beginning.
func (p Period) begin(at time.Time) time.Time {
	at = at.UTC()
	y, m, d := at.Date()
	switch p {
	case Daily:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	case Weekly:
		return time.Date(y, m, d-(int(at.Weekday())+6)%7, 0, 0, 0, 0, time.UTC)
	case Monthly:
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
	case Yearly:
		return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}
}

// start is begin in milliseconds since 1970, as records have it; zero: it has no beginning.
func (p Period) start(at time.Time) int64 {
	if b := p.begin(at); !b.IsZero() {
		return b.UnixMilli()
	}
	return 0
}

// renews is when the next period begins; false: never.
func (p Period) renews(at time.Time) (time.Time, bool) {
	b := p.begin(at)
	switch p {
	case Daily:
		return b.AddDate(0, 0, 1), true
	case Weekly:
		return b.AddDate(0, 0, 7), true
	case Monthly:
		return b.AddDate(0, 1, 0), true
	case Yearly:
		return b.AddDate(1, 0, 0), true
	}
	return time.Time{}, false
}

// spending is what a connection does to its budget in one period. It is a record. Never more is spent and reserved together than the
// budget allows: a payment takes what it may cost at most before it is ordered, and gives back what it did not cost.
type spending struct {
	Spent    ledger.Msat `json:"spent"`
	Reserved ledger.Msat `json:"reserved"`
}

func spentKey(id string, start int64) []byte {
	return binary.BigEndian.AppendUint64([]byte("nwc/spent/"+id), uint64(start))
}

var errQuota = errors.New("the connection's budget does not allow it")

// reserve takes a payment's amount, and as much for its fee as is left of what it may cost, out of the budget of the present period, and writes
// the payment down. l.mu must be held. On an error of the records nobody knows what is written: what was taken stays taken.
func (l *link) reserve(records channels.Records, p *payment, amount ledger.Msat, now time.Time) error {
	p.Period = l.Period.start(now)
	sp := l.periods[p.Period]
	if sp == nil {
		sp = new(spending)
	}
	if l.Budget != 0 {
		left := l.Budget - min(l.Budget, sp.Spent+sp.Reserved)
		if amount > left {
			return errQuota
		}
		p.Order.FeeLimit = min(p.Order.FeeLimit, left-amount)
	}
	p.Reserved = amount + p.Order.FeeLimit
	l.periods[p.Period] = sp
	sp.Reserved += p.Reserved
	l.open[p.Event] = p
	return records.Write(row(paymentKey(l.ID, p.Event), p), row(spentKey(l.ID, p.Period), sp))
}

// settle gives a payment's reservation back, and counts what it has cost. l.mu must be held. If it is not written it has not happened.
func (l *link) settle(records channels.Records, p payment, cost ledger.Msat) error {
	if l.open[p.Event] == nil {
		return nil // somebody was quicker
	}
	after := *l.periods[p.Period]
	after.Reserved -= p.Reserved
	after.Spent += cost
	p.Over = true
	if err := records.Write(row(paymentKey(l.ID, p.Event), &p), row(spentKey(l.ID, p.Period), &after)); err != nil {
		return err
	}
	*l.periods[p.Period] = after
	delete(l.open, p.Event)
	return nil
}

// row encodes what always can be.
func row(key []byte, value any) channels.Row {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // it makes six bytes of one
	if err := e.Encode(value); err != nil {
		panic("nwc: a record that is no JSON: " + err.Error()) // a mistake in its type, found by the first test that writes one
	}
	return channels.Row{Key: key, Value: bytes.TrimSuffix(text.Bytes(), []byte("\n"))}
}

// bucket bounds how often a connection asks: burst at once, and rate a second.
type bucket struct {
	left float64
	at   time.Time
}

const (
	burst = 30
	rate  = 5.0
)

func newBucket() bucket { return bucket{left: burst} }

func (b *bucket) take(now time.Time) bool {
	if !b.at.IsZero() && now.After(b.at) {
		b.left = min(burst, b.left+rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
