package client_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

const (
	hook     = "wh_58e0cb6c3ad1bf0e"
	hookBody = `{"webhook":"` + hook + `","url":"https://shop.example/x","created":1795000000000,"cursor":3,"parked":1,"attempts":0}`
	hookNew  = `{"webhook":"` + hook + `","url":"https://shop.example/x","secret":"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","created":1795000000000,"cursor":3,"parked":0,"attempts":0}`
	parked   = `{"parked":[{"delivery":"` + hook + `_1_2","first":1,"last":2,"at":1795000000000,"error":"answered 500"}]}`
	line     = `{"seq":3,"time":1795000000000,"kind":"transfer","other":"ah0h","id":"` + id + `","change_msat":-5,"held_change_msat":0,"balance_msat":95,"held_msat":0}`
	leg      = `{"seq":3,"time":1795000000000,"kind":"transfer","legs":[{"move":"paid","from":"ag0g","to":"ah0h","amount_msat":5}]}`
)

// following is answers, of what follows the ledger.
var following = map[string]stubbed{
	"GET /v1/accounts/ag0g/entries":                       {200, `{"entries":[` + line + `],"next":"bwAAAAAAAAADAAAAAA"}`},
	"GET /v1/accounts/ag0g/balance":                       {200, `{"account":"ag0g","seq":3,"balance_msat":95,"held_msat":5}`},
	"GET /v1/accounts/ag0g/statement":                     {200, "a,b\n"},
	"GET /v1/accounts/ag0g/events":                        {200, "id: 3\nevent: entry\ndata: " + line + "\n\n"},
	"GET /v1/channels/c101/entries":                       {200, `{"entries":[{"seq":4,"time":1,"kind":"advance","object":"c101","left_change_msat":-5,"paid_change_msat":5,"left_msat":5,"paid_msat":5}]}`},
	"GET /v1/channels/c101/statement":                     {200, "a,b\n"},
	"GET /v1/events":                                      {200, "id: 3\nevent: entry\ndata: " + leg + "\n\n"},
	"GET /v1/accounts/ag0g/webhooks":                      {200, `{"webhooks":[` + hookBody + `]}`},
	"POST /v1/accounts/ag0g/webhooks":                     {201, hookNew},
	"DELETE /v1/accounts/ag0g/webhooks/" + hook:           {200, `{"webhook":"` + hook + `"}`},
	"POST /v1/accounts/ag0g/webhooks/" + hook + "/rotate": {200, hookNew},
	"POST /v1/accounts/ag0g/webhooks/" + hook + "/replay": {200, hookBody},
	"GET /v1/accounts/ag0g/webhooks/" + hook + "/parked":  {200, parked},
	"GET /v1/webhooks":                                    {200, `{"webhooks":[]}`},
	"POST /v1/webhooks":                                   {201, hookNew},
	"DELETE /v1/webhooks/" + hook:                         {200, `{"webhook":"` + hook + `"}`},
	"POST /v1/webhooks/" + hook + "/rotate":               {200, hookNew},
	"POST /v1/webhooks/" + hook + "/replay":               {200, hookBody},
	"GET /v1/webhooks/" + hook + "/parked":                {200, parked},
}

// everyFollowing calls every operation of what follows the ledger once.
func everyFollowing(t *testing.T, c *client.Client) {
	ctx, no, channel, at := context.Background(), ledger.AccountNo(16), ledger.ChannelNo(1), time.UnixMilli(1795000000000)
	good := func(what string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
	page, err := c.Entries(ctx, no, client.Page{Oldest: true, Limit: 1, Cursor: "bwAAAAAAAAACAAAAAA", Since: at, Until: at.Add(time.Hour)})
	good("entries", len(page.Entries) == 1 && page.Entries[0].ChangeMsat == -5 && page.Next != "", err)
	lines, err := c.ChannelEntries(ctx, channel, client.Page{})
	good("channel", len(lines.Entries) == 1 && lines.Entries[0].PaidMsat == 5 && lines.Next == "", err)
	past, err := c.BalanceAt(ctx, no, at)
	good("balance", past.BalanceMsat == 95 && past.Seq == 3, err)
	var out bytes.Buffer
	good("statement", true, client.Statement(ctx, c, no, at, at.Add(1), "csv", &out))
	good("channel's statement", true, client.Statement(ctx, c, channel, time.Time{}, time.Time{}, "csv", &out))
	good("written", out.String() == "a,b\na,b\n", nil)
	for _, who := range []ledger.AccountNo{no, 0} {
		enough := errors.New("enough")
		err := c.Events(ctx, who, nil, func(e client.Event) error {
			good("event", e.Seq == 3 && strings.Contains(string(e.Data), `"transfer"`), nil)
			return enough
		})
		good("events", errors.Is(err, enough), nil)
		_, err = c.Webhooks(ctx, who)
		good("webhooks", true, err)
		made, err := c.AddWebhook(ctx, who, "https://shop.example/x", nil)
		good("add", made.Webhook == hook && made.Secret != "", err)
		made, err = c.RotateWebhook(ctx, who, hook)
		good("rotate", made.Secret != "", err)
		after := uint64(0)
		_, err = c.ReplayWebhook(ctx, who, hook, &after, "")
		good("replay", true, err)
		_, err = c.ReplayWebhook(ctx, who, hook, nil, hook+"_1_2")
		good("replay parked", true, err)
		list, err := c.ParkedDeliveries(ctx, who, hook)
		good("parked", len(list) == 1 && list[0].Last == 2, err)
		good("remove", true, c.RemoveWebhook(ctx, who, hook))
	}
}
