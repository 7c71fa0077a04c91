// Package pebblelog hears what pebble says: it is logged under the name of the database, damage is told from the rest, and what
// pebble cannot go on after reaches somebody, in place of ending the process.
package pebblelog

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger/store/checksum"
)

// Logger hands on what pebble says of one database. It is pebble's logger, and makes its listener.
type Logger struct {
	Log     *slog.Logger
	Name    string      // of the database, before all that is said of it
	Corrupt error       // what damage is wrapped in
	Fatal   func(error) // told what pebble cannot go on after
}

// Infof is for pebble.Logger.
func (l Logger) Infof(format string, args ...any) {
	l.Log.Debug(l.Name, "says", fmt.Sprintf(format, args...))
}

// Errorf is for pebble.Logger.
func (l Logger) Errorf(format string, args ...any) {
	l.Log.Error(l.Name, "says", fmt.Sprintf(format, args...))
}

// Fatalf ends the goroutine that calls it: pebble takes it for granted that nobody comes back from here.
func (l Logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(l.Name+": "+format, args...)
	if checksum.Damaged(said(args)) {
		err = fmt.Errorf("%w: %w", l.Corrupt, err)
	}
	l.Fatal(err)
	runtime.Goexit()
}

// said is the first error among what pebble says when it cannot go on, or nil.
func said(args []any) error {
	for _, a := range args {
		if err, ok := a.(error); ok {
			return err
		}
	}
	return nil
}

// Listener is for pebble.Options. Who reads what is damaged gets an error; left to itself, pebble calls it fatal, on whatever
// goroutine found it. But a flush or compaction that fails is fatal: pebble would try again without end, and say so thousands
// of times a second.
func (l Logger) Listener() *pebble.EventListener {
	var corruption, background sync.Once
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			corruption.Do(func() { l.Log.Error(l.Name+": damage", "file", info.Path, "err", info.Details) })
		},
		BackgroundError: func(err error) {
			background.Do(func() {
				err = fmt.Errorf("%s: in the background: %w", l.Name, err)
				if checksum.Damaged(err) {
					err = fmt.Errorf("%w: %w", l.Corrupt, err)
				}
				l.Fatal(err)
			})
		},
	}
}

// Guard runs f, and returns what it returns, or the first fatal word of pebble's, which would end the goroutine that hears it
// and with it the caller. The words said go to told, too, also those after f.
func Guard(told func(error), f func(fatal func(error)) error) error {
	ended := make(chan error, 2)
	go func() {
		ended <- f(func(err error) {
			select {
			case ended <- err:
			default:
			}
			told(err)
		})
	}()
	return <-ended
}
