package api

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// TestDenials: each viewer has his refusals of each second, and what is remembered of viewers is bounded.
func TestDenials(t *testing.T) {
	var d denials
	a, b := viewer{account: 16}, viewer{address: netip.MustParseAddr("192.0.2.1")}
	for i := range 2 * maxRefusals {
		if want := i >= maxRefusals; d.over(a, 5000) != want || d.add(a, 5999) != want {
			t.Errorf("refusal %d: want %v", i, want)
		}
	}
	if d.over(b, 5000) || d.add(b, 5000) || d.over(a, 6000) {
		t.Error("another viewer, or another second")
	}
	for i := range maxRefused {
		d.add(viewer{account: ledger.AccountNo(100 + i)}, 7000)
	}
	if !d.add(b, 7000) || len(d.counts) != maxRefused {
		t.Errorf("%d viewers are remembered", len(d.counts))
	}
	if d.add(b, 8000) || len(d.counts) != 1 {
		t.Errorf("%d viewers a second later", len(d.counts))
	}
}

func TestCookie(t *testing.T) {
	expires := time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)
	want := "millrace_units=AAAA; Path=/v1/contents/" + strings.Repeat("0", 32) + "/units/; HttpOnly; Expires=Sat, 21 Nov 2026 18:00:00 GMT; "
	if got := cookie("https://hub.example", ledger.ContentID{}, "AAAA", expires); got != want+"Secure; SameSite=None" {
		t.Error(got)
	}
	if got := cookie("http://127.0.0.1:8402", ledger.ContentID{}, "AAAA", expires); got != want+"SameSite=Lax" {
		t.Error(got)
	}
}
