package client_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

const unitRefused = `{"type":"urn:millrace:problem:payment_required","title":"T","status":402,"code":"payment_required","retryable":false,"offer":{"content":"` + content +
	`","unit":9,"price_msat":100,"price_version":1,"units":360,"free_units":2,"unlock":"u","session":"s","accounts":"a"}}`

// unitStub sells the units of a work: unit 9 is not paid for.
func unitStub(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	key := fileKey.Unit(7)
	switch {
	case strings.HasSuffix(r.URL.Path, "/sessions"):
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "millrace_units="+bearer+"; Path=/v1/contents/"+content+"/units/; HttpOnly; SameSite=Lax")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"token":"`+bearer+`","content":"`+content+`","from_unit":3,"units":360,"unit_price_msat":100,"max_total_msat":36000,"expires":1795000000000}`)
	case strings.Contains(r.URL.Path, "/units/9/"):
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusPaymentRequired)
		io.WriteString(w, unitRefused)
	case strings.HasSuffix(r.URL.Path, "/key"):
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(key[:])
	default:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, unlockUnit(r, key))
	}
}

func unlockUnit(r *http.Request, key seal.UnitKey) string {
	var req struct {
		Recipient []byte `json:"recipient"`
	}
	json.NewDecoder(r.Body).Decode(&req)
	b64 := base64.StdEncoding.EncodeToString
	member := `"unit_key":"` + b64(key[:]) + `"`
	if req.Recipient != nil {
		no, _ := ledger.ParseContentID(content)
		enc, ciphertext, err := seal.SealUnitTo(req.Recipient, no, 7, key)
		if err != nil {
			return err.Error()
		}
		member = `"sealed_unit_key":{"enc":"` + b64(enc) + `","ciphertext":"` + b64(ciphertext) + `"}`
	}
	return `{"result":"applied","seq":125,"content":"` + content + `","unit":7,"paid_msat":100,` + member + `}`
}

// everyUnit calls every operation about units once.
func everyUnit(t *testing.T, c *client.Client) {
	ctx := t.Context()
	work, _ := ledger.ParseContentID(content)
	key, err := c.UnitKey(ctx, work, 7)
	if err != nil || key != fileKey.Unit(7) {
		t.Errorf("key: %v", err)
	}
	plain, err := c.UnlockUnit(ctx, client.UnitPurchase{Content: work, Unit: 7, PriceVersion: 1})
	if err != nil || seal.UnitKey(plain.Key) != fileKey.Unit(7) {
		t.Errorf("unlock: %v", err)
	}
	bought, err := c.BuyUnit(ctx, client.UnitPurchase{Content: work, Unit: 7, MaxMsat: 100})
	if err != nil || bought.Key != fileKey.Unit(7) || bought.PaidMsat != 100 {
		t.Errorf("buy: %+v, %v", bought, err)
	}
	s, err := c.CreateSession(ctx, client.NewSession{Content: work, MaxTotalMsat: 36_000, FromUnit: 3, Life: time.Minute})
	if err != nil || s.Token != bearer || s.Units != 360 {
		t.Errorf("session: %+v, %v", s, err)
	}
	var problem *client.Problem
	if _, err := c.UnitKey(ctx, work, 9); !errors.As(err, &problem) || problem.Offer == nil || problem.Offer.PriceMsat != 100 || problem.Offer.Session != "s" {
		t.Errorf("not paid for: %v", err)
	}
}

func TestUnitAnswersAreChecked(t *testing.T) {
	work, _ := ledger.ParseContentID(content)
	at := func(h http.HandlerFunc) *client.Client {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		c, err := client.New(client.Config{Hub: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	short := at(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fifteen bytes..") })
	if _, err := short.UnitKey(t.Context(), work, 7); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("a key of 15 bytes: %v", err)
	}
	stubbed := at(unitStub)
	if _, err := stubbed.BuyUnit(t.Context(), client.UnitPurchase{Content: work, Unit: 8, MaxMsat: 100}); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("another unit's key: %v", err)
	}
	if _, err := stubbed.CreateSession(t.Context(), client.NewSession{Content: work, MaxTotalMsat: 35_999, FromUnit: 3}); !errors.Is(err, client.ErrAnswer) {
		t.Errorf("a session that costs more: %v", err)
	}
}
