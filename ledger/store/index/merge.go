package index

// merging makes one era of several that follow each other. Of a strip it reads the head alone: the postings are copied.
type merging struct {
	out    binder
	open   strip  // what the last strips have become, not yet bound
	closed change // what the list at hand had after the last strip, counted from the beginning of the new era
}

// source is one of the eras that are merged: sheets, and the strip at hand.
type source struct {
	sheets func() (of byte, sheet []byte, err error) // the next; nil at the end
	of     byte
	sheetReader
	place uint64 // of the strip at hand, in the order of lists; ended behind the last
}

const ended = ^uint64(0)

// next goes to the next strip.
func (s *source) next() error {
	for {
		ok, err := s.sheetReader.next()
		if err != nil {
			return err
		}
		if ok {
			s.place = uint64(s.of)<<32 | uint64(s.no)
			return nil
		}
		of, sheet, err := s.sheets()
		if err != nil {
			return err
		}
		if sheet == nil {
			s.place = ended
			return nil
		}
		if s.sheetReader, err = readSheet(sheet); err != nil {
			return err
		}
		if of < s.of {
			return corrupt("sheets out of order")
		}
		s.of = of
	}
}

// merge writes the strips of all sources, which are given in the order of their entries.
func merge(sources []*source, b binder) error {
	m := merging{out: b}
	for _, s := range sources {
		if err := s.next(); err != nil {
			return err
		}
	}
	for {
		place := ended
		for _, s := range sources {
			place = min(place, s.place)
		}
		if place == ended {
			return m.out.finish()
		}
		if err := m.list(sources, place); err != nil {
			return err
		}
	}
}

// list merges the strips of one list.
func (m *merging) list(sources []*source, place uint64) error {
	of := byte(place >> 32)
	m.open = strip{body: m.open.body[:0]}
	m.closed = change{}
	for _, s := range sources {
		before := m.closed // what the list had when the source's era began
		for s.place == place {
			if err := m.take(of, &s.strip, before); err != nil {
				return err
			}
			if err := s.next(); err != nil {
				return err
			}
		}
		if s.place < place {
			return corrupt("strips out of order")
		}
	}
	return m.out.add(of, &m.open)
}

// take puts a strip behind the one that is not yet bound, in it if there is room.
func (m *merging) take(of byte, s *strip, before change) error {
	opening := plus(before, s.opening)
	if opening != m.closed || m.open.count > 0 && s.first <= m.open.last {
		return corrupt("strips of list %d do not follow each other", s.no)
	}
	m.closed = plus(opening, s.net)
	if m.open.count > 0 && len(m.open.body)+len(s.body) <= stripBytes {
		return m.open.join(s)
	}
	if m.open.count > 0 {
		if err := m.out.add(of, &m.open); err != nil {
			return err
		}
	}
	body := append(m.open.body[:0], s.body...)
	m.open = *s
	m.open.body, m.open.opening = body, opening
	return nil
}
