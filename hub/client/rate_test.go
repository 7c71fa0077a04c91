package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/ledger"
)

const rateBody = `{"currency":"EUR","msat_per_million":1538461538462,"set":1795000000000,"valid_until":1795001800000,"stale":false}`

// onRates is answers, of rates and of prices by them.
var onRates = map[string]stubbed{
	"GET /v1/rates":                          {200, `{"rates":[` + rateBody + `]}`},
	"POST /v1/rates":                         {200, rateBody},
	"GET /v1/rates/sources":                  {200, `{"sources":[{"currency":"EUR","source":"a","fresh":false,"problem":"answered 502"}],"problems":[{"currency":"EUR","problem":"too few"}]}`},
	"GET /v1/contents/" + content + "/quote": {200, `{"content":"` + content + `","price_msat":76924,"price_version":1,"currency":"EUR","price_micros":50000,"rate_msat_per_million":1538461538462,"expires":1795000060000}`},
}

// everyRate calls every operation about rates once.
func everyRate(t *testing.T, c *client.Client) {
	ctx := context.Background()
	work, _ := ledger.ParseContentID(content)
	list, err := c.Rates(ctx)
	if err != nil || len(list) != 1 || list[0].MsatPerMillion != 1538461538462 {
		t.Errorf("rates: %v, %v", list, err)
	}
	one, err := c.SetRate(ctx, client.NewRate{Currency: "EUR", MsatPerMillion: 1538461538462, ValidUntil: 1795001800000})
	if err != nil || one.ValidUntil != 1795001800000 {
		t.Errorf("set: %v, %v", one, err)
	}
	sources, err := c.RateSources(ctx)
	if err != nil || len(sources.Sources) != 1 || len(sources.Problems) != 1 {
		t.Errorf("sources: %v, %v", sources, err)
	}
	q, err := c.QuoteContent(ctx, work)
	if err != nil || q.PriceMsat != 76924 || q.Currency != "EUR" || q.Expires != 1795000060000 {
		t.Errorf("quote: %v, %v", q, err)
	}
}

// TestOwnMoney: what a price in a currency looks like on the wire, and what answer about one is refused.
func TestOwnMoney(t *testing.T) {
	var answer, sent string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent = string(b)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	c, err := client.New(client.Config{Hub: server.URL, Token: bearer})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	work, _ := ledger.ParseContentID(content)
	price := currency.Price{Currency: currency.Code([]byte("EUR")), Amount: 50000}
	done := `{"result":"applied","seq":1,"content":"` + content + `","price_version":2,`
	answer = done + `"currency":"EUR","price_micros":50000}`
	if got, err := c.Reprice(ctx, work, price, 1); err != nil || got.PriceMicros != 50000 || sent != `{"currency":"EUR","price_micros":50000,"price_version":1}` {
		t.Errorf("%+v, %v, sent %s", got, err, sent)
	}
	for _, wrong := range []string{`"price_msat":50000}`, `"currency":"USD","price_micros":50000}`, `"currency":"EUR","price_micros":5}`} {
		answer = done + wrong
		if got, err := c.Reprice(ctx, work, price, 1); !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%s: %+v, %v", wrong, got, err)
		}
	}
	about := `{"content":"` + content + `","hub":"http://127.0.0.1:8402","title":"T","seller":"ag0g","price_version":1,"size":9,"sha256":"` + digest + `","header_sha256":"` + digest +
		`","fee_ppm":0,"payees":[{"account":"ag0g","share":1}],"status":"on_sale"`
	for more, ok := range map[string]bool{
		`}`: false, `,"price_msat":5}`: true, `,"currency":"EUR","price_micros":5}`: true, `,"price_msat":5,"currency":"EUR","price_micros":5}`: true,
		`,"currency":"EUR"}`: false, `,"price_micros":5}`: false, `,"currency":"EURO","price_micros":5}`: false, `,"price_msat":5,"currency":"EUR"}`: false,
	} {
		answer = about + more
		if got, err := c.Content(ctx, work); (err == nil) != ok || err != nil && !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%s: %+v, %v", more, got, err)
		}
	}
	for _, wrong := range []string{`{"rates":[{"currency":"euro","msat_per_million":1,"set":1,"valid_until":1,"stale":false}]}`, `{"rates":[` + rateBody + `,{"currency":"EUR"}]}`, `{}`} {
		answer = wrong
		if got, err := c.Rates(ctx); !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%s: %+v, %v", wrong, got, err)
		}
	}
}
