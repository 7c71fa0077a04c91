package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/deploy/regtest/networktest"
)

// wallet is a wallet of others, that knows no more of the hub than it was shown.
type wallet struct {
	t     *testing.T
	base  string // of LndHub, without a slash at its end
	token string
}

// call is one HTTP request and its answer, which is JSON. A path is put behind the base.
func (w *wallet) call(method, path string, body any) map[string]any {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.HasPrefix(path, "/") {
		path = w.base + path
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		w.t.Fatalf("%s %s: %s, %s, %v", method, path, resp.Status, text, err)
	}
	return object(w.t, string(text))
}

// logIn takes the login of a lndhub:// URI.
func (w *wallet) logIn(uri string) {
	w.t.Helper()
	rest, ok := strings.CutPrefix(uri, "lndhub://")
	secrets, base, ok2 := strings.Cut(rest, "@")
	login, password, ok3 := strings.Cut(secrets, ":")
	if !ok || !ok2 || !ok3 {
		w.t.Fatalf("not a URI of a login: %d bytes", len(uri))
	}
	w.base = strings.TrimSuffix(base, "/")
	a := w.call("POST", "/auth", map[string]string{"login": login, "password": password})
	w.token, _ = a["access_token"].(string)
}

// scan calls what an LNURL in bech32 says.
func (w *wallet) scan(text any) (answer map[string]any, found string) {
	w.t.Helper()
	found, err := lnurl.Decode(fmt.Sprint(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.call("GET", found, nil), found
}

// TestRegtestWallets does what people do with wallets of others: they pay to a lightning address, take money by a link, and use an account
// by LndHub.
func TestRegtestWallets(t *testing.T) {
	n := networktest.Start(t)
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	hub, _ := process(t, dir, append(connected(n), "--lndhub-partners", "bluewallet,zeus")...)
	m := &money{served: served{url: hub, dir: dir, operator: filepath.Join(dir, "operator.token")}, n: n}
	account, holder := m.account(t, "")
	as := func(args ...string) []string { return append(args, "--hub", hub, "--token-file", holder) }
	w := &wallet{t: t}

	// Somebody pays to the name.
	if got := ok(t, as("name", "show")...); got["name"] != nil {
		t.Errorf("%v", got)
	}
	fails(t, exitRefused, "name_reserved", as("name", "claim", "admin")...)
	name := ok(t, as("name", "claim", "alice")...)
	if name["address"] != "alice@"+strings.TrimPrefix(hub, "http://") {
		t.Errorf("%v", name)
	}
	offer, found := w.scan(name["lnurl"])
	if found != hub+"/.well-known/lnurlp/alice" || offer["tag"] != "payRequest" {
		t.Fatalf("%s: %v", found, offer)
	}
	if got := w.call("GET", hub+"/.well-known/keysend/alice", nil); got["pubkey"] != n.Hub.Key() {
		t.Errorf("%v", got)
	}
	bill := w.call("GET", offer["callback"].(string)+"?amount=50000000&comment=thanks", nil)
	if _, err := n.Payer.Pay(t.Context(), bill["pr"].(string), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "what was paid to the name is credited", func() bool { return m.balance(t, holder) == "50000000" })
	if got := w.call("GET", bill["verify"].(string), nil); got["settled"] != true {
		t.Errorf("%v", got)
	}
	_, other := m.account(t, "60000000")
	paid := ok(t, "withdraw", "--hub", hub, "--token-file", other, "--to", name["address"].(string), "--amount-msat", "1000000")
	if paid["rail"] != "internal" {
		t.Errorf("to a name of the same hub: %v", paid)
	}
	until(t, "what was paid inside has arrived", func() bool { return m.balance(t, holder) == "51000000" })

	m.byLink(t, w, as, holder)
	m.byLogin(t, w, as, account)
	ok(t, as("name", "release")...)
	if got := w.call("GET", found, nil); got["status"] != "ERROR" {
		t.Errorf("a name that was given up: %v", got)
	}
}

// byLink takes 20,000 satoshis of the account by a link, and then 1,000 more than it has left.
func (m *money) byLink(t *testing.T, w *wallet, as func(...string) []string, holder string) {
	t.Helper()
	invoice := func(msat int64) string {
		text, err := m.n.Payer.Invoice(t.Context(), msat, "")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	take := func(link map[string]any, msat int64) map[string]any {
		offer, _ := w.scan(link["lnurl"])
		if offer["tag"] != "withdrawRequest" {
			t.Fatalf("%v", offer)
		}
		q := url.Values{"k1": {offer["k1"].(string)}, "pr": {invoice(msat)}}
		return w.call("GET", offer["callback"].(string)+"?"+q.Encode(), nil)
	}
	status := func(link map[string]any) any {
		for _, k := range ok(t, as("link", "list")...)["links"].([]any) {
			if k := k.(map[string]any); k["link"] == link["link"] {
				return k["status"]
			}
		}
		return nil
	}
	k := ok(t, as("link", "create", "--amount-msat", "20000000", "--least-msat", "1000000", "--memo", "for the taxi", "--expires", "1h")...)
	if got := take(k, 20_001_000); got["status"] != "ERROR" {
		t.Errorf("more than the link has: %v", got)
	}
	if got := take(k, 20_000_000); got["status"] != "OK" {
		t.Fatalf("%v", got)
	}
	until(t, "the link is paid", func() bool { return m.balance(t, holder) == "31000000" })
	list := ok(t, as("withdraw", "list")...)["withdrawals"].([]any)
	out := list[0].(map[string]any)
	preimage, err := hex.DecodeString(out["preimage"].(string))
	if hash := sha256.Sum256(preimage); err != nil || len(list) != 1 || hex.EncodeToString(hash[:]) != out["payment_hash"] {
		t.Errorf("%v, %v", list, err)
	}
	until(t, "the link is used up", func() bool { return status(k) == "paid" })
	fails(t, exitRefused, "link_used", as("link", "cancel", k["link"].(string))...)

	k = ok(t, as("link", "create", "--amount-msat", "32000000")...)
	take(k, 32_000_000) // more than there is, which the wallet is told if it is found out in time
	until(t, "the link is good again", func() bool { return status(k) == "open" })
	if got := m.balance(t, holder); got != "31000000" {
		t.Errorf("the account has %s", got)
	}
	ok(t, as("link", "cancel", k["link"].(string))...)
	if got, _ := w.scan(k["lnurl"]); got["status"] != "ERROR" || status(k) != "expired" {
		t.Errorf("a link that was cancelled: %v", got)
	}
}

// byLogin uses the account by LndHub, and opens another by it.
func (m *money) byLogin(t *testing.T, w *wallet, as func(...string) []string, account string) {
	t.Helper()
	l := ok(t, as("login", "create", "--name", "phone")...)
	w.logIn(l["uri"].(string))
	balance := func() string {
		return fmt.Sprint(w.call("GET", "/balance", nil)["BTC"].(map[string]any)["AvailableBalance"])
	}
	if balance() != "31000" {
		t.Errorf("the wallet has %s", balance())
	}
	bill := w.call("POST", "/addinvoice", map[string]any{"amt": 5000, "memo": "to the phone"})
	if _, err := m.n.Payer.Pay(t.Context(), bill["payment_request"].(string), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "what the wallet asked for is credited", func() bool { return balance() == "36000" })
	text, err := m.n.Publisher.Invoice(t.Context(), 6_000_000, "from the phone")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.call("POST", "/payinvoice", map[string]any{"invoice": text}); got["payment_preimage"] == nil || balance() != "30000" {
		t.Errorf("%v, and it has %s left", got, balance())
	}
	ok(t, "login", "revoke", l["login"].(string), "--hub", m.url, "--token-file", m.operator, "--account", account)
	if got := w.call("GET", "/balance", nil); got["error"] != true {
		t.Errorf("a login that was revoked: %v", got)
	}

	w.token = ""
	if got := w.call("POST", "/create", map[string]string{"partnerid": "stranger"}); got["error"] != true {
		t.Errorf("%v", got)
	}
	made := w.call("POST", "/create", map[string]string{"partnerid": "bluewallet", "accounttype": "common"})
	w.logIn(fmt.Sprintf("lndhub://%v:%v@%s", made["login"], made["password"], w.base))
	if balance() != "0" {
		t.Errorf("a new account has %s", balance())
	}
}
