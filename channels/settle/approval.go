package settle

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Request is a payout that waits for operators.
type Request struct {
	channels.Key
	To        string      `json:"to"`
	Amount    ledger.Msat `json:"amount_msat"`
	FeeLimit  ledger.Msat `json:"max_fee_msat"` // what it may cost beside
	Approvals []Approval  `json:"approvals"`
}

// maxRequests bounds those that are remembered. The others wait, too; each is heard of when the rails ask again.
const maxRequests = 10_000

// ErrApproval is what a payout meets that two operators have to approve: it waits.
var ErrApproval = errors.New("it waits for the approval of two operators")

func approvalPlace(k channels.Key) []byte {
	return append(accountKey(approvalKey, k.Account), k.ID[:]...)
}

// approved says whether two operators have approved a payout, and otherwise remembers that it waits.
func (g *Gate) approved(p *channels.Payout) error {
	var words []Approval
	if _, err := get(g.rec, approvalPlace(p.Key), &words); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(words) >= 2 {
		delete(g.requests, p.Key)
		return nil
	}
	if _, known := g.requests[p.Key]; known || len(g.requests) < maxRequests {
		g.requests[p.Key] = Request{Key: p.Key, To: p.To, Amount: p.Pays, FeeLimit: p.FeeLimit, Approvals: words}
	}
	return ErrApproval
}

// Requests are the payouts that wait for operators, by account.
func (d *Desk) Requests() []Request {
	g, rails := d.gate, d.payouts()
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]Request, 0, len(g.requests))
	for k, r := range g.requests {
		if rails != nil {
			if p, err := rails.Payout(k); err == nil && p.Status.Over() {
				delete(g.requests, k)
				continue
			}
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), slices.Compare(a.ID[:], b.ID[:]))
	})
	return list
}

// ApprovePayout adds an operator's word for a payout that waits, and says how many there are. Two words of one operator count once.
func (d *Desk) ApprovePayout(key channels.Key, by string) (Request, error) {
	g := d.gate
	lock := g.lock(ledger.OpID(key.ID))
	defer lock.Unlock()
	g.mu.Lock()
	r, known := g.requests[key]
	g.mu.Unlock()
	if !known {
		return r, fmt.Errorf("%w: no payout %s waits for approval", channels.ErrUnknown, key)
	}
	if by == "" || len(by) > maxOperator || slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.By == by }) {
		return r, ErrOperator
	}
	r.Approvals = append(slices.Clone(r.Approvals), Approval{by, d.now()})
	if err := d.write(put(approvalPlace(key), r.Approvals)); err != nil {
		return r, err
	}
	g.mu.Lock()
	g.requests[key] = r
	g.mu.Unlock()
	if rails := d.payouts(); rails != nil && len(r.Approvals) >= 2 {
		rails.Wake()
	}
	return r, nil
}

// planned says whether a payout is one of a run's, which has begun: then the run was approved, where that was needed.
func (d *Desk) planned(p *channels.Payout) bool {
	run, number, try, ok := parseOrigin(p.Origin)
	if !ok || p.ID != payoutID(run, number, try) {
		return false
	}
	var i Item
	found, err := get(d.rec, numberKey(run, number), &i)
	if err != nil || !found || i.Stage != Begun || i.Account != p.Account || i.Try != try || i.Amount != p.Pays || i.To.Text != p.To {
		return false
	}
	_, err = d.Run(run) // an item may be older than its run
	return err == nil
}
