package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/api/contract"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

const (
	bearer  = "AgEIbWlsbHJhY2UCBWFnZzAAAAYgx2v0b1nQ"
	id      = "0192f3a1-7c00-7abc-8def-0123456789ab"
	content = "5f0c2a9be1d84477b6f3c0d1e2a39485"
	digest  = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	note    = "text\n\n— hub.example.com/log vLEpzw==\n"
	overrun = `{"type":"urn:millrace:problem:overloaded","title":"Overloaded","status":503,"code":"overloaded","retryable":true}`
)

type stubbed struct {
	status int
	body   string
}

var fileKey = seal.FileKey{1, 2, 3}

// answers is what the stub says, by operation; the tests hold it against the document.
var answers = map[string]stubbed{
	"GET /v1/hub":                               {200, `{"origin":"http://127.0.0.1:8402","version":"1","registration":"open","dev":true,"fee_ppm":10,"max_batch_ops":8192,"id_window_ms":86400000,"id_ahead_ms":30000}`},
	"GET /v1/hub/key":                           {200, `{"key_id":"8f14e45fceea167a","public_key":"millrace-key-x25519-X9R2M7XkP8p7rRv75CT-rLF12dTUow8Wbb0wY28LRGs","origin":"http://127.0.0.1:8402","earlier":[]}`},
	"GET /v1/hub/log-key":                       {200, `{"log_key":"hub.example.com/log+bcb129cf+AepKs0l3yXuQxXSbsAQbdsV4fQ8WIHU3zcA1Mv3w2gAt","url":"https://hub.example.com/log"}`},
	"GET /log/checkpoint":                       {200, note},
	"GET /v1/liabilities":                       {200, note},
	"POST /v1/liabilities":                      {201, note},
	"GET /v1/accounts/ag0g/receipts/117":        {200, "c2sp.org/tlog-proof@v1\nextra AA==\n"},
	"GET /v1/accounts/ag0g/liability":           {200, "millrace liability proof v1\naccount ag0g\n"},
	"POST /v1/accounts":                         {201, `{"account":"ag0g","number":16,"token":"` + bearer + `"}`},
	"GET /v1/accounts/ag0g":                     {200, `{"account":"ag0g","number":16,"balance_msat":9007199254740993,"held_msat":7}`},
	"POST /v1/accounts/ag0g/tokens":             {201, `{"token":"` + bearer + `"}`},
	"POST /v1/transfers":                        {200, `{"result":"applied","seq":117,"id":"` + id + `","from":"ah0h","to":"ag0g","amount_msat":1000}`},
	"POST /v1/channels":                         {201, `{"result":"applied","seq":118,"channel":"c101","number":1}`},
	"GET /v1/channels/c101":                     {200, `{"channel":"c101","number":1,"from":"ah0h","to":"ag0g","funded_msat":100000,"total_msat":2500,"expires":1795000000000,"status":"open","mode":"payer_advances"}`},
	"POST /v1/channels/c101/renew":              {200, `{"result":"applied","seq":121,"channel":"c101","expires":1795000000000}`},
	"POST /v1/channels/c101/vouchers":           {200, `{"result":"applied","seq":121,"channel":"c101","paid_msat":500,"total_msat":2500}`},
	"GET /v1/channels/c101/voucher":             {200, `{"hub":"https://hub.example","channel":"c101","total_msat":2500,"signature":"` + digest + digest + `"}`},
	"POST /v1/channels/c101/advance":            {200, `{"result":"applied","seq":119,"channel":"c101","paid_msat":500,"total_msat":2500}`},
	"POST /v1/channels/c101/top-up":             {200, `{"result":"repeated","seq":120,"channel":"c101","amount_msat":50000}`},
	"POST /v1/channels/c101/close":              {200, `{"result":"applied","seq":121,"channel":"c101","refunded_msat":147500}`},
	"POST /v1/contents":                         {201, `{"result":"applied","seq":122,"content":"` + content + `","price_version":1}`},
	"GET /v1/contents/" + content:               {200, `{"content":"` + content + `","hub":"http://127.0.0.1:8402","title":"T","seller":"ag0g","price_msat":250000,"price_version":1,"size":9,"sha256":"` + digest + `","header_sha256":"` + digest + `","fee_ppm":0,"payees":[{"account":"ag0g","share":1}],"status":"on_sale"}`},
	"POST /v1/contents/" + content + "/reprice": {200, `{"result":"applied","seq":123,"content":"` + content + `","price_msat":200000,"price_version":2}`},
	"POST /v1/contents/" + content + "/retire":  {200, `{"result":"applied","seq":124,"content":"` + content + `"}`},
	"POST /v1/batches":                          {200, `{"applied":1,"repeated":0,"refused":2,"results":[{"result":"applied","seq":126},{"result":"total_below","retryable":false},{"result":"insufficient_funds","retryable":true}]}`},
	"POST /v1/backups":                          {201, `{"name":"20261120-118","path":"/data/backups/20261120-118","through_block":118}`},
	"DELETE /v1/backups/20261120-118":           {200, `{"name":"20261120-118"}`},
	"POST /v1/dev/credits":                      {200, `{"result":"applied","seq":1,"id":"` + id + `","account":"ag0g","amount_msat":1000000}`},
	"POST /v1/contents/" + content + "/unlock":  {200, ""}, // made by unlock below
}

// unlock answers as the hub does, in either form.
func unlock(r *http.Request) string {
	var req struct {
		Recipient []byte `json:"recipient"`
	}
	json.NewDecoder(r.Body).Decode(&req)
	b64 := base64.StdEncoding.EncodeToString
	key := `"file_key":"` + b64(fileKey[:]) + `"`
	if req.Recipient != nil {
		no, _ := ledger.ParseContentID(content)
		enc, ciphertext, err := seal.SealTo(req.Recipient, no, fileKey)
		if err != nil {
			return err.Error()
		}
		key = `"sealed_file_key":{"enc":"` + b64(enc) + `","ciphertext":"` + b64(ciphertext) + `"}`
	}
	return `{"result":"applied","seq":125,"content":"` + content + `","paid_msat":250000,` + key + `}`
}

func stub(w http.ResponseWriter, r *http.Request) {
	op := r.Method + " " + r.URL.Path
	a, ok := answers[op]
	if f, has := following[op]; has {
		a, ok = f, true
	}
	if f, has := onRails[op]; has {
		a, ok = f, true
	}
	if f, has := onWallets[op]; has {
		a, ok = f, true
	}
	if f, has := onRates[op]; has {
		a, ok = f, true
	}
	if f, has := onPayouts[op]; has {
		a, ok = f, true
	}
	if f, has := onDesk[op]; has {
		a, ok = f, true
	}
	if strings.Contains(op, "/units/") || strings.HasSuffix(op, "/sessions") {
		unitStub(w, r)
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	if a.body == "" {
		a.body = unlock(r)
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(op, "/events"):
		w.Header().Set("Content-Type", "text/event-stream")
	case strings.HasSuffix(op, "/statement"), strings.HasSuffix(op, "/result"):
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Set("Content-Disposition", `attachment; filename="x.csv"`)
	case a.body[0] != '{':
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

// dial is a client of a handler; every exchange is held against the document.
func dial(t *testing.T, h http.HandlerFunc) (*client.Client, *contract.Checker) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	document, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checker, err := contract.New(document)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Hub: server.URL + "/", Token: bearer, Backoff: time.Millisecond,
		HTTP: &http.Client{Transport: contract.Transport{Checker: checker, Fail: func(err error) { t.Error(err) }}}})
	if err != nil {
		t.Fatal(err)
	}
	return c, checker
}

// known is the id that the stub repeats.
func known() ledger.OpID {
	op, _ := ledger.ParseOpID(id)
	return op
}

// every calls every operation once.
func every(t *testing.T, c *client.Client) {
	ctx := context.Background()
	op, _ := ledger.ParseOpID(id)
	work, _ := ledger.ParseContentID(content)
	sum := sha256.Sum256(nil)
	expires := time.UnixMilli(1795000000000)
	check := func(what string, err error) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := c.Hub(ctx)
	check("hub", err)
	_, err = c.Key(ctx)
	check("key", err)
	_, err = c.CreateAccount(ctx, "")
	check("account", err)
	_, err = c.CreateAccount(ctx, "code")
	check("invited account", err)
	acc, err := c.Account(ctx, 16)
	if check("account", err); acc.BalanceMsat != 9007199254740993 || acc.HeldMsat != 7 {
		t.Errorf("account %+v", acc)
	}
	_, err = c.CreateToken(ctx, 16, client.Limits{})
	check("token", err)
	_, err = c.CreateToken(ctx, 16, client.Limits{Scopes: []string{"read"}, Expires: expires, MaxMsat: 5})
	check("narrow token", err)
	_, err = c.Transfer(ctx, op, 16, 1000)
	check("transfer", err)
	_, err = c.OpenChannel(ctx, op, 16, 100000, expires)
	check("open channel", err)
	_, err = c.Channel(ctx, 1)
	check("channel", err)
	_, err = c.Advance(ctx, 1, 2500)
	check("advance", err)
	_, err = c.TopUp(ctx, 1, op, 50000)
	check("top up", err)
	_, err = c.OpenTerms(ctx, op, 16, 100000, expires, ledger.ChannelTerms{Mode: ledger.Signed, Key: sum, PerMinute: 5})
	check("open signed channel", err)
	_, err = c.Redeem(ctx, &ledger.Voucher{Channel: 1, Total: 2500})
	check("voucher", err)
	_, err = c.Voucher(ctx, 1)
	check("newest voucher", err)
	_, err = c.Renew(ctx, 1, expires)
	check("renew", err)
	_, err = c.CloseChannel(ctx, 1)
	check("close channel", err)
	_, err = c.Register(ctx, client.Offer{Header: []byte("age"), Commitment: sum, Title: "T", PriceMsat: 1, Size: 9, SHA256: sum, Payees: []client.Payee{{Account: "ag0g", Share: 1}}})
	check("register", err)
	_, err = c.Content(ctx, work)
	check("content", err)
	_, err = c.Reprice(ctx, work, currency.Price{Amount: 200000}, 1)
	check("reprice", err)
	_, err = c.Retire(ctx, work)
	check("retire", err)
	plain, err := c.Unlock(ctx, client.Purchase{Content: work, PriceVersion: 1})
	if check("unlock", err); seal.FileKey(plain.FileKey) != fileKey {
		t.Error("another file key")
	}
	bought, err := c.Buy(ctx, client.Purchase{Content: work, MaxMsat: 300000, HeaderSHA256: &sum})
	if check("buy", err); bought.Key != fileKey || bought.PaidMsat != 250000 {
		t.Errorf("bought %+v", bought)
	}
	results, err := c.Batch(ctx, []client.Op{client.TransferOp(op, 16, 1000), client.AdvanceOp(1, 2500), client.UnlockOp(work, 1, 0)})
	if check("batch", err); !results.Results[0].OK() || results.Results[1].OK() || !results.Results[2].Retryable {
		t.Errorf("results %+v", results)
	}
	_, err = c.DevCredit(ctx, op, 16, 1000000)
	check("credit", err)
	made, err := c.Backup(ctx)
	check("backup", err)
	check("drop backup", c.DropBackup(ctx, made.Name))
	_, err = c.LogKey(ctx)
	check("log key", err)
	for what, get := range map[string]func() ([]byte, error){
		"checkpoint":       func() ([]byte, error) { return c.Checkpoint(ctx) },
		"receipt":          func() ([]byte, error) { return c.Receipt(ctx, 16, 117) },
		"liability":        func() ([]byte, error) { return c.Liability(ctx, 16) },
		"liabilities":      func() ([]byte, error) { return c.Liabilities(ctx) },
		"make liabilities": func() ([]byte, error) { return c.MakeLiabilities(ctx) },
	} {
		text, err := get()
		if check(what, err); !strings.Contains(string(text), "\n") {
			t.Errorf("%s: %q", what, text)
		}
	}
}

func TestEveryOperationConforms(t *testing.T) {
	c, checker := dial(t, stub)
	every(t, c)
	everyFollowing(t, c)
	everyRail(t, c)
	everyWallet(t, c)
	everyRate(t, c)
	everySettlement(t, c)
	everyPayout(t, c)
	everyUnit(t, c)
	for _, op := range checker.Operations() {
		if strings.Contains(op, "/v1/") && !slices.Contains(checker.Seen(), op) {
			t.Errorf("%s: the client has no call for it", op)
		}
	}
}

func TestTokenIsOnlySentWhereNeeded(t *testing.T) {
	public := []string{"GET /v1/hub", "GET /v1/hub/key", "GET /v1/hub/log-key", "GET /log/checkpoint", "GET /v1/liabilities", "POST /v1/accounts", "GET /v1/contents/" + content}
	c, _ := dial(t, func(w http.ResponseWriter, r *http.Request) {
		want := "Bearer " + bearer
		if slices.Contains(public, r.Method+" "+r.URL.Path) {
			want = ""
		}
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s %s: Authorization %q", r.Method, r.URL.Path, got)
		}
		stub(w, r)
	})
	every(t, c)
}

func TestProblem(t *testing.T) {
	c, _ := dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(402)
		io.WriteString(w, `{"type":"urn:millrace:problem:insufficient_funds","title":"Insufficient funds","status":402,"detail":"too poor","code":"insufficient_funds","retryable":true}`)
	})
	_, err := c.Transfer(context.Background(), known(), 16, 1000)
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != 402 || p.Code != "insufficient_funds" || !p.Retryable || p.Error() != "insufficient_funds: too poor" {
		t.Errorf("error %#v", err)
	}
}

func TestRetries(t *testing.T) {
	for _, test := range []struct {
		name     string
		status   int
		after    string
		failures int32
		calls    int32
		ok       bool
	}{
		{"overloaded for a moment", 503, "0", 2, 3, true},
		{"overloaded for long", 503, "0", 100, 4, false},
		{"unavailable, but nobody says when", 503, "", 1, 1, false},
		{"too often", 429, "0", 1, 1, false},
		{"internal error", 500, "0", 1, 1, false},
	} {
		var calls atomic.Int32
		bodies := map[string]bool{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			bodies[string(body)] = true
			if calls.Add(1) > test.failures {
				stub(w, r)
				return
			}
			if test.after != "" {
				w.Header().Set("Retry-After", test.after)
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(test.status)
			io.WriteString(w, overrun)
		}))
		c, _ := client.New(client.Config{Hub: server.URL, Token: bearer, Backoff: time.Millisecond})
		_, err := c.Transfer(context.Background(), known(), 16, 1000)
		var p *client.Problem
		if (err == nil) != test.ok || calls.Load() != test.calls || len(bodies) != 1 || err != nil && !(errors.As(err, &p) && p.Status == test.status) {
			t.Errorf("%s: error %v after %d calls with %d bodies", test.name, err, calls.Load(), len(bodies))
		}
		server.Close()
	}
}

// flaky hangs up without an answer a number of times.
func flaky(t *testing.T, times int32) (*client.Client, *atomic.Int32) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if calls.Add(1) <= times {
			panic(http.ErrAbortHandler)
		}
		stub(w, r)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{Hub: server.URL, Token: bearer, Backoff: time.Millisecond,
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	return c, &calls
}

func TestLostAnswers(t *testing.T) {
	c, calls := flaky(t, 2)
	if _, err := c.Transfer(context.Background(), known(), 16, 1000); err != nil || calls.Load() != 3 {
		t.Errorf("error %v after %d calls", err, calls.Load())
	}
	c, calls = flaky(t, 1)
	if _, err := c.CreateAccount(context.Background(), ""); !errors.Is(err, client.ErrUnreachable) || calls.Load() != 1 {
		t.Errorf("an account was asked for twice: error %v after %d calls", err, calls.Load())
	}
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	c, _ := client.New(client.Config{Hub: "http://" + ln.Addr().String(), Backoff: time.Millisecond})
	if _, err := c.Hub(context.Background()); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("error %v", err)
	}
}

func TestContextEndsWaiting(t *testing.T) {
	c, _ := dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(503)
		io.WriteString(w, overrun)
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Hub(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestStrangeAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"not JSON":     func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"endless":      func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(spaces{}, 8<<20)) },
		"another work": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"content":"00"}`) },
	} {
		server := httptest.NewServer(h)
		c, _ := client.New(client.Config{Hub: server.URL})
		if _, err := c.Content(context.Background(), ledger.ContentID{}); !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%s: error %v", name, err)
		}
		server.Close()
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Error("followed to", r.URL) }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	c, _ := client.New(client.Config{Hub: server.URL, Token: bearer})
	var p *client.Problem
	if _, err := c.Account(context.Background(), 16); !errors.As(err, &p) || p.Code != "http_307" {
		t.Errorf("error %v", err)
	}
}

func TestConfig(t *testing.T) {
	for _, hub := range []string{"", "hub", "ftp://hub.example", "http://hub.example/path", "http://user:pw@hub.example", "http://hub.example?x=1"} {
		if _, err := client.New(client.Config{Hub: hub}); err == nil {
			t.Errorf("%q was accepted", hub)
		}
	}
	for _, hub := range []string{"http://user:secret@hub.example", "http://user:sec/secret@hub.example", "user:secret@hub"} {
		if _, err := client.New(client.Config{Hub: hub}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("hub with a password: error %v", err)
		}
	}
	_, err := client.New(client.Config{Hub: "http://h", Token: "secret\r\nX: y"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("token: error %v", err)
	}
}
