package webhook_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// TestOwners: a webhook is its account's alone.
func TestOwners(t *testing.T) {
	r := newRig(t)
	id, _ := r.add(alice, "http://127.0.0.1:1/")
	for name, err := range map[string]error{
		"remove": r.Remove(bob, id), "rotate": second(r.Rotate(bob, id)), "replay": first(r.Replay(bob, id, 0)),
		"replay parked": first(r.ReplayParked(bob, id, "")), "operator": r.Remove(0, id), "unknown": r.Remove(alice, id+"0"),
	} {
		if !errors.Is(err, webhook.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Parked(bob, id); !errors.Is(err, webhook.ErrUnknown) {
		t.Errorf("parked: %v", err)
	}
	if len(r.List(bob)) != 0 || len(r.List(alice)) != 1 {
		t.Error("listed wrongly")
	}
	if err := r.Remove(alice, id); err != nil || len(r.List(alice)) != 0 {
		t.Errorf("%v", err)
	}
	if err := r.Remove(alice, id); !errors.Is(err, webhook.ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
}

func first[A any](_ A, err error) error          { return err }
func second[A, B any](_ A, _ B, err error) error { return err }

func TestBounds(t *testing.T) {
	r := newRig(t)
	ahead := uint64(1)
	if _, _, err := r.Add(alice, "http://127.0.0.1:1/", &ahead); !errors.Is(err, webhook.ErrAhead) {
		t.Errorf("%v", err)
	}
	for range webhook.MaxPerAccount {
		r.add(alice, "http://127.0.0.1:1/")
	}
	if _, _, err := r.Add(alice, "http://127.0.0.1:1/", nil); !errors.Is(err, webhook.ErrFull) {
		t.Errorf("%v", err)
	}
	r.add(bob, "http://127.0.0.1:1/")
	r.stop()
	if _, _, err := r.Add(bob, "http://127.0.0.1:1/", nil); !errors.Is(err, webhook.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestOperatorsPlaces: many accounts together cannot take the operator's places.
func TestOperatorsPlaces(t *testing.T) {
	r := newRig(t)
	id, _ := r.add(alice, "http://127.0.0.1:1/")
	r.stop()
	r.edit(func(text string) string {
		one, all := between(text), []string{}
		for i := range webhook.MaxAccounts {
			next := strings.Replace(one, id, fmt.Sprintf("wh_%016x", i), 1)
			all = append(all, strings.Replace(next, fmt.Sprintf(`"account": %d`, alice), fmt.Sprintf(`"account": %d`, int(alice)+i), 1))
		}
		return strings.Replace(text, one, strings.Join(all, ",\n"), 1)
	})
	r.start(true)
	last := alice + webhook.MaxAccounts - 1
	r.only(last)
	full := func(account ledger.AccountNo) {
		t.Helper()
		if _, _, err := r.Add(account, "http://127.0.0.1:1/", nil); !errors.Is(err, webhook.ErrFull) {
			t.Errorf("%v", err)
		}
	}
	full(last + 1)
	for range webhook.MaxPerAccount {
		r.add(0, "http://127.0.0.1:1/")
	}
	full(0)
	full(last + 1)
	if err := r.Remove(alice, r.only(alice).ID); err != nil {
		t.Fatal(err)
	}
	r.add(last+1, "http://127.0.0.1:1/")
}

// TestDiskFails: what cannot be kept is not done.
func TestDiskFails(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	id, secret := r.add(alice, to.URL)
	eventually(t, "it is idle", func() bool { return r.Lag() == 0 })
	folder := filepath.Dir(r.path)
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Add(bob, to.URL, nil); err == nil || len(r.List(bob)) != 0 {
		t.Errorf("added: %v", err)
	}
	if err := r.Remove(alice, id); err == nil || len(r.List(alice)) != 1 {
		t.Errorf("removed: %v", err)
	}
	if _, _, err := r.Rotate(alice, id); err == nil || len(r.only(alice).SecretsUntil) != 0 {
		t.Errorf("rotated: %v", err)
	}
	r.history.pay(alice, 1)
	eventually(t, "it is told", func() bool { return r.Lag() == 1 })
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has arrived", func() bool { return len(to.got()) > 0 })
	if g := to.got()[0]; g.Data.Last != 1 || !g.signed(secret) {
		t.Errorf("%+v", g)
	}
}

func TestFile(t *testing.T) {
	r := newRig(t)
	_, secret := r.add(alice, "http://127.0.0.1:1/")
	r.stop()
	good, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for name, bad := range map[string]string{
		"another cursor":  strings.Replace(text, `"cursor": 0`, `"cursor": 1`, 1),
		"another account": strings.Replace(text, fmt.Sprintf(`"account": %d`, alice), fmt.Sprintf(`"account": %d`, bob), 1),
		"another URL":     strings.Replace(text, "127.0.0.1:1", "127.0.0.2:1", 1),
		"another secret":  strings.Replace(text, secret[6:], strings.Repeat("A", 43)+"=", 1),
		"no checksum":     strings.Replace(text, `"sha256"`, `"sha1"`, 1),
	} {
		r.refused(name, text, bad, secret)
		if name != "no checksum" {
			r.accepted(name, resum(bad))
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "cut off": text[:len(text)/2], "newer": strings.Replace(text, `"version": 2`, `"version": 3`, 1),
		"unknown member": strings.Replace(text, `"created"`, `"made"`, 1), "no secret": strings.Replace(text, secret[6:], "", 1),
		"bad URL": strings.Replace(text, "http:", "gopher:", 1), "twice": strings.Replace(text, "\n  }\n", "\n  },"+between(text)+"\n", 1),
	} {
		r.refused(name, text, resum(bad), secret)
	}
	r.accepted("as it was", text)
}

// refused says that a hub does not start on a changed file, and why, without telling a secret.
func (r *rig) refused(name, text, bad, secret string) {
	r.t.Helper()
	if bad == text {
		r.t.Fatalf("%s: nothing changed", name)
	}
	if err := os.WriteFile(r.path, []byte(bad), 0o600); err != nil {
		r.t.Fatal(err)
	}
	_, err := webhook.New(r.config(true))
	if !errors.Is(err, webhook.ErrFile) || strings.Contains(err.Error(), secret[6:]) || !strings.Contains(err.Error(), r.path) ||
		!strings.Contains(err.Error(), "move it away") {
		r.t.Errorf("%s: %v", name, err)
	}
}

func (r *rig) accepted(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if _, err := webhook.New(r.config(true)); err != nil {
		r.t.Errorf("%s: %v", name, err)
	}
}

// between is the one endpoint in a file.
func between(text string) string {
	_, rest, _ := strings.Cut(text, "[\n")
	one, _, _ := strings.Cut(rest, "\n ]")
	return one
}

// TestRestored: a webhook that is ahead of the ledger goes on from the ledger's end.
func TestRestored(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.add(alice, to.URL)
	r.history.pay(alice, 9)
	eventually(t, "all has arrived", func() bool { return len(to.seqs()) == 9 })
	r.stop()
	r.history = newHistory()
	r.history.pay(alice, 2)
	r.start(true)
	r.history.pay(alice, 1)
	// What had not been acknowledged before comes first.
	eventually(t, "the new one has arrived", func() bool { seqs := to.seqs(); return len(seqs) > 9 && seqs[len(seqs)-1] == 3 })
}

// TestOtherLedger: a delivery whose entries are not the ledger's any more is given up, and what the ledger has from there on is sent.
func TestOtherLedger(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	to.status(500)
	r.add(alice, to.URL)
	r.history.pay(alice, 3)
	eventually(t, "an attempt failed", func() bool { return r.only(alice).Attempts == 1 })
	r.stop()
	sent := len(to.seqs())
	r.clock.mu.Lock()
	r.clock.now = r.clock.now.Add(time.Hour)
	r.clock.mu.Unlock()
	r.history = newHistory()
	r.history.pay(bob, 2)
	r.history.pay(alice, 4)
	to.answers(nil)
	r.start(true)
	eventually(t, "all has arrived", func() bool { return r.Lag() == 0 })
	if got := to.seqs()[sent:]; !slices.Equal(got, upTo(3, 6)) {
		t.Errorf("got %v", got)
	}
	if e := r.only(alice); e.Attempts != 0 || e.Parked != 0 || e.Cursor != 6 {
		t.Errorf("%+v", e)
	}
}

func TestMetrics(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.Collectors()...)
	r.add(alice, to.URL)
	to.status(500)
	r.history.pay(alice, 4)
	eventually(t, "it has failed", func() bool { return r.only(alice).Attempts == 1 })
	got := make(map[string]float64)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"millrace_webhook_endpoints": 1, "millrace_webhook_disabled": 0, "millrace_webhook_parked": 0, "millrace_webhook_lag_entries": 4,
		"millrace_webhook_attempts_total failed": 1, "millrace_webhook_attempts_total delivered": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: %v, %v", name, v, ok)
		}
	}
}
