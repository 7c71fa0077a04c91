package settle

import (
	"errors"
	"math"
	"testing"
	"time"
)

func minute(t *testing.T, text string) uint32 {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	must(t, err)
	return uint32(at.Unix() / 60)
}

func TestScheduleTimes(t *testing.T) {
	for _, c := range []struct {
		schedule           Schedule
		after, until, next string
		due                bool
	}{
		{Schedule{Daily: "06:30"}, "2027-01-15 06:29", "2027-01-15 06:30", "2027-01-15 06:30", true},
		{Schedule{Daily: "06:30"}, "2027-01-15 06:30", "2027-01-15 06:31", "2027-01-16 06:30", false},
		{Schedule{Daily: "06:30"}, "2027-01-15 06:31", "2027-01-20 00:00", "2027-01-16 06:30", true}, // days without us: once
		{Schedule{Daily: "00:00"}, "2027-01-15 23:59", "2027-01-16 00:00", "2027-01-16 00:00", true},
		{Schedule{Weekly: "monday 06:30"}, "2027-01-15 00:00", "2027-01-18 06:30", "2027-01-18 06:30", true}, // the 15th is a Friday
		{Schedule{Weekly: "Mon 06:30"}, "2027-01-18 06:30", "2027-01-25 06:29", "2027-01-25 06:30", false},
		{Schedule{Weekly: "wednesday 23:59"}, "2027-01-15 00:00", "2027-01-20 23:59", "2027-01-20 23:59", true},
		{Schedule{Weekly: "thu 00:00"}, "2027-01-15 00:00", "2027-01-20 23:59", "2027-01-21 00:00", false},
		{Schedule{EveryMinutes: 60}, "2027-01-15 00:59", "2027-01-15 01:00", "2027-01-15 01:00", true},
		{Schedule{EveryMinutes: 60}, "2027-01-15 01:00", "2027-01-15 01:59", "2027-01-15 02:00", false},
		{Schedule{EveryMinutes: 1}, "2027-01-15 01:00", "2027-01-15 01:01", "2027-01-15 01:01", true},
		{Schedule{EveryMinutes: 1440}, "2027-01-15 01:00", "2027-01-15 23:59", "2027-01-16 00:00", false},
	} {
		b, err := c.schedule.parse()
		must(t, err)
		after := minute(t, c.after)
		if got := b.within(after, minute(t, c.until)); got != c.due {
			t.Errorf("%+v after %s until %s: due %v", c.schedule, c.after, c.until, got)
		}
		if got, want := b.next(after), minute(t, c.next); got != want {
			t.Errorf("%+v after %s: next %s, want %s", c.schedule, c.after, time.Unix(int64(got)*60, 0).UTC(), c.next)
		}
	}
	for _, s := range []Schedule{{}, {Balance: 1}} {
		b, err := s.parse()
		must(t, err)
		if b.within(0, 1000) || b.next(5) != math.MaxUint32 {
			t.Errorf("%+v has times", s)
		}
	}
}

// TestScheduleMinutes counts the minutes of two weeks on which a schedule falls, and asks next for each of them.
func TestScheduleMinutes(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		want int
	}{
		{Schedule{EveryMinutes: 7}, 2 * week / 7}, {Schedule{EveryMinutes: MaxEveryMinutes}, 2},
		{Schedule{Daily: "23:59"}, 14}, {Schedule{Weekly: "sun 12:00"}, 2},
	} {
		b, err := c.s.parse()
		must(t, err)
		start, n := uint32(30_000_000), 0
		for m := start; m < start+2*week; m++ {
			if b.within(m, m+1) {
				if n++; b.next(m) != m+1 {
					t.Fatalf("%+v falls on %d, and next says %d", c.s, m+1, b.next(m))
				}
			}
		}
		if n != c.want {
			t.Errorf("%+v: %d times in two weeks, want %d", c.s, n, c.want)
		}
	}
}

func TestScheduleRefused(t *testing.T) {
	for _, s := range []Schedule{
		{Daily: "6:30"}, {Daily: "24:00"}, {Daily: "06:30:00"}, {Weekly: "06:30"}, {Weekly: "someday 06:30"}, {Weekly: "monday"},
		{Weekly: "monday  06:30"}, {EveryMinutes: MaxEveryMinutes + 1}, {Daily: "06:30", EveryMinutes: 5}, {Balance: math.MaxUint64},
	} {
		if _, err := s.parse(); !errors.Is(err, ErrSchedule) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
