package audit

import (
	"context"
	"time"
)

// Run compares the books on a schedule until the context ends: soon after a start, and then every so often. What cannot be read is tried
// again sooner.
func (a *Auditor) Run(ctx context.Context) {
	wait := min(time.Minute, a.cfg.Every)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		a.mu.Lock()
		full := a.state.Deep || a.now().Sub(a.state.Full) >= a.cfg.FullEvery
		a.mu.Unlock()
		wait = a.cfg.Every
		if _, err := a.Check(ctx, full); err != nil && ctx.Err() == nil {
			a.cfg.Logger.Warn("the books could not be compared; trying again", "err", err)
			wait = min(time.Minute, a.cfg.Every)
		}
	}
}
