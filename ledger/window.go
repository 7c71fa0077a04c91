package ledger

// window remembers the ids of the ops that were applied, for as long as a repeat can be accepted: the newest in memory, older
// ones in the archive. Ids carry their own time, so an id is either checked exactly or too old to be applied.
type window struct {
	shelves[Remembered]
	span, ahead uint64 // milliseconds that an id may lie behind and ahead of the ledger's clock
	latest      uint64 // the largest time of any id that was ever applied
}

// check says whether an id may be used now: Repeated with what is remembered, a refusal, or Undecided for a new one.
func (s *State) checkWindow(op *Op, now uint64) (Remembered, Result) {
	w, id := &s.ids, OpID(op.ID)
	if !id.valid() {
		return Remembered{}, IDInvalid
	}
	at := id.Millis()
	if at+w.span < now {
		return Remembered{}, IDExpired
	}
	if at > now+w.ahead {
		return Remembered{}, IDAhead
	}
	found := s.recentID(id, op.Actor)
	switch {
	case found != nil:
		return *found, w.same(found, op)
	case !w.dropped || at > w.newest:
		return Remembered{}, Undecided
	case s.archive == nil:
		return Remembered{}, unreadable
	}
	old, ok, err := s.archive.ID(id, op.Actor)
	switch {
	case err != nil:
		return Remembered{}, unreadable
	case !ok || old.Seq > s.seq:
		return Remembered{}, Undecided
	}
	return old, w.same(&old, op)
}

// recentID finds an id in memory.
func (s *State) recentID(id OpID, actor AccountNo) *Remembered {
	return s.ids.find(s.seed.hashID(id, actor), id.Millis(), func(e *Remembered) bool { return e.ID == id && e.Actor == actor })
}

func (w *window) same(e *Remembered, op *Op) Result {
	if e.Sum == op.sum() {
		return Repeated
	}
	return IDReused
}

// remember is entry for ops that carry an OpID.
func (s *State) remember(op *Op, object uint32) Applied {
	a := s.entry(op.Amount, object)
	id := OpID(op.ID)
	e := Remembered{ID: id, Actor: op.Actor, Sum: op.sum(), Seq: a.seq, Object: object}
	s.ids.add(e, s.seed.hashID(id, op.Actor), id.Millis(), a.seq)
	s.ids.latest = max(s.ids.latest, id.Millis())
	return a
}

// expire drops what no op can repeat any more.
func (w *window) expire(now uint64) {
	for len(w.all) > 0 && w.all[0].to+w.span < now {
		w.drop()
	}
}
