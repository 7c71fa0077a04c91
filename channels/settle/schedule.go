package settle

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Schedule says when a payee is settled by itself. At most one field is set; none: only when an operator starts a run. Times are UTC.
type Schedule struct {
	EveryMinutes uint16      `json:"every_minutes,omitempty"` // at the minutes since 1970 that it divides: 60 is each full hour
	Daily        string      `json:"daily,omitempty"`         // "06:30"
	Weekly       string      `json:"weekly,omitempty"`        // "monday 06:30", or "mon 06:30"
	Balance      ledger.Msat `json:"balance_msat,omitempty"`  // as soon as so much is due
}

// MaxEveryMinutes is a week.
const MaxEveryMinutes = week

const (
	day  = 24 * 60 // minutes
	week = 7 * day
)

// ErrSchedule is wrapped by every error about a schedule.
var ErrSchedule = errors.New("not a schedule")

type beatKind uint8

const (
	never beatKind = iota
	atBalance
	every // phase 0
	daily // phase: minute of the day
	weekly
)

// beat is a schedule, parsed: the times of all but atBalance are those minutes since 1970 that leave a phase when divided by a period.
type beat struct {
	kind    beatKind
	minutes uint16 // period of every; phase of daily and weekly
	balance ledger.Msat
}

func (s Schedule) parse() (b beat, err error) {
	set := 0
	if s.EveryMinutes != 0 {
		set++
		b.kind, b.minutes = every, s.EveryMinutes
		if s.EveryMinutes > MaxEveryMinutes {
			return b, fmt.Errorf("%w: every_minutes is 1 to %d", ErrSchedule, MaxEveryMinutes)
		}
	}
	if s.Daily != "" {
		set++
		b.kind = daily
		if b.minutes, err = clock(s.Daily); err != nil {
			return b, fmt.Errorf("daily: %w", err)
		}
	}
	if s.Weekly != "" {
		set++
		b.kind = weekly
		if b.minutes, err = weekTime(s.Weekly); err != nil {
			return b, fmt.Errorf("weekly: %w", err)
		}
	}
	if s.Balance != 0 {
		set++
		b.kind, b.balance = atBalance, s.Balance
		if s.Balance > ledger.MaxMsat {
			return b, fmt.Errorf("%w: balance_msat is at most %d", ErrSchedule, ledger.MaxMsat)
		}
	}
	if set > 1 {
		return b, fmt.Errorf("%w: at most one of every_minutes, daily, weekly and balance_msat", ErrSchedule)
	}
	return b, nil
}

// clock reads HH:MM as a minute of the day.
func clock(text string) (uint16, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != 5 {
		return 0, fmt.Errorf("%w: want a time such as 06:30", ErrSchedule)
	}
	return uint16(t.Hour()*60 + t.Minute()), nil
}

// weekTime reads a day and a time as a minute of the week that began with 1970: its first day was a Thursday.
func weekTime(text string) (uint16, error) {
	name, at, found := strings.Cut(text, " ")
	name = strings.ToLower(name)
	for d := time.Sunday; d <= time.Saturday && found; d++ {
		full := strings.ToLower(d.String())
		if name == full || name == full[:3] {
			m, err := clock(at)
			return uint16((d-time.Thursday+7)%7)*day + m, err
		}
	}
	return 0, fmt.Errorf("%w: want a day and a time such as monday 06:30", ErrSchedule)
}

// period and phase in minutes; a period of zero has no times.
func (b beat) times() (period, phase uint32) {
	switch b.kind {
	case every:
		return uint32(b.minutes), 0
	case daily:
		return day, uint32(b.minutes)
	case weekly:
		return week, uint32(b.minutes)
	}
	return 0, 0
}

// within says whether one of its times is later than one minute and not later than another: however many, it is one run.
func (b beat) within(after, until uint32) bool {
	if period, _ := b.times(); period == 0 {
		return false
	}
	return b.next(after) <= until
}

// next is the first of its times after a minute, or the last minute there is where it has none.
func (b beat) next(after uint32) uint32 {
	period, phase := b.times()
	if period == 0 {
		return math.MaxUint32
	}
	if after < phase {
		return phase
	}
	return after - (after-phase)%period + period
}
