package contract

import (
	"net/http"
	"testing"
)

const (
	unitPath    = "/v1/contents/" + content + "/units/7"
	sessionResp = `{"token":"AgEIbWlsbHJhY2UC","content":"` + content + `","from_unit":0,"units":360,"unit_price_msat":100,"max_total_msat":36000,"expires":1795000000000}`
	sessionSet  = "millrace_units=AgEIbWlsbHJhY2UC; Path=/v1/contents/" + content + "/units/; HttpOnly; Expires=x; Secure; SameSite=None"
	unitOffer   = `{"content":"` + content + `","unit":7,"price_msat":100,"price_version":1,"units":360,"free_units":2,"unlock":"u","session":"s","accounts":"a"}`
	unitRefused = `{"type":"urn:millrace:problem:payment_required","title":"T","status":402,"code":"payment_required","retryable":false,"offer":` + unitOffer + `}`
)

var kept = http.Header{"Cache-Control": {"no-store"}}

// goodUnits is good for works that are sold by units.
var goodUnits = map[string]call{
	"register units": post("/v1/contents", registerReq[:len(registerReq)-1]+`,"free_units":2}`, 201, `{"result":"applied","seq":5,"content":"`+content+`","price_version":1}`),
	"session": {method: "POST", path: "/v1/contents/" + content + "/sessions", req: `{"max_total_msat":36000,"from_unit":3,"expires_in_s":60}`, status: 201, resp: sessionResp,
		respHeader: http.Header{"Cache-Control": {"no-store"}, "Set-Cookie": {sessionSet}}},
	"unit key":       {method: "GET", path: unitPath + "/key", status: 200, resp: "0123456789abcdef", respType: octetType, respHeader: kept},
	"unit key query": {method: "GET", path: unitPath + "/key?token=AgEIbWlsbHJhY2UC", anonymous: true, status: 200, resp: "0123456789abcdef", respType: octetType, respHeader: kept},
	"unit key none":  {method: "GET", path: unitPath + "/key", anonymous: true, status: 402, resp: unitRefused, respType: problemType},
	"unit unlock": {method: "POST", path: unitPath + "/unlock", req: `{"price_version":1}`, status: 200,
		resp: `{"result":"applied","seq":8,"content":"` + content + `","unit":7,"paid_msat":100,"unit_key":"` + key16 + `"}`, respHeader: kept},
	"unit unlock sealed": {method: "POST", path: unitPath + "/unlock", req: `{"max_msat":9,"recipient":"` + key32 + `"}`, status: 200,
		resp: `{"result":"repeated","seq":8,"content":"` + content + `","unit":7,"paid_msat":0,"sealed_unit_key":{"enc":"` + key32 + `","ciphertext":"` + key32 + `"}}`, respHeader: kept},
}

func TestBadUnits(t *testing.T) {
	checker := newChecker(t)
	for name, test := range map[string]struct {
		from  string
		spoil func(*call)
	}{
		"a key that may be kept":     {"unit key", func(c *call) { c.respHeader = nil }},
		"a key as text":              {"unit key", func(c *call) { c.respType = "text/plain" }},
		"a unit that is no number":   {"unit key", func(c *call) { c.path = "/v1/contents/" + content + "/units/x/key" }},
		"an offer without a price":   {"unit key none", resp(`"price_msat":100,`, ``)},
		"a session without a cookie": {"session", func(c *call) { c.respHeader = kept }},
		"a session without a cap":    {"session", req(`"max_total_msat":36000,`, ``)},
		"an unlock without a bound":  {"unit unlock", req(`"price_version":1`, ``)},
		"both keys":                  {"unit unlock", resp(`"unit_key"`, `"sealed_unit_key":{"enc":"`+key32+`","ciphertext":"`+key32+`"},"unit_key"`)},
	} {
		c := goodUnits[test.from]
		test.spoil(&c)
		if err := c.check(checker); err == nil {
			t.Errorf("%s: found good", name)
		}
	}
}
