package api_test

import (
	"strings"
	"testing"
	"time"
)

// rate sets what a currency costs, for so long from now.
func (r *rig) rate(code string, msatPerMillion uint64, valid time.Duration) answer {
	r.t.Helper()
	return r.do(ask{method: "POST", path: "/v1/rates", token: r.operator,
		body: object{"currency": code, "msat_per_million": msatPerMillion, "valid_until": r.millis.Load() + uint64(valid.Milliseconds())}})
}

// ownOffer is an offer at a price in a currency.
func (w work) ownOffer(code string, micros uint64) object {
	o := w.offer(1)
	delete(o, "price_msat")
	o["currency"], o["price_micros"] = code, micros
	return o
}

const (
	million = 1_000_000
	perEuro = 1_500_000 // msat for a euro, at first
)

// TestQuotedPrice: who was quoted a price pays no more within a minute, wherever the rate goes; and less when it falls.
func TestQuotedPrice(t *testing.T) {
	r := newRig(t)
	seller, buyer, second, third := r.user(0), r.user(10*million), r.user(10*million), r.user(10*million)
	r.rate("EUR", perEuro*million, time.Hour).want(200).has(object{"currency": "EUR", "msat_per_million": perEuro * million, "stale": false})
	w := r.seal([]byte("the sound of euros"))
	seller.post("/v1/contents", w.ownOffer("EUR", million/2)).want(201).has(object{"result": "applied", "price_version": 2})
	seller.post("/v1/contents", w.ownOffer("EUR", million/2)).want(200).has(object{"result": "repeated", "price_version": 2})
	r.do(ask{method: "GET", path: w.path("")}).want(200).has(object{"price_msat": perEuro / 2, "currency": "EUR", "price_micros": million / 2, "price_version": 2})

	r.later(10 * time.Minute)
	quote := r.do(ask{method: "GET", path: w.path("/quote")}).want(200).has(object{
		"price_msat": perEuro / 2, "currency": "EUR", "price_micros": million / 2, "rate_msat_per_million": perEuro * million, "price_version": 2, "expires": r.millis.Load() + 60_000})
	asQuoted := object{"price_version": quote.num("price_version"), "max_msat": quote.num("price_msat")}
	r.later(time.Second)
	r.rate("EUR", 2*perEuro*million, time.Hour).want(200)
	r.do(ask{method: "GET", path: w.path("/quote")}).want(200).has(object{"price_msat": perEuro})
	buyer.post(w.path("/unlock"), object{"price_version": 2}).refused(402, "price_too_high", "in EUR") // a version says nothing of the rate
	r.later(58 * time.Second)
	w.opens(buyer.post(w.path("/unlock"), asQuoted).want(200).has(object{"result": "applied", "paid_msat": perEuro / 2}))
	r.later(3 * time.Second)
	second.post(w.path("/unlock"), asQuoted).refused(402, "price_too_high", "ask for a new quote")
	second.balance(10*million, 0)
	w.opens(buyer.post(w.path("/unlock"), asQuoted).want(200).has(object{"result": "repeated", "paid_msat": perEuro / 2}))

	// The rate falls: the quote is the most that is paid, and the lower price is had at once.
	r.later(time.Minute)
	quote = r.do(ask{method: "GET", path: w.path("/quote")}).want(200).has(object{"price_msat": perEuro})
	r.rate("EUR", perEuro*million, time.Hour).want(200)
	third.post(w.path("/unlock"), object{"max_msat": quote.num("price_msat")}).want(200).has(object{"result": "applied", "paid_msat": perEuro / 2})

	// Rounding is up, to whole msat.
	r.later(2 * time.Minute)
	r.rate("EUR", 1, time.Hour).want(200)
	r.do(ask{method: "GET", path: w.path("/quote")}).want(200).has(object{"price_msat": 1})

	// The seller sets another price: the version is another, and so is the money.
	seller.post(w.path("/reprice"), object{"price_msat": 700, "price_version": 2}).want(200).has(object{"price_msat": 700, "price_version": 3})
	second.post(w.path("/unlock"), asQuoted).refused(409, "price_changed", "")
	r.do(ask{method: "GET", path: w.path("/quote")}).want(200).has(object{"price_msat": 700, "price_version": 3})
	seller.post(w.path("/reprice"), object{"currency": "EUR", "price_micros": 700, "price_version": 3}).want(200).has(object{"currency": "EUR", "price_micros": 700, "price_version": 4})
	seller.post(w.path("/reprice"), object{"currency": "EUR", "price_micros": 700, "price_version": 3}).want(200).has(object{"result": "repeated", "price_version": 4})
	seller.post(w.path("/reprice"), object{"currency": "EUR", "price_micros": 800, "price_version": 4}).want(200).has(object{"price_micros": 800, "price_version": 5})
	second.post(w.path("/reprice"), object{"currency": "EUR", "price_micros": 900, "price_version": 5}).refused(403, "not_permitted", "")
	r.restart()
	r.do(ask{method: "GET", path: w.path("")}).want(200).has(object{"currency": "EUR", "price_micros": 800, "price_version": 5})
	seller.post(w.path("/retire"), nil).want(200)
	r.do(ask{method: "GET", path: w.path("/quote")}).refused(410, "content_retired", "")
}

// TestNoRate: without a rate, or with one that is too old, nothing is sold in a currency, and nothing changes; what is owned is.
func TestNoRate(t *testing.T) {
	r := newRig(t)
	seller, buyer, late := r.user(0), r.user(million), r.user(million)
	w := r.seal([]byte("the sound of no euros"))
	before := r.frozen()
	stale := func(a answer) { t.Helper(); a.refused(a.status, "rate_stale", "rate").has(object{"retryable": true}) }
	stale(seller.post("/v1/contents", w.ownOffer("EUR", 1)))
	if r.frozen() != before {
		t.Error("an offer without a rate has changed the ledger")
	}
	r.rate("EUR", perEuro*million, time.Minute).want(200)
	seller.post("/v1/contents", w.ownOffer("EUR", 1000)).want(201)
	stale(seller.post(w.path("/reprice"), object{"currency": "USD", "price_micros": 1, "price_version": 2}))
	buyer.post(w.path("/unlock"), object{"max_msat": million}).want(200)
	r.later(30 * time.Second)
	r.do(ask{method: "GET", path: w.path("/quote")}).want(200).has(object{"expires": startAt + 60_000}) // with the rate
	r.later(30 * time.Second)
	before = r.frozen()
	if list := r.do(ask{method: "GET", path: "/v1/rates"}).want(200); !strings.Contains(string(list.body), `"stale":true`) {
		t.Errorf("%s", list.body)
	}
	stale(r.do(ask{method: "GET", path: w.path("/quote")}))
	stale(late.post(w.path("/unlock"), object{"max_msat": million, "price_version": 2}))
	if a := r.do(ask{method: "GET", path: w.path("")}).want(200).has(object{"currency": "EUR", "price_micros": 1000}); a.object()["price_msat"] != nil {
		t.Errorf("%s", a.body)
	}
	if r.frozen() != before {
		t.Error("asking for what has no rate has changed the ledger")
	}
	w.opens(buyer.post(w.path("/unlock"), object{"max_msat": 1}).want(200).has(object{"result": "repeated"}))
	seller.post(w.path("/reprice"), object{"currency": "EUR", "price_micros": 2000, "price_version": 2}).want(200) // there was a rate, and will be
	r.rate("EUR", perEuro*million, time.Minute).want(200)
	late.post(w.path("/unlock"), object{"max_msat": million}).want(200).has(object{"paid_msat": 3000})
}

// TestRatesRefused: what is no rate and no price changes nothing.
func TestRatesRefused(t *testing.T) {
	r := newRig(t)
	seller := r.user(0)
	r.rate("EUR", perEuro*million, time.Hour).want(200)
	r.rate("JPY", 2_100_000_000_000_000_000, time.Hour).want(200)
	w := r.seal([]byte("the sound of nothing"))
	before := r.frozen()
	for _, c := range []struct {
		body   any
		detail string
	}{
		{object{"currency": "EUR", "msat_per_million": 0, "valid_until": startAt + 1000}, "msat_per_million"},
		{object{"currency": "EUR", "msat_per_million": "5", "valid_until": startAt + 1000}, "msat_per_million"},
		{object{"currency": "EUR", "valid_until": startAt + 1000}, "msat_per_million is missing"},
		{object{"currency": "EUR", "msat_per_million": 5}, "valid_until is missing"},
		{object{"currency": "eur", "msat_per_million": 5, "valid_until": startAt + 1000}, "not a currency"},
		{object{"currency": "XXX", "msat_per_million": 5, "valid_until": startAt + 1000}, "not a currency"},
		{object{"msat_per_million": 5, "valid_until": startAt + 1000}, "currency is missing"},
		{object{"currency": "EUR", "msat_per_million": 5, "valid_until": startAt + 40*86_400_000}, "at most 31 days"},
		{object{"currency": "EUR", "msat_per_million": 5, "valid_until": startAt + 1000, "by": "me"}, "does not belong"},
		{`{"currency":"EUR","msat_per_million":1.5,"valid_until":1800000001000}`, "msat_per_million"},
	} {
		r.do(ask{method: "POST", path: "/v1/rates", token: r.operator, body: c.body}).refused(400, "malformed_body", c.detail)
	}
	r.rate("EUR", 5, -time.Minute).refused(422, "expiry_invalid", "")
	seller.post("/v1/rates", object{"currency": "EUR", "msat_per_million": 5, "valid_until": startAt + 1000}).refused(403, "not_operator", "")
	r.do(ask{method: "GET", path: "/v1/rates?x=1"}).refused(400, "malformed_query", "")
	for _, c := range []struct {
		change object
		detail string
	}{
		{object{"price_msat": nil}, "price_msat"},
		{object{"currency": "EUR"}, "price_micros is missing"},
		{object{"currency": "EUR", "price_msat": nil}, "price_m"},
		{object{"price_micros": 5}, "price_micros goes with currency"},
		{object{"currency": "EUR", "price_micros": 0, "price_msat": nil}, "price_micros"},
		{object{"currency": "euro", "price_micros": 1, "price_msat": nil}, "currency"},
		{object{"currency": "BTC", "price_micros": 1, "price_msat": nil}, "currency"},
		{object{"currency": "EUR", "price_micros": 1}, "price_msat does not go with currency"},
	} {
		offer := w.offer(5)
		for name, v := range c.change {
			if offer[name] = v; v == nil {
				delete(offer, name)
			}
		}
		seller.post("/v1/contents", offer).refused(400, "malformed_body", c.detail)
	}
	seller.post("/v1/contents", w.ownOffer("JPY", 2_100_000_000_000_000_000)).refused(409, "price_out_of_range", "")
	if r.frozen() != before {
		t.Error("what was refused has changed the ledger")
	}
	// Eight rates of a currency count within a minute: one more comes too early, and those of others do not.
	for i := range 8 {
		r.later(time.Millisecond)
		r.rate("EUR", uint64(perEuro*million+i+1), time.Hour)
	}
	r.later(time.Millisecond)
	before = r.frozen()
	a := r.rate("EUR", perEuro*million+20, time.Hour)
	a.refused(a.status, "rate_early", "").has(object{"retryable": true})
	if r.frozen() != before {
		t.Error("a rate that was refused has changed the ledger")
	}
	r.rate("USD", perEuro*million, time.Hour).want(200)
	r.later(2 * time.Minute)
	r.rate("EUR", perEuro*million+20, time.Hour).want(200)
}

// TestRateMetrics: how old the rates are is there to be watched.
func TestRateMetrics(t *testing.T) {
	r := newRig(t)
	r.rate("EUR", perEuro*million, time.Hour).want(200)
	r.later(10 * time.Minute)
	text := string(r.do(ask{method: "GET", path: "/metrics"}).want(200).body)
	for _, line := range []string{`millrace_rate_age_seconds{currency="EUR"} 600`, `millrace_rate_left_seconds{currency="EUR"} 3000`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	r.do(ask{method: "GET", path: "/v1/rates/sources", token: r.operator}).want(200).has(object{"sources": "[]", "problems": "[]"})
}
