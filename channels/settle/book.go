package settle

import (
	"errors"
	"fmt"
	"sync"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Status is how the last payment to an account went.
type Status struct {
	Run      channels.ID `json:"run"`
	Number   uint32      `json:"number"`
	Time     uint64      `json:"time"` // milliseconds since 1970
	Paid     bool        `json:"paid"`
	Reason   Reason      `json:"reason,omitempty"`
	Failures uint8       `json:"failures,omitempty"` // in a row; at most 255
}

// book has the settings of all payees: as records, and what plans need of them in memory, 64 bytes or so each.
type book struct {
	rec channels.Records

	setting sync.Mutex // held by who writes settings: a row follows its record
	mu      sync.RWMutex
	rows    []row
	slots   []uint32           // by account: one more than the index of its row, or zero
	owed    []ledger.AccountNo // whose row says so
}

// openBook reads all settings.
func openBook(rec channels.Records) (*book, error) {
	b := &book{rec: rec}
	var failed error
	err := rec.Scan([]byte(payeeKey), nil, func(key, value []byte) bool {
		var p Payee
		if failed = decode(value, &p); failed != nil {
			failed = fmt.Errorf("the settings at %q: %w", key, failed)
			return false
		}
		b.put(p.row(ledger.AccountNo(last4(key))))
		return true
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("reading the payees: %w", err)
	}
	err = rec.Scan([]byte(statusKey), nil, func(key, value []byte) bool {
		var s Status
		if failed = decode(value, &s); failed != nil {
			failed = fmt.Errorf("the status at %q: %w", key, failed)
			return false
		}
		if r := b.find(ledger.AccountNo(last4(key))); r != nil {
			r.failures, r.retry = s.Failures, s.retry()
		}
		return true
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("reading how payees were paid: %w", err)
	}
	return b, nil
}

// find returns a payee's row, or nil. b.mu must be held.
func (b *book) find(no ledger.AccountNo) *row {
	if int(no) >= len(b.slots) || b.slots[no] == 0 {
		return nil
	}
	return &b.rows[b.slots[no]-1]
}

// put stores a row. b.mu must be held. What is known of its payments stays.
func (b *book) put(r row) {
	if at := b.find(r.account); at != nil {
		r.busy, r.owed, r.failures, r.retry = at.busy, at.owed, at.failures, at.retry
		*at = r
		return
	}
	for int(r.account) >= len(b.slots) {
		b.slots = append(b.slots, 0)
	}
	b.rows = append(b.rows, r)
	b.slots[r.account] = uint32(len(b.rows))
}

// payee reads settings. An account that never had any has the zero value, which no money follows.
func (b *book) payee(no ledger.AccountNo) (Payee, error) {
	var p Payee
	_, err := get(b.rec, accountKey(payeeKey, no), &p)
	return p, err
}

// set writes settings, made by change out of those that there are.
func (b *book) set(no ledger.AccountNo, now uint64, change func(*Payee) error) (Payee, error) {
	b.setting.Lock()
	defer b.setting.Unlock()
	old, err := b.payee(no)
	if err != nil {
		return Payee{}, fmt.Errorf("reading the settings of %s: %w", no, err)
	}
	p := old
	if err := change(&p); err != nil {
		return Payee{}, err
	}
	p.Version, p.Changed = old.Version+1, now
	if err := b.rec.Write(put(accountKey(payeeKey, no), &p)); err != nil {
		return Payee{}, fmt.Errorf("writing the settings of %s: %w", no, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(p.row(no))
	if r := b.find(no); p.Lightning != old.Lightning || p.Address != old.Address || p.Internal != old.Internal {
		r.failures, r.retry = 0, 0 // what failed was another destination
	}
	return p, nil
}

// version is that of a payee's settings, or zero.
func (b *book) version(no ledger.AccountNo) uint32 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if r := b.find(no); r != nil {
		return r.version
	}
	return 0
}

// failures is how often in a row payments to a payee have failed, since it has the destination that it has.
func (b *book) failures(no ledger.AccountNo) uint8 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if r := b.find(no); r != nil {
		return r.failures
	}
	return 0
}

// claim marks payees whose payments are planned, so that no other plan has them. It claims all, or none where one is claimed already.
func (b *book) claim(due []Due) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range due {
		if r := b.find(due[i].Account); r == nil || r.busy {
			return false
		}
	}
	for i := range due {
		b.find(due[i].Account).busy = true
	}
	return true
}

// occupy marks a payee again at a start.
func (b *book) occupy(no ledger.AccountNo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.find(no); r != nil {
		r.busy = true
	}
}

// free ends what claim began, with a status that is in the records; without one, nothing was tried.
func (b *book) free(no ledger.AccountNo, s *Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.find(no)
	if r == nil {
		return
	}
	r.busy = false
	if s != nil {
		r.failures, r.retry = s.Failures, s.retry()
	}
}

// plan nets all accounts of a ledger, or on a tick those with settings.
func (b *book) plan(p *planner, account func(ledger.AccountNo) (ledger.Account, bool)) Plan {
	b.net(p, account)
	if p.scope.Tick {
		b.owe(&p.scope, p.owed)
	}
	return p.plan
}

func (b *book) net(p *planner, account func(ledger.AccountNo) (ledger.Account, bool)) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	end := ledger.AccountNo(len(b.slots))
	for no := ledger.FirstAccount; ; no++ {
		r := b.find(no)
		if r == nil && p.scope.Tick {
			if no >= end {
				break
			}
			continue
		}
		a, ok := account(no)
		if !ok && no >= end {
			break
		}
		if r == nil {
			p.noSettings(&a)
		} else {
			p.add(r, &a)
		}
	}
	p.finish()
}

// owe keeps in mind who could not be paid on a tick though its time had come, until the next look at those.
func (b *book) owe(s *Scope, owed []ledger.AccountNo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.Until%owedEvery == 0 {
		for _, no := range b.owed {
			b.find(no).owed = false
		}
		b.owed = nil
	}
	for _, no := range owed {
		if r := b.find(no); !r.owed {
			r.owed = true
			b.owed = append(b.owed, no)
		}
	}
}

// firstWait and longestWait bound, in minutes, how long a payee that failed waits before a schedule tries it again: twice as long each time.
// The longest is below a day, so that a daily schedule is tried each day.
const (
	firstWait   = 10
	longestWait = 12 * 60
)

// retry is the minute since 1970 before which no schedule tries again.
func (s *Status) retry() uint32 {
	if s.Failures == 0 {
		return 0
	}
	wait := uint32(longestWait)
	if n := s.Failures - 1; n < 7 {
		wait = min(uint32(firstWait)<<n, longestWait)
	}
	return uint32(s.Time/60_000) + wait
}
