package settle

import (
	"context"
	"time"
)

// Before anything of a run begins the books are compared, or have been just now: see Config.Ready. A run whose hub may not pay waits, says why,
// and asks again. It asks once for each process: what comes to light later holds up payouts one by one, at the rails' gate.
const (
	readyFor   = 2 * time.Minute // at most, for one answer: a comparison that finds something looks twice
	readyAgain = 10 * time.Second
)

// readiness is how far a run has come with that. Its loop alone touches it.
type readiness struct {
	yes    bool
	asking bool
	again  time.Time  // not before
	answer chan error // holds one
}

// ready says whether items may begin. If not yet, somebody is asked meanwhile, or will be.
func (r *runner) ready() (bool, error) {
	if r.clear.yes || r.d.cfg.Ready == nil {
		return true, nil
	}
	select {
	case err := <-r.clear.answer:
		r.clear.asking, r.clear.yes = false, err == nil
		r.clear.again = r.d.cfg.Clock().Add(readyAgain)
		if err != nil {
			r.d.cfg.Logger.Warn("a settlement run waits", "run", r.id.String(), "err", err)
		}
		if err := r.waitsFor(err); err != nil {
			return false, err
		}
	default:
	}
	if !r.clear.yes && !r.clear.asking && !r.d.cfg.Clock().Before(r.clear.again) {
		r.clear.asking = true
		r.d.running.Go(func() { // which the loop is one of: nobody waits for it to be empty yet
			ctx, cancel := context.WithTimeout(r.d.ctx, readyFor)
			defer cancel()
			r.clear.answer <- r.d.cfg.Ready(ctx)
			r.poke()
		})
	}
	return r.clear.yes, nil
}

// waitsFor writes down why nothing of a run begins; nil: it does.
func (r *runner) waitsFor(why error) error {
	text := ""
	if why != nil {
		text = string(reasonText(why.Error()))
	}
	if r.state().Waits == text {
		return nil
	}
	_, err := r.change(func(run Run) (Run, error) {
		run.Waits = text
		return run, nil
	})
	return err
}
