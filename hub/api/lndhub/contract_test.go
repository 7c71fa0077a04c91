package lndhub_test

import (
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
)

// TestBlueWallet makes the calls of BlueWallet's lightning-custodian-wallet.ts, in its order, and what it makes of the answers.
func TestBlueWallet(t *testing.T) {
	r := newRig(t)
	var created object // createAccount
	r.call("POST", "/create", "", object{"partnerid": "bluewallet", "accounttype": "common"}, &created)
	login, _ := created["login"].(string)
	password, _ := created["password"].(string)
	if login == "" || password == "" || strings.ContainsAny(login+password, ":@/") {
		t.Fatalf("%v", created)
	}
	authorize := func(path string, body object) (access, refresh string) {
		t.Helper()
		var got object
		r.call("POST", path, "", body, &got)
		access, _ = got["access_token"].(string)
		refresh, _ = got["refresh_token"].(string)
		if access == "" || refresh == "" {
			t.Fatalf("%v", got)
		}
		return access, refresh
	}
	access, refresh := authorize("/auth?type=auth", object{"login": login, "password": password})
	r.pass(2 * time.Hour) // accessTokenExpired: refreshAcessToken
	var expired object
	r.call("GET", "/balance", access, nil, &expired)
	r.fails("an old token", expired, 1) // fetchBalance: authorize, and again
	access, _ = authorize("/auth?type=refresh_token", object{"refresh_token": refresh})

	var balance struct {
		BTC struct{ AvailableBalance *int64 }
	}
	r.call("GET", "/balance", access, nil, &balance)
	if b := balance.BTC.AvailableBalance; b == nil || *b != 123_456 {
		t.Errorf("%v", b)
	}
	var btc []struct{ Address string } // fetchBtcAddress
	r.call("GET", "/getbtc", access, nil, &btc)
	if len(btc) != 1 || btc[0].Address != "bcrt1qaddress" {
		t.Errorf("%v", btc)
	}
	var bill object // addInvoice
	r.call("POST", "/addinvoice", access, object{"amt": "21", "memo": "a dance"}, &bill)
	if bill["r_hash"] == nil || bill["pay_req"] != "lntest21000" {
		t.Errorf("%v", bill)
	}
	var bills []object // getUserInvoices(20)
	r.call("GET", "/getuserinvoices?limit=20", access, nil, &bills)
	if len(bills) != 1 || bills[0]["payment_request"] != "lntest21000" || bills[0]["type"] != "user_invoice" || bills[0]["ispaid"] != false ||
		bills[0]["amt"] != 21.0 || bills[0]["description"] != "a dance" || bills[0]["timestamp"] != 1.8e9 || bills[0]["expire_time"] != 86400.0 {
		t.Errorf("%v", bills)
	}
	r.wallet.set(func(channels.Order) (channels.Item, error) {
		return channels.Item{State: channels.Settled, Preimage: channels.Hash{7}, Fee: 1001}, nil
	})
	var paid struct { // payInvoice, and lnurlPay.tsx: storeSuccess
		Error    any
		Preimage struct {
			Type string
			Data []byte2
		} `json:"payment_preimage"`
		Route struct {
			Fees   int64 `json:"total_fees"`
			Amount int64 `json:"total_amt"`
		} `json:"payment_route"`
	}
	r.call("POST", "/payinvoice", access, object{"invoice": "lntest50000", "amount": 0}, &paid)
	if paid.Error != nil || paid.Preimage.Type != "Buffer" || len(paid.Preimage.Data) != 32 || paid.Preimage.Data[0] != 7 || paid.Route.Fees != 2 || paid.Route.Amount != 52 {
		t.Errorf("%+v", paid)
	}
	var pending, txs []object // fetchPendingTransactions, fetchTransactions
	r.call("GET", "/getpending", access, nil, &pending)
	r.call("GET", "/gettxs?limit=10&offset=0", access, nil, &txs)
	if pending == nil || txs == nil || len(pending)+len(txs) != 0 {
		t.Errorf("%v %v", pending, txs)
	}
	var info, decoded object // fetchInfo, decodeInvoiceRemote
	r.call("GET", "/getinfo", access, nil, &info)
	if info["identity_pubkey"] != "02ab" || info["testnet"] != true {
		t.Errorf("%v", info)
	}
	r.call("GET", "/decodeinvoice?invoice=lntest50000", access, nil, &decoded)
	if decoded["payment_hash"] == nil || decoded["num_satoshis"] != "50" || decoded["expiry"] != "3600" || decoded["timestamp"] != "1800000000" ||
		decoded["description"] != "a song" || decoded["cltv_expiry"] != "40" || decoded["destination"] != "02ab" {
		t.Errorf("%v", decoded)
	}
	var nobody object // isValidNodeAddress: code 1 is a hub, too
	r.call("GET", "/getinfo", "", nil, &nobody)
	r.fails("nobody", nobody, 1)
}

// byte2 is a byte in an array of numbers.
type byte2 uint8

// TestZeus makes the calls of Zeus' backends/LndHub.ts, which have no limits in them and a number for an amount.
func TestZeus(t *testing.T) {
	r := newRig(t)
	token := r.account()
	var bill struct {
		Hash string `json:"r_hash"`
	}
	r.call("POST", "/addinvoice", token, object{"amt": 21, "memo": ""}, &bill)
	var bills []struct {
		Hash    struct{ Data []byte2 } `json:"r_hash"`
		Amount  int64                  `json:"amt"`
		Paid    bool                   `json:"ispaid"`
		Request string                 `json:"payment_request"`
	}
	r.wallet.items[0].State = channels.Settled
	r.call("GET", "/getuserinvoices", token, nil, &bills)
	if len(bills) != 1 || !bills[0].Paid || bills[0].Amount != 21 {
		t.Fatalf("%+v", bills)
	}
	var raw []byte
	for _, b := range bills[0].Hash.Data { // watchInvoicePaid: getFormattedRhash of both
		raw = append(raw, byte(b))
	}
	if hex.EncodeToString(raw) != bill.Hash {
		t.Errorf("%x is not %s", raw, bill.Hash)
	}
	var check object
	r.call("GET", "/checkpayment/"+bill.Hash, token, nil, &check)
	if !reflect.DeepEqual(check, object{"paid": true}) {
		t.Errorf("%v", check)
	}
	var paid object
	r.call("POST", "/payinvoice", token, object{"invoice": "LNTEST50000"}, &paid)
	if paid["error"] != nil || paid["payment_error"] != "" || paid["payment_hash"] == nil {
		t.Errorf("%v", paid)
	}
	r.call("POST", "/payinvoice", token, object{"invoice": "lntest0", "amount": "7"}, &paid)
	if o := r.wallet.made[1]; o.Amount != 7000 || o.FeeLimit != 70 || !o.Until.Equal(r.now.Add(time.Minute)) {
		t.Errorf("%+v", o)
	}
	var txs []object
	r.call("GET", "/gettxs", token, nil, &txs)
	if txs == nil {
		t.Errorf("%v", txs)
	}
}

// TestLists: what is in which list, and how.
func TestLists(t *testing.T) {
	r := newRig(t)
	token := r.account()
	at := time.Unix(1_800_000_000, 0)
	r.wallet.items = []channels.Item{
		{Rail: channels.Chain, Incoming: true, State: channels.Settled, Hash: channels.Hash{1}, Payee: "bcrt1q", Amount: 78_061_000, Made: at, Depth: 5},
		{Rail: channels.Chain, Incoming: true, State: channels.Open, Hash: channels.Hash{2}, Payee: "bcrt1q", Amount: 12_345_678_000, Made: at.Add(1 * time.Second)},
		{Rail: channels.Chain, State: channels.Settled, Hash: channels.Hash{3}, Payee: "bcrt1p", Amount: 50_000_000, Fee: 1_000_001, Made: at.Add(2 * time.Second)},
		{Rail: channels.Lightning, Incoming: true, State: channels.Expired, Hash: channels.Hash{4}, Invoice: "ln4", Amount: 1999, Made: at.Add(3 * time.Second)},
		{Rail: channels.Lightning, Incoming: true, State: channels.Settled, Hash: channels.Hash{5}, Preimage: channels.Hash{6}, Amount: 1999, Made: at.Add(4 * time.Second)},
		{Rail: channels.Lightning, State: channels.Settled, Hash: channels.Hash{7}, Preimage: channels.Hash{8}, Invoice: "ln7", Amount: 50_000, Fee: 1, Memo: "a song", Made: at.Add(5 * time.Second)},
		{Rail: channels.Lightning, State: channels.Open, Hash: channels.Hash{9}, Invoice: "ln9", Amount: 7000, Fee: 1000, Made: at.Add(6 * time.Second)},
		{Rail: channels.Lightning, State: channels.GaveBack, Hash: channels.Hash{10}, Made: at.Add(7 * time.Second)},
		{Rail: channels.Internal, State: channels.Settled, Amount: 3000, Memo: "to a friend", Made: at.Add(8 * time.Second)},
	}
	var txs, pending, bills []object
	r.call("GET", "/gettxs", token, nil, &txs)
	r.call("GET", "/getpending", token, nil, &pending)
	r.call("GET", "/getuserinvoices", token, nil, &bills)
	var got [][]any
	for _, x := range txs {
		got = append(got, []any{x["type"], x["value"], x["fee"], x["amount"], x["memo"]})
	}
	if want := [][]any{
		{"paid_invoice", 3.0, 0.0, nil, "to a friend"}, {"paid_invoice", 8.0, 1.0, nil, "Payment in transition"}, {"paid_invoice", 51.0, 1.0, nil, "a song"},
		{"bitcoind_tx", nil, nil, -0.00051001, nil}, {"bitcoind_tx", nil, nil, 0.00078061, nil},
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if x := txs[2]; x["payment_preimage"] != (channels.Hash{8}).String() || x["pay_req"] != "ln7" || x["timestamp"] != float64(at.Unix()+5) {
		t.Errorf("%v", x)
	}
	if x := txs[4]; x["confirmations"] != 5.0 || x["category"] != "receive" || x["address"] != "bcrt1q" || x["txid"] != (channels.Hash{1}).TxID() || x["time"] != 1.8e9 {
		t.Errorf("%v", x)
	}
	if len(pending) != 1 || pending[0]["amount"] != 0.12345678 || pending[0]["confirmations"] != 0.0 {
		t.Errorf("%v", pending)
	}
	if len(bills) != 2 || bills[0]["payment_request"] != "ln4" || bills[0]["amt"] != 1.0 || bills[1]["ispaid"] != true || bills[1]["keysend"] != true ||
		bills[1]["payment_preimage"] != (channels.Hash{6}).String() {
		t.Errorf("%v", bills)
	}
	r.call("GET", "/gettxs?limit=2&offset=1", token, nil, &txs)
	if len(txs) != 2 || txs[0]["value"] != 8.0 || txs[1]["value"] != 51.0 {
		t.Errorf("%v", txs)
	}
	r.call("GET", "/getuserinvoices?limit=1", token, nil, &bills)
	if len(bills) != 1 || bills[0]["ispaid"] != true {
		t.Errorf("%v", bills)
	}
	r.wallet.noChain = true
	var btc []object
	r.call("GET", "/getbtc", token, nil, &btc)
	if btc == nil || len(btc) != 0 {
		t.Errorf("%v", btc)
	}
	text, err := json.Marshal(txs)
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("%s, %v", text, err)
	}
}
