package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// newPriced is a hub that asks a real server, and reads a file, for its rates.
func newPriced(t *testing.T, answer *atomic.Value, file string) market {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(answer.Load().(string)))
	}))
	t.Cleanup(server.Close)
	config := writeFile(t, filepath.Join(t.TempDir(), "millrace.toml"), fmt.Appendf(nil, `
[rates]
every = "1s"
valid = "20m"

[[rates.source]]
name = "exchange"
url = "%s/rates?of={currency}"
currencies = ["EUR"]
path = "data.rates.{currency}"
private = true

[[rates.source]]
name = "desk"
file = "%s"
currencies = ["USD"]
`, server.URL, file))
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	m := market{served: serveIn(t, dir, "--config", config), dir: t.TempDir()}
	_, m.seller = m.account(t, "")
	_, m.buyer = m.account(t, "1000000")
	return m
}

// rates are the hub's, in msat for a million units, by currency.
func (m market) rates(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, r := range ok(t, "rate", "list", "--hub", m.url)["rates"].([]any) {
		r := r.(map[string]any)
		all[r["currency"].(string)] = r["msat_per_million"].(json.Number).String()
	}
	return all
}

func euros(price string) string { return `{"data":{"rates":{"EUR":"` + price + `"}}}` }

// TestOwnMoney: rates come from real sources, a work is sold in euros, and bought at what was quoted.
func TestOwnMoney(t *testing.T) {
	var answer atomic.Value
	answer.Store(euros("65000"))
	file := writeFile(t, filepath.Join(t.TempDir(), "rates"), []byte("USD 70000\n"))
	m := newPriced(t, &answer, file)
	until(t, "there are rates", func() bool { r := m.rates(t); return r["EUR"] == "1538461538462" && r["USD"] == "1428571428571" })

	in, sealed := writeFile(t, m.path("song"), []byte("la la la")), m.path("song.sealed")
	seller := []string{"--hub", m.url, "--token-file", m.seller}
	do := func(args ...string) map[string]any { t.Helper(); return ok(t, append(args, seller...)...) }
	got := do("seal", "--price", "0.05 EUR", "--title", "song", "-o", sealed, in)
	if got["currency"] != "EUR" || got["price_micros"] != json.Number("50000") || got["price_msat"] != nil || got["price_version"] != json.Number("2") {
		t.Errorf("seal: %v", got)
	}
	content := got["content"].(string)
	for _, args := range [][]string{{"content", "show", "--hub", m.url, content}, {"inspect", "--hub", m.url, sealed}} {
		if r := millrace(t, nil, nil, args...); r.code != 0 || !strings.Contains(r.out, "EUR 0.05, now 76924 msat (version 2)") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	fails(t, exitRefused, "the price quoted was EUR 0.05, now 76924 msat", m.open(m.buyer, m.path("out"), sealed)...)
	args := m.open(m.buyer, m.path("out"), sealed)
	args[6] = "100000"
	if got := ok(t, args...); got["paid_msat"] != json.Number("76924") {
		t.Errorf("open: %v", got)
	}
	same(t, m.path("out"), []byte("la la la"))
	if got := m.balance(t, m.buyer); got != "923076" {
		t.Errorf("the buyer has %s", got)
	}

	// The rate moves with the market; what is far away is held, and the sources say why.
	answer.Store(euros("64000"))
	until(t, "the rate moves", func() bool { return m.rates(t)["EUR"] == "1562500000000" })
	answer.Store("nothing")
	operator := []string{"--hub", m.url, "--token-file", m.operator}
	until(t, "the source is bad", func() bool {
		return strings.Contains(fmt.Sprint(ok(t, append([]string{"rate", "sources"}, operator...)...)), "it is no JSON")
	})
	if r := millrace(t, nil, nil, append([]string{"rate", "sources"}, operator...)...); r.code != 0 || !strings.Contains(r.out, "USD  desk: 70000.00 for a bitcoin") {
		t.Errorf("%+v", r)
	}
	if r := m.rates(t); r["EUR"] != "1562500000000" {
		t.Errorf("%v", r)
	}

	// By hand, in any currency; and the price in another money.
	fails(t, exitUnreachable, "rate_stale", append([]string{"content", "price", content, "--price", "JPY 3"}, seller...)...)
	ok(t, append([]string{"rate", "set", "JPY", "10000000", "--valid", "10m"}, operator...)...)
	if got := do("content", "price", content, "--price", "JPY 3"); got["price_version"] != json.Number("3") || got["currency"] != "JPY" {
		t.Errorf("price: %v", got)
	}
	if r := millrace(t, nil, nil, "content", "show", "--hub", m.url, content); !strings.Contains(r.out, "JPY 3, now 30000 msat (version 3)") {
		t.Errorf("%+v", r)
	}
	if got := ok(t, append([]string{"rate", "set", "--file", writeFile(t, m.path("rates"), []byte("CHF 60000\nKWD 20000\n"))}, operator...)...); len(got["rates"].([]any)) != 2 {
		t.Errorf("%v", got)
	}
	if got := do("content", "reprice", content, "--price-msat", "500"); got["price_msat"] != json.Number("500") || got["currency"] != nil {
		t.Errorf("reprice: %v", got)
	}
	if got := ok(t, append(args, "--force")...); got["result"] != "repeated" {
		t.Errorf("who owns it pays again: %v", got)
	}
}

// TestRatesUsage: what is no rate and no price is found before the hub is asked.
func TestRatesUsage(t *testing.T) {
	token := "@" + writeFile(t, filepath.Join(t.TempDir(), "t"), []byte("x"))
	bad := writeFile(t, filepath.Join(t.TempDir(), "rates"), []byte("EUR many\n"))
	for _, c := range []struct {
		says string
		args []string
	}{
		{"want a currency and its rate, or --file", []string{"rate", "set", "EUR"}},
		{"want a currency and its rate, or --file", []string{"rate", "set", "--file", bad, "EUR", "5"}},
		{"line 1: ", []string{"rate", "set", "--file", bad}},
		{"no such file", []string{"rate", "set", "--file", bad + "x"}},
		{"not a currency", []string{"rate", "set", "EURO", "5"}},
		{"no positive decimal number", []string{"rate", "set", "EUR", "0"}},
		{"beyond what there can be", []string{"rate", "set", "EUR", "0.000001"}},
		{"is none of", []string{"rate", "set", "EUR", "5", "--gives", "euros"}},
		{"--valid", []string{"rate", "set", "EUR", "5", "--valid", "1000h"}},
		{"at least one of the flags in the group [price price-msat] is required", []string{"content", "price", "5f0c2a9be1d84477b6f3c0d1e2a39485"}},
		{"[price price-msat] were all set", []string{"content", "price", "5f0c2a9be1d84477b6f3c0d1e2a39485", "--price", "1 EUR", "--price-msat", "5"}},
		{"nothing is sold for nothing", []string{"content", "price", "5f0c2a9be1d84477b6f3c0d1e2a39485", "--price", "0 EUR"}},
		{"at most 6 decimals", []string{"content", "price", "5f0c2a9be1d84477b6f3c0d1e2a39485", "--price", "0.0000001 EUR"}},
		{"beyond all there can be", []string{"seal", "--price", "9999999999999 EUR", "--title", "t", "-o", "x", "y"}},
		{"three letters of a currency", []string{"seal", "--price", "1 BTC", "--title", "t", "-o", "x", "y"}},
	} {
		fails(t, exitUsage, c.says, append(c.args, "--token", token)...)
	}
}
