package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/ledger"
)

// asked calls each typed method once, as the stub answers it.
func asked(c *client.Client) map[string]func() error {
	ctx := context.Background()
	work, _ := ledger.ParseContentID(content)
	expires := time.UnixMilli(1795000000000)
	return map[string]func() error{
		"hub":     func() error { _, err := c.Hub(ctx); return err },
		"key":     func() error { _, err := c.Key(ctx); return err },
		"create":  func() error { _, err := c.CreateAccount(ctx, ""); return err },
		"account": func() error { _, err := c.Account(ctx, 16); return err },
		"token":   func() error { _, err := c.CreateToken(ctx, 16, client.Limits{}); return err },
		"pay":     func() error { _, err := c.Transfer(ctx, known(), 16, 1000); return err },
		"open":    func() error { _, err := c.OpenChannel(ctx, known(), 16, 100000, expires); return err },
		"channel": func() error { _, err := c.Channel(ctx, 1); return err },
		"advance": func() error { _, err := c.Advance(ctx, 1, 2500); return err },
		"top up":  func() error { _, err := c.TopUp(ctx, 1, known(), 50000); return err },
		"close":   func() error { _, err := c.CloseChannel(ctx, 1); return err },
		"redeem":  func() error { _, err := c.Redeem(ctx, &ledger.Voucher{Channel: 1, Total: 2500}); return err },
		"voucher": func() error { _, err := c.Voucher(ctx, 1); return err },
		"renew":   func() error { _, err := c.Renew(ctx, 1, expires); return err },
		"signed": func() error {
			_, err := c.OpenTerms(ctx, known(), 16, 100000, expires, ledger.ChannelTerms{Mode: ledger.PayeeAdvances})
			return err
		},
		"sell":    func() error { _, err := c.Register(ctx, client.Offer{}); return err },
		"content": func() error { _, err := c.Content(ctx, work); return err },
		"reprice": func() error { _, err := c.Reprice(ctx, work, currency.Price{Amount: 200000}, 1); return err },
		"retire":  func() error { _, err := c.Retire(ctx, work); return err },
		"unlock":  func() error { _, err := c.Unlock(ctx, client.Purchase{Content: work, PriceVersion: 1}); return err },
		"buy":     func() error { _, err := c.Buy(ctx, client.Purchase{Content: work, PriceVersion: 1}); return err },
		"credit":  func() error { _, err := c.DevCredit(ctx, known(), 16, 1000000); return err },
		"batch": func() error {
			_, err := c.Batch(ctx, []client.Op{client.TransferOp(known(), 16, 1000), client.AdvanceOp(1, 2500), client.UnlockOp(work, 1, 0)})
			return err
		},
	}
}

// other are values that no answer of the stub has.
var other = map[string]string{
	"result": `"insufficient_funds"`, "id": `"0192f3a1-7c00-7abc-8def-0123456789ac"`, "account": `"ah0h"`, "to": `""`, "from": `""`,
	"amount_msat": `1`, "total_msat": `9007199254740991`, "channel": `"c1"`, "content": `"00000000000000000000000000000000"`, "token": `""`, "number": `2`,
	"origin": `"hub"`, "hub": `""`, "public_key": `"x"`, "sha256": `""`, "header_sha256": `"00"`, "file_key": `"AA=="`, "results": `[]`, "refused": `0`,
}

func TestAnswersAreChecked(t *testing.T) {
	var change func(members map[string]json.RawMessage) any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		stub(answer, r)
		var members map[string]json.RawMessage
		if err := json.Unmarshal(answer.Body.Bytes(), &members); err != nil {
			t.Error(err)
		}
		body, _ := json.Marshal(change(members))
		w.WriteHeader(answer.Code)
		w.Write(body)
	}))
	defer server.Close()
	c, err := client.New(client.Config{Hub: server.URL, Token: bearer})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range asked(c) {
		var names []string
		change = func(m map[string]json.RawMessage) any { names = slices.Collect(maps.Keys(m)); return m }
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wrong := func(what string, f func(map[string]json.RawMessage) any) {
			change = f
			if err := call(); !errors.Is(err, client.ErrAnswer) {
				t.Errorf("%s, %s: error %v", name, what, err)
			}
		}
		wrong("null", func(map[string]json.RawMessage) any { return nil })
		wrong("{}", func(map[string]json.RawMessage) any { return struct{}{} })
		wrong("a list", func(map[string]json.RawMessage) any { return []int{} })
		for _, member := range names {
			wrong("without "+member, func(m map[string]json.RawMessage) any { delete(m, member); return m })
			wrong(member+" null", func(m map[string]json.RawMessage) any { m[member] = nil; return m })
			value, known := other[member]
			if known && !(name == "sell" && member == "content") && // an offer without a header names no content
				!(name == "voucher" && member == "total_msat") { // which is what was asked
				wrong("another "+member, func(m map[string]json.RawMessage) any { m[member] = json.RawMessage(value); return m })
			}
		}
	}
}
