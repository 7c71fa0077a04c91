package lnurl_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/channels/outbound"
	"github.com/millrace/millrace/ledger"
)

// service is somebody's LNURL service: what it says is for tests to change.
type service struct {
	*httptest.Server
	offer, answer, verify map[string]any
	query                 atomic.Value // of the last callback
}

const metadata = `[["text/plain","A coffee \u0026 <b>cake</b>"],["image/png;base64","AAAA"],["text/identifier","carol@shop.example"],["x/new",{"a":1}],[]]`

func newService(t *testing.T) *service {
	s := &service{}
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, what map[string]any) {
		w.Header().Set("Content-Type", "text/html") // means nothing: LUD-01
		_ = json.NewEncoder(w).Encode(what)
	}
	mux.HandleFunc("/.well-known/lnurlp/carol", func(w http.ResponseWriter, _ *http.Request) { say(w, s.offer) })
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) { s.query.Store(r.URL.RawQuery); say(w, s.answer) })
	mux.HandleFunc("/verify", func(w http.ResponseWriter, _ *http.Request) { say(w, s.verify) })
	mux.HandleFunc("/moved/", func(w http.ResponseWriter, r *http.Request) {
		to := "/.well-known/lnurlp/carol"
		if n := strings.TrimPrefix(r.URL.Path, "/moved/"); n != "" {
			to = "/moved/" + n[1:]
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	s.offer = map[string]any{
		"tag": "payRequest", "callback": s.URL + "/callback?id=7&x=a%20b", "minSendable": 1000, "maxSendable": 5000.0, "metadata": metadata, "commentAllowed": 5,
	}
	return s
}

// sell sets what the callback answers, changed by a test.
func (s *service) sell(c *clock, change func(*channels.Invoice)) {
	hash := sha256.Sum256([]byte(metadata))
	_, payment := preimage(1)
	i := channels.Invoice{Hash: payment, Amount: 2000, DescHash: hash[:], Expires: c.Now().Add(time.Hour)}
	if change != nil {
		change(&i)
	}
	s.answer = map[string]any{"pr": write(i), "routes": []any{}}
}

func (s *service) target(t *testing.T, c *lnurl.Client) lnurl.Target {
	t.Helper()
	target, err := c.Parse("carol@" + strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func newClient(t *testing.T, c *clock, development bool) *lnurl.Client {
	t.Helper()
	client, err := lnurl.NewClient(lnurl.ClientConfig{
		Parser: lnurl.Parser{Development: development, Hosts: []string{"hub.example"}}, Decode: read, Clock: c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestPay goes all the way from a lightning address to the proof that it was paid.
func TestPay(t *testing.T) {
	now, s := newClock(), newService(t)
	c := newClient(t, now, true)
	o, err := c.Resolve(t.Context(), s.target(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if o.Min != 1000 || o.Max != 5000 || o.Comment != 5 || o.Description != "A coffee & <b>cake</b>" || o.Identifier != "carol@shop.example" {
		t.Errorf("%+v", o)
	}
	s.sell(now, nil)
	s.answer["verify"] = s.URL + "/verify"
	s.answer["successAction"] = map[string]any{"tag": "message", "message": "Thank you"}
	b, err := c.Invoice(t.Context(), o, 2000, "a&b=ü")
	if err != nil {
		t.Fatal(err)
	}
	if q := s.query.Load(); q != "id=7&x=a%20b&amount=2000&comment=a%26b%3D%C3%BC" {
		t.Errorf("asked for %s", q)
	}
	if b.Invoice.Amount != 2000 || b.Success.Message != "Thank you" {
		t.Errorf("%+v", b)
	}
	proof, _ := preimage(1)
	wrong, _ := preimage(2)
	for _, step := range []struct {
		says    map[string]any
		settled bool
		want    channels.Hash
		err     error
	}{
		{map[string]any{"status": "OK", "settled": false, "preimage": nil, "pr": b.Invoice.Text}, false, channels.Hash{}, nil},
		{map[string]any{"status": "OK", "settled": true, "preimage": nil, "pr": strings.ToUpper(b.Invoice.Text)}, true, channels.Hash{}, nil},
		{map[string]any{"status": "OK", "settled": true, "preimage": proof.String(), "pr": b.Invoice.Text}, true, proof, nil},
		{map[string]any{"status": "OK", "settled": true, "preimage": wrong.String(), "pr": b.Invoice.Text}, false, channels.Hash{}, lnurl.ErrAnswer},
		{map[string]any{"status": "OK", "settled": true, "preimage": proof.String(), "pr": "another"}, false, channels.Hash{}, lnurl.ErrAnswer},
	} {
		s.verify = step.says
		if settled, p, err := c.Settled(t.Context(), b); settled != step.settled || p != step.want || !errors.Is(err, step.err) {
			t.Errorf("%v: %v %v %v", step.says, settled, p, err)
		}
	}
	if _, _, err := c.Settled(t.Context(), lnurl.Bill{}); err == nil {
		t.Error("asked nobody")
	}
}

// TestOffers: what a service can say that makes no offer.
func TestOffers(t *testing.T) {
	now := newClock()
	for name, step := range map[string]struct {
		change func(map[string]any)
		want   error
	}{
		"another tag":         {func(m map[string]any) { m["tag"] = "withdrawRequest" }, lnurl.ErrAnswer},
		"no tag":              {func(m map[string]any) { delete(m, "tag") }, lnurl.ErrAnswer},
		"no callback":         {func(m map[string]any) { delete(m, "callback") }, lnurl.ErrAnswer},
		"a callback of file":  {func(m map[string]any) { m["callback"] = "file:///etc/passwd" }, lnurl.ErrAnswer},
		"a user in it":        {func(m map[string]any) { m["callback"] = "http://a:b@shop.example" }, lnurl.ErrAnswer},
		"nothing to pay":      {func(m map[string]any) { m["minSendable"] = 0 }, lnurl.ErrAnswer},
		"less than nothing":   {func(m map[string]any) { m["minSendable"] = -5 }, lnurl.ErrAnswer},
		"the wrong way round": {func(m map[string]any) { m["maxSendable"] = 999 }, lnurl.ErrAnswer},
		"part of a msat":      {func(m map[string]any) { m["minSendable"] = 1000.5 }, lnurl.ErrAnswer},
		"text for a number":   {func(m map[string]any) { m["minSendable"] = "1000" }, lnurl.ErrAnswer},
		"metadata as it is":   {func(m map[string]any) { m["metadata"] = []any{} }, lnurl.ErrAnswer},
		"no text/plain":       {func(m map[string]any) { m["metadata"] = `[["text/long-desc","x"]]` }, lnurl.ErrAnswer},
		"not arrays":          {func(m map[string]any) { m["metadata"] = `["text/plain","x"]` }, lnurl.ErrAnswer},
		"too much":            {func(m map[string]any) { m["metadata"] = `[["text/plain","` + strings.Repeat("x", 600<<10) + `"]]` }, lnurl.ErrAnswer},
		"who pays": {func(m map[string]any) {
			m["payerData"] = map[string]any{"name": map[string]any{"mandatory": false}, "email": map[string]any{"mandatory": true}}
		}, lnurl.ErrPayer},
	} {
		s := newService(t)
		step.change(s.offer)
		c := newClient(t, now, true)
		if o, err := c.Resolve(t.Context(), s.target(t, c)); !errors.Is(err, step.want) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	s := newService(t)
	s.offer["payerData"] = map[string]any{"name": map[string]any{"mandatory": false}}
	c := newClient(t, now, true)
	if _, err := c.Resolve(t.Context(), s.target(t, c)); err != nil {
		t.Errorf("what it need not know of the payer: %v", err)
	}
	s.offer = map[string]any{"status": "error", "reason": "closed\non mondays" + strings.Repeat(".", 500)}
	var refusal *lnurl.Refusal
	if _, err := c.Resolve(t.Context(), s.target(t, c)); !errors.As(err, &refusal) || !strings.HasPrefix(refusal.Reason, "closed on mondays") || len(refusal.Reason) > 210 {
		t.Errorf("%v", err)
	}
	if _, err := c.Resolve(t.Context(), lnurl.Target{URL: "https://hub.example", Name: "alice"}); !errors.Is(err, lnurl.ErrOwn) {
		t.Errorf("our own: %v", err)
	}
}

// TestBills: what a service can sell that is not to be paid.
func TestBills(t *testing.T) {
	now, s := newClock(), newService(t)
	c := newClient(t, now, true)
	o, err := c.Resolve(t.Context(), s.target(t, c))
	if err != nil {
		t.Fatal(err)
	}
	action := func(a map[string]any) func() { return func() { s.answer["successAction"] = a } }
	for name, step := range map[string]struct {
		change func(*channels.Invoice)
		then   func()
		want   error
	}{
		"more":                  {func(i *channels.Invoice) { i.Amount++ }, nil, lnurl.ErrAnswer},
		"less":                  {func(i *channels.Invoice) { i.Amount-- }, nil, lnurl.ErrAnswer},
		"as much as one likes":  {func(i *channels.Invoice) { i.Amount = 0 }, nil, lnurl.ErrAnswer},
		"something else":        {func(i *channels.Invoice) { i.DescHash[0]++ }, nil, lnurl.ErrAnswer},
		"whatever":              {func(i *channels.Invoice) { i.DescHash = nil }, nil, lnurl.ErrAnswer},
		"of yesterday":          {func(i *channels.Invoice) { i.Expires = now.Now() }, nil, channels.ErrExpired},
		"nothing":               {nil, func() { s.answer = map[string]any{"pr": ""} }, channels.ErrInvoice},
		"on another network":    {nil, func() { s.answer["pr"] = "lnother" }, channels.ErrNetwork},
		"verify by file":        {nil, func() { s.answer["verify"] = "file:///x" }, lnurl.ErrAnswer},
		"an unknown action":     {nil, action(map[string]any{"tag": "dance"}), lnurl.ErrAnswer},
		"a URL elsewhere":       {nil, action(map[string]any{"tag": "url", "url": "https://evil.example/"}), lnurl.ErrAnswer},
		"a long message":        {nil, action(map[string]any{"tag": "message", "message": strings.Repeat("x", 145)}), lnurl.ErrAnswer},
		"an iv that is too few": {nil, action(map[string]any{"tag": "aes", "iv": "AA=="}), lnurl.ErrAnswer},
		"a URL":                 {nil, action(map[string]any{"tag": "url", "url": s.URL + "/order/7"}), nil},
		"a secret":              {nil, action(map[string]any{"tag": "aes", "iv": "AAAAAAAAAAAAAAAAAAAAAA==", "ciphertext": "AAAA"}), nil},
	} {
		s.sell(now, step.change)
		if step.then != nil {
			step.then()
		}
		if b, err := c.Invoice(t.Context(), o, 2000, ""); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	s.sell(now, nil)
	for _, amount := range []ledger.Msat{999, 5001} {
		if _, err := c.Invoice(t.Context(), o, amount, ""); !errors.Is(err, lnurl.ErrAmount) {
			t.Errorf("%d msat: %v", amount, err)
		}
	}
	if _, err := c.Invoice(t.Context(), o, 2000, "sechs!"); !errors.Is(err, lnurl.ErrComment) {
		t.Errorf("%v", err)
	}
	if _, err := c.Invoice(t.Context(), o, 2000, "fünf!"); err != nil { // characters, not bytes
		t.Errorf("%v", err)
	}
}

// TestBounds: redirects, sizes, addresses of our own network, and what hangs.
func TestBounds(t *testing.T) {
	now, s := newClock(), newService(t)
	c := newClient(t, now, true)
	for hops, want := range map[string]bool{"": true, "x": true, "xx": true, "xxx": false, "xxxxxx": false} {
		_, err := c.Resolve(t.Context(), lnurl.Target{URL: s.URL + "/moved/" + hops})
		if (err == nil) != want {
			t.Errorf("%d redirects: %v", len(hops)+1, err)
		}
	}
	if _, err := newClient(t, now, false).Resolve(t.Context(), lnurl.Target{URL: s.URL + "/.well-known/lnurlp/carol"}); !errors.Is(err, outbound.ErrTarget) {
		t.Errorf("our own machine: %v", err)
	}
	var hung atomic.Int32
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for i := 0; i < 1<<12; i++ {
				fmt.Fprintf(w, "%01024d", 0)
			}
		case "/html":
			w.WriteHeader(404)
			fmt.Fprint(w, "<html>")
		case "/hang":
			hung.Add(1)
			<-r.Context().Done()
		}
	}))
	defer bad.Close()
	if _, err := c.Resolve(t.Context(), lnurl.Target{URL: bad.URL + "/endless"}); !errors.Is(err, lnurl.ErrAnswer) {
		t.Errorf("%v", err)
	}
	if _, err := c.Resolve(t.Context(), lnurl.Target{URL: bad.URL + "/html"}); !errors.Is(err, lnurl.ErrAnswer) || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Resolve(ctx, lnurl.Target{URL: bad.URL + "/hang"}); err == nil || hung.Load() != 1 {
		t.Errorf("%v", err)
	}
	if _, err := c.Resolve(t.Context(), lnurl.Target{URL: "http://nobody.invalid/"}); err == nil || strings.Contains(err.Error(), "lookup") {
		t.Errorf("what resolvers we have: %v", err)
	}
}

// TestTo: what rails are told to pay.
func TestTo(t *testing.T) {
	now, s := newClock(), newService(t)
	c := newClient(t, now, true)
	names := lnurl.NewNames(openRecords(t), now.Now)
	if err := names.Claim(alice, "alice"); err != nil {
		t.Fatal(err)
	}
	s.sell(now, nil)
	carol := s.target(t, c).Address
	if to, err := c.To(t.Context(), names, carol, 2000); to != s.answer["pr"] || err != nil {
		t.Errorf("%s, %v", to, err)
	}
	if to, err := c.To(t.Context(), names, "alice@hub.example", 0); to != alice.String() || err != nil {
		t.Errorf("%s, %v", to, err)
	}
	for text, want := range map[string]error{"bob@hub.example": lnurl.ErrNoName, "nothing": lnurl.ErrTarget, carol: lnurl.ErrAmount} {
		if to, err := c.To(t.Context(), names, text, 0); !errors.Is(err, want) {
			t.Errorf("%s: %s, %v", text, to, err)
		}
	}
	if to, err := c.To(t.Context(), names, carol, 5001); !errors.Is(err, lnurl.ErrAmount) {
		t.Errorf("%s, %v", to, err)
	}
	s.offer["minSendable"], s.offer["maxSendable"] = 2000, 2000
	if to, err := c.To(t.Context(), names, carol, 0); to != s.answer["pr"] || err != nil {
		t.Errorf("%s, %v", to, err)
	}
}
