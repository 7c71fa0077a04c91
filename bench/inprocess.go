package bench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// innerTarget is a hub in this process, spoken to without HTTP: what is missing between it and the hub beside is the transport's part. What it uses
// of the processor is in the generator's share, and no fault but vanish can happen to it.
type innerTarget struct{ hubTarget }

func newInnerTarget(ctx context.Context, c *Config, plan *workload.Plan, dir string) (_ generator.Target, err error) {
	t := &innerTarget{hubTarget{c: c, plan: plan, dir: dir}}
	if t.rig, err = newRig(ctx, c, dir); err != nil {
		return nil, err
	}
	if err = t.populate(ctx); err == nil {
		err = t.rig.restart(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, t.rig.close())
	}
	return inner{t}, nil // which hides what a process beside can do
}

// inner shows of the target what a hub in this process can do.
type inner struct{ generator.Target }

// Name says that it is inside.
func (t *innerTarget) Name() string { return "millrace-inprocess" }

// Traits says that it is inside.
func (inner) Traits() generator.Traits { return generator.Traits{Inside: true} }

// Connect makes a session.
func (t *innerTarget) Connect(int) (generator.Session, error) { return &innerSession{target: t}, nil }

// Books closes the hub, opens its folder as a start does, and reads everybody's balance.
func (t *innerTarget) Books(ctx context.Context) (*workload.Books, error) {
	if err := t.rig.close(); err != nil {
		return nil, err
	}
	return t.recovered(ctx)
}

// Close ends the hub.
func (t *innerTarget) Close() error { return t.rig.close() }

// errGone is what a worker gets that has not waited for its answer.
var errGone = errors.New("the answer came too late")

// innerSession is a worker's.
type innerSession struct {
	target *innerTarget
	batch  hub.Batch
}

// Close has nothing to do.
func (s *innerSession) Close() error { return nil }

// Do submits a request to the hub.
func (s *innerSession) Do(r *workload.Request, deadline time.Time) (err error) {
	t := s.target
	payer := t.Accounts[r.Payer]
	switch op := &r.Ops[0]; {
	case op.Kind == workload.History:
		lines := 0
		err = t.rig.hub.AccountLines(payer, ledger.Range{Newest: true}, func(*ledger.Line) bool {
			lines++
			return lines < maxLines
		})
		r.Outcomes[0] = workload.Done
	case op.Kind == workload.Unlock && len(r.Ops) == 1:
		err = s.unlock(r, payer)
	default:
		err = s.submit(r, payer)
	}
	switch {
	case errors.Is(err, hub.ErrOverload):
		return fmt.Errorf("%w: %w", generator.ErrBusy, err)
	case err != nil:
		return err
	case time.Now().After(deadline):
		return errGone
	}
	return nil
}

// maxLines are those of a history that are read: as many as over HTTP.
const maxLines = 100

func (s *innerSession) unlock(r *workload.Request, payer ledger.AccountNo) error {
	w := &s.target.Works[r.Ops[0].Object]
	out, key, err := s.target.rig.hub.Unlock(&s.batch, hub.Purchase{Buyer: payer, Content: w.Number, Max: ledger.Msat(r.Ops[0].Amount)})
	if err != nil {
		return err
	}
	r.Secret = base64.StdEncoding.EncodeToString(key[:]) == string(w.Key)
	decided(r, 0, out.Result())
	return nil
}

func (s *innerSession) submit(r *workload.Request, payer ledger.AccountNo) error {
	t, b := s.target, &s.batch
	b.Reset()
	for i := range r.Ops {
		op := ledger.Op{Actor: payer, Amount: ledger.Msat(r.Ops[i].Amount)}
		switch n := r.Ops[i].Object; r.Ops[i].Kind {
		case workload.Advance:
			op.Kind, op.Target = ledger.OpAdvance, t.Channels[n]
		case workload.Transfer:
			op.Kind, op.Target, op.ID = ledger.OpTransfer, uint32(t.Accounts[n]), r.Ops[i].ID
		case workload.Unlock:
			op.Kind, op.ID = ledger.OpUnlock, t.Works[n].Number
		}
		b.Ops = append(b.Ops, op)
	}
	if err := t.rig.hub.Submit(b); err != nil {
		return err
	}
	for i := range b.Out {
		decided(r, i, b.Out[i].Result())
	}
	return nil
}

// decided notes what the ledger says of an op.
func decided(r *workload.Request, i int, result ledger.Result) {
	switch result {
	case ledger.Done:
		r.Outcomes[i] = workload.Done
	case ledger.Repeated:
		r.Outcomes[i] = workload.Repeated
	default:
		refuse(r, i, result.String())
	}
}
