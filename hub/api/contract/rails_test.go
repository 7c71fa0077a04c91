package contract

const (
	anyUUID      = "0192f3a1-7c00-7abc-8def-0123456789ab"
	invoiceResp  = `{"deposit":"` + digest + `","rail":"lightning","account":"ag0g","status":"open","asked_msat":1000,"invoice":"lnsb10n1","made":1795000000000,"expires":1795003600000,"changed":1795000000000}`
	coinResp     = `{"deposit":"` + digest + `:1","rail":"chain","account":"ag0g","status":"pending","amount_msat":5000000,"address":"sb1q","confirmations":1,"confirmations_needed":3,"made":1795000000000,"changed":1795000000000}`
	withdrawResp = `{"id":"` + anyUUID + `","account":"ag0g","to":"lnsb10n1","rail":"lightning","status":"done","amount_msat":1000,"max_fee_msat":10,"held_msat":0,"fee_msat":1,"payee":"02","payment_hash":"` + digest +
		`","preimage":"` + digest + `","deadline":1795000000000,"made":1795000000000,"changed":1795000000000}`
)

const (
	runResp   = `{"id":"` + anyUUID + `","cause":"operator","by":"op-0a","made":1795000000000,"state":"running","items":1,"planned_msat":5,"by_rail":{"lightning":{"count":1,"amount_msat":5}},"fee_limit_msat":1}`
	itemResp  = `{"run":"` + anyUUID + `","number":0,"account":"ag0g","to":{"way":"account","text":"ah0h"},"rail":"internal","amount_msat":5,"fee_limit_msat":0,"stage":"paid","try":1}`
	payeeResp = `{"account":"ag0g","lightning":"a@b.example","version":1,"changed":1795000000000,"output":{"vsize":0,"dust":0}}`
	waitsResp = `{"account":"ag0g","id":"` + anyUUID + `","to":"lnsb10n1","amount_msat":5,"max_fee_msat":6,"approvals":[{"by":"op-0a","time":1795000000000}]}`
	runPath   = "/v1/settlement/runs/" + anyUUID
)

// goodSettlement is good for settlement.
var goodSettlement = map[string]call{
	"payee":       get("/v1/accounts/ag0g/settlement", payeeResp),
	"payee set":   post("/v1/accounts/ag0g/settlement", `{"lightning":"a@b.example","schedule":{"daily":"06:30"}}`, 200, payeeResp),
	"fee share":   post("/v1/accounts/ag0g/settlement/fee-share", `{"percent":50}`, 200, payeeResp),
	"settled":     get("/v1/accounts/ag0g/settlement/items?limit=5", `{"items":[`+itemResp+`]}`),
	"imports":     get("/v1/accounts/ag0g/imports", `{"runs":[`+runResp+`],"next":"march"}`),
	"import":      {method: "POST", path: "/v1/accounts/ag0g/imports?format=csv&dry_run=yes", req: "to,amount\n", reqType: octetType, status: 200, resp: `{"accepted":true,"repeated":false,"file":{"id":"march","sha256":"` + digest + `","format":"csv","lines":1},"total_msat":5,"fee_limit_msat":1}`},
	"one import":  get("/v1/accounts/ag0g/imports/"+anyUUID, runResp),
	"result":      withHeader(call{method: "GET", path: "/v1/accounts/ag0g/imports/" + anyUUID + "/result?format=pain.002", status: 200, resp: "<Document/>", respType: "text/xml; charset=utf-8"}, "Content-Disposition", `attachment; filename="x.xml"`),
	"rules":       get("/v1/settlement/rules", `{"max_payout_msat":5}`),
	"rules set":   post("/v1/settlement/rules", `{"max_payout_msat":5}`, 200, `{"max_payout_msat":5}`),
	"plan":        get("/v1/settlement/plan", `{"total":{"count":0,"amount_msat":0},"fee_limit_msat":0,"by_rail":{},"not_due":{},"due":[],"left":[],"market":{"lightning_msat":5,"lightning_largest_msat":5,"coins_msat":5,"rate_sat_per_kvb":1000}}`),
	"waiting":     get("/v1/settlement/requests", `{"requests":[`+waitsResp+`]}`),
	"word":        post("/v1/settlement/requests/ag0g/"+anyUUID+"/approve", ``, 200, waitsResp),
	"runs":        get("/v1/settlement/runs?limit=1", `{"runs":[`+runResp+`]}`),
	"run start":   post("/v1/settlement/runs", `{"hold":true}`, 201, runResp),
	"run":         get(runPath, runResp),
	"run approve": post(runPath+"/approve", ``, 200, runResp),
	"run pause":   post(runPath+"/pause", ``, 200, runResp),
	"run resume":  post(runPath+"/resume", ``, 200, runResp),
	"run cancel":  post(runPath+"/cancel", `{}`, 200, runResp),
	"run items":   get(runPath+"/items?from=1", `{"items":[`+itemResp+`]}`),
	"run result":  withHeader(call{method: "GET", path: runPath + "/result", status: 200, resp: "a,b\n", respType: "text/csv; charset=utf-8; header=present"}, "Content-Disposition", `attachment; filename="x.csv"`),
}

const batchBody = `{"batch":"` + anyUUID + `","status":"signed","payouts":1,"amount_msat":5000,"sat_per_kvb":1000,"txids":["` + digest + `"],"made":1795000000000,"changed":1795000000000}`

// goodPayouts is good for the operator of the rails.
var goodPayouts = map[string]call{
	"payouts":         get("/v1/rails/payouts?rail=chain&status=held", `{"count":1,"payouts":[`+withdrawResp+`]}`),
	"payout cancel":   post("/v1/rails/payouts/ag0g/"+anyUUID+"/cancel", `{"note":"n"}`, 200, withdrawResp),
	"payout decide":   post("/v1/rails/payouts/ag0g/"+anyUUID+"/decide", `{"paid":true,"note":"n"}`, 200, withdrawResp),
	"batches onchain": get("/v1/rails/batches", `{"batches":[`+batchBody+`]}`),
	"bump":            post("/v1/rails/batches/"+anyUUID+"/bump", `{"sat_per_kvb":5}`, 200, batchBody),
	"abandon":         post("/v1/rails/batches/"+anyUUID+"/abandon", ``, 200, `{"batch":"`+anyUUID+`"}`),
	"flush":           post("/v1/rails/flush", ``, 200, `{}`),
	"pause":           get("/v1/rails/pause", `{"paused":true,"since":1795000000000,"reason":"r","restored":true}`),
	"pause payouts":   post("/v1/rails/pause", `{"reason":"r"}`, 200, `{"paused":true,"since":1795000000000,"reason":"r"}`),
	"resume payouts":  post("/v1/rails/resume", `{"note":"n"}`, 200, `{"paused":false}`),
	"incidents":       get("/v1/rails/incidents?closed=5", `{"incidents":[{"kind":"k","subject":"s","text":"t","raised":1,"again":1,"times":1,"closed":5,"note":"n"}]}`),
	"incident close":  post("/v1/rails/incidents/close", `{"kind":"k","subject":"s","note":"n"}`, 200, `{"kind":"k","subject":"s"}`),
	"reconciliation":  get("/v1/rails/reconciliation", `{"time":1795000000000,"full":true,"steady":true,"height":5,"held_msat":5,"backing_msat":5,"due_msat":5,"ratio_permille":1500,"difference_msat":-1,"mismatches":[{"kind":"k","subject":"s","amount_msat":5,"text":"t"}],"more":0,"warnings":["w"],"stopped":"s"}`),
	"reconcile":       post("/v1/rails/reconciliation", `{"full":true}`, 200, `{"time":1795000000000,"full":true,"steady":true,"height":5,"held_msat":5,"backing_msat":5,"due_msat":5,"ratio_permille":1500,"difference_msat":-1,"mismatches":[{"kind":"k","subject":"s","amount_msat":5,"text":"t"}],"more":0,"warnings":["w"],"stopped":"s"}`),
	"adjust":          post("/v1/rails/adjustments", `{"id":"i","went_out_msat":5,"reason":"r"}`, 200, `{"id":"i","amount_msat":-5,"reason":"r","time":1795000000000}`),
	"unassigned":      get("/v1/rails/deposits?limit=2", `{"deposits":[`+coinResp+`],"next":"bwAA"}`),
	"assign":          post("/v1/rails/deposits/"+digest+":1/assign", `{"account":"ag0g"}`, 200, coinResp),
}

const (
	lnurlText = "LNURL1DP68GURN8GHJ7"
	nameResp  = `{"account":"ag0g","name":"alice","address":"alice@hub.example","lnurl":"` + lnurlText + `","uri":"lnurlp://hub.example/.well-known/lnurlp/alice","former":["al"]}`
	linkResp  = `{"link":"58e0cb6c3ad1bf0e","account":"ag0g","status":"open","amount_msat":5000,"least_msat":1000,"memo":"m","made":1795000000000,"expires":1795000060000,"lnurl":"` + lnurlText + `","uri":"lnurlw://hub.example/lnurl/withdraw/00"}`
	loginName = "58e0cb6c3ad1bf0e58e0"
	loginResp = `{"login":"` + loginName + `","account":"ag0g","name":"phone","made":1795000000000}`
	loginNew  = `{"login":"` + loginName + `","account":"ag0g","name":"phone","made":1795000000000,"uri":"lndhub://` + loginName + `:` + digest + `@https://hub.example/lndhub/"}`
)

const (
	connectName = "58e0cb6c3ad1bf0e"
	connectBody = `"connection":"` + connectName + `","account":"ag0g","name":"podcasts","methods":["pay_invoice"],"notifications":true,"budget_msat":5000000,"renewal":"monthly","spent_msat":1000,"reserved_msat":0,"made":1795000000000,"expires":1795000060000`
	connectURI  = "nostr+walletconnect://" + digest + "?relay=wss%3A%2F%2Frelay.example&secret=" + digest
)

// goodWallets is good for wallets of others.
var goodWallets = map[string]call{
	"name":         get("/v1/accounts/ag0g/name", `{"account":"ag0g"}`),
	"name claim":   post("/v1/accounts/ag0g/name", `{"name":"alice","replace":true}`, 200, nameResp),
	"name release": {method: "DELETE", path: "/v1/accounts/ag0g/name", status: 200, resp: `{"account":"ag0g","former":["alice"]}`},
	"links":        get("/v1/accounts/ag0g/links", `{"links":[`+linkResp+`]}`),
	"link":         post("/v1/accounts/ag0g/links", `{"amount_msat":5000,"least_msat":1000,"memo":"m","expires_in_s":60}`, 201, linkResp),
	"link cancel":  {method: "DELETE", path: "/v1/accounts/ag0g/links/58e0cb6c3ad1bf0e", status: 200, resp: `{"link":"58e0cb6c3ad1bf0e"}`},
	"logins":       get("/v1/accounts/ag0g/logins", `{"logins":[`+loginResp+`]}`),
	"login":        post("/v1/accounts/ag0g/logins", `{"name":"phone"}`, 201, loginNew),
	"connections":  get("/v1/accounts/ag0g/connections", `{"connections":[{`+connectBody+`}]}`),
	"connect":      post("/v1/accounts/ag0g/connections", `{"name":"podcasts","methods":["pay_invoice"],"notifications":true,"budget_msat":5000000,"renewal":"monthly","expires_in_s":60}`, 201, `{`+connectBody+`,"uri":"`+connectURI+`"}`),
	"disconnect":   {method: "DELETE", path: "/v1/accounts/ag0g/connections/" + connectName, status: 200, resp: `{"connection":"` + connectName + `"}`},
	"login revoke": {method: "DELETE", path: "/v1/accounts/ag0g/logins/" + loginName, status: 200, resp: `{"login":"` + loginName + `"}`},
}

// goodRails is good for what money comes in and goes out by.
var goodRails = map[string]call{
	"invoice":      post("/v1/accounts/ag0g/deposits", `{"amount_msat":1000,"memo":"m","expires_in_s":60,"private":true}`, 201, invoiceResp),
	"invoice open": post("/v1/accounts/ag0g/deposits", ``, 201, invoiceResp),
	"deposits":     get("/v1/accounts/ag0g/deposits?unpaid=yes&limit=2", `{"deposits":[`+coinResp+`,`+invoiceResp+`],"next":"bwAA"}`),
	"deposit":      get("/v1/accounts/ag0g/deposits/"+digest, invoiceResp),
	"coin":         get("/v1/accounts/ag0g/deposits/"+digest+":1", coinResp),
	"address":      post("/v1/accounts/ag0g/addresses", ``, 200, `{"address":"sb1q","uri":"bitcoin:sb1q"}`),
	"fee":          post("/v1/accounts/ag0g/quotes", `{"to":"lnsb10n1","amount_msat":5}`, 200, `{"rail":"lightning","amount_msat":5,"fee_msat":1,"max_fee_msat":2}`),
	"withdraw":     post("/v1/accounts/ag0g/withdrawals", `{"id":"`+anyUUID+`","to":"lnsb10n1","max_fee_msat":10}`, 200, withdrawResp),
	"withdrawals":  get("/v1/accounts/ag0g/withdrawals?cursor=bwAA", `{"withdrawals":[`+withdrawResp+`]}`),
	"withdrawal":   get("/v1/accounts/ag0g/withdrawals/"+anyUUID+"?wait_s=5", withdrawResp),
}

const rateResp = `{"currency":"EUR","msat_per_million":1538461538462,"set":1795000000000,"valid_until":1795001800000,"stale":false}`

// goodRates is good for rates, and for prices by them.
var goodRates = map[string]call{
	"rates":        get("/v1/rates", `{"rates":[`+rateResp+`]}`),
	"rate set":     post("/v1/rates", `{"currency":"EUR","msat_per_million":1538461538462,"valid_until":1795001800000}`, 200, rateResp),
	"rate sources": get("/v1/rates/sources", `{"sources":[{"currency":"EUR","source":"a","msat_per_million":5,"time":1795000000000,"fresh":true},{"currency":"EUR","source":"b","fresh":false,"problem":"answered 502"}],"problems":[{"currency":"EUR","problem":"few"}]}`),
	"price quote":  get("/v1/contents/"+content+"/quote", `{"content":"`+content+`","price_msat":76924,"price_version":1,"currency":"EUR","price_micros":50000,"rate_msat_per_million":1538461538462,"expires":1795000060000}`),
	"msat quote":   get("/v1/contents/"+content+"/quote", `{"content":"`+content+`","price_msat":9,"price_version":1,"expires":1795000060000}`),
	"own price":    post("/v1/contents/"+content+"/reprice", `{"currency":"EUR","price_micros":50000,"price_version":1}`, 200, `{"result":"applied","seq":6,"content":"`+content+`","currency":"EUR","price_micros":50000,"price_version":2}`),
	"no rate now": get("/v1/contents/"+content, `{"content":"`+content+`","hub":"https://hub.example","title":"T","seller":"ag0g","price_version":1,"currency":"EUR","price_micros":50000,
		"size":1,"sha256":"`+digest+`","header_sha256":"`+digest+`","fee_ppm":0,"payees":[{"account":"ag0g","share":1}],"status":"on_sale"}`),
}
