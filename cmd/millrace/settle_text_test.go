package main

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/client"
)

// TestPayeeText: who asks how an account is settled is told when.
func TestPayeeText(t *testing.T) {
	for want, s := range map[string]client.Schedule{
		"every 60 minutes": {EveryMinutes: 60}, "each day at 06:30 UTC": {Daily: "06:30"}, "each week, monday 06:30 UTC": {Weekly: "monday 06:30"},
		"as soon as 5000 msat are due": {BalanceMsat: 5000}, "without a schedule": {},
	} {
		var p client.Settlement
		p.Account, p.Internal, p.Schedule = "ag0g", "ah0h", s
		if got := payeeText(p); !strings.Contains(got, want) {
			t.Errorf("%q: want %q", got, want)
		}
		p.Paused = true
		if got := payeeText(p); !strings.Contains(got, "; paused;") {
			t.Errorf("%q: want that it is paused", got)
		}
	}
}
