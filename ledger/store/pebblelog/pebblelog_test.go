package pebblelog_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace/millrace/ledger/store/pebblelog"
)

var errCorrupt, errOther = errors.New("bent"), errors.New("something else")

func newLogger(fatal func(error)) pebblelog.Logger {
	return pebblelog.Logger{Log: slog.New(slog.DiscardHandler), Name: "the database", Corrupt: errCorrupt, Fatal: fatal}
}

// TestGuard: a fatal word ends what pebble was doing, and is what the caller gets, in place of an end of the process.
func TestGuard(t *testing.T) {
	for _, cause := range []error{errOther, pebble.ErrCorruption} {
		told := make(chan error, 1)
		err := pebblelog.Guard(func(err error) { told <- err }, func(fatal func(error)) error {
			newLogger(fatal).Fatalf("compacting: %v", cause)
			t.Error("it goes on")
			return nil
		})
		if err == nil || !strings.HasPrefix(strings.TrimPrefix(err.Error(), "bent: "), "the database: compacting: ") {
			t.Errorf("%v: %v", cause, err)
		}
		if errors.Is(err, errCorrupt) != (cause == pebble.ErrCorruption) {
			t.Errorf("%v: taken for %v", cause, err)
		}
		if also := <-told; also != err {
			t.Errorf("%v: told %v", cause, also)
		}
	}
	if err := pebblelog.Guard(func(error) {}, func(func(error)) error { return errOther }); err != errOther {
		t.Errorf("what was returned is %v", err)
	}
}

// TestBackground: the first failure in the background is fatal, and those that follow from it are not told.
func TestBackground(t *testing.T) {
	for _, cause := range []error{errOther, pebble.ErrCorruption} {
		var told []error
		l := newLogger(func(err error) { told = append(told, err) }).Listener()
		for range 3 {
			l.BackgroundError(cause)
		}
		if len(told) != 1 || !errors.Is(told[0], cause) || errors.Is(told[0], errCorrupt) != (cause == pebble.ErrCorruption) {
			t.Errorf("%v: %v", cause, told)
		}
	}
}
