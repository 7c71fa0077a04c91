package channels

import (
	"context"
	"fmt"
	"time"
)

// A node of the chain that starts after it was killed may have lost its newest blocks, and fetches them again. Until it has, what was
// confirmed seems to be nowhere: a deposit undone, a batch's coins gone. A reorganisation looks different: its chain is at least as high
// as the one before. So nothing is concluded from a chain that is lower than it was, as long as it grows.

const tipMark = "tip" // the greatest height that the chain was seen at

// tip is where the chain was at the last look. It belongs to lookAround's goroutine.
type tip struct {
	height int64
	since  time.Time // when it came to that height
}

// behind says whether the chain's node is fetching blocks that it had before, or does not answer: then this look is left out. Where the
// chain stays lower for Policy.StuckAfter an operator is told, and it is believed.
func (r *Rails) behind() bool {
	if r.cfg.Tip == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.cfg.CallFor)
	defer cancel()
	height, err := r.cfg.Tip(ctx)
	marked, errMark := r.mark(tipMark)
	if err != nil || errMark != nil {
		r.warn("the chain cannot be looked at; trying again", "err", fmt.Sprint(err, errMark))
		return true
	}
	highest := int64(marked)
	if r.tip.height != height || r.tip.since.IsZero() {
		r.tip = tip{height, r.now()}
	}
	switch {
	case height == highest:
		return false
	case height > highest:
		r.settle("chain", "height", "the chain grows again")
	case r.now().Sub(r.tip.since) < r.cfg.StuckAfter:
		r.warn("the chain's node is behind where it was; waiting for it", "height", height, "was", highest)
		return true
	default:
		r.Raise(Incident{Kind: "chain", Subject: "height", Text: fmt.Sprintf(
			"the chain is at height %d since %v, and was at %d: what is not in it counts as undone", height, r.cfg.StuckAfter, highest)})
	}
	return r.write(markRow(tipMark, uint64(max(0, height)))) != nil
}
