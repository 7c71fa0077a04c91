package channels

import (
	"sync"

	"github.com/millrace/millrace/ledger"
)

// task is an action to be carried out for a payout under way.
type task struct {
	f    *flight
	kind actionKind
	turn uint64 // see flight
}

// lane is where tasks of one kind of work wait for its workers. Accounts take turns, so that one that pays thousands at once does not
// hold up the others. It holds a task per payout at most, and so is bounded as those are.
type lane struct {
	mu      sync.Mutex
	arrived sync.Cond
	queues  map[ledger.AccountNo][]task // none is empty
	turns   []ledger.AccountNo          // of those in queues; the first is next
	closed  bool
}

func newLane() *lane {
	l := &lane{queues: make(map[ledger.AccountNo][]task)}
	l.arrived.L = &l.mu
	return l
}

func (l *lane) put(t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	no := t.f.key.Account
	if len(l.queues[no]) == 0 {
		l.turns = append(l.turns, no)
	}
	l.queues[no] = append(l.queues[no], t)
	l.arrived.Signal()
}

// take waits for a task. False: the lane is closed.
func (l *lane) take() (task, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.turns) == 0 && !l.closed {
		l.arrived.Wait()
	}
	if l.closed {
		return task{}, false
	}
	no := l.turns[0]
	l.turns = l.turns[1:]
	q := l.queues[no]
	t := q[0]
	if len(q) == 1 {
		delete(l.queues, no)
	} else {
		q[0] = task{}
		l.queues[no] = q[1:]
		l.turns = append(l.turns, no)
	}
	return t, true
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.arrived.Broadcast()
}

// length is how many tasks wait.
func (l *lane) length() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		n += len(q)
	}
	return n
}

// locks are one lock for each key, as long as somebody holds it or waits for it.
type locks[K comparable] struct {
	mu   sync.Mutex
	held map[K]*held
}

type held struct {
	sync.Mutex
	users int
}

// lock returns the function that unlocks it.
func (l *locks[K]) lock(key K) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = make(map[K]*held)
	}
	h := l.held[key]
	if h == nil {
		h = new(held)
		l.held[key] = h
	}
	h.users++
	l.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, key)
		}
	}
}
