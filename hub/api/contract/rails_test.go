package contract

const (
	anyUUID      = "0192f3a1-7c00-7abc-8def-0123456789ab"
	invoiceResp  = `{"deposit":"` + digest + `","rail":"lightning","account":"ag0g","status":"open","asked_msat":1000,"invoice":"lnsb10n1","made":1795000000000,"expires":1795003600000,"changed":1795000000000}`
	coinResp     = `{"deposit":"` + digest + `:1","rail":"chain","account":"ag0g","status":"pending","amount_msat":5000000,"address":"sb1q","confirmations":1,"confirmations_needed":3,"made":1795000000000,"changed":1795000000000}`
	withdrawResp = `{"id":"` + anyUUID + `","account":"ag0g","to":"lnsb10n1","rail":"lightning","status":"done","amount_msat":1000,"max_fee_msat":10,"held_msat":0,"fee_msat":1,"payee":"02","payment_hash":"` + digest +
		`","preimage":"` + digest + `","deadline":1795000000000,"made":1795000000000,"changed":1795000000000}`
)

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
