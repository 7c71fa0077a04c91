package generator

import (
	"errors"
	"sync"
)

// errCut is what became of a request that was under way when somebody had had enough.
var errCut = errors.New("nobody waits for the answer any more: the load was stopped")

// line is a worker's connection. The worker uses it, and another goroutine may cut it.
type line struct {
	mu      sync.Mutex
	session Session // nil: there is none at the moment
	cut     bool    // for good
}

// get is the connection, made anew if the last has failed.
func (l *line) get(connect func() (Session, error)) (Session, error) {
	l.mu.Lock()
	now, cut := l.session, l.cut
	l.mu.Unlock()
	switch {
	case cut:
		return nil, errCut
	case now != nil:
		return now, nil
	}
	fresh, err := connect()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		_ = fresh.Close() // nothing was asked of it
		return nil, errCut
	}
	l.session = fresh
	return fresh, nil
}

// drop closes it, for it has failed, or is not needed any more. There may be none.
func (l *line) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		_ = l.session.Close() // what it had to say, it has said
		l.session = nil
	}
}

// abort ends what is under way on it, if that can be done, and lets nothing follow.
func (l *line) abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	if s, ok := l.session.(Aborter); ok {
		s.Abort()
	}
}

// why is the reason for an error on it.
func (l *line) why(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return errCut
	}
	return err
}
