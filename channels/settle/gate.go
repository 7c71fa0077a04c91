package settle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// ErrCap is what a payout meets that is above one of the operator's caps. channels.ErrNotAllowed is wrapped beside it.
var ErrCap = errors.New("above a cap")

// Gate counts what leaves the hub, by account and day (UTC), and refuses what is above the caps. The driver of payouts asks it before
// money is set aside. What was let out stays counted, across restarts, unless it is given back; to ask for the same payout again is to
// get the same answer without being counted again, for a week and for as long as it is under way.
//
// Each payout is two rows of its own, so that many at once share a sync; sums are in memory alone.
type Gate struct {
	rec   channels.Records
	clock func() uint64
	rules func() Rules
	// took says what a payout that is over took, with its fee: of one that failed, nothing. False: it is not known to be over. It is asked
	// when the caps leave no room. May be nil.
	took func(ledger.AccountNo, ledger.OpID) (ledger.Msat, bool)
	// underWay says whether a payout is not over, so that it may be asked for still. May be nil.
	underWay func(ledger.AccountNo, ledger.OpID) bool
	// planned says whether a payout is one of a run's, which was approved as a whole. May be nil.
	planned func(*channels.Payout) bool

	deciding [decisions]sync.Mutex // by payout: whoever decides about one is alone

	mu    sync.Mutex
	today uint32 // days since 1970; never goes back
	// requests are what waits for operators, as far as the rails have asked.
	requests map[channels.Key]Request
	spent    map[ledger.AccountNo]ledger.Msat
	looked   map[ledger.AccountNo]looked // of today
}

// looked is how far it has been looked for payouts of an account that failed.
type looked struct {
	at   uint64      // milliseconds since 1970
	next ledger.OpID // where the next look begins
}

// leave is what was counted for a payout.
type leave struct {
	Day    uint32      `json:"day"`
	Amount ledger.Msat `json:"amount"`
}

const (
	dayMillis = 24 * 60 * 60 * 1000
	keptDays  = 7
	decisions = 64
	// Whoever asks above a cap has the day's payouts looked through for some that failed: for an account at most once in so many milliseconds, at
	// most so many payouts, some 5 us each. What has failed since counts until then. At most so many accounts are remembered.
	lookEvery    = 2000
	lookMost     = 2000
	lookAccounts = 10_000
)

func openGate(g *Gate) (*Gate, error) {
	g.spent, g.requests, g.looked = make(map[ledger.AccountNo]ledger.Msat), make(map[channels.Key]Request), make(map[ledger.AccountNo]looked)
	g.today = uint32(g.clock() / dayMillis)
	err := g.rec.Scan(binary.BigEndian.AppendUint32([]byte(dayKey), g.today), nil, func(key, value []byte) bool {
		no := binary.BigEndian.Uint32(key[len(dayKey)+4:])
		g.spent[ledger.AccountNo(no)] += ledger.Msat(binary.BigEndian.Uint64(value))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("reading what left today: %w", err)
	}
	return g, nil
}

// Allow lets a payout of an account out, or says why not: an error that is ErrCap, or one of the records. The amount is with
// the limit of the fee: whoever chooses the way to a node of his own earns the fee.
func (g *Gate) Allow(no ledger.AccountNo, payout ledger.OpID, amount ledger.Msat) error {
	err := g.decide(no, payout, amount)
	if errors.Is(err, ErrCap) {
		if err := g.reclaim(no); err != nil {
			return err
		}
		err = g.decide(no, payout, amount)
	}
	return err
}

func (g *Gate) decide(no ledger.AccountNo, payout ledger.OpID, amount ledger.Msat) error {
	lock := g.lock(payout)
	defer lock.Unlock()
	key := leavePlace(no, payout)
	var before leave
	if found, err := get(g.rec, key, &before); err != nil || found {
		return err
	}
	l, err := g.count(no, amount)
	if err != nil {
		return fmt.Errorf("%w: %w", channels.ErrNotAllowed, err)
	}
	amountText := binary.BigEndian.AppendUint64(nil, uint64(amount))
	if err := g.rec.Write(put(key, &l), channels.Row{Key: dayPlace(l.Day, no, payout), Value: amountText}); err != nil {
		return fmt.Errorf("counting a payout: %w", err) // it stays counted in memory: nobody knows whether it is on the disk
	}
	return nil
}

// Check is what the rails ask before they set money aside, and before they send it: see channels.Config.Gate. A payout that is above
// Rules.TwoOperators, and not one of a run's, waits until two operators have approved it. What stays in the hub is let through.
func (g *Gate) Check(p channels.Payout) error {
	if p.Rail == channels.Internal {
		return nil
	}
	if most := g.rules().TwoOperators; most != 0 && p.Aside() > most && (g.planned == nil || !g.planned(&p)) {
		if err := g.approved(&p); err != nil {
			return err
		}
	}
	return g.Allow(p.Account, ledger.OpID(p.ID), p.Aside())
}

// Room says whether the caps leave room for a payout of an account.
func (g *Gate) Room(no ledger.AccountNo, amount ledger.Msat) (bool, error) {
	most := g.rules().MaxAccountDay
	if most == 0 || g.Spent(no)+amount <= most {
		return true, nil
	}
	err := g.reclaim(no)
	return g.Spent(no)+amount <= most, err
}

// Return takes back what was counted for a payout that failed: its money is back with its account.
func (g *Gate) Return(no ledger.AccountNo, payout ledger.OpID) error {
	lock := g.lock(payout)
	defer lock.Unlock()
	var l leave
	if found, err := get(g.rec, leavePlace(no, payout), &l); err != nil || !found {
		return err
	}
	if err := g.rec.Write(channels.Row{Key: leavePlace(no, payout)}, channels.Row{Key: dayPlace(l.Day, no, payout)}); err != nil {
		return fmt.Errorf("taking a payout out of the count: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turn(); l.Day == g.today {
		g.spent[no] -= l.Amount
	}
	return nil
}

// correct counts what a payout took that is over, where more was counted: its fee was below the limit.
func (g *Gate) correct(no ledger.AccountNo, payout ledger.OpID, amount ledger.Msat) error {
	lock := g.lock(payout)
	defer lock.Unlock()
	var l leave
	if found, err := get(g.rec, leavePlace(no, payout), &l); err != nil || !found || l.Amount <= amount {
		return err
	}
	less := l.Amount - amount
	l.Amount = amount
	if err := g.rec.Write(put(leavePlace(no, payout), &l), channels.Row{Key: dayPlace(l.Day, no, payout), Value: binary.BigEndian.AppendUint64(nil, uint64(amount))}); err != nil {
		return fmt.Errorf("correcting the count of a payout: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turn(); l.Day == g.today {
		g.spent[no] -= less
	}
	return nil
}

// reclaim takes what failed today out of an account's count, and what fees did not use.
func (g *Gate) reclaim(no ledger.AccountNo) error {
	if g.took == nil {
		return nil
	}
	from, ok := g.mayLook(no)
	if !ok {
		return nil
	}
	var ids []ledger.OpID
	var next ledger.OpID // the zero id: from the beginning
	first := dayPlace(uint32(g.clock()/dayMillis), no, from)
	err := g.rec.Scan(first[:len(first)-16], first, func(key, _ []byte) bool {
		id := ledger.OpID(key[len(key)-16:])
		if len(ids) == lookMost {
			next = id
			return false
		}
		ids = append(ids, id)
		return true
	})
	g.mu.Lock()
	g.looked[no] = looked{g.clock(), next}
	g.mu.Unlock()
	if err != nil {
		return fmt.Errorf("reading what left today: %w", err)
	}
	for _, id := range ids {
		switch amount, over := g.took(no, id); {
		case over && amount == 0:
			err = errors.Join(err, g.Return(no, id))
		case over:
			err = errors.Join(err, g.correct(no, id, amount))
		}
	}
	return err
}

// mayLook says whether it is time to look again, and from which payout on.
func (g *Gate) mayLook(no ledger.AccountNo) (from ledger.OpID, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	l, known := g.looked[no]
	now := g.clock()
	if known && now >= l.at && now-l.at < lookEvery {
		return from, false
	}
	if !known && len(g.looked) >= lookAccounts {
		clear(g.looked)
	}
	g.looked[no] = looked{now, l.next} // others who ask meanwhile do not look, too
	return l.next, true
}

// Spent is what an account was let out today.
func (g *Gate) Spent(no ledger.AccountNo) ledger.Msat {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	return g.spent[no]
}

func (g *Gate) lock(payout ledger.OpID) *sync.Mutex {
	l := &g.deciding[payout[15]%decisions]
	l.Lock()
	return l
}

// count adds a payout to its account's day, if the caps leave room.
func (g *Gate) count(no ledger.AccountNo, amount ledger.Msat) (leave, error) {
	rules := g.rules()
	if rules.MaxPayout != 0 && amount > rules.MaxPayout {
		return leave{}, fmt.Errorf("%w: a payout of %d msat; at most %d", ErrCap, amount, rules.MaxPayout)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	if rules.MaxAccountDay != 0 && g.spent[no]+amount > rules.MaxAccountDay {
		return leave{}, fmt.Errorf("%w: %d msat on a day on which account %s was paid out %d; at most %d", ErrCap, amount, no, g.spent[no], rules.MaxAccountDay)
	}
	g.spent[no] += amount
	return leave{g.today, amount}, nil
}

// turn begins a new day if one has begun. g.mu must be held.
func (g *Gate) turn() {
	if d := uint32(g.clock() / dayMillis); d > g.today {
		g.today = d
		clear(g.spent)
		clear(g.looked)
	}
}

func leavePlace(no ledger.AccountNo, payout ledger.OpID) []byte {
	return append(accountKey(leaveKey, no), payout[:]...)
}

func dayPlace(day uint32, no ledger.AccountNo, payout ledger.OpID) []byte {
	k := binary.BigEndian.AppendUint32([]byte(dayKey), day)
	return append(binary.BigEndian.AppendUint32(k, uint32(no)), payout[:]...)
}

// prune forgets what was counted more than a week ago, some rows at a time, and says whether there is more. What is under way still (it waits
// for operators, or for the end of a pause) stays: it will be asked for again, and would be counted on that day, too.
func (g *Gate) prune() (more bool, err error) {
	const chunk = 1000
	first := uint32(g.clock()/dayMillis) - keptDays
	var rows []channels.Row
	err = g.rec.Scan([]byte(dayKey), nil, func(key, _ []byte) bool {
		if binary.BigEndian.Uint32(key[len(dayKey):]) >= first {
			return false
		}
		no, id := ledger.AccountNo(binary.BigEndian.Uint32(key[len(dayKey)+4:])), ledger.OpID(key[len(key)-16:])
		if g.underWay != nil && g.underWay(no, id) {
			return true
		}
		key = append([]byte(nil), key...)
		rows = append(rows, channels.Row{Key: key}, channels.Row{Key: append([]byte(leaveKey), key[len(dayKey)+4:]...)})
		return len(rows) < 2*chunk
	})
	if err == nil && len(rows) > 0 {
		err = g.rec.Write(rows...)
	}
	if err != nil {
		return false, fmt.Errorf("forgetting payouts of earlier days: %w", err)
	}
	return len(rows) == 2*chunk, nil
}
