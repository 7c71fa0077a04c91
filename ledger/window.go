package ledger

// idEntry is what is remembered of an op that carries an OpID: enough to tell a repeat from a reuse, and to give a repeat
// the original outcome. An id counts for its sender alone, so nobody can spoil another's by using it first.
type idEntry struct {
	id     OpID
	actor  AccountNo
	sum    uint64 // of the op's body
	seq    uint64
	object uint32 // the account, channel or hold that the op made
}

// bucketMillis is the span of id times that one bucket holds: a bucket is dropped whole when its last id has expired.
const bucketMillis = 60 * 60 * 1000

type bucket struct {
	hour uint64 // id time / bucketMillis
	ids  table[idEntry]
	by   index
}

// window remembers the ids of the ops that were applied, for as long as a repeat can be accepted. Ids carry their own time,
// so an id is either checked exactly here or too old to be applied.
type window struct {
	span, ahead uint64 // milliseconds that an id may lie behind and ahead of the ledger's clock
	limit       uint64 // ids remembered at most
	count       uint64
	buckets     []*bucket // by hour, oldest first; at most span+ahead over an hour, plus two
}

// check says whether an id may be used now: Repeated with its entry, a refusal, or Undecided for a new one.
func (w *window) check(id OpID, actor AccountNo, sum, now uint64, seed Seed) (idEntry, Result) {
	if !id.valid() {
		return idEntry{}, IDInvalid
	}
	at := id.Millis()
	if at+w.span < now {
		return idEntry{}, IDExpired
	}
	if at > now+w.ahead {
		return idEntry{}, IDAhead
	}
	if b := w.bucket(at / bucketMillis); b != nil {
		row, ok := b.by.find(seed.hashID(id, actor), func(row uint32) bool {
			e := b.ids.at(row)
			return e.id == id && e.actor == actor
		})
		if ok {
			if e := *b.ids.at(row); e.sum == sum {
				return e, Repeated
			}
			return idEntry{}, IDReused
		}
	}
	if w.count >= w.limit && w.count-w.expired(now) >= w.limit {
		return idEntry{}, IDsFull
	}
	return idEntry{}, Undecided
}

// add remembers an id that check left undecided.
func (w *window) add(e idEntry, seed Seed) {
	hour := e.id.Millis() / bucketMillis
	b := w.bucket(hour)
	if b == nil {
		b = &bucket{hour: hour}
		i := len(w.buckets)
		for i > 0 && w.buckets[i-1].hour > hour {
			i--
		}
		w.buckets = append(w.buckets, nil)
		copy(w.buckets[i+1:], w.buckets[i:])
		w.buckets[i] = b
	}
	row, p := b.ids.add()
	*p = e
	b.by.add(seed.hashID(e.id, e.actor), row)
	w.count++
}

// warm reads where check will look first.
func (w *window) warm(id OpID, actor AccountNo, seed Seed) uint32 {
	if b := w.bucket(id.Millis() / bucketMillis); b != nil {
		return b.by.warm(seed.hashID(id, actor))
	}
	return 0
}

// expire drops the buckets in which no id can be repeated any more.
func (w *window) expire(now uint64) {
	for len(w.buckets) > 0 && w.buckets[0].expired(w.span, now) {
		w.count -= uint64(w.buckets[0].ids.rows)
		w.buckets[0] = nil
		w.buckets = w.buckets[1:]
	}
}

// expired counts the ids that expire would drop: Check must not refuse for want of room what Apply would make room for.
func (w *window) expired(now uint64) (n uint64) {
	for _, b := range w.buckets {
		if b.expired(w.span, now) {
			n += uint64(b.ids.rows)
		}
	}
	return n
}

func (b *bucket) expired(span, now uint64) bool { return (b.hour+1)*bucketMillis+span <= now }

func (w *window) bucket(hour uint64) *bucket {
	for i := len(w.buckets) - 1; i >= 0; i-- { // the newest is nearly always the one
		if w.buckets[i].hour == hour {
			return w.buckets[i]
		}
	}
	return nil
}
