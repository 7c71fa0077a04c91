package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

const (
	invoiceBody    = `{"deposit":"` + digest + `","rail":"lightning","account":"ag0g","status":"open","asked_msat":1000,"invoice":"lnsb10n1","made":1795000000000,"expires":1795003600000}`
	withdrawalBody = `{"id":"` + id + `","account":"ag0g","to":"lnsb10n1","rail":"lightning","status":"done","amount_msat":1000,"max_fee_msat":10,"held_msat":0,"fee_msat":1,"made":1795000000000,"changed":1795000000000}`
)

// onRails is answers, of what money comes in and goes out by.
var onRails = map[string]stubbed{
	"POST /v1/accounts/ag0g/deposits":          {201, invoiceBody},
	"GET /v1/accounts/ag0g/deposits":           {200, `{"deposits":[` + invoiceBody + `],"next":"bwAA"}`},
	"GET /v1/accounts/ag0g/deposits/" + digest: {200, invoiceBody},
	"POST /v1/accounts/ag0g/addresses":         {200, `{"address":"sb1q","uri":"bitcoin:sb1q"}`},
	"POST /v1/accounts/ag0g/quotes":            {200, `{"rail":"lightning","amount_msat":1000,"fee_msat":1,"max_fee_msat":2}`},
	"POST /v1/accounts/ag0g/withdrawals":       {200, withdrawalBody},
	"GET /v1/accounts/ag0g/withdrawals":        {200, `{"withdrawals":[` + withdrawalBody + `]}`},
	"GET /v1/accounts/ag0g/withdrawals/" + id:  {200, withdrawalBody},
}

// everyRail calls every operation of the rails once.
func everyRail(t *testing.T, c *client.Client) {
	ctx, no := context.Background(), ledger.AccountNo(16)
	good := func(what string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
	d, err := c.Invoice(ctx, no, client.NewInvoice{AmountMsat: 1000})
	good("invoice", d.Invoice == "lnsb10n1", err)
	list, next, err := c.Deposits(ctx, no, true, "bwAA", 5)
	good("deposits", len(list) == 1 && next == "bwAA", err)
	d, err = c.Deposit(ctx, no, digest)
	good("deposit", d.Status == "open", err)
	a, err := c.Address(ctx, no)
	good("address", a.URI == "bitcoin:sb1q", err)
	q, err := c.Quote(ctx, no, "lnsb10n1", 0)
	good("quote", q.MaxFeeMsat == 2, err)
	w, err := c.Withdraw(ctx, no, client.NewWithdrawal{ID: id, To: "lnsb10n1", MaxFeeMsat: 10})
	good("withdraw", w.Over() && w.FeeMsat == 1, err)
	w, err = c.Withdrawal(ctx, no, id, time.Second)
	good("withdrawal", w.ID == id, err)
	all, next, err := c.Withdrawals(ctx, no, "", 0)
	good("withdrawals", len(all) == 1 && next == "", err)
}
