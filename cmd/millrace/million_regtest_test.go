package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/api/contract"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

// strict is a hub's address behind which every exchange is held against the document.
func strict(t *testing.T, hub string) (string, *contract.Checker) {
	t.Helper()
	checker, err := contract.New(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(hub)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: contract.Transport{Checker: checker, Fail: func(err error) { t.Error(err) }},
	})
	t.Cleanup(s.Close)
	return s.URL, checker
}

// earner is an account that is paid inside, and settled.
type earner struct {
	no    ledger.AccountNo
	token string
}

const (
	crowd      = 1000    // creators, who are settled on-chain
	payments   = 1000000 // inside
	each       = 40_000  // msat of one
	perCreator = 600     // payments; the publisher gets what is left
	inBatch    = 8000    // payments sent at once, of at most 8,192
)

// TestRegtestMillion: a payer's node pays a deposit; a million payments are made inside; one run settles a publisher over Lightning and a
// thousand creators by one transaction. Then the books of the hub, and of the nodes of all three, agree to the msat, fees included.
func TestRegtestMillion(t *testing.T) {
	n := networktest.Start(t)
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	hubHad, publisherHad, payerHad := holdings(t, n.Hub), holdings(t, n.Publisher), holdings(t, n.Payer)
	direct, _ := process(t, dir, append(connected(n), "--batch-every", "1h")...)
	url, _ := strict(t, direct)
	m := &money{served: served{url: url, dir: dir, operator: filepath.Join(dir, "operator.token")}, n: n}

	ok(t, "reconcile", "run", "--hub", url, "--token-file", m.operator) // opens the books: what the node holds now is the operator's
	reader, readerFile := m.account(t, "")
	for range 4 {
		d := ok(t, "deposit", "invoice", "--hub", url, "--token-file", readerFile, "--amount-msat", "10000000000")
		if _, err := n.Payer.Pay(t.Context(), d["invoice"].(string), 0); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the deposits are credited", func() bool { return m.balance(t, readerFile) == "40000000000" })

	began := time.Now()
	publisher, creators := m.earners(t)
	t.Logf("%d accounts with settings in %v", 1+crowd, time.Since(began))
	began = time.Now()
	m.payMillion(t, readerFile, publisher, creators)
	t.Logf("%d payments in %v", payments, time.Since(began))
	if got := m.balance(t, readerFile); got != "0" {
		t.Fatalf("%s has %s left", reader, got)
	}

	run := ok(t, "settle", "run", "--hub", url, "--token-file", m.operator)
	until(t, "one transaction pays all creators", func() bool {
		ids, err := n.Chain.Mempool(t.Context())
		if err != nil || len(ids) > 1 {
			t.Fatal(ids, err)
		}
		return len(ids) == 1
	})
	m.mine(t, 3)
	var report map[string]any
	until(t, "the run is closed", func() bool {
		ok(t, "payouts", "flush", "--hub", url, "--token-file", m.operator) // it has the hub look at the chain now
		got := ok(t, "settle", "show", run["id"].(string), "--hub", url, "--token-file", m.operator)["run"].(map[string]any)
		report, _ = got["report"].(map[string]any)
		return got["state"] == "closed"
	})
	paid, fees := report["paid"].(map[string]any), amount(t, report["fees_msat"])
	if paid["count"] != json.Number("1001") || fees == 0 {
		t.Fatalf("%v", report)
	}
	sum := amount(t, paid["amount_msat"])
	until(t, "the books equal what the node has", func() bool { return holdings(t, n.Hub) == hubHad+m.outside(t) })
	until(t, "the publisher's node has what was paid", func() bool { return holdings(t, n.Publisher) == publisherHad+sum })
	if got := holdings(t, n.Payer); got != payerHad-40_000_000_000 {
		t.Errorf("the payer's node has %d msat less", payerHad-got)
	}
	if got := m.outside(t); got != 40_000_000_000-sum-fees {
		t.Errorf("the hub has %d msat outside; %d were paid, with fees of %d", got, sum, fees)
	}
	if r := ok(t, "reconcile", "run", "--full", "--hub", url, "--token-file", m.operator); r["steady"] != true || r["difference_msat"] != json.Number("0") || len(r["mismatches"].([]any)) > 0 || r["stopped"] != nil {
		t.Errorf("%v", r)
	}
}

func amount(t *testing.T, v any) ledger.Msat {
	t.Helper()
	got, err := v.(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Msat(got)
}

// earners are accounts that say where their money goes: to the publisher's channel, and to a thousand addresses of its wallet, so that
// what its node has got can be added up.
func (m *money) earners(t *testing.T) (publisher earner, creators []earner) {
	t.Helper()
	all := make([]earner, 1+crowd)
	m.eachOf(t, len(all), func(ctx context.Context, i int) error {
		open, err := client.New(client.Config{Hub: m.url})
		if err != nil {
			return err
		}
		a, err := open.CreateAccount(ctx, "")
		if err != nil {
			return err
		}
		all[i] = earner{ledger.AccountNo(a.Number), a.Token}
		s := client.SettlementSettings{Lightning: m.n.Publisher.Key()}
		if i > 0 {
			s.Lightning = ""
			if s.Address, err = m.n.Publisher.NewAddress(ctx); err != nil {
				return err
			}
		}
		own, err := client.New(client.Config{Hub: m.url, Token: a.Token})
		if err == nil {
			_, err = own.SetSettlement(ctx, all[i].no, s)
		}
		return err
	})
	return all[0], all[1:]
}

// eachOf does something n times, eight at once.
func (m *money) eachOf(t *testing.T, n int, do func(ctx context.Context, i int) error) {
	t.Helper()
	next := make(chan int)
	var doing sync.WaitGroup
	for range 8 {
		doing.Go(func() {
			for i := range next {
				if err := do(t.Context(), i); err != nil {
					t.Errorf("number %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	if doing.Wait(); t.Failed() {
		t.FailNow()
	}
}

// payMillion makes the payments, in binary batches.
func (m *money) payMillion(t *testing.T, from string, publisher earner, creators []earner) {
	t.Helper()
	token, err := readToken(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	p := &payer{token: token}
	p.connect(t, m.url)
	m.eachOf(t, payments/inBatch, func(ctx context.Context, batch int) error {
		var body []byte
		for i := batch * inBatch; i < (batch+1)*inBatch; i++ {
			to := publisher
			if i < crowd*perCreator {
				to = creators[i%crowd]
			}
			id := client.NewID()
			body = binary.LittleEndian.AppendUint32(body, uint32(ledger.OpTransfer))
			body = binary.LittleEndian.AppendUint32(body, uint32(to.no))
			body = binary.LittleEndian.AppendUint64(body, each)
			body = append(body, id[:]...)
		}
		answer, err := p.post(ctx, body)
		if err == nil {
			if n := binary.LittleEndian.Uint32(answer[4:]); n != inBatch {
				t.Errorf("%d of %d are applied", n, inBatch)
			}
		}
		return err
	})
}
