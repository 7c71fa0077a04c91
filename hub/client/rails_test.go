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

const (
	runBody     = `{"id":"` + id + `","cause":"operator","made":1795000000000,"state":"running","items":1,"planned_msat":5,"by_rail":{"lightning":{"count":1,"amount_msat":5}},"fee_limit_msat":1}`
	itemsBody   = `{"items":[{"run":"` + id + `","number":0,"account":"ag0g","to":{"way":"account","text":"ah0h"},"rail":"internal","amount_msat":5,"fee_limit_msat":0,"stage":"paid"}]}`
	payeeBody   = `{"account":"ag0g","lightning":"a@b.example","version":1}`
	waitingBody = `{"account":"ag0g","id":"` + id + `","to":"lnsb10n1","amount_msat":5,"max_fee_msat":6,"approvals":[]}`
	runPath     = "/v1/settlement/runs/" + id
)

// onDesk is answers, of settlement.
var onDesk = map[string]stubbed{
	"GET /v1/accounts/ag0g/settlement":                     {200, payeeBody},
	"POST /v1/accounts/ag0g/settlement":                    {200, payeeBody},
	"POST /v1/accounts/ag0g/settlement/fee-share":          {200, payeeBody},
	"GET /v1/accounts/ag0g/settlement/items":               {200, itemsBody},
	"GET /v1/accounts/ag0g/imports":                        {200, `{"runs":[` + runBody + `]}`},
	"POST /v1/accounts/ag0g/imports":                       {200, `{"accepted":true,"repeated":false,"file":{"id":"m","sha256":"","format":"csv","lines":1},"total_msat":5,"fee_limit_msat":1}`},
	"GET /v1/accounts/ag0g/imports/" + id:                  {200, runBody},
	"GET /v1/accounts/ag0g/imports/" + id + "/result":      {200, "a,b\n"},
	"GET /v1/settlement/rules":                             {200, `{"max_payout_msat":5}`},
	"POST /v1/settlement/rules":                            {200, `{"max_payout_msat":5}`},
	"GET /v1/settlement/plan":                              {200, `{"total":{"count":1,"amount_msat":5},"fee_limit_msat":0,"by_rail":{},"not_due":{},"due":[],"left":[],"market":{"lightning_msat":5,"lightning_largest_msat":5,"coins_msat":5,"rate_sat_per_kvb":1000}}`},
	"GET /v1/settlement/requests":                          {200, `{"requests":[` + waitingBody + `]}`},
	"POST /v1/settlement/requests/ag0g/" + id + "/approve": {200, waitingBody},
	"GET /v1/settlement/runs":                              {200, `{"runs":[` + runBody + `]}`},
	"POST /v1/settlement/runs":                             {201, runBody},
	"GET " + runPath:                                       {200, runBody},
	"POST " + runPath + "/approve":                         {200, runBody},
	"POST " + runPath + "/pause":                           {200, runBody},
	"POST " + runPath + "/resume":                          {200, runBody},
	"POST " + runPath + "/cancel":                          {200, runBody},
	"GET " + runPath + "/items":                            {200, itemsBody},
	"GET " + runPath + "/result":                           {200, "a,b\n"},
}

const batchBody = `{"batch":"` + id + `","status":"signed","payouts":1,"amount_msat":5000,"sat_per_kvb":1000,"txids":["` + digest + `"],"made":1795000000000,"changed":1795000000000}`

// onPayouts is answers, of the operator of the rails.
var onPayouts = map[string]stubbed{
	"GET /v1/rails/payouts":                         {200, `{"count":1,"payouts":[` + withdrawalBody + `]}`},
	"POST /v1/rails/payouts/ag0g/" + id + "/cancel": {200, withdrawalBody},
	"POST /v1/rails/payouts/ag0g/" + id + "/decide": {200, withdrawalBody},
	"GET /v1/rails/batches":                         {200, `{"batches":[` + batchBody + `]}`},
	"POST /v1/rails/batches/" + id + "/bump":        {200, batchBody},
	"POST /v1/rails/batches/" + id + "/abandon":     {200, `{"batch":"` + id + `"}`},
	"POST /v1/rails/flush":                          {200, `{}`},
	"GET /v1/rails/pause":                           {200, `{"paused":true,"since":1795000000000,"reason":"r","restored":true}`},
	"POST /v1/rails/pause":                          {200, `{"paused":true,"since":1795000000000,"reason":"r"}`},
	"POST /v1/rails/resume":                         {200, `{"paused":false}`},
	"GET /v1/rails/incidents":                       {200, `{"incidents":[{"kind":"k","subject":"s","text":"t","raised":1,"again":1,"times":1}]}`},
	"GET /v1/rails/reconciliation":                  {200, `{"time":1795000000000,"full":true,"steady":true,"height":5,"held_msat":5,"backing_msat":5,"due_msat":5,"ratio_permille":1500,"difference_msat":-1,"mismatches":[{"kind":"k","subject":"s","amount_msat":5,"text":"t"}],"more":0,"warnings":["w"],"stopped":"s"}`},
	"POST /v1/rails/reconciliation":                 {200, `{"time":1795000000000,"full":true,"steady":true,"height":5,"held_msat":5,"backing_msat":5,"due_msat":5,"ratio_permille":1500,"difference_msat":-1,"mismatches":[{"kind":"k","subject":"s","amount_msat":5,"text":"t"}],"more":0,"warnings":["w"],"stopped":"s"}`},
	"POST /v1/rails/adjustments":                    {200, `{"id":"i","amount_msat":-5,"reason":"r","time":1795000000000}`},
	"POST /v1/rails/incidents/close":                {200, `{"kind":"k","subject":"s"}`},
	"GET /v1/rails/deposits":                        {200, `{"deposits":[` + invoiceBody + `],"next":"bwAA"}`},
	"POST /v1/rails/deposits/" + digest + "/assign": {200, invoiceBody},
}

// everyPayout calls every operation of the operator of the rails once.
func everyPayout(t *testing.T, c *client.Client) {
	ctx, no := context.Background(), ledger.AccountNo(16)
	good := func(what string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
	list, count, err := c.Payouts(ctx, "chain", "held", 5)
	good("payouts", len(list) == 1 && count == 1, err)
	w, err := c.CancelPayout(ctx, no, id, "n")
	good("cancel", w.ID == id, err)
	w, err = c.DecidePayout(ctx, no, id, true, "n")
	good("decide", w.ID == id, err)
	batches, err := c.OnchainBatches(ctx)
	good("batches", len(batches) == 1, err)
	b, err := c.BumpBatch(ctx, id, 5)
	good("bump", b.SatPerKVB == 1000, err)
	good("abandon", true, c.AbandonBatch(ctx, id))
	good("flush", true, c.Flush(ctx))
	pause, err := c.PayoutsPaused(ctx)
	good("paused", pause.Paused && pause.Restored, err)
	pause, err = c.PausePayouts(ctx, "r")
	good("pause", pause.Reason == "r", err)
	pause, err = c.ResumePayouts(ctx, "n")
	good("resume", !pause.Paused, err)
	incidents, err := c.Incidents(ctx, 0)
	good("incidents", len(incidents) == 1, err)
	good("close", true, c.CloseIncident(ctx, "k", "s", "n"))
	r, err := c.LastReconciliation(ctx)
	good("last reconciliation", len(r.Mismatches) == 1, err)
	r, err = c.Reconcile(ctx, true)
	good("reconcile", r.Stopped == "s", err)
	j, err := c.Adjust(ctx, client.Adjustment{ID: "i", Amount: -5, Reason: "r"})
	good("adjust", j.Amount == -5, err)
	nobodys, next, err := c.Unassigned(ctx, "", 5)
	good("unassigned", len(nobodys) == 1 && next == "bwAA", err)
	d, err := c.AssignDeposit(ctx, digest, no)
	good("assign", d.Deposit == digest, err)
}

// everySettlement calls every operation of settlement once.
func everySettlement(t *testing.T, c *client.Client) {
	ctx, no := context.Background(), ledger.AccountNo(16)
	good := func(what string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
	p, err := c.Settlement(ctx, no)
	good("payee", p.Version == 1, err)
	p, err = c.SetSettlement(ctx, no, client.SettlementSettings{Lightning: "a@b.example"})
	good("set", p.Lightning == "a@b.example", err)
	p, err = c.SetFeeShare(ctx, no, 5)
	good("share", p.Version == 1, err)
	items, err := c.Settled(ctx, no, 5)
	good("settled", len(items) == 1 && items[0].Stage == "paid", err)
	runs, err := c.Imports(ctx, no, 5)
	good("imports", len(runs) == 1, err)
	in, err := c.Import(ctx, no, client.Upload{Format: "csv", DryRun: true, Body: []byte("to,amount_msat\n")})
	good("import", in.Accepted && in.TotalMsat == 5, err)
	r, err := c.ImportRun(ctx, no, id)
	good("import", r.ID == id, err)
	text, err := c.ImportResult(ctx, no, id, "csv")
	good("result", string(text) == "a,b\n", err)
	rules, err := c.Rules(ctx)
	good("rules", rules["max_payout_msat"] == 5, err)
	rules, err = c.SetRules(ctx, rules)
	good("set rules", len(rules) == 1, err)
	plan, err := c.Plan(ctx)
	good("plan", plan.Total.AmountMsat == 5, err)
	waiting, err := c.Waiting(ctx)
	good("waiting", len(waiting) == 1, err)
	word, err := c.ApprovePayout(ctx, no, id)
	good("approve", word.AmountMsat == 5, err)
	r, err = c.StartRun(ctx, true)
	good("start", r.ID == id, err)
	runs, err = c.Runs(ctx, 5)
	good("runs", len(runs) == 1, err)
	r, err = c.Run(ctx, id)
	good("run", r.ByRail["lightning"].Count == 1, err)
	for _, verb := range []string{"approve", "pause", "resume", "cancel"} {
		r, err = c.OnRun(ctx, id, verb)
		good(verb, r.State == "running", err)
	}
	items, err = c.RunItems(ctx, id, 0, 5)
	good("items", len(items) == 1, err)
	text, err = c.RunResult(ctx, id, "csv")
	good("result", string(text) == "a,b\n", err)
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
