package lnurl_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/ledger"
)

// TestLinksOfBackup: no link of a backup pays once more what it paid after the backup was made, whether it was open or taken then.
func TestLinksOfBackup(t *testing.T) {
	r := newLinkRig(t)
	open, taken := r.link(), r.link()
	r.node.answer = func(channels.Order) (channels.State, error) { return channels.Open, nil }
	if err := r.Withdraw(t.Context(), taken.ID, taken.K1, r.invoice(1, 5000)); err != nil {
		t.Fatal(err)
	}
	for i := range 7 * 32 { // more than are written at once
		if _, err := r.New(bob+ledger.AccountNo(i/32), 1000, 9000, "", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	// Now the backup is made, open is paid, and the backup restored.
	for range 2 {
		if err := lnurl.ExpireLinks(r.records, r.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	r.restart()
	for no := alice; no < bob+7; no++ {
		links, err := r.List(no)
		if err != nil || len(links) == 0 {
			t.Fatalf("%d links, %v", len(links), err)
		}
		for _, k := range links {
			if k.ID != taken.ID && !r.Over(&k) {
				t.Errorf("not over: %+v", k)
			}
		}
	}
	if _, err := r.Request(open.ID); !errors.Is(err, lnurl.ErrNoLink) {
		t.Errorf("%v", err)
	}
	if err := r.Withdraw(t.Context(), open.ID, open.K1, r.invoice(2, 5000)); !errors.Is(err, lnurl.ErrNoLink) {
		t.Errorf("%v", err)
	}
	r.node.finish(channels.GaveBack)
	if err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := r.state(taken.ID)
	if err := r.Withdraw(t.Context(), k.ID, k.K1, r.invoice(3, 5000)); !errors.Is(err, lnurl.ErrNoLink) || !r.Over(&k) {
		t.Errorf("%v: %+v", err, k)
	}
	if paid, _ := r.node.payments(); paid != 1 {
		t.Errorf("paid %d times", paid)
	}
}

// TestLinkRow: a record takes no more room than what it says.
func TestLinkRow(t *testing.T) {
	r := newLinkRig(t)
	k, err := r.New(alice, 1000, 9000, strings.Repeat("<", 200), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := r.records.Get([]byte("lnurl/link/" + k.ID)); err != nil || len(text) > 800 || !strings.Contains(string(text), "<<<") || r.state(k.ID).Description != k.Description {
		t.Errorf("%d bytes, %v: %s", len(text), err, text)
	}
}
