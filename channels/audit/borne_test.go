package audit

import (
	"testing"

	"github.com/millrace/millrace/channels"
)

// TestBorne: what the operator has borne is known by its subject, over a restart, until he says that it was for accounts after all. Then the
// books agree when an account has paid it.
func TestBorne(t *testing.T) {
	w := newWorld(t)
	w.deposit(1, 1_000_000)
	a := w.auditor()
	w.check(a, false, 0)
	w.paid(2, 5000, 7, channels.Succeeded)
	w.check(a, false, 1)
	subject := hashOf(2).String()
	adjust := func(j Adjustment) {
		t.Helper()
		j.Reason = "for a test"
		if _, err := a.Adjust(j); err != nil {
			t.Fatal(err)
		}
	}
	adjust(Adjustment{ID: "other", Amount: 1})
	adjust(Adjustment{ID: "back", Amount: -1})
	if j, borne := a.Borne(subject); borne {
		t.Errorf("before it was: %+v", j)
	}
	adjust(Adjustment{ID: "mine", Amount: -5007, Ref: subject})
	a = w.auditor()
	if j, borne := a.Borne(subject); !borne || j.ID != "mine" {
		t.Errorf("%+v, %v", j, borne)
	}
	if j, borne := a.Borne(""); borne {
		t.Errorf("of nothing: %+v", j)
	}
	w.check(a, true, 0)

	adjust(Adjustment{ID: "not mine", Amount: 5007})
	adjust(Adjustment{ID: "an account's", Amount: -5007, Ref: subject, Rail: channels.Lightning})
	if j, borne := a.Borne(subject); borne {
		t.Errorf("after all: %+v", j)
	}
	w.paidOut(2, 5000, 7, channels.Done)
	w.check(a, true, 0)
}
