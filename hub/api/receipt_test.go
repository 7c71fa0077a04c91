package api_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

// TestReceiptOverHTTP: with nothing but what the API says, a receipt verifies and the leaf that it names is in the tiles.
func TestReceiptOverHTTP(t *testing.T) {
	r := newRig(t)
	a, b, stranger := r.user(10_000), r.user(0), r.user(0)
	paid := a.pay(b, 42).want(200)
	key := r.do(ask{method: "GET", path: "/v1/hub/log-key"}).want(200)
	v, err := tlog.NewVerifier(key.text("log_key"))
	r.must(err)
	if key.text("url") != origin+"/log" || v.Name() != strings.TrimPrefix(origin, "http://")+"/log" {
		t.Errorf("key %s", key.body)
	}
	path := fmt.Sprintf("/v1/accounts/%s/receipts/%d", b.account, paid.num("seq"))
	answer := b.get(path).want(200)
	receipt, err := tlog.ParseReceipt(answer.body)
	r.must(err)
	c, err := receipt.Verify(v)
	r.must(err)
	if l := receipt.Entry.Legs[0]; l.Amount != 42 || l.To.String() != b.account || receipt.Entry.Kind != ledger.OpTransfer {
		t.Errorf("entry %+v", receipt.Entry)
	}
	r.do(ask{method: "GET", path: path, token: r.operator}).want(200)
	stranger.get(path).want(403)
	stranger.get(strings.Replace(path, b.account, stranger.account, 1)).refused(404, "entry_unknown", "")
	b.get(path+"9999").refused(404, "entry_unknown", "")
	b.get(path + "x").want(400)
	b.get(strings.Replace(path, "receipts/", "receipts/0", 1)).want(400)
	r.do(ask{method: "GET", path: path}).want(401)

	signed := r.do(ask{method: "GET", path: "/log/checkpoint"}).want(200)
	now, err := tlog.OpenCheckpoint(signed.body, v)
	r.must(err)
	if now.Size < c.Size || signed.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("checkpoint of %d after one of %d, %v", now.Size, c.Size, signed.header)
	}
	width := c.Size % 256
	hashes := r.do(ask{method: "GET", path: fmt.Sprintf("/log/tile/0/000.p/%d", width)}).want(200)
	leaves := r.do(ask{method: "GET", path: fmt.Sprintf("/log/tile/entries/000.p/%d", width)}).want(200)
	want := receipt.Leaf.Hash()
	if !bytes.Equal(hashes.body[32*receipt.Number:][:32], want[:]) {
		t.Errorf("hash %d of the tile is not the receipt's leaf", receipt.Number)
	}
	if leaf := leaves.body[95*receipt.Number:][2:95]; sumdb.RecordHash(leaf) != want {
		t.Errorf("leaf %d of the bundle is not the receipt's", receipt.Number)
	}
	for _, bad := range []string{"0/000", "0/001.p/1", "0/000.p/999", "x/000", "entries", "entries/001", "8/0/000", "0/x001/000"} {
		r.do(ask{method: "GET", path: "/log/tile/" + bad}).refused(404, "tile_unknown", "")
	}
	r.do(ask{method: "GET", path: "/log/tile/"}).refused(404, "route_unknown", "")
}

func TestLiabilitiesOverHTTP(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_000), r.user(0)
	a.pay(b, 42).want(200)
	r.do(ask{method: "GET", path: "/v1/liabilities"}).refused(404, "epoch_unknown", "")
	b.get("/v1/accounts/"+b.account+"/liability").refused(404, "epoch_unknown", "")
	a.post("/v1/liabilities", nil).want(403)
	signed := r.do(ask{method: "POST", path: "/v1/liabilities", token: r.operator}).want(201)
	if again := r.do(ask{method: "GET", path: "/v1/liabilities"}).want(200); !bytes.Equal(again.body, signed.body) {
		t.Errorf("%s, then %s", signed.body, again.body)
	}
	v, err := tlog.NewVerifier(r.hub.LogKey())
	r.must(err)
	p, err := tlog.ParseLiabilityProof(b.get("/v1/accounts/" + b.account + "/liability").want(200).body)
	r.must(err)
	if l, err := p.Verify(v); err != nil || p.Balance != 42 || l.Total != 10_000 || l.Leaves != 4 {
		t.Errorf("%+v, %+v, %v", p, l, err)
	}
	a.get("/v1/accounts/" + b.account + "/liability").want(403)
	late := r.user(0)
	late.get("/v1/accounts/"+late.account+"/liability").refused(404, "account_not_in_epoch", "")
}
