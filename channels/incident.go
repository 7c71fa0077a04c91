package channels

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Incident is something that an operator must look at. What has the same kind and subject is one incident, however often it is met.
type Incident struct {
	Kind    string           `json:"kind"`    // what it is about: "unassigned", "reorganised", "conflict", ...; at most MaxKind bytes without a slash
	Subject string           `json:"subject"` // which payout, deposit or batch; at most MaxSubject bytes
	Text    string           `json:"text"`
	Account ledger.AccountNo `json:"account,omitempty"`
	Amount  ledger.Msat      `json:"amount,omitempty"`
	Raised  time.Time        `json:"raised"`
	Again   time.Time        `json:"again"` // when it was met last
	Times   int              `json:"times"`
	Closed  time.Time        `json:"closed,omitzero"`
	Note    string           `json:"note,omitempty"` // of who closed it
}

// The bounds of the list of incidents. Beyond MaxOfKind open ones of a kind, one whose subject is More stands for all others: strangers can
// make as many of a kind as they like, with a satoshi each, and must not fill the list. Beyond MaxIncidents, new ones are only logged, and
// told to the alarm.
const (
	MaxKind      = 32
	MaxSubject   = 200
	MaxNote      = 1000
	MaxIncidents = 10_000
	MaxOfKind    = 500
	More         = "more"
	keptClosed   = 10_000
)

func (i *Incident) name() string { return i.Kind + "/" + i.Subject }

// Raise writes down an incident, or that it was met again. It does not fail: what cannot be written is logged.
func (r *Rails) Raise(i Incident) {
	if err := r.raise(i); err != nil {
		r.log.Error("an incident is not written down", "kind", i.Kind, "subject", i.Subject, "err", err)
	}
}

// raise writes down an incident together with what it is about, so that no crash leaves one without the other. The rows are written also
// where the incident need not be. On an error neither is.
func (r *Rails) raise(i Incident, with ...Row) error {
	i.Kind, i.Subject = i.Kind[:min(len(i.Kind), MaxKind)], i.Subject[:min(len(i.Subject), MaxSubject)]
	i.Text = strings.ToValidUTF8(i.Text[:min(len(i.Text), MaxNote)], "\ufffd")
	r.raising.Lock()
	defer r.raising.Unlock()
	now := r.now().UTC().Truncate(time.Millisecond)
	old, known := r.incidents[i.name()]
	if !known && r.manyOf(i.Kind) {
		i.Text = cutText(fmt.Sprintf("there are more than %d of this kind; the last is %s: %s", MaxOfKind, i.Subject, i.Text), MaxNote)
		i.Subject, i.Account, i.Amount = More, 0, 0
		old, known = r.incidents[i.name()]
	}
	i.Raised, i.Again, i.Times = now, now, old.Times+1
	if known {
		i.Raised = old.Raised
	}
	rows := with
	if !known || now.Sub(old.Again) >= time.Minute { // otherwise it is retried: it need not be written every time
		r.log.Error("incident", "kind", i.Kind, "subject", i.Subject, "text", i.Text, "amount_msat", i.Amount)
		if !known && r.cfg.Alarm != nil {
			r.cfg.Alarm(i)
		}
		if known || len(r.incidents) < MaxIncidents {
			row, err := rowOf(rowKey(keyIncident, []byte(i.name())), &i)
			if err != nil {
				return err
			}
			rows = append(slices.Clone(with), row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := r.write(rows...); err != nil {
		return err
	}
	if len(rows) > len(with) {
		r.incidents[i.name()] = i
	}
	return nil
}

// manyOf says whether there are as many open incidents of a kind as are listed one by one.
func (r *Rails) manyOf(kind string) bool {
	n := 0
	for _, i := range r.incidents {
		if i.Kind == kind && i.Subject != More {
			n++
		}
	}
	return n >= MaxOfKind
}

// Incidents are the open ones, the oldest first; and of closed ones the newest, at most so many.
func (r *Rails) Incidents(closed int) ([]Incident, error) {
	r.raising.Lock()
	all := make([]Incident, 0, len(r.incidents))
	for _, i := range r.incidents {
		all = append(all, i)
	}
	r.raising.Unlock()
	slices.SortFunc(all, func(a, b Incident) int {
		return cmp.Or(a.Raised.Compare(b.Raised), strings.Compare(a.name(), b.name()))
	})
	if closed <= 0 {
		return all, nil
	}
	keys, err := r.keysUnder(keyClosed, nil, closed)
	for _, key := range keys {
		var i Incident
		found, readErr := r.read(rowKey(keyClosed, key), &i)
		if readErr != nil {
			return nil, readErr
		}
		if found {
			all = append(all, i)
		}
	}
	return all, err
}

// CloseIncident takes an incident off the list. It changes nothing else. False: there is no such open one.
func (r *Rails) CloseIncident(kind, subject, note string) (bool, error) {
	return r.closeIncident(kind, subject, note)
}

// closeIncident writes what ends an incident together with that. The rows are written also where there is no such open incident.
func (r *Rails) closeIncident(kind, subject, note string, with ...Row) (bool, error) {
	r.raising.Lock()
	defer r.raising.Unlock()
	i, known := r.incidents[kind+"/"+subject]
	if !known {
		if len(with) == 0 {
			return false, nil
		}
		return false, r.write(with...)
	}
	i.Closed, i.Note = r.now().UTC().Truncate(time.Millisecond), strings.ToValidUTF8(note[:min(len(note), MaxNote)], "\ufffd")
	row, err := rowOf(rowKey(keyClosed, newestFirst(i.Closed), []byte(i.name())), &i)
	if err != nil {
		return false, err
	}
	rows := []Row{row, {Key: rowKey(keyIncident, []byte(i.name()))}}
	old, err := r.keysUnder(keyClosed, nil, keptClosed+8)
	if err != nil {
		return false, err
	}
	for _, key := range old[min(len(old), keptClosed):] {
		rows = append(rows, Row{Key: rowKey(keyClosed, key)})
	}
	if err := r.write(append(rows, with...)...); err != nil {
		return false, fmt.Errorf("closing an incident: %w", err)
	}
	delete(r.incidents, i.name())
	return true, nil
}

// loadIncidents reads the open ones at a start.
func (r *Rails) loadIncidents() error {
	keys, err := r.keysUnder(keyIncident, nil, 2*MaxIncidents)
	if err != nil {
		return err
	}
	for _, key := range keys {
		var i Incident
		if _, err := r.read(rowKey(keyIncident, key), &i); err != nil {
			return err
		}
		r.incidents[i.name()] = i
	}
	return nil
}
