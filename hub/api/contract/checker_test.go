package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	opID    = "0192f3a1-7c00-7abc-8def-0123456789ab"
	content = "5f0c2a9be1d84477b6f3c0d1e2a39485"
	key32   = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	key16   = "AAECAwQFBgcICQoLDA0ODw=="
	digest  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	note    = "text\n\n— hub.example.com/log vLEpzw==\n"
	problem = `{"type":"urn:millrace:problem:insufficient_funds","title":"Insufficient funds","status":402,"code":"insufficient_funds","retryable":true}`
)

// call is one exchange with the parts that most of them share left out: the token, and JSON as the type of bodies.
type call struct {
	method, path string
	req          string
	reqType      string // "" means JSON
	anonymous    bool
	status       int
	resp         string
	respType     string      // "" means JSON
	respHeader   http.Header // besides Content-Type
}

func (c call) check(checker *Checker) error {
	reqHeader, respHeader := http.Header{}, http.Header{}
	maps.Copy(respHeader, c.respHeader)
	if !c.anonymous {
		reqHeader.Set("Authorization", "Bearer AgEIbWlsbHJhY2UC")
	}
	if c.req != "" {
		reqHeader.Set("Content-Type", or(c.reqType, jsonType))
	}
	respHeader.Set("Content-Type", or(c.respType, jsonType))
	return checker.Check(c.method, c.path, reqHeader, []byte(c.req), c.status, respHeader, []byte(c.resp))
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func get(path, resp string) call { return call{method: "GET", path: path, status: 200, resp: resp} }

func post(path, req string, status int, resp string) call {
	return call{method: "POST", path: path, req: req, status: status, resp: resp}
}

func text(method, path string, status int, resp string) call {
	return call{method: method, path: path, status: status, resp: resp, respType: "text/plain; charset=utf-8", respHeader: http.Header{"Cache-Control": {"no-cache"}}}
}

func hubDocument(t testing.TB) []byte {
	t.Helper()
	document, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func newChecker(t testing.TB) *Checker {
	t.Helper()
	checker, err := New(hubDocument(t))
	if err != nil {
		t.Fatal(err)
	}
	return checker
}

// good has an exchange that carries out each operation of the document, and more where one has several forms.
var good = map[string]call{
	"health":       {method: "GET", path: "/healthz", anonymous: true, status: 200, resp: `{"status":"ok"}`},
	"ready":        get("/readyz", `{"status":"ready"}`),
	"degraded":     get("/readyz", `{"status":"degraded","lost":[{"node":"btcd","why":"behind","since":1795000000000}]}`),
	"metrics":      {method: "GET", path: "/metrics", status: 200, resp: "up 1\n", respType: "text/plain; version=0.0.4; charset=utf-8"},
	"document":     {method: "GET", path: "/openapi.yaml", status: 200, resp: "openapi: 3.1.0\n", respType: yamlType},
	"hub":          get("/v1/hub", `{"origin":"http://127.0.0.1:8402","version":"0.1.0","registration":"open","dev":true,"fee_ppm":10000,"max_batch_ops":8192,"id_window_ms":86400000,"id_ahead_ms":60000}`),
	"hub key":      get("/v1/hub/key", `{"key_id":"8f14e45fceea167a","public_key":"millrace-key-x25519-X9R2M7XkP8p7rRv75CT-rLF12dTUow8Wbb0wY28LRGs","origin":"https://hub.example","earlier":[]}`),
	"log key":      get("/v1/hub/log-key", `{"log_key":"hub.example.com/log+bcb129cf+AepKs0l3yXuQxXSbsAQbdsV4fQ8WIHU3zcA1Mv3w2gAt","url":"https://hub.example.com/log"}`),
	"checkpoint":   text("GET", "/log/checkpoint", 200, note),
	"tile":         {method: "GET", path: "/log/tile/entries/x001/234.p/5", status: 200, resp: "\x00", respType: octetType, respHeader: http.Header{"Cache-Control": {"no-cache"}}},
	"liabilities":  text("GET", "/v1/liabilities", 200, note),
	"epoch":        text("POST", "/v1/liabilities", 201, note),
	"receipt":      text("GET", "/v1/accounts/ag0g/receipts/117", 200, "c2sp.org/tlog-proof@v1\nextra AA==\n"),
	"liability":    text("GET", "/v1/accounts/ag0g/liability", 200, "millrace liability proof v1\naccount ag0g\n"),
	"backup":       post("/v1/backups", ``, 201, `{"name":"20261120-118","path":"/data/backups/20261120-118","through_block":118}`),
	"backup drop":  {method: "DELETE", path: "/v1/backups/20261120-118", status: 200, resp: `{"name":"20261120-118"}`},
	"account new":  {method: "POST", path: "/v1/accounts", anonymous: true, status: 201, resp: `{"account":"ag0g","number":16,"token":"AgEIbWlsbHJhY2UC"}`},
	"account inv":  post("/v1/accounts", `{"invite":"river"}`, 201, `{"account":"ag0g","number":16,"token":"AgEIbWlsbHJhY2UC"}`),
	"account":      get("/v1/accounts/ag0g", `{"account":"ag0g","number":16,"balance_msat":2100000000000000000,"held_msat":0}`),
	"account debt": get("/v1/accounts/a202", `{"account":"a202","number":2,"balance_msat":-5,"held_msat":0}`),
	"token":        post("/v1/accounts/ag0g/tokens", `{"scopes":["read","pay"],"expires":1795000000000,"max_msat_per_call":1}`, 201, `{"token":"AgEIbWlsbHJhY2UC"}`),
	"transfer":     post("/v1/transfers", transferReq, 200, transferResp),
	"open":         post("/v1/channels", `{"id":"`+opID+`","to":"ag0g","amount_msat":1,"expires":1795000000000}`, 201, `{"result":"applied","seq":1,"channel":"c101","number":1}`),
	"open again":   post("/v1/channels", `{"id":"`+opID+`","to":"ag0g","amount_msat":1,"expires":1795000000000}`, 200, `{"result":"repeated","seq":0,"channel":"c101","number":1}`),
	"channel":      get("/v1/channels/c101", `{"channel":"c101","number":1,"from":"ah0h","to":"ag0g","funded_msat":10,"total_msat":0,"expires":1,"status":"expired","mode":"payer_advances"}`),
	"open signed":  post("/v1/channels", `{"id":"`+opID+`","to":"ag0g","amount_msat":1,"expires":1795000000000,"mode":"signed","key":"`+digest+`","per_minute_msat":5}`, 201, `{"result":"applied","seq":1,"channel":"c101","number":1}`),
	"signed":       get("/v1/channels/c101", `{"channel":"c101","number":1,"from":"ah0h","to":"ag0g","funded_msat":10,"total_msat":0,"expires":1,"status":"open","mode":"signed","per_minute_msat":5,"key":"`+digest+`"}`),
	"renew":        post("/v1/channels/c101/renew", `{"expires":1795000000000}`, 200, `{"result":"applied","seq":2,"channel":"c101","expires":1795000000000}`),
	"voucher":      post("/v1/channels/c101/vouchers", `{"total_msat":5,"signature":"`+digest+digest+`"}`, 200, `{"result":"applied","seq":2,"channel":"c101","paid_msat":5,"total_msat":5}`),
	"voucher last": get("/v1/channels/c101/voucher", `{"hub":"https://hub.example","channel":"c101","total_msat":5,"signature":"`+digest+digest+`"}`),
	"advance":      post("/v1/channels/c101/advance", `{"total_msat":5}`, 200, `{"result":"applied","seq":2,"channel":"c101","paid_msat":5,"total_msat":5}`),
	"advance same": post("/v1/channels/c101/advance", `{"total_msat":5}`, 200, `{"result":"repeated","seq":2,"channel":"c101","paid_msat":0,"total_msat":5}`),
	"top-up":       post("/v1/channels/c101/top-up", `{"id":"`+opID+`","amount_msat":7}`, 200, `{"result":"applied","seq":3,"channel":"c101","amount_msat":7}`),
	"close":        post("/v1/channels/c101/close", ``, 200, `{"result":"applied","seq":4,"channel":"c101","refunded_msat":0}`),
	"close {}":     post("/v1/channels/c101/close", `{}`, 200, `{"result":"repeated","seq":4,"channel":"c101","refunded_msat":0}`),
	"register":     post("/v1/contents", registerReq, 201, `{"result":"applied","seq":5,"content":"`+content+`","price_version":1}`),
	"quote": get("/v1/contents/"+content, `{"content":"`+content+`","hub":"https://hub.example","title":"T","seller":"ag0g","price_msat":9,"price_version":1,
		"size":300,"sha256":"`+digest+`","header_sha256":"`+digest+`","fee_ppm":0,"payees":[{"account":"ag0g","share":1}],"status":"on_sale"}`),
	"reprice":       post("/v1/contents/"+content+"/reprice", `{"price_msat":8,"price_version":1}`, 200, `{"result":"applied","seq":6,"content":"`+content+`","price_msat":8,"price_version":2}`),
	"retire":        post("/v1/contents/"+content+"/retire", ``, 200, `{"result":"applied","seq":7,"content":"`+content+`"}`),
	"unlock":        post("/v1/contents/"+content+"/unlock", `{"price_version":1}`, 200, unlockResp),
	"unlock sealed": post("/v1/contents/"+content+"/unlock", `{"max_msat":9,"header_sha256":"`+digest+`","recipient":"`+key32+`"}`, 200, `{"result":"repeated","seq":8,"content":"`+content+`","paid_msat":0,"sealed_file_key":{"enc":"`+key32+`","ciphertext":"`+key32+`"}}`),
	"batch":         post("/v1/batches", "["+ops+"]", 200, batchResp),
	"batch ndjson":  {method: "POST", path: "/v1/batches", req: opLines, reqType: ndjsonType, status: 200, resp: resultLines, respType: ndjsonType},
	"batch binary":  {method: "POST", path: "/v1/batches", req: binaryOps(), reqType: opsType, status: 200, resp: binaryResults(), respType: resultsType},
	"unlock again":  post("/v1/contents/"+content+"/unlock", `{"price_version":1}`, 200, strings.Replace(unlockResp, "applied", "repeated", 1)),
	"credit":        post("/v1/dev/credits", `{"id":"`+opID+`","account":"ag0g","amount_msat":5}`, 200, `{"result":"applied","seq":9,"id":"`+opID+`","account":"ag0g","amount_msat":5}`),
	"refused":       {method: "POST", path: "/v1/transfers", req: transferReq, status: 402, resp: problem, respType: problemType},
	"bad request":   {method: "POST", path: "/v1/transfers", req: `{"amount_msat":-1.5,"x":`, status: 400, resp: problemOf("malformed", 400), respType: problemType},
	"no token": {method: "POST", path: "/v1/transfers", req: transferReq, anonymous: true, status: 401, resp: problemOf("unauthorized", 401),
		respType: problemType, respHeader: http.Header{"Www-Authenticate": {"Bearer"}}},
	"overloaded": {method: "GET", path: "/v1/accounts/ag0g", status: 503, resp: problemOf("overloaded", 503), respType: problemType, respHeader: http.Header{"Retry-After": {"1"}}},
	"no route":   {method: "GET", path: "/v1/nothing", status: 404, resp: problemOf("not_found", 404), respType: problemType},
	"no method":  {method: "DELETE", path: "/v1/channels/c101", status: 405, resp: problemOf("method_not_allowed", 405), respType: problemType, respHeader: http.Header{"Allow": {"GET"}}},
}

const (
	transferReq  = `{"id":"` + opID + `","to":"ag0g","amount_msat":1000}`
	transferResp = `{"result":"applied","seq":117,"id":"` + opID + `","from":"ah0h","to":"ag0g","amount_msat":1000}`
	registerReq  = `{"header":"YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==","commitment":"` + digest + `","title":"T","price_msat":9,"size":300,"sha256":"` + digest + `","payees":[{"account":"ag0g","share":1}]}`
	unlockResp   = `{"result":"applied","seq":8,"content":"` + content + `","paid_msat":9,"file_key":"` + key16 + `"}`

	transferOp  = `{"op":"transfer","id":"` + opID + `","to":"ag0g","amount_msat":1}`
	ops         = transferOp + `,{"op":"advance","channel":"c101","total_msat":2},{"op":"unlock","content":"` + content + `","max_msat":9}`
	opLines     = transferOp + "\n" + `{"op":"advance","channel":"c101","total_msat":2}` // the last line feed may be missing
	batchResp   = `{"applied":1,"repeated":1,"refused":1,"results":[{"result":"applied","seq":9,"paid_msat":1},{"result":"repeated"},{"result":"price_changed","retryable":false}]}`
	resultLines = `{"result":"applied","seq":9,"paid_msat":1,"file_key":"` + key16 + `"}` + "\n" + `{"result":"channel_closed","retryable":false}` + "\n"
)

func problemOf(code string, status int) string {
	b, _ := json.Marshal(map[string]any{
		"type": "urn:millrace:problem:" + code, "title": "T", "status": status, "detail": "D", "code": code, "retryable": false,
	})
	return string(b)
}

func TestGoodExchanges(t *testing.T) {
	checker := newChecker(t)
	all := maps.Clone(good)
	maps.Copy(all, goodFollowing)
	maps.Copy(all, goodRails)
	maps.Copy(all, goodWallets)
	maps.Copy(all, goodSettlement)
	maps.Copy(all, goodPayouts)
	maps.Copy(all, goodUnits)
	maps.Copy(all, goodRates)
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			if err := c.check(checker); err != nil {
				t.Error(err)
			}
		})
	}
	if ops, seen := checker.Operations(), checker.Seen(); !slices.Equal(ops, seen) {
		t.Errorf("operations:\n%s\nseen:\n%s", strings.Join(ops, "\n"), strings.Join(seen, "\n"))
	}
}

// TestBadExchanges takes good exchanges and spoils one thing at a time.
func TestBadExchanges(t *testing.T) {
	checker := newChecker(t)
	for _, test := range []struct {
		name  string
		from  string // the good exchange
		spoil func(*call)
		want  string // part of the error
	}{
		{"response with another member", "transfer", resp(`{"`, `{"extra":1,"`), "additional properties 'extra'"},
		{"response without a member", "transfer", resp(`"seq":117,`, ``), "missing property 'seq'"},
		{"number as a string", "transfer", resp(`1000`, `"1000"`), "want integer"},
		{"fraction", "transfer", resp(`1000`, `1000.0`), "not a plain integer"},
		{"exponent", "transfer", resp(`1000`, `1e3`), "not a plain integer"},
		{"amount zero", "transfer", resp(`1000`, `0`), "minimum"},
		{"one msat too many, beyond floating point", "account", resp(`2100000000000000000`, `2100000000000000001`), "maximum"},
		{"member given twice", "transfer", resp(`{"`, `{"seq":117,"`), "given twice"},
		{"data after the body", "transfer", resp(`}`, `}{}`), "more data"},
		{"truncated body", "transfer", resp(`1000}`, `10`), "body"},
		{"empty body", "transfer", resp(transferResp, ``), "body"},
		{"applied nowhere", "transfer", resp(`117`, `0`), "minimum"},
		{"upper-case id", "transfer", resp(`7abc`, `7ABC`), "pattern"},
		{"UUIDv4", "transfer", resp(`7abc`, `4abc`), "pattern"},
		{"account with a letter that is none", "transfer", resp(`ah0h`, `ah0l`), "pattern"},
		{"unknown result", "transfer", resp(`applied`, `done`), "one of"},
		{"undocumented status", "transfer", func(c *call) { c.status = 202 }, "does not have this status"},
		{"undocumented redirect", "transfer", func(c *call) { c.status = 308 }, "does not have this status"},
		{"undocumented error", "transfer", func(c *call) { c.status, c.resp, c.respType = 500, problemOf("bug", 500), problemType }, "does not have this status"},
		{"wrong content type", "transfer", func(c *call) { c.respType = "text/html" }, "Content-Type"},
		{"no content type", "transfer", func(c *call) { c.respType = " " }, "Content-Type"},
		{"200 for what is 201", "open", func(c *call) { c.status = 200 }, "'repeated'"},
		{"201 for what is 200", "open again", func(c *call) { c.status = 201 }, "'applied'"},
		{"repeated and paid", "advance same", resp(`"paid_msat":0`, `"paid_msat":5`), "must be 0"},
		{"both keys", "unlock", resp(`"file_key"`, `"sealed_file_key":{"enc":"`+key32+`","ciphertext":"`+key32+`"},"file_key"`), "oneOf"},
		{"no key", "unlock", resp(`,"file_key":"`+key16+`"`, ``), "oneOf"},
		{"applied for nothing", "unlock", resp(`"paid_msat":9`, `"paid_msat":0`), "minimum"},
		{"title with a line feed", "quote", resp(`"T"`, `"T\n"`), "pattern"},
		{"key of 15 bytes", "unlock", resp(key16, `AAECAwQFBgcICQoLDA0O`), "pattern"},
		{"metrics that are not text", "metrics", resp("up 1", "\xff"), "UTF-8"},
		{"note without a signature", "checkpoint", resp("—", "-"), "pattern"},
		{"text that nobody may keep", "receipt", func(c *call) { c.respHeader = nil }, "Cache-Control"},
		{"another proof", "receipt", resp("tlog", "tree"), "pattern"},
		{"empty tile", "tile", resp("\x00", ""), "empty"},
		{"accepted a tile that is none", "tile", func(c *call) { c.path = "/log/tile/entries/5" }, "pattern"},
		{"empty metrics", "metrics", resp("up 1\n", ""), "minLength"},

		{"accepted another member", "transfer", req(`{"`, `{"extra":1,"`), "request: body"},
		{"accepted amount zero", "transfer", req(`1000`, `0`), "request: body"},
		{"accepted a fraction", "transfer", req(`1000`, `0.5`), "request: body"},
		{"accepted no body", "transfer", req(transferReq, ``), "no body"},
		{"accepted a body of another type", "transfer", func(c *call) { c.reqType = "text/plain" }, "request: the document does not have Content-Type"},
		{"accepted a body on GET", "account", func(c *call) { c.req = `{}` }, "a body where"},
		{"accepted no token", "transfer", func(c *call) { c.anonymous = true }, "bearer token"},
		{"accepted a bad id in the path", "account", func(c *call) { c.path = "/v1/accounts/bag0g" }, "pattern"},
		{"accepted an unknown query", "account", func(c *call) { c.path += "?verbose=1" }, "query parameter"},
		{"accepted an unlock without a bound", "unlock", req(`"price_version":1`, ``), "anyOf"},
		{"accepted a short recipient", "unlock sealed", req(key32, key16), "pattern"},
		{"accepted a header alone", "register", req(`"commitment":"`+digest+`",`, ``), "missing property"},
		{"accepted 17 payees", "register", req(`{"account":"ag0g","share":1}`, strings.Repeat(`{"account":"ag0g","share":1},`, 16)+`{"account":"ag0g","share":1}`), "maxItems"},

		{"problem as JSON", "refused", func(c *call) { c.respType = jsonType }, "Content-Type"},
		{"problem of another status", "refused", resp(`402`, `403`), "its status"},
		{"problem of another type", "refused", resp(`problem:insufficient_funds`, `problem:total_below`), "its type"},
		{"problem with another member", "refused", resp(`{"`, `{"balance_msat":1,"`), "additional properties"},
		{"problem without retryable", "refused", resp(`,"retryable":true`, ``), "missing property"},
		{"401 without a challenge", "no token", func(c *call) { c.respHeader = nil }, "WWW-Authenticate"},
		{"503 without Retry-After", "overloaded", func(c *call) { c.respHeader = nil }, "Retry-After"},
		{"503 with a date", "overloaded", func(c *call) { c.respHeader = http.Header{"Retry-After": {"soon"}} }, "Retry-After"},

		{"route that is not in the document", "no route", func(c *call) { c.status, c.resp, c.respType = 200, `{}`, jsonType }, "no such operation"},
		{"404 of a route without a problem", "no route", func(c *call) { c.resp = `{}` }, "missing properties"},
		{"404 of a route in plain text", "no route", func(c *call) { c.respType = "text/plain" }, "Content-Type"},
		{"method that is not in the document", "no method", func(c *call) { c.status, c.resp = 404, problemOf("not_found", 404) }, "want 405"},
		{"405 without Allow", "no method", func(c *call) { c.respHeader = nil }, "Allow"},

		{"batch answered in another form", "batch", func(c *call) { c.resp, c.respType = resultLines, ndjsonType }, "answered with"},
		{"batch with a wrong sum", "batch", resp(`"applied":1`, `"applied":2`), "says 2 applied"},
		{"batch with a result too few", "batch", req(ops, ops+","+transferOp), "3 results for 4 ops"},
		{"refused without retryable", "batch", resp(`,"retryable":false`, ``), "oneOf"},
		{"applied without seq", "batch", resp(`"seq":9,`, ``), "oneOf"},
		{"applied with retryable", "batch", resp(`"paid_msat":1`, `"retryable":false`), "oneOf"},
		{"op of two kinds", "batch", req(`"to":"ag0g"`, `"to":"ag0g","channel":"c101"`), "oneOf"},
		{"bad op in a line", "batch ndjson", req(`"c101"`, `"d101"`), "line 2"},
		{"bad result in a line", "batch ndjson", resp(`channel_closed`, `Channel_closed`), "line 2"},
		{"last result without line feed", "batch ndjson", resp("false}\n", "false}"), "line feed"},
		{"empty line", "batch ndjson", req("\n", "\n\n"), "line 2"},
		{"lines too few", "batch ndjson", req("\n", "\n"+transferOp+"\n"), "2 results for 3 ops"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good[test.from]
			test.spoil(&c)
			err := c.check(checker)
			if err == nil {
				t.Fatal("not flagged")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error lacks %q:\n%v", test.want, err)
			}
		})
	}
	if seen := checker.Seen(); len(seen) != 0 {
		t.Errorf("bad exchanges count as seen: %v", seen)
	}
}

func req(old, new string) func(*call) {
	return func(c *call) { c.req = strings.Replace(c.req, old, new, 1) }
}

func resp(old, new string) func(*call) {
	return func(c *call) { c.resp = strings.Replace(c.resp, old, new, 1) }
}

// TestExamples holds the document's own examples against the schemas that they illustrate.
func TestExamples(t *testing.T) {
	document := hubDocument(t)
	checker, err := New(document)
	if err != nil {
		t.Fatal(err)
	}
	c := &compiler{}
	if err := c.load(checker.doc); err != nil {
		t.Fatal(err)
	}
	for name, ref := range checker.doc.Components.Schemas {
		schema, err := c.compile("components", "schemas", name)
		if err != nil {
			t.Fatal(err)
		}
		if len(ref.Value.Examples) == 0 && name != "AppliedHasSeq" {
			t.Errorf("schema %s has no example", name)
		}
		for _, example := range ref.Value.Examples {
			text, err := json.Marshal(example)
			if err != nil {
				t.Fatal(err)
			}
			if err := (jsonBody{schema}).check(text); err != nil {
				t.Errorf("example of %s: %v", name, err)
			}
		}
	}
	for place, content := range map[string]string{
		"Op":       checker.doc.Paths.Value(batchPath).Post.RequestBody.Value.Content[ndjsonType].Example.(string),
		"OpResult": checker.doc.Paths.Value(batchPath).Post.Responses.Status(200).Value.Content[ndjsonType].Example.(string),
	} {
		schema, err := c.compile("components", "schemas", place)
		if err != nil {
			t.Fatal(err)
		}
		if err := (lineBody{schema, true}).check([]byte(content)); err != nil {
			t.Errorf("example of NDJSON: %v", err)
		}
	}
}

// TestRefusals holds the document's table against the ledger's own.
func TestRefusals(t *testing.T) {
	var want []string
	for _, r := range ledger.Results() {
		if r.Refused() {
			retryable := map[bool]string{true: "yes", false: "no"}[r.Retryable()]
			want = append(want, fmt.Sprintf("| %d | %s | %s |", uint8(r), r, retryable))
		}
	}
	_, table, _ := strings.Cut(newChecker(t).doc.Info.Description, "## Refusals")
	got := regexp.MustCompile(`(?m)^\| \d+ \| \w+ \| \w+ \|`).FindAllString(table, -1)
	if !slices.Equal(got, want) {
		t.Errorf("the document has:\n%s\nthe ledger has:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestStrict finds objects that would let unknown members through.
func TestStrict(t *testing.T) {
	checker := newChecker(t)
	text, err := checker.doc.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["type"] == "object" && v["additionalProperties"] != false {
				t.Errorf("%s: additionalProperties is not false", at)
			}
			for k, v := range v {
				walk(at+"/"+k, v)
			}
		case []any:
			for _, v := range v {
				walk(at, v)
			}
		}
	}
	walk("", document)
}

func TestNewRefuses(t *testing.T) {
	document := string(hubDocument(t))
	for name, test := range map[string]struct{ old, new, want string }{
		"not YAML":            {"info:", "\tinfo:", "reading"},
		"version 3.0":         {"openapi: 3.1.0", "openapi: 3.0.3", "want 3.1"},
		"dangling reference":  {`$ref: "#/components/schemas/Health"`, `$ref: "#/components/schemas/Wealth"`, "reading"},
		"missing parameter":   {"    parameters: [{$ref: \"#/components/parameters/Content\"}]\n    get:", "    get:", "checking"},
		"pattern that is bad": {`"^[0-9a-f]{64}$"`, `"^[0-9a-f{64}$"`, "ing the"},
		"unknown media type":  {"application/yaml:", "application/pdf:", "no way to check"},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := strings.Replace(document, test.old, test.new, 1)
			if spoilt == document {
				t.Fatal("nothing replaced")
			}
			if _, err := New([]byte(spoilt)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error lacks %q: %v", test.want, err)
			}
		})
	}
}

func TestCheckConcurrently(t *testing.T) {
	checker := newChecker(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for name, c := range good {
				if err := c.check(checker); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				checker.Seen()
			}
		})
	}
	wg.Wait()
}
