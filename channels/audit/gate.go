package audit

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// ErrStopped is why no payouts are made: the books do not agree.
var ErrStopped = errors.New("payouts are stopped, since the books do not agree")

// Stopped says whether payouts are stopped, and why: an error that is ErrStopped. It survives a restart. It is over when a later run finds
// nothing wrong: because the operator has explained it, or because it was set right.
func (a *Auditor) Stopped() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state.Stopped == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrStopped, a.state.Stopped)
}

const (
	incidentKind = "audit"
	surplusOf    = "surplus" // the subject of the one incident about all coins that only came in: anybody can send many
	maxRaised    = 100       // incidents of one run; the rest is in the report
)

// verdict says whether payouts are stopped after a run. What was found before stays where this run could not see it: totals while something
// moves, and what is deep but for a full run.
func verdict(r *Report, before string, deep bool, cfg *Config) (stopped string) {
	switch {
	case len(r.Mismatches) > 0:
		m := &r.Mismatches[0]
		stopped = fmt.Sprintf("%s %s: %s", m.Kind, m.Subject, m.Text)
		if more := len(r.Mismatches) - 1 + r.More; more > 0 {
			stopped += fmt.Sprintf("; and %d more", more)
		}
		return stopped
	case before != "" && (!r.Steady || !r.Sheet.balanced(cfg.Tolerance) || deep && !r.Full):
		return before
	}
	return ""
}

// raise tells of what a run found, and takes back what an earlier one found and this one did not, unless it could not see that. It returns
// what is open now.
func (a *Auditor) raise(r *Report, before []string, blind bool) (now []string) {
	if a.cfg.Alarms == nil {
		return nil
	}
	for _, m := range r.Mismatches[:min(len(r.Mismatches), maxRaised)] {
		subject := string(m.Kind) + " " + m.Subject
		now = append(now, subject)
		a.cfg.Alarms.Raise(channels.Incident{Kind: incidentKind, Subject: subject, Amount: min(m.Amount, ledger.MaxMsat), Text: m.Text})
	}
	if n := len(r.Surplus); n > 0 {
		now = append(now, surplusOf)
		var sum ledger.Msat
		for _, m := range r.Surplus {
			sum = min(sum+m.Amount, ledger.MaxMsat)
		}
		a.cfg.Alarms.Raise(channels.Incident{Kind: incidentKind, Subject: surplusOf, Amount: sum,
			Text: fmt.Sprintf("%d transactions, such as %s, brought the wallet %d msat that nothing explains; payouts go on", n, r.Surplus[0].Subject, sum)})
	}
	for _, subject := range before {
		switch {
		case slices.Contains(now, subject):
		case blind && subject != surplusOf: // every run sees that
			now = append(now, subject)
		default:
			if _, err := a.cfg.Alarms.CloseIncident(incidentKind, subject, "a later run found the books in order"); err != nil {
				a.cfg.Logger.Warn("an incident is not closed", "subject", subject, "err", err)
			}
		}
	}
	return now
}
