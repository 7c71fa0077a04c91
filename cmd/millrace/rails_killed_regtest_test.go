package main

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

// early are the points of a trip before its transaction is made, late are those from then on: so a hub can be killed at one of each in
// the same trip. Asked: the node has not got the call. Sent: it has, and the hub is dead. Answered: it has done it, and nobody heard.
var (
	early = []string{
		"TrackPaymentV2 asked", "TrackPaymentV2 answered", "SendPaymentV2 asked", "SendPaymentV2 sent", "SendPaymentV2 answered",
		"AddInvoice asked", "AddInvoice sent", "AddInvoice answered", "SubscribeInvoices answered",
		"NextAddr asked", "NextAddr answered", "WalletBalance answered",
	}
	late = []string{
		"FundPsbt asked", "FundPsbt sent", "FundPsbt answered", "FinalizePsbt asked", "FinalizePsbt sent", "FinalizePsbt answered",
		"PublishTransaction asked", "PublishTransaction sent", "PublishTransaction answered", "SubscribeTransactions answered",
		"GetTransactions answered", "getblockheader answered",
	}
)

// TestRegtestHubKilled kills the hub's process while money comes in and goes out by both rails: at each moment of the calls to its nodes,
// and at its writes to the disk. In the end each payout was paid once, each deposit is credited once, and the books are the node's.
func TestRegtestHubKilled(t *testing.T) {
	s := newScaffold(t)
	before := holdings(t, s.n.Hub)
	ok(t, "reconcile", "run", "--hub", s.url, "--token-file", s.operator)
	number, file := s.account(t, "")
	token, err := readToken(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	no, err := ledger.ParseAccountNo(number)
	if err != nil {
		t.Fatal(err)
	}
	a := earner{no, token}
	s.mineAlong(t)
	if err := s.receiveCoin(a); err != nil { // to begin with
		t.Fatal(err)
	}

	var trips []trip
	kills := 0
	ride := func(points ...string) []string {
		x, left := s.ride(a, points...)
		trips = append(trips, x)
		kills += len(points) - len(left)
		return left
	}
	began := time.Now()
	for i := range max(len(early), len(late)) {
		left := ride(early[i%len(early)], late[i%len(late)])
		for range 3 { // the first kill may have come after what the second was to come at
			if len(left) > 0 {
				left = ride(left...)
			}
		}
		if len(left) > 0 {
			t.Errorf("%q never came", left)
		}
	}
	t.Logf("%d kills at calls, %d trips, in %v", kills, len(trips), time.Since(began))

	began, kills = time.Now(), 0
	s.watchWrites(t)
	for at, left := 1, 0; left < 3; at += 3 { // until a trip has fewer writes
		left = len(ride(fmt.Sprintf("write %d", at), fmt.Sprintf("write %d", at+1), fmt.Sprintf("write %d", at+2)))
	}
	t.Logf("%d kills at writes, %d trips, in %v", kills, len(trips), time.Since(began))

	s.once(t, a, trips)
	s.agree(t, int64(before))
}

// once: the publisher's node has got each payment and each coin once, and the account has what is left.
func (s *scaffold) once(t *testing.T, a earner, trips []trip) {
	t.Helper()
	ctx, lnd := t.Context(), s.n.Publisher.RPC()
	coins, err := lnd.ListUnspent(ctx, &lnrpc.ListUnspentRequest{MaxConfs: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]int64{}
	for _, c := range coins.Utxos {
		got[c.Address] = append(got[c.Address], c.AmountSat)
	}
	hub, err := s.hub(a.token)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(tripCoin)
	hashes := map[string]bool{}
	for _, x := range trips {
		if c := got[x.home]; len(c) != 1 || c[0] != tripCoinOut/1000 {
			t.Errorf("%s has got %v", x.home, c)
		}
		bill, err := lnd.DecodePayReq(ctx, &lnrpc.PayReqString{PayReq: x.bill})
		if err != nil {
			t.Fatal(err)
		}
		hashes[bill.PaymentHash] = true
		hash, err := hex.DecodeString(bill.PaymentHash)
		if err != nil {
			t.Fatal(err)
		}
		invoice, err := lnd.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash})
		if err != nil || invoice.State != lnrpc.Invoice_SETTLED || invoice.AmtPaidMsat != tripOut || len(invoice.Htlcs) != 1 {
			t.Errorf("%v, %v", invoice, err)
		}
		want += tripIn + tripCoin - tripOut - tripCoinOut
		for _, id := range []string{x.paid, x.sent} {
			var w client.Withdrawal
			if w, err = hub.Withdrawal(ctx, a.no, id, 0); err != nil || w.Status != "done" {
				t.Errorf("%+v, %v", w, err)
			}
			want -= int64(w.FeeMsat)
		}
	}
	if has, err := hub.Account(ctx, a.no); err != nil || has.BalanceMsat != want || has.HeldMsat != 0 {
		t.Errorf("the account has %d msat and %d held, want %d; %v", has.BalanceMsat, has.HeldMsat, want, err)
	}
	made, err := s.n.Hub.RPC().ListPayments(ctx, &lnrpc.ListPaymentsRequest{IncludeIncomplete: true})
	if err != nil || len(made.Payments) != len(trips) {
		t.Errorf("the hub's node has made %d payments for %d payouts, %v", len(made.GetPayments()), len(trips), err)
	}
	for _, p := range made.GetPayments() {
		if p.Status != lnrpc.Payment_SUCCEEDED || !hashes[p.PaymentHash] {
			t.Errorf("%v", p)
		}
	}
}
