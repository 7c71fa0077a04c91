package audit

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// run is one look at the books, or several, one after the other: each goes on from what the last has read.
type run struct {
	*Auditor
	ctx       context.Context
	began     time.Time
	state     state
	open      map[name]*item
	closed    []name                  // that were open before
	adjusted  map[channels.Rail]int64 // zero rail: capital
	explained map[string]bool
	batches   map[channels.Hash]settled // of transactions whose batches are closed
	tries     map[channels.Hash]attempt // all that batches ever tried; nil: not read yet

	// Of the present look.
	underway map[channels.Key]bool
	totals   totals
	report   Report
	young    int     // what only one book has, and not for long
	best     float64 // the highest ratio of all looks: what moves between two questions is in neither answer
}

// attempt is a transaction of a batch.
type attempt struct {
	batch channels.ID
	index int
}

// Check looks at the books now, and stops payouts or lets them go on by what it finds. A full run looks at everything that there ever was,
// which can take minutes. An error means that the node or the records could not be read: nothing is changed then. ErrBusy: the books are
// not opened yet, since something is on its way.
func (a *Auditor) Check(ctx context.Context, full bool) (Report, error) {
	a.checking.Lock()
	defer a.checking.Unlock()
	w, err := a.begin(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	if w.state.Opened.IsZero() {
		if err := w.openBooks(); err != nil {
			return Report{}, fmt.Errorf("audit: opening the books: %w", err)
		}
	}
	if err := w.agree(); err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	found := len(w.report.Mismatches)
	if w.report.Full = full; full {
		if err := w.all(); err != nil {
			return Report{}, fmt.Errorf("audit: %w", err)
		}
		w.state.Full = w.began
	}
	return w.finish(len(w.report.Mismatches) > found)
}

func (a *Auditor) begin(ctx context.Context) (*run, error) {
	open, err := a.items()
	if err != nil {
		return nil, err
	}
	w := &run{Auditor: a, ctx: ctx, began: a.now(), open: open, batches: make(map[channels.Hash]settled)}
	w.adjusted, w.explained = a.sum()
	a.mu.Lock()
	w.state = a.state
	a.mu.Unlock()
	return w, nil
}

// agree looks until nothing differs, or the same has differed for long enough, or there was no moment at which nothing moved.
func (w *run) agree() error {
	var same [3]int64
	var since time.Time // when the differences became the same
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if err := w.look(); err != nil {
			return err
		}
		s := &w.report.Sheet
		if w.report.Steady {
			now := [3]int64{s.Difference, s.Lightning, s.Chain}
			if since.IsZero() || now != same {
				same, since = now, w.now()
			}
		}
		settled := w.report.Steady && (s.balanced(w.cfg.Tolerance) || w.now().Sub(since) >= w.cfg.Late)
		if w.young == 0 && settled {
			w.judgeTotals()
			return nil
		}
		if w.now().Sub(w.began) > 2*w.cfg.Late {
			w.report.Steady = w.report.Steady && settled
			w.judgeRatio()
			return nil
		}
		select {
		case <-w.ctx.Done():
			return w.ctx.Err()
		case <-time.After(wait):
		}
	}
}

// look reads what is new in the node's books, and then, when little is left to read, what it holds and what is owed.
func (w *run) look() error {
	w.report = Report{Time: w.began, Mismatches: []Mismatch{}}
	w.young = 0
	w.underway = make(map[channels.Key]bool)
	if err := w.receipts(); err != nil {
		return err
	}
	before, err := w.outside()
	if err != nil {
		return err
	}
	for _, p := range w.cfg.Records.Underway() {
		w.underway[p.Key] = true
	}
	w.totals = totals{capital: w.state.Opening.Capital, adjusted: w.adjusted[""], before: w.state.Opening.Lightning + w.state.Opening.Chain, created: before.created}
	w.totals.lightning.owed = before.lightning - w.state.Opening.Lightning
	w.totals.chain.owed = before.chain - w.state.Opening.Chain
	for _, read := range []func() error{w.recheck, w.payments, w.holdings, w.movements, w.forwards} {
		if err := read(); err != nil {
			return err
		}
	}
	after, err := w.outside()
	if err != nil {
		return err
	}
	w.totals.lightning.moved += w.state.Lightning + w.adjusted[channels.Lightning]
	w.totals.chain.moved += w.state.Chain + w.adjusted[channels.Chain]
	w.totals.costs += w.state.Costs
	w.totals.earned += w.state.Earned
	w.report.Steady = before == after
	w.report.Sheet = w.totals.sheet()
	w.best = max(w.best, w.report.Sheet.Ratio)
	return nil
}

// owed is what the ledger owes to accounts, by where it came from, and its newest entry about that.
type owed struct {
	lightning, chain, created int64
	seq                       uint64
}

func (w *run) outside() (o owed, err error) {
	for _, e := range []struct {
		no  ledger.AccountNo
		sum *int64
	}{{ledger.Lightning, &o.lightning}, {ledger.Chain, &o.chain}, {ledger.Dev, &o.created}} {
		a, _ := w.cfg.Ledger.Account(e.no)
		*e.sum = -a.Available
		if e.no == ledger.Dev {
			continue
		}
		err := w.cfg.Ledger.AccountLines(e.no, ledger.Range{Newest: true}, func(l *ledger.Line) bool {
			o.seq = max(o.seq, l.Seq)
			return false
		})
		if err != nil {
			return o, fmt.Errorf("reading the ledger's history: %w", err)
		}
	}
	return o, nil
}

// holdings reads what the node holds now.
func (w *run) holdings() error {
	info, err := w.cfg.Node.Info(w.ctx)
	if err != nil {
		return err
	}
	assets, err := w.cfg.Node.Assets(w.ctx)
	if err != nil {
		return err
	}
	lines, err := w.cfg.Node.Lines(w.ctx)
	if err != nil {
		return err
	}
	w.totals.assets, w.totals.tied = assets, tied(lines)
	w.report.Height = info.Height
	w.report.Liquidity = liquidity(assets, lines)
	w.report.Warnings = w.report.Liquidity.warnings(w.cfg.Least)
	if !info.Synced {
		w.report.Warnings = append(w.report.Warnings, "the node is not in step with the chain")
	}
	return nil
}

// forwards adds up what the node earned. What is a minute old is final.
func (w *run) forwards() error {
	now := w.now()
	if until := now.Add(-time.Minute).Truncate(time.Second); until.Sub(w.state.Forwards) > time.Minute {
		old, err := w.cfg.Node.Forwards(w.ctx, w.state.Forwards, until)
		if err != nil {
			return err
		}
		w.state.Earned += int64(old.Fees)
		w.state.Forwards = until
	}
	late, err := w.cfg.Node.Forwards(w.ctx, w.state.Forwards, now.Add(time.Second))
	if err != nil {
		return err
	}
	w.totals.earned += int64(late.Fees)
	return nil
}

// judgeTotals makes mismatches of the sheet's differences, which are final.
func (w *run) judgeTotals() {
	s := &w.report.Sheet
	for _, d := range []struct {
		subject, text string
		amount        int64
	}{
		{"lightning", "the node's books and the ledger differ about what was paid over Lightning", s.Lightning},
		{"chain", "the node's books and the ledger differ about what was paid on-chain", s.Chain},
		{"all", "what the node holds is not what explains it", s.Difference},
	} {
		if d.amount > int64(w.cfg.Tolerance) || d.amount < -int64(w.cfg.Tolerance) {
			w.report.mismatch(Mismatch{Kind: KindTotal, Subject: d.subject, Amount: abs(d.amount), Text: fmt.Sprintf("%s: by %d msat", d.text, d.amount)})
		}
	}
	w.judgeRatio()
}

func (w *run) judgeRatio() {
	if s := &w.report.Sheet; max(s.Ratio, w.best) < w.cfg.Floor {
		w.report.mismatch(Mismatch{Kind: KindRatio, Subject: "held to owed", Amount: abs(s.Due - s.Backing),
			Text: fmt.Sprintf("%d msat are held for %d that are owed: a ratio of %.6f, and the floor is %.6f", s.Backing, s.Due, s.Ratio, w.cfg.Floor)})
	}
}

// finish writes down how far the run has come, and what it found; deep is what only a full run finds.
func (w *run) finish(deep bool) (Report, error) {
	r := &w.report
	r.Millis = w.now().Sub(w.began).Milliseconds()
	before := w.state.Stopped
	r.Stopped = verdict(r, before, w.state.Deep, &w.cfg)
	blind := w.state.Deep && !r.Full
	w.state.Stopped, w.state.Deep = r.Stopped, deep || blind && r.Stopped != ""
	w.state.Raised = w.raise(r, w.state.Raised, blind || r.Stopped != "" && len(r.Mismatches) == 0)
	stateRow, err := row([]byte(keyState), &w.state)
	if err != nil {
		return *r, err
	}
	reportRow, err := row([]byte(keyReport), r)
	if err != nil {
		return *r, err
	}
	rows := []channels.Row{stateRow, reportRow}
	for _, i := range w.open {
		one, err := row(i.key(), i)
		if err != nil {
			return *r, err
		}
		rows = append(rows, one)
	}
	for _, n := range w.closed {
		if w.open[n] == nil {
			rows = append(rows, channels.Row{Key: n.key()})
		}
	}
	if err := w.cfg.Store.Write(rows...); err != nil {
		return *r, fmt.Errorf("audit: writing what was found: %w", err)
	}
	w.mu.Lock()
	w.Auditor.state, w.last = w.state, r
	w.mu.Unlock()
	w.tell(before)
	return *r, nil
}

// tell logs a run, and tells of payouts that are stopped or go on.
func (w *run) tell(before string) {
	r := &w.report
	level := w.cfg.Logger.Info
	if r.Stopped != "" {
		level = w.cfg.Logger.Error
	}
	level("the books were compared", "full", r.Full, "steady", r.Steady, "mismatches", len(r.Mismatches)+r.More, "ratio", r.Sheet.Ratio,
		"held_msat", r.Sheet.Held, "owed_msat", r.Sheet.Owed, "difference_msat", r.Sheet.Difference, "stopped", r.Stopped, "warnings", r.Warnings)
	if w.cfg.Changed != nil && (before == "") != (r.Stopped == "") {
		w.cfg.Changed()
	}
}

// abs is how large a sum of msat is.
func abs(n int64) ledger.Msat {
	if n == math.MinInt64 {
		return ledger.MaxMsat
	}
	return min(ledger.Msat(max(n, -n)), ledger.MaxMsat)
}
