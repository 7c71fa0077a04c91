package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Adjustment is the operator's word for something that only the node's books have: coins that he brought in or took out, a payment that
// he made past the hub, what it cost to close a channel.
type Adjustment struct {
	ID     string `json:"id"`     // chosen by who makes it: the same one again is the same adjustment. 1 to 64 bytes without a slash
	Amount int64  `json:"amount"` // msat that the node holds more since; negative: less. Fees belong to it
	// Rail is set where it was for accounts and not for the operator: coins that came past the records, and that the ledger has credited by
	// hand. Then it belongs to what the node's books say of that rail, and not to the operator's capital.
	Rail   channels.Rail `json:"rail,omitempty"`
	Ref    string        `json:"ref,omitempty"` // the subject of the mismatch that it explains, such as a payment hash; or empty. At most 80 bytes
	Reason string        `json:"reason"`        // 1 to 500 bytes
	By     string        `json:"by,omitempty"`  // who made it; at most 64 bytes
	Time   time.Time     `json:"time"`
}

// maxAdjustments bounds the list, of some 300 bytes each, which is held in memory.
const maxAdjustments = 100_000

// ErrAdjustment is what a bad adjustment is refused with, and one whose id is another's.
var ErrAdjustment = errors.New("no adjustment that can be made")

func (j *Adjustment) check() error {
	text := j.ID + j.Reason + j.By + j.Ref
	switch {
	case j.ID == "" || len(j.ID) > 64 || strings.Contains(j.ID, "/") || len(j.By) > 64 || !utf8.ValidString(text):
		return fmt.Errorf("%w: its id or its author", ErrAdjustment)
	case strings.TrimSpace(j.Reason) == "" || len(j.Reason) > 500:
		return fmt.Errorf("%w: it needs a reason of at most 500 bytes", ErrAdjustment)
	case j.Amount > int64(ledger.MaxMsat) || j.Amount < -int64(ledger.MaxMsat) || j.Amount == 0 && j.Ref == "":
		return fmt.Errorf("%w: an amount of %d msat", ErrAdjustment, j.Amount)
	case len(j.Ref) > 80:
		return fmt.Errorf("%w: what it explains is no subject of a mismatch", ErrAdjustment)
	case j.Rail != "" && j.Rail != channels.Lightning && j.Rail != channels.Chain:
		return fmt.Errorf("%w: there is no rail %q", ErrAdjustment, j.Rail)
	}
	return nil
}

// Adjust writes an adjustment down. It counts from the next run on. Its time is set here.
func (a *Auditor) Adjust(j Adjustment) (Adjustment, error) {
	if err := j.check(); err != nil {
		return j, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if old, known := a.adjustments[j.ID]; known {
		if j.Time = old.Time; j != old {
			return old, fmt.Errorf("%w: the id is of another one", ErrAdjustment)
		}
		return old, nil
	}
	if len(a.adjustments) >= maxAdjustments {
		return j, fmt.Errorf("%w: there are %d already", ErrAdjustment, maxAdjustments)
	}
	j.Time = a.now()
	r, err := row([]byte(keyAdjust+j.ID), &j)
	if err == nil {
		err = a.cfg.Store.Write(r)
	}
	if err != nil {
		return j, fmt.Errorf("writing an adjustment: %w", err)
	}
	a.take(j)
	a.cfg.Logger.Info("adjustment of the books", "id", j.ID, "amount_msat", j.Amount, "ref", j.Ref, "reason", j.Reason, "by", j.By)
	return j, nil
}

// Adjustments are all of them, the newest first.
func (a *Auditor) Adjustments() []Adjustment {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Adjustment, 0, len(a.adjustments))
	for _, j := range a.adjustments {
		all = append(all, j)
	}
	slices.SortFunc(all, func(x, y Adjustment) int { return cmp.Or(y.Time.Compare(x.Time), strings.Compare(x.ID, y.ID)) })
	return all
}

// Borne is the adjustment by which the operator has borne what has a subject: it is his, and no account's. Whoever lets an account pay for
// the same has it in the books twice. False: there is none, or another one says that it was for accounts after all.
func (a *Auditor) Borne(subject string) (by Adjustment, borne bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.explained[subject] {
		return by, false
	}
	for _, j := range a.adjustments {
		switch {
		case j.Ref == subject && j.Rail != "":
			return Adjustment{}, false
		case j.Ref == subject:
			by, borne = j, true
		}
	}
	return by, borne
}

func (a *Auditor) take(j Adjustment) {
	a.adjustments[j.ID] = j
	if j.Ref != "" {
		a.explained[j.Ref] = true
	}
}

func (a *Auditor) loadAdjustments() error {
	var failed error
	err := a.cfg.Store.Scan([]byte(keyAdjust), nil, func(key, text []byte) bool {
		var j Adjustment
		if failed = json.Unmarshal(text, &j); failed != nil {
			failed = fmt.Errorf("reading %q: %w", key, failed)
			return false
		}
		a.take(j)
		return true
	})
	return errors.Join(err, failed)
}

// sum is what the operator wrote down, by rail, and what it explains.
func (a *Auditor) sum() (adjusted map[channels.Rail]int64, explained map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	adjusted = make(map[channels.Rail]int64)
	for _, j := range a.adjustments {
		adjusted[j.Rail] += j.Amount
	}
	return adjusted, maps.Clone(a.explained)
}
