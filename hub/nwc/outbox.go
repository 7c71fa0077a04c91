package nwc

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const (
	maxOutbox = 8 << 20         // bytes of events that wait for a relay to take them
	outboxFor = 5 * time.Minute // that one waits: nobody waits for an answer longer
	infoAhead = 64              // info events that are on their way to a relay at a time
	infoAgain = time.Minute     // after which a relay is told of connections again, if it has refused to hear of one
)

// outgoing is an event that a relay has not taken yet.
type outgoing struct {
	id    eventID
	text  []byte
	until time.Time
	sent  bool // over the present connection
}

// add puts an event into the outbox. If that is full, the oldest ones are lost.
func (r *relay) add(id eventID, text []byte) {
	r.mu.Lock()
	now := r.s.cfg.Clock()
	r.outbox = append(r.outbox, &outgoing{id: id, text: text, until: now.Add(outboxFor)})
	r.size += len(text)
	gone := 0
	for gone < len(r.outbox)-1 && (r.size > maxOutbox || now.After(r.outbox[gone].until)) {
		r.size -= len(r.outbox[gone].text)
		gone++
	}
	if gone > 0 {
		r.outbox = append(r.outbox[:0], r.outbox[gone:]...)
		r.s.metrics.dropped.Add(float64(gone))
	}
	r.mu.Unlock()
	r.wake()
}

// taken takes an event out of the outbox that the relay has.
func (r *relay) taken(id eventID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(id)
	if there, is := r.there[id]; is && !there {
		r.there[id] = true
		r.wake() // there is room for another
	}
}

// refused takes an event out of the outbox that the relay does not want. What a connection can do is told again later: relays refuse what
// comes too fast.
func (r *relay) refused(id eventID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(id)
	for key, informed := range r.informed {
		if informed == id {
			delete(r.informed, key)
			delete(r.there, id)
			r.quiet = r.s.cfg.Clock().Add(infoAgain)
		}
	}
}

func (r *relay) remove(id eventID) {
	i := slices.IndexFunc(r.outbox, func(o *outgoing) bool { return o.id == id })
	if i >= 0 {
		r.size -= len(r.outbox[i].text)
		r.outbox = slices.Delete(r.outbox, i, i+1)
	}
}

// unsent are the events that are to be written, and from now on are.
func (r *relay) unsent() (texts [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.s.cfg.Clock()
	for _, o := range r.outbox {
		if !o.sent && !now.After(o.until) {
			o.sent = true
			texts = append(texts, o.text)
		}
	}
	return texts
}

// inform puts info events into the outbox, some at a time, for connections of which the relay has none of this process.
func (r *relay) inform() error {
	r.mu.Lock()
	if r.s.cfg.Clock().Before(r.quiet) {
		r.mu.Unlock()
		return nil
	}
	under := 0
	for _, there := range r.there {
		if !there {
			under++
		}
	}
	var todo []*link
	alive := make(map[publicKey]bool)
	for _, l := range r.s.all() {
		alive[l.Public] = true
		if _, is := r.informed[l.Public]; !is && under+len(todo) < infoAhead {
			todo = append(todo, l)
		}
	}
	for key, id := range r.informed {
		if !alive[key] {
			delete(r.informed, key)
			delete(r.there, id)
		}
	}
	r.mu.Unlock()
	for _, l := range todo {
		e, err := l.info(r.s.cfg.Clock())
		if err != nil {
			return err
		}
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.informed[l.Public], r.there[e.ID] = e.ID, false
		r.mu.Unlock()
		r.add(e.ID, text)
	}
	return nil
}

// info is what a connection can do, for all to read.
func (l *link) info(now time.Time) (*event, error) {
	can := append(l.Methods[:len(l.Methods):len(l.Methods)], "get_info", "get_budget")
	tags := [][]string{{"encryption", schemes}}
	if l.Notify {
		can = append(can, "notifications")
		tags = append(tags, []string{"notifications", strings.Join(notifications[:], " ")})
	}
	return newEvent(l.key, kindInfo, now, strings.Join(can, " "), tags...)
}
