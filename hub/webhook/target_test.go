package webhook_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger"
)

func TestURL(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.start(false)
	for _, bad := range []string{
		"", "hooks.example.com", "http://hooks.example.com/x", "ftp://hooks.example.com", "https://", "https:///x", "https:x",
		"https://user:pass@hooks.example.com", "https://user@hooks.example.com", "https://hooks.example.com/#x", "//hooks.example.com",
		"https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]:8443/", "https://169.254.169.254/latest/meta-data/",
		"https://hooks.example.com/\n", "https://hooks.example.com/\u00e4", "https://hooks.example.com/" + strings.Repeat("x", webhook.MaxURL),
		"https://hooks.example.com:port/", "javascript:alert(1)", "file:///etc/passwd",
	} {
		if _, _, err := r.Add(alice, bad, nil); !errors.Is(err, webhook.ErrURL) || strings.Contains(err.Error(), "user:") {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
	for _, good := range []string{"https://hooks.example.com", "https://hooks.example.com:8443/a/b?c=d%20e", "https://1.1.1.1/"} {
		if _, _, err := r.Add(alice, good, nil); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if n := len(r.List(alice)); n != 3 {
		t.Errorf("%d webhooks", n)
	}
}

// TestDialGuard: a name that resolves to this machine is refused when it is dialled, before a byte is sent.
func TestDialGuard(t *testing.T) {
	var reached atomic.Int32
	secret := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	secret.Config.ErrorLog = nil
	defer secret.Close()
	r := newRig(t)
	r.stop()
	r.start(false)
	_, port, _ := strings.Cut(strings.TrimPrefix(secret.URL, "https://"), ":")
	r.add(alice, "https://localhost:"+port+"/")
	r.history.pay(alice, 1)
	eventually(t, "it has failed", func() bool { return r.only(alice).Attempts == 1 })
	if e := r.only(alice); !strings.Contains(e.Error, "public internet") || reached.Load() != 0 {
		t.Errorf("%+v, reached %d times", e, reached.Load())
	}
}

// TestLeftDevelopment: what only a hub in development may call is not called by one that is not any more, and its owner sees why.
func TestLeftDevelopment(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	id, _ := r.add(alice, to.URL)
	r.add(bob, "https://127.0.0.1:1/")
	r.add(0, "https://localhost:1/")
	r.stop()
	r.history.pay(alice, 3)
	r.start(false)
	for account, want := range map[ledger.AccountNo]string{alice: "want https://", bob: "public internet"} {
		e := r.only(account)
		if !strings.Contains(e.Disabled, want) || !strings.Contains(r.log.String(), e.ID) {
			t.Errorf("%+v: want it disabled: %s", e, want)
		}
		if _, err := r.Replay(account, e.ID, 0); !errors.Is(err, webhook.ErrURL) {
			t.Errorf("replayed: %v", err)
		}
		if _, err := r.ReplayParked(account, e.ID, ""); !errors.Is(err, webhook.ErrURL) || r.only(account).Disabled != e.Disabled {
			t.Errorf("replayed: %v", err)
		}
	}
	if e := r.only(0); e.Disabled != "" {
		t.Errorf("disabled: %+v", e)
	}
	r.stop()
	if n := len(to.got()); n != 0 {
		t.Errorf("%d deliveries", n)
	}
	r.start(true)
	if _, err := r.Replay(alice, id, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all has arrived", func() bool { return len(to.seqs()) == 3 })
}

// TestDetours: no redirect is followed, and no proxy of the environment asked.
func TestDetours(t *testing.T) {
	var reached atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer elsewhere.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, elsewhere.URL)
	}
	r, to := newRig(t), newReceiver(t)
	r.add(alice, to.URL)
	to.answers(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	r.history.pay(alice, 1)
	eventually(t, "it has failed", func() bool { return r.only(alice).Attempts == 1 })
	if e := r.only(alice); e.Error != "answered 307" || reached.Load() != 0 {
		t.Errorf("%+v, elsewhere was reached %d times", e, reached.Load())
	}
}

// TestEndlessAnswer: what a receiver says is not listened to for long.
func TestEndlessAnswer(t *testing.T) {
	r, to := newRig(t), newReceiver(t)
	r.add(alice, to.URL)
	to.answers(func(w http.ResponseWriter, q *http.Request) {
		for q.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("blah ", 1000)); err != nil {
				return
			}
		}
	})
	r.history.pay(alice, 1)
	eventually(t, "the first has arrived", func() bool { return r.only(alice).Cursor == 1 })
	r.history.pay(alice, 1)
	eventually(t, "the second has arrived", func() bool { return r.only(alice).Cursor == 2 })
}
