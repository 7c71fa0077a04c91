package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub/api/lndhub"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
)

// TestWalletVerbs: name, link, login and connection say to a person what the hub says, and refuse before they ask. What a hub with nodes makes of them
// is in TestRegtestWallets.
func TestWalletVerbs(t *testing.T) {
	s := newHub(t)
	account, holder := s.account(t, "")
	answers := map[string]string{
		"POST /name":    `{"account":"A","name":"alice","address":"alice@hub.example","lnurl":"LNURL1A","uri":"lnurlp://hub.example/x","former":["al","ali"]}`,
		"GET /name":     `{"account":"A"}`,
		"DELETE /name":  `{"account":"A","former":["alice"]}`,
		"GET /links":    `{"links":[{"link":"58e0cb6c3ad1bf0e","account":"A","status":"open","amount_msat":5000,"least_msat":1000,"memo":"m","made":1795000000000,"expires":1795000060000,"lnurl":"LNURL1A","uri":"lnurlw://hub.example/x"}]}`,
		"POST /links":   `{"link":"58e0cb6c3ad1bf0e","account":"A","status":"open","amount_msat":5000,"least_msat":5000,"made":1795000000000,"expires":1795000060000,"lnurl":"LNURL1A","uri":"lnurlw://hub.example/x"}`,
		"DELETE /links": `{"link":"58e0cb6c3ad1bf0e"}`,
		"GET /logins":   `{"logins":[{"login":"58e0cb6c3ad1bf0e58e0","account":"A","name":"phone","made":1795000000000}]}`,
		"POST /logins":  `{"login":"58e0cb6c3ad1bf0e58e0","account":"A","name":"phone","made":1795000000000,"uri":"lndhub://58e0cb6c3ad1bf0e58e0:00@https://hub.example/lndhub/"}`,
		"GET /connections": `{"connections":[{"connection":"58e0cb6c3ad1bf0e","account":"A","name":"podcasts","methods":["pay_invoice","get_balance"],"notifications":true,` +
			`"budget_msat":5000,"renewal":"daily","spent_msat":7,"reserved_msat":3,"made":1795000000000,"expires":1795000060000}]}`,
		"POST /connections": `{"connection":"58e0cb6c3ad1bf0e","account":"A","name":"podcasts","methods":["pay_invoice","get_balance"],"notifications":false,` +
			`"budget_msat":5000,"renewal":"daily","spent_msat":0,"reserved_msat":0,"made":1795000000000,"uri":"nostr+walletconnect://00?secret=00"}`,
		"DELETE /connections": `{"connection":"58e0cb6c3ad1bf0e"}`,
		"DELETE /logins":      `{"login":"58e0cb6c3ad1bf0e58e0"}`,
	}
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		noun, _, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/v1/accounts/"+account+"/"), "/")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, strings.ReplaceAll(answers[q.Method+" /"+noun], `"A"`, `"`+account+`"`))
	}))
	t.Cleanup(stub.Close)
	as := func(args ...string) []string { return append(args, "--hub", stub.URL, "--token-file", holder) }
	for _, c := range []struct {
		args []string
		says string
	}{
		{as("name", "claim", "alice"), "account " + account + "\naddress alice@hub.example\nlnurl   LNURL1A\nuri     lnurlp://hub.example/x\nformer  al, ali\n"},
		{as("name", "show"), "account " + account + " has no name\n"},
		{as("name", "release"), "account " + account + " has no name\nformer  alice\n"},
		{[]string{"name", "release", "--hub", stub.URL, "--token-file", s.operator, "--account", account}, "account " + account + " has no name\nformer  alice\n"},
		{as("link", "create", "--amount-msat", "5000"), "link    58e0cb6c3ad1bf0e\nlnurl   LNURL1A\nuri     lnurlw://hub.example/x\nexpires 2026-11-18T11:07:40Z\n"},
		{as("link", "list"), "58e0cb6c3ad1bf0e open: 1000 to 5000 msat, until 2026-11-18T11:07:40Z, m\n    LNURL1A\n"},
		{as("link", "cancel", "58e0cb6c3ad1bf0e"), "cancelled 58e0cb6c3ad1bf0e\n"},
		{as("login", "create", "--name", "phone"), "login 58e0cb6c3ad1bf0e58e0\nuri   lndhub://58e0cb6c3ad1bf0e58e0:00@https://hub.example/lndhub/\n"},
		{as("login", "list"), "58e0cb6c3ad1bf0e58e0 since 2026-11-18T11:06:40Z: phone\n"},
		{as("login", "revoke", "58e0cb6c3ad1bf0e58e0"), "revoked 58e0cb6c3ad1bf0e58e0\n"},
		{as("connection", "create", "--name", "podcasts", "--budget-msat", "5000", "--renewal", "daily", "--method", "pay_invoice,get_balance"),
			"connection 58e0cb6c3ad1bf0e\nuri        nostr+walletconnect://00?secret=00\n"},
		{as("connection", "list"), "58e0cb6c3ad1bf0e since 2026-11-18T11:06:40Z, podcasts: 7 msat spent and 3 reserved of 5000 (daily), until 2026-11-18T11:07:40Z\n" +
			"    pay_invoice get_balance\n"},
		{as("connection", "end", "58e0cb6c3ad1bf0e"), "ended 58e0cb6c3ad1bf0e\n"},
	} {
		if r := millrace(t, nil, nil, c.args...); r.code != 0 || r.out != c.says {
			t.Errorf("%v: exit %d, %s\n%s\nwant\n%s", c.args[:2], r.code, r.err, r.out, c.says)
		}
	}
	fails(t, exitUsage, "--account", "name", "show", "--hub", stub.URL, "--token-file", s.operator)
	fails(t, exitUsage, "1000 or more", as("link", "create", "--amount-msat", "999")...)
	fails(t, exitUsage, "no more than", as("link", "create", "--amount-msat", "5000", "--least-msat", "6000")...)
	fails(t, exitUsage, "a second", as("link", "create", "--amount-msat", "5000", "--expires", "1ms")...)
	fails(t, exitUsage, "16 hexadecimal", as("link", "cancel", "../x")...)
	fails(t, exitUsage, "20 hexadecimal", as("login", "revoke", "x")...)
	fails(t, exitUsage, "a second", as("connection", "create", "--expires", "1ms")...)
	fails(t, exitUsage, "--budget-msat", as("connection", "create", "--renewal", "daily")...)
	fails(t, exitUsage, "16 hexadecimal", as("connection", "end", "../x")...)
	fails(t, exitUsage, "--name is empty", as("login", "create", "--name", "")...)
	fails(t, exitRefused, "no Lightning node", "name", "show", "--hub", s.url, "--token-file", holder)
}

// TestPartners: those whose wallets may open accounts are named, and an empty list is nobody, not everybody.
func TestPartners(t *testing.T) {
	for _, c := range []struct{ all, partner string }{{"", ""}, {"", "bluewallet"}, {"bluewallet,", ""}, {"bluewallet", "blue"}, {" , ", ""}, {"a,b", "a,b"}} {
		if no, err := openFor(c.all, nil)(c.partner); err != lndhub.ErrPartner || no != ledger.AccountNo(0) {
			t.Errorf("%q, %q: %v, %v", c.all, c.partner, no, err)
		}
	}
}

// bills makes invoices that nobody pays.
type bills struct{ made int }

func (b *bills) Invoice(context.Context, ledger.AccountNo, channels.NewInvoice) (channels.Item, error) {
	b.made++
	return channels.Item{Incoming: true, State: channels.Open, Hash: channels.Hash{byte(b.made), byte(b.made >> 8)}, Invoice: "lntest"}, nil
}

func (b *bills) Incoming(context.Context, channels.Hash) (channels.Item, error) {
	return channels.Item{}, channels.ErrNoItem
}

// TestMoved: what is paid to a lightning address makes room for another invoice; what goes out, or is not settled, does not.
func TestMoved(t *testing.T) {
	db, err := records.Open(records.Options{Dir: t.TempDir(), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r := &rails{meter: newMeter()}
	r.moved(ledger.FirstAccount, channels.Item{Rail: channels.Lightning, Incoming: true, State: channels.Settled}) // a hub without a desk
	names := lnurl.NewNames(db, nil)
	if err := names.Claim(ledger.FirstAccount, "alice"); err != nil {
		t.Fatal(err)
	}
	r.wallets.desk, err = lnurl.NewDesk(lnurl.DeskConfig{Base: "http://h.example", Host: "h.example", Names: names, Records: db, Invoices: new(bills)})
	if err != nil {
		t.Fatal(err)
	}
	answer := func() error {
		_, err := r.wallets.desk.Answer(t.Context(), "alice", 1000, "")
		return err
	}
	for range channels.MaxInvoices / 2 {
		if err := answer(); err != nil {
			t.Fatal(err)
		}
	}
	first := channels.Item{Rail: channels.Lightning, Hash: channels.Hash{1, 0}, Incoming: true, State: channels.Settled}
	for _, other := range []channels.Item{{Hash: first.Hash, State: channels.Settled}, {Hash: first.Hash, Incoming: true, State: channels.Open}} {
		if r.moved(ledger.FirstAccount, other); !errors.Is(answer(), lnurl.ErrBusy) {
			t.Errorf("%+v makes room", other)
		}
	}
	if r.moved(ledger.FirstAccount, first); answer() != nil || !errors.Is(answer(), lnurl.ErrBusy) {
		t.Error("not room for one")
	}
}
