package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/rates"
)

func TestConfigRates(t *testing.T) {
	c, err := load(t, `
[rates]
every = "30s"
valid = "20m"
move = "0.25%"
jump = "15%"
need = 2

[[rates.source]]
name = "exchange"
url = "https://rates.example/v1?of={currency}"
currencies = ["EUR", "USD"]
path = "data.rates.{currency}"
time_path = "data.time"
gives = "btc_per_currency"
stale = "2m"
timeout = "5s"

[[rates.source]]
name = "desk"
file = "rates.txt"
currencies = ["USD", "EUR"]
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	eur, usd := currency.Code([]byte("EUR")), currency.Code([]byte("USD"))
	want := rates.Config{Every: 30 * time.Second, Valid: 20 * time.Minute, Move: 25, Jump: 1500, Need: 2, Development: true, Sources: []rates.Source{
		{Name: "exchange", URL: "https://rates.example/v1?of={currency}", Currencies: []currency.Code{eur, usd}, Path: "data.rates.{currency}", TimePath: "data.time",
			Gives: rates.Bitcoins, Stale: 2 * time.Minute, Timeout: 5 * time.Second},
		{Name: "desk", File: "rates.txt", Currencies: []currency.Code{usd, eur}},
	}}
	if got := c.Rates.desk(true); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if c, err = load(t, "dev = true", nil); err != nil || !c.Rates.off() {
		t.Errorf("%+v, %v", c.Rates, err)
	}
}

func TestConfigRatesRefused(t *testing.T) {
	source := "\n[[rates.source]]\nname = 'a'\nfile = 'x'\ncurrencies = ['EUR']\n"
	for _, c := range []struct{ text, want string }{
		{"[rates]\nevery = '1m'", "rates: source: 0 of them"},
		{"[rates]\nevrey = '1m'", `unknown key "rates.evrey"`},
		{source + "feed = 'x'", `unknown key "rates.source.feed"`},
		{source + "url = 'https://x.example'", "rates: source a: file and url: set one"},
		{source + source, "rates: source a: there are two"},
		{source + "gives = 'euros'", `"euros" is none of`},
		{source + "stale = 5", "is not a duration"},
		{source + "private = 'yes'", "rates.source.private"},
		{strings.Replace(source, "EUR", "EURO", 1), "not a currency of ISO 4217"},
		{"rates = 5", "rates"},
		{"[rates]\nmove = '0%'" + source, "is not a share"},
		{"[rates]\nmove = '-1%'" + source, "is not a share"},
		{"[rates]\nmove = '1'" + source, "is not a share"},
		{"[rates]\nmove = '1.%'" + source, "is not a share"},
		{"[rates]\nmove = '.5%'" + source, "is not a share"},
		{"[rates]\nmove = '0.125%'" + source, "is not a share"},
		{"[rates]\nmove = '99999999999%'" + source, "is not a share"},
		{"[rates]\nmove = 0.5" + source, "share"},
		{"[rates]\nmove = '30%'" + source, "rates: move: more than jump"},
		{"[rates]\njump = '1001%'" + source, "rates: jump: at most 1000 %"},
		{"log_format = 'xml'\n[rates]\nneed = 2" + source, "rates: need: 2 sources, and EUR has 1"},
	} {
		if got, err := load(t, c.text, nil); err == nil || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(got, config{}) {
			t.Errorf("%q: %v; want %q", c.text, err, c.want)
		}
	}
	if _, err := load(t, "", []string{"MILLRACE_RATES=x"}); err == nil {
		t.Error("a variable sets the rates")
	}
	if c, err := load(t, "[rates]\nmove = '.5%'", nil); err == nil {
		t.Errorf("%+v", c.Rates)
	}
}
