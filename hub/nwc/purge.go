package nwc

import (
	"time"

	"github.com/millrace/millrace/channels"
)

const maxPurged = 10_000 // rows of one look

// purge removes what nobody asks for any more: payments that are over, or whose connection is, and periods that have passed.
func (s *Service) purge() {
	now := s.cfg.Clock()
	if now.Before(s.purged.Add(purgeEvery)) {
		return
	}
	s.purged = now
	alive := make(map[string]*link)
	for _, l := range s.all() {
		alive[l.ID] = l
	}
	var rows []channels.Row
	err := each(s.cfg.Records, "nwc/payment/", func(rest []byte, p *payment) error {
		l := alive[string(rest[:min(16, len(rest))])]
		if (p.Over || l == nil) && now.Sub(time.UnixMilli(p.Made)) > keepRows && len(rows) < maxPurged {
			rows = append(rows, channels.Row{Key: append([]byte("nwc/payment/"), rest...)})
		}
		return nil
	})
	if err == nil && len(rows) > 0 {
		err = s.cfg.Records.Write(rows...)
	}
	if err == nil {
		err = s.purgeSpent(alive, now)
	}
	if err != nil {
		s.cfg.Logger.Error("old records of wallets' connections are not removed", "err", err)
	}
}

func (s *Service) purgeSpent(alive map[string]*link, now time.Time) error {
	var keys [][]byte
	err := s.cfg.Records.Scan([]byte("nwc/spent/"), nil, func(key, _ []byte) bool {
		if alive[string(key[len("nwc/spent/"):][:16])] == nil {
			keys = append(keys, append([]byte(nil), key...))
		}
		return len(keys) < maxPurged
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.cfg.Records.Write(channels.Row{Key: key}); err != nil {
			return err
		}
	}
	for _, l := range alive {
		if err := l.purge(s.cfg.Records, now); err != nil {
			return err
		}
	}
	return nil
}

// purge removes the periods that are over, and in which nothing is reserved.
func (l *link) purge(records channels.Records, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for start, sp := range l.periods {
		if start == l.Period.start(now) || sp.Reserved != 0 {
			continue
		}
		if err := records.Write(channels.Row{Key: spentKey(l.ID, start)}); err != nil {
			return err
		}
		delete(l.periods, start)
	}
	return nil
}
