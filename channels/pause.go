package channels

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A pause holds back all that would be sent out: by an operator's word, or since the records are from a backup. Money is still set aside,
// what was sent before is still asked about and comes to its end, and what comes in is credited. A pause outlives the process.
//
// Records that were restored say less than the world has seen: what they hold as not sent may have been sent after the backup was made, and a
// batch of which they know no transaction may be in the chain. So while such a pause lasts
//
//	a payout over Lightning that is held is looked up at the node by its hash; one that the node knows stays held until an operator decides
//	one that was sent, and of which the node has not heard, is not sent again
//	a batch that is not signed is undone, and its payouts wait, like all on-chain: the wallet's transactions, compared with the records,
//	tell whether they were paid, and then an operator decides so
//
// The same look at the node is had later, too, by every payout that was held when the records were restored.

// Pause is why nothing is sent out.
type Pause struct {
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason"`             // at most MaxNote bytes
	Restored bool      `json:"restored,omitempty"` // the records are from a backup
}

// ErrPaused means that nothing is sent out now.
var ErrPaused = errors.New("payouts are paused")

const (
	keyPause     = "pause"
	restoredMark = "restored"
	restoredKind = "restored" // of an incident
)

// MarkRestored has rails that will be opened on records from a backup begin with a pause. It writes to the records alone.
func MarkRestored(to Records, now time.Time, backup string) error {
	p := Pause{Since: now.UTC().Truncate(time.Millisecond), Restored: true, Reason: fmt.Sprintf(
		"the records are from backup %s: payouts may have been sent after it was made. Reconcile in full, explain what is found, and resume", backup)}
	row, err := rowOf([]byte(keyPause), &p)
	if err == nil {
		err = to.Write(row, markRow(restoredMark, uint64(p.Since.UnixMilli())))
	}
	if err != nil {
		return fmt.Errorf("pausing restored rails: %w", err)
	}
	return nil
}

// loadPause reads whether there is a pause, at a start.
func (r *Rails) loadPause() error {
	at, err := r.mark(restoredMark)
	if err != nil {
		return err
	}
	if at != 0 {
		r.restoredAt = time.UnixMilli(int64(at))
	}
	p := new(Pause)
	found, err := r.read([]byte(keyPause), p)
	if err != nil || !found {
		return err
	}
	r.pausing.Store(p)
	r.log.Warn("payouts are paused", "since", p.Since, "reason", p.Reason)
	if p.Restored {
		r.Raise(Incident{Kind: restoredKind, Subject: p.Since.Format(time.RFC3339), Text: p.Reason})
	}
	return nil
}

// Paused says whether payouts are paused, and why.
func (r *Rails) Paused() (Pause, bool) {
	if p := r.pausing.Load(); p != nil {
		return *p, true
	}
	return Pause{}, false
}

// Pause holds back what was not sent yet until Resume. What the node or the wallet is being handed at this moment is sent. Rails that are
// paused already stay so for the reason that they have.
func (r *Rails) Pause(reason string) (Pause, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pausing.Load(); p != nil {
		return *p, nil
	}
	p := Pause{Since: r.now().UTC().Truncate(time.Millisecond), Reason: cutText(reason, MaxNote)}
	row, err := rowOf([]byte(keyPause), &p)
	if err == nil {
		err = r.write(row)
	}
	if err != nil {
		return p, fmt.Errorf("pausing payouts: %w", err)
	}
	r.pausing.Store(&p)
	r.log.Warn("payouts are paused", "reason", p.Reason)
	return p, nil
}

// Resume ends a pause, if there is one. Who resumes restored rails has compared the books before.
func (r *Rails) Resume(note string) error {
	r.mu.Lock()
	p := r.pausing.Load()
	var err error
	if p != nil {
		err = r.write(Row{Key: []byte(keyPause)})
	}
	if err == nil {
		r.pausing.Store(nil)
	}
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("resuming payouts: %w", err)
	}
	if p == nil {
		return nil
	}
	r.log.Warn("payouts are resumed", "note", note)
	if p.Restored {
		r.settle(restoredKind, p.Since.Format(time.RFC3339), note)
	}
	r.Wake()
	return nil
}

// heldBack is why a payout is not sent now: ErrPaused; nil: there is no pause.
func (r *Rails) heldBack() error {
	if p := r.pausing.Load(); p != nil {
		return fmt.Errorf("%w: %s", ErrPaused, p.Reason)
	}
	return nil
}

// doubtful says whether a payout that is held may have been sent by the hub of which these records were a backup.
func (r *Rails) doubtful(p *Payout) bool {
	return p.Rail == Lightning && p.Changed.Before(r.restoredAt)
}

// findUnsent decides what becomes of a batch of which nothing is signed while payouts are paused. In restored records it is undone.
func (r *Rails) findUnsent(b *Batch) {
	p := r.pausing.Load()
	if p == nil || !p.Restored {
		return
	}
	flights, actions := r.dissolve(b, event{kind: evLeft, reason: ErrPaused.Error()})
	for i, f := range flights {
		r.dispatch(f, actions[i])
	}
}

// paidUnseen says whether an operator may decide that a payout was paid, though these records know of nothing that was sent: they were
// restored, and it waits; or all coins of its batch are gone to a transaction that they do not know.
func (r *Rails) paidUnseen(p *Payout) bool {
	if now := r.pausing.Load(); now == nil || !now.Restored {
		return false
	}
	if p.Status == Held {
		return true
	}
	if p.Rail != Chain || p.Status != InTransit {
		return false
	}
	r.tending.Lock()
	defer r.tending.Unlock()
	for _, b := range r.chain.batches {
		if b.ID == p.Batch {
			return b.lost
		}
	}
	return false
}

// cutText is a text of at most so many bytes, which are UTF-8.
func cutText(text string, most int) string {
	for len(text) > most {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	return strings.ToValidUTF8(text, "?")
}
