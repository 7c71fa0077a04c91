package settle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Run is a number of payments that are decided on, and reported, together. It is a record; its items are others.
type Run struct {
	ID    channels.ID `json:"id"`
	Cause Cause       `json:"cause"`
	By    string      `json:"by,omitempty"` // who started it; empty: the schedule
	Made  uint64      `json:"made"`         // milliseconds since 1970
	State RunState    `json:"state"`

	Items    uint32      `json:"items"`
	Planned  ledger.Msat `json:"planned_msat"` // of those that are to be paid
	ByRail   byRail      `json:"by_rail"`      // the same
	FeeLimit ledger.Msat `json:"fee_limit_msat"`

	Needs     uint8      `json:"needs,omitempty"` // approvals of different operators, before it begins
	Approvals []Approval `json:"approvals,omitempty"`
	StoppedBy string     `json:"stopped_by,omitempty"` // who paused or cancelled it
	Cancelled bool       `json:"cancelled,omitempty"`

	Waits string `json:"waits,omitempty"` // why nothing of it begins though it is running; empty: it does

	Account ledger.AccountNo `json:"account,omitempty"` // an import's: who pays
	File    *File            `json:"file,omitempty"`    // an import's

	Closed uint64  `json:"closed,omitempty"`
	Report *Report `json:"report,omitempty"` // once it is closed
}

// Cause is why there is a run.
type Cause string

const (
	BySchedule Cause = "schedule"
	ByOperator Cause = "operator"
	ByFile     Cause = "import"
)

// RunState is how far a run has come.
type RunState string

const (
	Created RunState = "created" // it waits for approvals
	Running RunState = "running"
	Halted  RunState = "paused" // what has begun goes on to its end; nothing else begins
	Closed  RunState = "closed" // every item is over
)

// Approval is an operator's word for a run.
type Approval struct {
	By   string `json:"by"`
	Time uint64 `json:"time"`
}

// Report is what became of a run.
type Report struct {
	Paid     Tally            `json:"paid"`
	Failed   Tally            `json:"failed"`
	Skipped  Tally            `json:"skipped"`
	ByRail   byRail           `json:"by_rail"`       // of what was paid
	Fees     ledger.Msat      `json:"fees_msat"`     // of what was paid
	Returned ledger.Msat      `json:"returned_msat"` // of the fees: the hub's part
	Reasons  map[Reason]Tally `json:"reasons"`       // of what was not paid
	Tries    int              `json:"tries"`         // payouts begun, those that failed too
}

var (
	ErrUnknownRun = errors.New("there is no such run")
	ErrState      = errors.New("the run is not in a state for that")
	ErrOperator   = errors.New("an operator without a name, or one whose word counts already")
)

// maxOperator bounds an operator's name in bytes.
const maxOperator = 200

// approve adds an operator's word, and begins the run when it was the last one needed. Two words of one operator are one.
func (r Run) approve(by string, now uint64) (Run, error) {
	if r.State != Created {
		return r, fmt.Errorf("%w: it is %s, and needs no approval", ErrState, r.State)
	}
	if by == "" || len(by) > maxOperator || slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.By == by }) {
		return r, ErrOperator
	}
	r.Approvals = append(slices.Clone(r.Approvals), Approval{by, now})
	if len(r.Approvals) >= int(r.Needs) {
		r.State = Running
	}
	return r, nil
}

func (r Run) pause(by string) (Run, error) {
	if r.State != Running {
		return r, fmt.Errorf("%w: it is %s", ErrState, r.State)
	}
	r.State, r.StoppedBy = Halted, by
	return r, nil
}

// resume goes on. What was cancelled does not.
func (r Run) resume() (Run, error) {
	if r.State != Halted {
		return r, fmt.Errorf("%w: it is %s", ErrState, r.State)
	}
	r.State, r.StoppedBy = Running, ""
	return r, nil
}

// cancel drops what has not begun. The run closes when what has begun is over.
func (r Run) cancel(by string) (Run, error) {
	if r.State == Closed || r.Cancelled {
		return r, fmt.Errorf("%w: it is over, or cancelled already", ErrState)
	}
	r.State, r.StoppedBy, r.Cancelled = Running, by, true
	return r, nil
}

// count adds an item that is over.
func (p *Report) count(i *Item) {
	p.Tries += int(i.Try)
	switch i.Stage {
	case Paid:
		if p.ByRail == nil {
			p.ByRail = make(byRail)
		}
		p.Paid.add(i.Amount)
		p.ByRail.add(i.Rail, i.Amount)
		p.Fees += i.Fee
		p.Returned += i.Returned
	case Failed:
		p.Failed.add(i.Amount)
	case Skipped:
		p.Skipped.add(i.Amount)
	}
	if i.Reason == "" {
		return
	}
	if p.Reasons == nil {
		p.Reasons = make(map[Reason]Tally)
	}
	why := i.Reason
	if _, known := p.Reasons[why]; !known && len(p.Reasons) >= maxReasons {
		why = "other"
	}
	t := p.Reasons[why]
	t.add(i.Amount)
	p.Reasons[why] = t
}

// maxReasons bounds the reasons of a report: some are texts of others' servers.
const maxReasons = 50
