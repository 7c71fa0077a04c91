package settle_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/deploy/regtest/networktest"
	"github.com/millrace/millrace/ledger"
)

var shared networktest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

// TestRegtestSettleThousand: a thousand creators are settled by one transaction, also when the hub stops while it waits for its
// confirmations; who is settled over Lightning is tried again when the node is back; and the books say what the node has.
func TestRegtestSettleThousand(t *testing.T) {
	r := newReal(t, networktest.Start(t))
	wallet := r.wallet()
	const n = 1000
	reader := r.accounts(1)[0]
	r.depositCoin(reader, 60_000_000)
	creators := r.accounts(n)
	began := time.Now()
	r.each(n, func(i int) error {
		if _, err := r.SetPayee(creators[i], settle.Payee{Address: creator(t, i), Threshold: 10_000_000}); err != nil {
			return err
		}
		return r.transfer(reader, creators[i], ledger.Msat(20_000_000+i*1001))
	})
	t.Logf("a thousand payees in %v", time.Since(began))
	_, err := r.SetFeeShare(creators[0], 100)
	r.must(err)
	r.must(r.transfer(reader, ledger.Fees, 1_000_000))

	began = time.Now()
	plan, market, err := r.Preview(r.ctx)
	r.must(err)
	if plan.Total.Count != n || plan.NotDue[settle.NoDestination].Count != 1 {
		t.Fatalf("the plan: %+v, at %+v", plan.NotDue, market)
	}
	run, err := r.StartRun(r.ctx, "alice", true)
	r.must(err)
	if run.State != settle.Created || run.Items != n {
		t.Fatalf("%+v", run)
	}
	_, err = r.Approve(run.ID, "bob")
	r.must(err)
	r.eventually("one transaction is published", func() bool {
		ids, err := r.net.Chain.Mempool(r.ctx)
		r.must(err)
		return len(ids) == 1
	})
	t.Logf("approved, held, batched, signed and published in %v", time.Since(began))
	r.mine(1)
	r.close() // between its two confirmations
	r.open()
	r.mine(1)
	began = time.Now()
	run = r.closed(run.ID)
	t.Logf("closed %v after the block", time.Since(began))
	rep := run.Report
	if rep.Paid.Count != n || rep.Tries != n || rep.ByRail[channels.Chain].Count != n || rep.Fees == 0 || rep.Paid.Amount != plan.Total.Amount {
		t.Fatalf("%+v", rep)
	}
	for i, no := range creators {
		items, err := r.ItemsOf(no, settle.Numbered{}, 0)
		r.must(err)
		if len(items) != 1 || items[0].Stage != settle.Paid || r.has(no) != ledger.Msat(20_000_000+i*1001)-items[0].Amount-items[0].Fee+items[0].Returned {
			t.Fatalf("creator %d: %+v", i, items)
		}
	}
	if got := r.has(ledger.Fees); rep.Returned == 0 || got != 1_000_000-rep.Returned {
		t.Errorf("the hub has %d left, and has given back %d", got, rep.Returned)
	}
	if want := 60_000_000_000 - int64(rep.Paid.Amount+rep.Fees); r.outside(ledger.Chain) != want {
		t.Errorf("the ledger says that %d msat are on-chain, want %d", r.outside(ledger.Chain), want)
	}
	r.eventually("the wallet has what the ledger says", func() bool { return int64(r.wallet()-wallet)*1000 == r.outside(ledger.Chain) })
	if _, err := r.StartRun(r.ctx, "alice", false); err == nil {
		t.Error("nobody is due, and there is a run")
	}
}

// TestRegtestSettleLightning: a publisher is settled over Lightning, at its second try.
func TestRegtestSettleLightning(t *testing.T) {
	r := newReal(t, shared.Get(t))
	who := r.accounts(3)
	publisher, far, near := who[0], who[1], who[2]
	for _, no := range who {
		r.depositInvoice(no, 50_000_000)
	}
	before := r.outside(ledger.Lightning)
	for no, p := range map[ledger.AccountNo]settle.Payee{
		publisher: {Lightning: r.net.Publisher.Key(), Schedule: settle.Schedule{EveryMinutes: 5}},
		far:       {Lightning: r.net.Payer.Key(), Reserve: 1_000_000},
		near:      {Internal: publisher.String(), Threshold: 50_000_001},
	} {
		_, err := r.SetPayee(no, p)
		r.must(err)
	}
	r.must(r.net.Publisher.Stop())
	run, err := r.StartRun(r.ctx, "alice", false)
	r.must(err)
	first := func() settle.Item {
		items, err := r.Items(run.ID, 0, 0)
		r.must(err)
		if len(items) != 2 || items[0].Account != publisher {
			t.Fatalf("%+v", items)
		}
		return items[0].Item
	}
	r.eventually("it failed once", func() bool { i := first(); return i.Stage == settle.Waiting && i.Try == 1 })
	if got := r.has(publisher); got != 50_000_000 {
		t.Errorf("the publisher has %d while it waits", got)
	}
	r.must(r.net.Publisher.Start(r.ctx))
	r.must(r.net.Ready(r.ctx))
	r.ahead.Add(int64(10 * time.Minute))
	run = r.closed(run.ID)
	i := first()
	if i.Stage != settle.Paid || i.Try < 2 || i.Proof == "" || run.Report.Paid.Count != 2 {
		t.Errorf("%+v, %+v", i, run.Report)
	}
	if got, want := r.has(publisher), 50_000_000-i.Amount-i.Fee; got != want {
		t.Errorf("the publisher has %d left, want %d", got, want)
	}
	if got, want := before-r.outside(ledger.Lightning), int64(run.Report.Paid.Amount+run.Report.Fees); got != want {
		t.Errorf("%d left over Lightning, want %d", got, want)
	}
	if r.has(far) < 1_000_000 {
		t.Errorf("the reserve is not kept: %d", r.has(far))
	}
}

// TestRegtestImport: a file pays an invoice, a node, an address and an account; two lines of it are wrong.
func TestRegtestImport(t *testing.T) {
	r := newReal(t, shared.Get(t))
	who := r.accounts(2)
	r.depositInvoice(who[0], 90_000_000)
	invoice, err := r.net.Publisher.Invoice(r.ctx, 5_000_000, "royalties")
	r.must(err)
	text := fmt.Sprintf("to,amount_sat,id,reference\n%s,5000,1,an invoice\n%s,6000,2,a keysend\n%s,20000,3,on-chain\n%s,7,4,inside\n"+
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4,20000,5,mainnet\n%s,100,6,dust\n",
		invoice, r.net.Publisher.Key(), creator(t, 1), who[1], creator(t, 2))
	send := func(skip bool) settle.Import {
		in, err := r.Import(r.ctx, settle.Upload{Account: who[0], Format: settle.CSV, Body: strings.NewReader(text), By: "exchange", SkipInvalid: skip})
		r.must(err)
		return in
	}
	if in := send(false); in.Accepted || len(in.Problems) != 2 || in.Problems[0].Line != 6 || in.Problems[1].Line != 7 {
		t.Fatalf("%+v", in)
	}
	in := send(true)
	if !in.Accepted || in.Total != 31_007_000 {
		t.Fatalf("%+v", in)
	}
	r.eventually("the batch is published", func() bool {
		ids, err := r.net.Chain.Mempool(r.ctx)
		r.must(err)
		return len(ids) > 0
	})
	r.mine(2)
	run := r.closed(in.Run.ID)
	if run.Report.Paid.Count != 4 || run.Report.Skipped.Count != 2 || r.has(who[1]) != 7000 || len(run.Report.ByRail) != 3 {
		t.Errorf("%+v", run.Report)
	}
	if got, want := r.has(who[0]), 90_000_000-run.Report.Paid.Amount-run.Report.Fees; got != want {
		t.Errorf("%d left, want %d", got, want)
	}
	if again := send(true); !again.Repeated || again.Run.ID != run.ID {
		t.Errorf("%+v", again)
	}
	var csv, status, bookings bytes.Buffer
	r.must(r.ResultCSV(&csv, run.ID))
	r.must(r.Status(&status, run.ID))
	r.must(r.Bookings(&bookings, run.ID))
	t.Logf("%s", csv.String())
	if strings.Count(status.String(), "ACSC") != 4 || strings.Count(bookings.String(), "<Ntry>") != 4 {
		t.Errorf("%s\n%s", status.String(), bookings.String())
	}
}
