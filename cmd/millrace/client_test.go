package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/api/contract"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

// TestClient drives the Go client against a hub, with every exchange held against the document. The verbs' tests are
// about the verbs; this one is about what they do not do.
func TestClient(t *testing.T) {
	s := newHub(t)
	checker, err := contract.New(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	strict := &http.Client{Transport: contract.Transport{Checker: checker, Fail: func(err error) { t.Error(err) }}}
	dial := func(token string) *client.Client {
		c, err := client.New(client.Config{Hub: s.url, Token: token, HTTP: strict})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ctx := context.Background()
	payer, err := dial("").CreateAccount(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	payee, err := dial("").CreateAccount(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	operator, err := readToken(t.Context(), s.operator)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(operator).DevCredit(ctx, client.NewID(), ledger.AccountNo(payer.Number), 10000); err != nil {
		t.Fatal(err)
	}
	c := dial(payer.Token)
	channel, err := c.OpenChannel(ctx, client.NewID(), ledger.AccountNo(payee.Number), 1000, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Batch(ctx, []client.Op{
		client.TransferOp(client.NewID(), ledger.AccountNo(payee.Number), 100),
		client.AdvanceOp(ledger.ChannelNo(channel.Number), 500),
		client.AdvanceOp(ledger.ChannelNo(channel.Number), 500),
		client.AdvanceOp(ledger.ChannelNo(channel.Number), 1001),
		client.UnlockOp(ledger.ContentID{1}, 1, 0),
	})
	if err != nil || got.Applied != 2 || got.Repeated != 1 || got.Refused != 2 || got.Results[4].Result != "content_unknown" || !got.Results[3].Retryable {
		t.Errorf("batch: %+v, %v", got, err)
	}
}
