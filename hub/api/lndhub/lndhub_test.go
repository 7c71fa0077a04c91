package lndhub_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/hub/api/lndhub"
	"github.com/millrace/millrace/ledger"
)

// TestLogins: who gets in, until when, and who does not.
func TestLogins(t *testing.T) {
	r := newRig(t)
	l, password, err := r.Issue(ledger.FirstAccount+5, "phone")
	if err != nil || l.Hash != nil || len(l.Login) != 20 || len(password) != 64 {
		t.Fatalf("%+v, %s, %v", l, password, err)
	}
	if uri := lndhub.URI(l, password, "https://hub.example/lndhub/"); uri != "lndhub://"+l.Login+":"+password+"@https://hub.example/lndhub/" {
		t.Errorf("%s", uri)
	}
	kept, err := r.cfg.Records.Get([]byte("lndhub/login/" + l.Login))
	if err != nil || len(kept) == 0 || strings.Contains(string(kept), password) {
		t.Errorf("%s, %v", kept, err)
	}
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	r.call("POST", "/auth?type=auth", "", object{"login": l.Login, "password": password}, &tokens)
	bad := func(what, path string, body object) {
		t.Helper()
		var got object
		r.call("POST", path, "", body, &got)
		r.fails(what, got, 1)
	}
	bad("another password", "/auth?type=auth", object{"login": l.Login, "password": password[1:] + "0"})
	bad("no password", "/auth?type=auth", object{"login": l.Login})
	bad("another login", "/auth?type=auth", object{"login": strings.Repeat("0", 20), "password": password})
	bad("a login that is a path", "/auth?type=auth", object{"login": "../secret", "password": password})
	bad("nothing", "/auth", object{})
	bad("an access token", "/auth?type=refresh_token", object{"refresh_token": tokens.Access})
	denied := func(what, token string) {
		t.Helper()
		var got object
		r.call("GET", "/balance", token, nil, &got)
		r.fails(what, got, 1)
	}
	denied("none", "")
	denied("a refresh token", tokens.Refresh)
	for i := range tokens.Access {
		c := byte('A')
		if tokens.Access[i] == c {
			c = 'B'
		}
		denied("a changed one", tokens.Access[:i]+string(c)+tokens.Access[i+1:])
	}
	denied("a longer one", tokens.Access+"A")
	var balance struct{ BTC *object }
	if r.call("GET", "/balance", tokens.Access, nil, &balance); balance.BTC == nil {
		t.Error("denied")
	}
	r.restart() // tokens outlive the process
	if r.call("GET", "/balance", tokens.Access, nil, &balance); balance.BTC == nil {
		t.Error("denied")
	}
	r.pass(2*time.Hour - time.Second)
	if r.call("GET", "/balance", tokens.Access, nil, &balance); balance.BTC == nil {
		t.Error("denied")
	}
	r.pass(time.Second)
	denied("an old one", tokens.Access)
	r.pass(7*24*time.Hour - 2*time.Hour)
	bad("an old one", "/auth?type=refresh_token", object{"refresh_token": tokens.Refresh})

	token := r.login(l.Login, password)
	if err := r.Revoke(ledger.FirstAccount, l.Login); !errors.Is(err, lndhub.ErrLogin) {
		t.Errorf("%v", err)
	}
	if err := r.Revoke(ledger.FirstAccount+5, l.Login); err != nil {
		t.Error(err)
	}
	denied("a revoked one", token)
	bad("a revoked one", "/auth?type=auth", object{"login": l.Login, "password": password})
	for range lndhub.MaxLogins {
		if _, _, err := r.Issue(ledger.FirstAccount, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := r.Issue(ledger.FirstAccount, "x"); !errors.Is(err, lndhub.ErrLogins) {
		t.Errorf("%v", err)
	}
	if all, err := r.Logins(ledger.FirstAccount); err != nil || len(all) != lndhub.MaxLogins || all[0].Hash != nil {
		t.Errorf("%d, %v", len(all), err)
	}
}

// TestErrors have status 200, a code, and nothing of the hub's own business.
func TestErrors(t *testing.T) {
	r := newRig(t)
	token := r.account()
	fails := func(what, method, path string, body any, code int) {
		t.Helper()
		var got object
		r.call(method, path, token, body, &got)
		r.fails(what, got, code)
		if text := fmt.Sprint(got); strings.Contains(text, "10.0.0.7") {
			t.Errorf("%s", text)
		}
	}
	fails("another partner", "POST", "/create", object{"partnerid": "other"}, 3)
	fails("no body", "POST", "/payinvoice", nil, 8)
	fails("an array", "POST", "/payinvoice", []int{1}, 8)
	fails("no invoice", "POST", "/payinvoice", object{"invoice": "x"}, 4)
	fails("another network", "POST", "/payinvoice", object{"invoice": "lnother"}, 4)
	fails("no amount", "POST", "/payinvoice", object{"invoice": "lntest0", "amount": 0}, 8)
	fails("less than nothing", "POST", "/payinvoice", object{"invoice": "lntest0", "amount": -5}, 8)
	fails("half a satoshi", "POST", "/payinvoice", object{"invoice": "lntest0", "amount": "1.5"}, 8)
	fails("all there is, and one", "POST", "/payinvoice", object{"invoice": "lntest0", "amount": 2_100_000_000_000_001}, 8)
	fails("no amount", "POST", "/addinvoice", object{"memo": "x"}, 8)
	fails("a long memo", "POST", "/addinvoice", object{"amt": 5, "memo": strings.Repeat("x", 640)}, 8)
	fails("a short hash", "POST", "/addinvoice", object{"amt": 5, "description_hash": "ab"}, 8)
	fails("a body without end", "POST", "/addinvoice", object{"amt": 5, "memo": strings.Repeat("x", 20<<10)}, 8)
	fails("another path", "GET", "/getchannels", nil, 8)
	fails("another method", "GET", "/payinvoice", nil, 8)
	fails("no hash", "GET", "/checkpayment/x", nil, 8)
	fails("nobody's hash", "GET", "/checkpayment/"+strings.Repeat("0", 64), nil, 8)
	fails("before the first", "GET", "/gettxs?offset=-1", nil, 8)
	fails("no number", "GET", "/gettxs?limit=ten", nil, 8)
	fails("no invoice", "GET", "/decodeinvoice", nil, 4)
	n := 100
	for err, code := range map[error]int{
		channels.ErrBalance: 2, channels.ErrExpired: 4, channels.ErrInvoice: 4, channels.ErrNotAllowed: 6, channels.ErrPaidBefore: 4, channels.ErrInTransit: 9,
		errors.New("dial tcp 10.0.0.7:10009"): 7,
	} {
		n++
		r.wallet.set(func(channels.Order) (channels.Item, error) {
			return channels.Item{}, fmt.Errorf("at 10.0.0.7: %w", err)
		})
		fails(err.Error(), "POST", "/payinvoice", object{"invoice": fmt.Sprintf("lntest%d", n)}, code)
	}
	for reason, code := range map[string]int{"no_route": 5, "timeout": 10} {
		n++
		r.wallet.set(func(channels.Order) (channels.Item, error) {
			return channels.Item{State: channels.GaveBack, Reason: reason}, nil
		})
		fails(reason, "POST", "/payinvoice", object{"invoice": fmt.Sprintf("lntest%d", n)}, code)
	}
	resp, err := http.Get(strings.TrimSuffix(r.base, "/lndhub") + "/balance")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 404 || r.Handles("/lndhubx") || !r.Handles("/lndhub/create") {
		t.Errorf("%d", resp.StatusCode)
	}
	r.cfg.Open = nil
	r.restart()
	fails("nobody may", "POST", "/create", object{"partnerid": "bluewallet"}, 3)
}

// TestPaidOnce: whatever a wallet does when it hears nothing, an invoice is paid once; one that failed can be tried again.
func TestPaidOnce(t *testing.T) {
	r := newRig(t)
	token := r.account()
	pay := func() (got object) {
		t.Helper()
		r.call("POST", "/payinvoice", token, object{"invoice": "lntest50000"}, &got)
		return got
	}
	r.wallet.set(func(channels.Order) (channels.Item, error) { return channels.Item{State: channels.Open}, nil })
	answers := make(chan object, 4)
	for range 4 {
		go func() { answers <- pay() }()
	}
	eventually(t, "four wait for one", func() bool { return r.wallet.waits() == 4 && r.wallet.payments() == 1 })
	r.current().Close() // the process ends; the payment does not
	for range 4 {
		r.fails("the process ends", <-answers, 9)
	}
	r.restart()
	go func() { answers <- pay() }()
	eventually(t, "one waits", func() bool { return r.wallet.waits() == 1 })
	r.wallet.finish(channels.GaveBack)
	if got := <-answers; got["error"] == true {
		r.fails("it failed", got, 10)
	} else {
		t.Errorf("%v", got)
	}
	r.wallet.set(nil)
	var all sync.WaitGroup
	for range 8 { // it may be tried again, by all who try at once together
		all.Go(func() {
			if got := pay(); got["error"] != nil {
				t.Errorf("%v", got)
			}
		})
	}
	all.Wait()
	first := pay()
	if again := pay(); !reflect.DeepEqual(first, again) {
		t.Errorf("%v, and again %v", first, again)
	}
	if n := r.wallet.payments(); n != 2 {
		t.Errorf("%d payments", n)
	}
	if a, b := r.wallet.made[0].Key, r.wallet.made[1].Key; !strings.HasSuffix(a, "/1") || !strings.HasSuffix(b, "/2") || a[:len(a)-1] != b[:len(b)-1] {
		t.Errorf("%s and %s", a, b)
	}
}

// TestPaidElsewhere: what the account has paid by another application is paid.
func TestPaidElsewhere(t *testing.T) {
	r := newRig(t)
	token := r.account()
	invoice, _ := decode("lntest50000")
	key := ledger.FirstAccount.String() + "nwc/1"
	r.wallet.made = append(r.wallet.made, channels.Order{Key: "nwc/1"})
	r.wallet.orders[key] = &channels.Item{State: channels.Settled, Hash: invoice.Hash, Preimage: channels.Hash{3}, Amount: 50_000}
	r.wallet.set(func(channels.Order) (channels.Item, error) { return channels.Item{}, channels.ErrPaidBefore })
	var got object
	r.call("POST", "/payinvoice", token, object{"invoice": "lntest50000"}, &got)
	if got["error"] != nil || got["payment_preimage"] == nil {
		t.Errorf("%v", got)
	}
	r.wallet.orders[key].State = channels.Open
	r.wallet.set(func(channels.Order) (channels.Item, error) { return channels.Item{}, channels.ErrInTransit })
	got = nil
	r.call("POST", "/payinvoice", token, object{"invoice": "lntest50000"}, &got)
	r.fails("under way", got, 9)
}

// TestWaiting: an account that waits for many payments is told so early, and another is not kept waiting for it.
func TestWaiting(t *testing.T) {
	r := newRig(t)
	token := r.account()
	r.wallet.set(func(channels.Order) (channels.Item, error) { return channels.Item{State: channels.Open}, nil })
	answers := make(chan object, 16)
	for i := range 8 {
		go func() {
			var got object
			r.call("POST", "/payinvoice", token, object{"invoice": fmt.Sprintf("lntest%d", 1000+i)}, &got)
			answers <- got
		}()
	}
	eventually(t, "eight wait", func() bool { return r.wallet.waits() == 8 })
	var got object
	r.call("POST", "/payinvoice", token, object{"invoice": "lntest999"}, &got)
	r.fails("one too many", got, 9)
	if n := r.wallet.payments(); n != 9 {
		t.Errorf("%d payments", n)
	}
	r.wallet.finish(channels.Settled)
	for range 8 {
		if got := <-answers; got["error"] != nil {
			t.Errorf("%v", got)
		}
	}
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}
