package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

// connected are the flags of serve that attach a hub to a network's node.
func connected(n *network.Network) []string {
	return []string{
		"--network", "simnet", "--batch-every", "1s", "--log-level", "info",
		"--lnd-address", n.Hub.Address(), "--lnd-tls-cert-file", n.Hub.CertFile(), "--lnd-macaroon-file", n.Hub.MacaroonFile(),
		"--btcd-address", n.Chain.Address(), "--btcd-user", n.Chain.User(), "--btcd-password-file", n.Chain.PasswordFile(), "--btcd-cert-file", n.Chain.CertFile(),
	}
}

// until asks again until the answer is yes.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !yes(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s", what)
		}
	}
}

// holdings is what a node has in its wallet and channels, all in msat.
func holdings(t *testing.T, l *network.Lightning) ledger.Msat {
	t.Helper()
	node, err := lightning.New(lightning.Config{Address: l.Address(), Certificate: l.CertFile(), Macaroon: l.MacaroonFile(), Network: "simnet", Node: l.Key()})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	a, err := node.Assets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a.Local + a.Pending + 1000*ledger.Msat(a.Confirmed+a.Unconfirmed+a.Leased)
}

// money is a hub over a real network, seen by its clients.
type money struct {
	served
	n *network.Network
}

// outside is what the ledger says is outside: what came in, less what went out.
func (m *money) outside(t *testing.T) (all ledger.Msat) {
	t.Helper()
	for _, no := range []ledger.AccountNo{ledger.Lightning, ledger.Chain} {
		a, err := m.client(t, m.operator).Account(t.Context(), no)
		if err != nil {
			t.Fatal(err)
		}
		all -= ledger.Msat(a.BalanceMsat)
	}
	return all
}

// TestRegtestMoneyInAndOut walks a hub's whole way of money: a deposit over Lightning, payments inside, a withdrawal over Lightning, a
// deposit and a withdrawal on-chain. In the end the books equal the node's wallet and channels, fees included, to the msat.
func TestRegtestMoneyInAndOut(t *testing.T) {
	n := networktest.Start(t)
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	before := holdings(t, n.Hub)
	url, _ := process(t, dir, connected(n)...)
	m := &money{served: served{url: url, dir: dir, operator: filepath.Join(dir, "operator.token")}, n: n}
	_, reader := m.account(t, "")
	creator, creatorFile := m.account(t, "")

	const deposit, paid = 500_000_000, 400_000_000
	d := ok(t, "deposit", "invoice", "--hub", url, "--token-file", reader, "--amount-msat", "500000000", "--memo", "to read")
	if _, err := n.Payer.Pay(t.Context(), d["invoice"].(string), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "the deposit is credited", func() bool { return m.balance(t, reader) == "500000000" })
	if got := ok(t, "deposit", "show", d["deposit"].(string), "--hub", url, "--token-file", reader); got["status"] != "credited" {
		t.Errorf("deposit: %v", got)
	}
	m.micropay(t, reader, creator, paid)

	text, err := n.Publisher.Invoice(t.Context(), 300_000_000, "for creating")
	if err != nil {
		t.Fatal(err)
	}
	q := ok(t, "withdraw", "--hub", url, "--token-file", creatorFile, "--to", text, "--quote")
	if q["rail"] != "lightning" || q["amount_msat"] != json.Number("300000000") {
		t.Errorf("quote: %v", q)
	}
	w := ok(t, "withdraw", "--hub", url, "--token-file", creatorFile, "--to", text)
	if w["status"] != "done" || w["preimage"] == nil {
		t.Errorf("withdrawal: %v", w)
	}
	again := ok(t, "withdraw", "--hub", url, "--token-file", creatorFile, "--to", text, "--id", w["id"].(string))
	if again["changed"] != w["changed"] || again["preimage"] != w["preimage"] {
		t.Errorf("the same withdrawal again: %v", again)
	}
	fails(t, exitRefused, "paid_before", "withdraw", "--hub", url, "--token-file", creatorFile, "--to", text)

	m.overChain(t, reader, creatorFile)
	m.settle(t, creatorFile)
	m.loseNodes(t, creatorFile)
	var got, want ledger.Msat
	defer func() {
		if t.Failed() {
			t.Errorf("the node has %d msat, and the books say %d: %d too much", got, want, int64(got-want))
		}
	}()
	until(t, "the books equal what the node has", func() bool { // a payment counts when both sides of its channel have signed
		got, want = holdings(t, n.Hub), before+m.outside(t)
		return got == want
	})
}

// micropay pays an amount by payments of 40,000 msat.
func (m *money) micropay(t *testing.T, from, to string, amount ledger.Msat) {
	t.Helper()
	c := m.client(t, from)
	no, err := ledger.ParseAccountNo(to)
	if err != nil {
		t.Fatal(err)
	}
	for left := amount / each; left > 0; {
		count := min(left, 5000)
		ops := make([]client.Op, count)
		for i := range ops {
			ops[i] = client.TransferOp(client.NewID(), no, each)
		}
		out, err := c.Batch(t.Context(), ops)
		if err != nil || out.Applied != int(count) {
			t.Fatalf("%+v, %v", out, err)
		}
		left -= count
	}
}

// overChain deposits and withdraws on-chain.
func (m *money) overChain(t *testing.T, reader, creator string) {
	ctx := t.Context()
	address := ok(t, "deposit", "address", "--hub", m.url, "--token-file", reader)["address"].(string)
	if _, err := m.n.Chain.Send(ctx, network.Payment{Address: address, Amount: 200_000}); err != nil {
		t.Fatal(err)
	}
	list := func() (all []client.Deposit) {
		c := m.client(t, reader)
		no, err := identifyFile(reader)
		if err == nil {
			all, _, err = c.Deposits(ctx, no, false, "", 10)
		}
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	m.mine(t, 1)
	until(t, "the deposit is known", func() bool { return len(list()) == 2 })
	until(t, "the deposit is credited", func() bool {
		all := list()
		if all[0].Status == "pending" && all[0].Has < all[0].Needs {
			m.mine(t, 1)
		}
		return all[0].Status == "credited"
	})
	if got := m.balance(t, reader); got != "300000000" {
		t.Errorf("the reader has %s", got)
	}

	home, err := m.n.Publisher.NewAddress(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := ok(t, "withdraw", "--hub", m.url, "--token-file", reader, "--to", home, "--amount-msat", "150000000")
	until(t, "the withdrawal is on its way", func() bool {
		ids, err := m.n.Chain.Mempool(ctx)
		return err == nil && len(ids) == 1
	})
	m.mine(t, 3)
	w = ok(t, "withdraw", "--hub", m.url, "--token-file", reader, "--to", home, "--id", w["id"].(string), "--wait", "1m")
	if w["status"] != "done" || w["txid"] == nil || w["rail"] != string(channels.Chain) {
		t.Errorf("withdrawal: %v", w)
	}
}

// settle pays what is due above a reserve by a run, over Lightning.
func (m *money) settle(t *testing.T, creator string) {
	t.Helper()
	ok(t, "settle", "payee", "--hub", m.url, "--token-file", creator, "--set", "--lightning", m.n.Publisher.Key(), "--reserve-msat", "50000000")
	plan := ok(t, "settle", "plan", "--hub", m.url, "--token-file", m.operator)
	run := ok(t, "settle", "run", "--hub", m.url, "--token-file", m.operator)
	if total := plan["total"].(map[string]any); total["count"] != json.Number("1") || total["amount_msat"] != run["planned_msat"] {
		t.Errorf("plan %v, run %v", plan, run)
	}
	until(t, "the run is closed", func() bool {
		got := ok(t, "settle", "show", run["id"].(string), "--hub", m.url, "--token-file", m.operator)["run"].(map[string]any)
		return got["state"] == "closed" && got["report"].(map[string]any)["paid"].(map[string]any)["count"] == json.Number("1")
	})
	if r := millrace(t, nil, nil, "settle", "result", run["id"].(string), "--hub", m.url, "--token-file", m.operator); r.code != 0 || !strings.Contains(r.out, ",paid,") {
		t.Errorf("%+v", r)
	}
}

// loseNodes ends lnd and btcd: payments go on, and so do the rails when the nodes are back.
func (m *money) loseNodes(t *testing.T, from string) {
	t.Helper()
	lost := func() (s struct {
		Status string
		Lost   []struct{ Node, Why string }
	}) {
		resp, err := http.Get(m.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.Status, err)
		}
		return s
	}
	if err := errors.Join(m.n.Hub.Kill(), m.n.Chain.Kill(t.Context())); err != nil {
		t.Fatal(err)
	}
	until(t, "both nodes are lost", func() bool { s := lost(); return s.Status == "degraded" && len(s.Lost) == 2 })
	fails(t, exitUnreachable, "", "deposit", "invoice", "--hub", m.url, "--token-file", from)
	_, other := m.account(t, "")
	ok(t, "pay", "--hub", m.url, "--token-file", from, "--to", "@"+other, "--amount-msat", "4000")
	if err := errors.Join(m.n.Chain.Start(t.Context()), m.n.Hub.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	until(t, "both nodes are back", func() bool { return lost().Status == "ready" })
	if err := m.n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := ok(t, "deposit", "invoice", "--hub", m.url, "--token-file", other)
	if _, err := m.n.Payer.Pay(t.Context(), d["invoice"].(string), 6000); err != nil {
		t.Fatal(err)
	}
	until(t, "the deposit is credited", func() bool { return m.balance(t, other) == "10000" })
}

func (m *money) mine(t *testing.T, blocks int) {
	t.Helper()
	if _, err := m.n.Chain.Mine(t.Context(), blocks); err != nil {
		t.Fatal(err)
	}
}

// identifyFile is the account of the token in a file.
func identifyFile(file string) (ledger.AccountNo, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return identify(strings.TrimSpace(string(b)))
}
