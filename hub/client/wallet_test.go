package client_test

import (
	"context"
	"testing"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

const (
	lnurlText = "LNURL1DP68GURN8GHJ7"
	nameBody  = `{"account":"ag0g","name":"alice","address":"alice@hub.example","lnurl":"` + lnurlText + `","uri":"lnurlp://hub.example/.well-known/lnurlp/alice"}`
	linkName  = "58e0cb6c3ad1bf0e"
	linkBody  = `{"link":"` + linkName + `","account":"ag0g","status":"open","amount_msat":5000,"least_msat":5000,"made":1795000000000,"expires":1795000060000,"lnurl":"` + lnurlText + `","uri":"lnurlw://hub.example/lnurl/withdraw/00"}`
	loginName = "58e0cb6c3ad1bf0e58e0"
	loginBody = `{"login":"` + loginName + `","account":"ag0g","name":"phone","made":1795000000000}`
	loginNew  = `{"login":"` + loginName + `","account":"ag0g","name":"phone","made":1795000000000,"uri":"lndhub://` + loginName + `:` + digest + `@https://hub.example/lndhub/"}`
)

const (
	connectName = "58e0cb6c3ad1bf0e"
	connectBody = `"connection":"` + connectName + `","account":"ag0g","name":"podcasts","methods":["pay_invoice"],"notifications":true,"budget_msat":5000,"renewal":"daily","spent_msat":7,"reserved_msat":3,"made":1795000000000`
)

// onWallets is answers, of wallets of others.
var onWallets = map[string]stubbed{
	"GET /v1/accounts/ag0g/name":                          {200, `{"account":"ag0g"}`},
	"POST /v1/accounts/ag0g/name":                         {200, nameBody},
	"DELETE /v1/accounts/ag0g/name":                       {200, `{"account":"ag0g","former":["alice"]}`},
	"GET /v1/accounts/ag0g/links":                         {200, `{"links":[` + linkBody + `]}`},
	"POST /v1/accounts/ag0g/links":                        {201, linkBody},
	"DELETE /v1/accounts/ag0g/links/" + linkName:          {200, `{"link":"` + linkName + `"}`},
	"GET /v1/accounts/ag0g/logins":                        {200, `{"logins":[` + loginBody + `]}`},
	"POST /v1/accounts/ag0g/logins":                       {201, loginNew},
	"DELETE /v1/accounts/ag0g/logins/" + loginName:        {200, `{"login":"` + loginName + `"}`},
	"GET /v1/accounts/ag0g/connections":                   {200, `{"connections":[{` + connectBody + `}]}`},
	"POST /v1/accounts/ag0g/connections":                  {201, `{` + connectBody + `,"uri":"nostr+walletconnect://` + digest + `?relay=x&secret=` + digest + `"}`},
	"DELETE /v1/accounts/ag0g/connections/" + connectName: {200, `{"connection":"` + connectName + `"}`},
}

// everyWallet calls every operation about wallets of others once.
func everyWallet(t *testing.T, c *client.Client) {
	ctx, no := context.Background(), ledger.AccountNo(16)
	good := func(what string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
	n, err := c.Name(ctx, no)
	good("name", n.Name == "", err)
	n, err = c.ClaimName(ctx, no, "alice", true)
	good("claim", n.Address == "alice@hub.example", err)
	n, err = c.ReleaseName(ctx, no)
	good("release", len(n.Former) == 1, err)
	k, err := c.CreateLink(ctx, no, client.NewLink{AmountMsat: 5000})
	good("link", k.LNURL == lnurlText, err)
	links, err := c.Links(ctx, no)
	good("links", len(links) == 1 && links[0].Status == "open", err)
	good("cancel", true, c.CancelLink(ctx, no, linkName))
	l, err := c.CreateLogin(ctx, no, "phone")
	good("login", l.URI != "", err)
	logins, err := c.Logins(ctx, no)
	good("logins", len(logins) == 1 && logins[0].Name == "phone", err)
	good("revoke", true, c.RevokeLogin(ctx, no, loginName))
	n47, err := c.Connect(ctx, no, client.NewConnection{Name: "podcasts", Methods: []string{"pay_invoice"}, Notifications: true, BudgetMsat: 5000, Renewal: "daily"})
	good("connect", n47.URI != "", err)
	all, err := c.Connections(ctx, no)
	good("connections", len(all) == 1 && all[0].SpentMsat == 7 && all[0].URI == "", err)
	good("disconnect", true, c.Disconnect(ctx, no, connectName))
}
