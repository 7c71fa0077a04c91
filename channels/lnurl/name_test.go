package lnurl_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/ledger"
)

func TestCheckName(t *testing.T) {
	for _, good := range []string{"al", "alice", "a.b-c_d", "007", "x" + strings.Repeat("y", 31), "supporter"} {
		if err := lnurl.CheckName(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a", "Alice", "ålice", "al ice", "a+b", "a@b", ".alice", "alice.", "-alice", "alice_", "a..b", "admin", "ad.min", "no-reply", "_root",
		"support", "sup.port", "m-i-l-l-r-a-c-e", strings.Repeat("x", 33), "a/b", "a%2fb", "a\x00b",
	} {
		if err := lnurl.CheckName(bad); !errors.Is(err, lnurl.ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNames(t *testing.T) {
	records := openRecords(t)
	n := lnurl.NewNames(records, newClock().Now)
	is := func(account ledger.AccountNo, want string) {
		t.Helper()
		if got, err := n.Name(account); got != want || err != nil {
			t.Errorf("%v is called %q, %v: want %q", account, got, err, want)
		}
		if want == "" {
			return
		}
		if got, err := n.Account(want); got != account || err != nil {
			t.Errorf("%s is %v, %v: want %v", want, got, err, account)
		}
	}
	is(alice, "")
	claim := func(account ledger.AccountNo, name string, want error) {
		t.Helper()
		if err := n.Claim(account, name); !errors.Is(err, want) {
			t.Errorf("%v, %s: %v, want %v", account, name, err, want)
		}
	}
	claim(alice, "alice", nil)
	claim(alice, "alice", nil)
	claim(bob, "alice", lnurl.ErrNameTaken)
	claim(bob, "bob", nil)
	is(alice, "alice")
	is(bob, "bob")
	claim(alice, "anna", nil) // the old one leads nowhere, and stays hers
	is(alice, "anna")
	if _, err := n.Account("alice"); !errors.Is(err, lnurl.ErrNoName) {
		t.Errorf("%v", err)
	}
	claim(bob, "alice", lnurl.ErrNameTaken)
	claim(alice, "alice", nil)
	is(alice, "alice")
	claim(alice, "a3", nil)
	claim(alice, "a4", nil)
	claim(alice, "a5", lnurl.ErrNames)
	claim(alice, "anna", nil) // which is one of her four
	if err := n.GiveUp(alice); err != nil {
		t.Error(err)
	}
	is(alice, "")
	if err := n.GiveUp(alice); err != nil {
		t.Error(err)
	}
	n = lnurl.NewNames(records, newClock().Now)
	is(alice, "")
	is(bob, "bob")
	claim(bob, "anna", lnurl.ErrNameTaken)
	claim(alice, "anna", nil)
	is(alice, "anna")
	if _, err := n.Account(strings.Repeat("x", 5000)); !errors.Is(err, lnurl.ErrNoName) {
		t.Errorf("%v", err)
	}
}

// TestNameRace: of all who want a name at a time one gets it.
func TestNameRace(t *testing.T) {
	n := lnurl.NewNames(openRecords(t), nil)
	var got atomic.Int32
	var running sync.WaitGroup
	for i := range ledger.AccountNo(16) {
		running.Go(func() {
			if err := n.Claim(alice+i, "popular"); err == nil {
				got.Add(1)
			} else if !errors.Is(err, lnurl.ErrNameTaken) {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if got.Load() != 1 {
		t.Errorf("%d have it", got.Load())
	}
}

// desk is a Desk with names, and what makes its invoices.
func desk(t *testing.T) (*lnurl.Desk, *node, *clock) {
	t.Helper()
	now := newClock()
	records := openRecords(t)
	names, node := lnurl.NewNames(records, now.Now), newNode(t, now)
	if err := names.Claim(alice, "alice"); err != nil {
		t.Fatal(err)
	}
	config := lnurl.DeskConfig{Base: "https://hub.example", Host: "hub.example", Names: names, Records: records, Invoices: node, Node: "02ab", Clock: now.Now}
	d, err := lnurl.NewDesk(config)
	if err != nil {
		t.Fatal(err)
	}
	return d, node, now
}

// TestDesk: what a wallet is told fits together, and to what the client of this package expects.
func TestDesk(t *testing.T) {
	d, node, _ := desk(t)
	if a, err := d.Address(alice); a != "alice@hub.example" || err != nil {
		t.Errorf("%s, %v", a, err)
	}
	if a, err := d.Address(bob); a != "" || err != nil {
		t.Errorf("%s, %v", a, err)
	}
	if url, err := lnurl.Decode(d.LNURL("alice")); url != "https://hub.example/.well-known/lnurlp/alice" || err != nil {
		t.Errorf("%s, %v", url, err)
	}
	o, err := d.Offer("alice")
	if err != nil || o.Tag != "payRequest" || o.Callback != "https://hub.example/lnurl/pay/alice/callback" ||
		o.Metadata != `[["text/plain","To alice@hub.example"],["text/identifier","alice@hub.example"]]` {
		t.Errorf("%+v, %v", o, err)
	}
	a, err := d.Answer(t.Context(), "alice", 5000, "for the\nsong")
	if err != nil {
		t.Fatal(err)
	}
	hashed := sha256.Sum256([]byte(o.Metadata))
	if made := node.memos[0]; node.owners[0] != alice || made.Amount != 5000 || made.Memo != "for the song" || made.Expiry != 10*time.Minute ||
		[32]byte(made.DescHash) != hashed {
		t.Errorf("%+v", made)
	}
	token := strings.TrimPrefix(a.Verify, "https://hub.example/lnurl/verify/")
	v, err := d.Verify(t.Context(), token)
	if err != nil || v.Settled || v.Preimage != nil || v.Invoice != a.Invoice {
		t.Errorf("%+v, %v", v, err)
	}
	p, hash := preimage(1)
	node.settle(hash)
	if v, err = d.Verify(t.Context(), token); err != nil || !v.Settled || *v.Preimage != p.String() {
		t.Errorf("%+v, %v", v, err)
	}
	for _, bad := range []string{"", hash.String(), hash.String() + strings.Repeat("0", 32), token + "0", strings.ToUpper(token), token[:95] + "x"} {
		if v, err := d.Verify(t.Context(), bad); err == nil {
			t.Errorf("%s: %+v", bad, v)
		}
	}
	if o, err = d.Offer("alice+tip"); err != nil || !strings.Contains(o.Metadata, `["text/tag","tip"]`) || !strings.Contains(o.Callback, "/alice+tip/") {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := d.Answer(t.Context(), "alice+tip", 5000, strings.Repeat("ü", 255)); err != nil || !strings.HasPrefix(node.memos[1].Memo, "+tip üü") {
		t.Errorf("%+v, %v", node.memos[1], err)
	}
	if k, err := d.Keysend("alice"); err != nil || k.Tag != "keysend" || k.Key != "02ab" || k.Data[0] != (lnurl.KeysendValue{Key: "696969", Value: alice.String()}) {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := d.Keysend("bob"); !errors.Is(err, lnurl.ErrNoName) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "bob", "Alice", "alice+T", "alice+" + strings.Repeat("x", 33), "alice/..", "../alice"} {
		if _, err := d.Offer(bad); !errors.Is(err, lnurl.ErrNoName) {
			t.Errorf("%s: %v", bad, err)
		}
		if _, err := d.Answer(t.Context(), bad, 5000, ""); !errors.Is(err, lnurl.ErrNoName) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, amount := range []ledger.Msat{0, 999, 100_000_000_001} {
		if _, err := d.Answer(t.Context(), "alice", amount, ""); !errors.Is(err, lnurl.ErrAmount) {
			t.Errorf("%d: %v", amount, err)
		}
	}
	if _, err := d.Answer(t.Context(), "alice", 5000, strings.Repeat("x", 256)); !errors.Is(err, lnurl.ErrComment) {
		t.Errorf("%v", err)
	}
}

// TestDeskBound: strangers cannot have any number of invoices made, but as many as they pay.
func TestDeskBound(t *testing.T) {
	d, node, now := desk(t)
	fill := func() (made int) {
		t.Helper()
		for {
			_, err := d.Answer(t.Context(), "alice", 5000, "")
			if errors.Is(err, lnurl.ErrBusy) {
				return made
			}
			if made++; err != nil || made > channels.MaxInvoices {
				t.Fatalf("%d: %v", made, err)
			}
		}
	}
	if made := fill(); made != channels.MaxInvoices/2 {
		t.Errorf("%d", made)
	}
	for n := range 10 {
		_, hash := preimage(n + 1)
		d.Paid(hash)
		d.Paid(hash)
	}
	if made := fill(); made != 10 {
		t.Errorf("%d for ten that were paid", made)
	}
	now.pass(10*time.Minute - 1)
	if made := fill(); made != 0 {
		t.Errorf("%d before any has expired", made)
	}
	now.pass(1)
	node.lost = errors.New("the node is away")
	for range channels.MaxInvoices {
		if _, err := d.Answer(t.Context(), "alice", 5000, ""); !errors.Is(err, node.lost) {
			t.Fatal(err)
		}
	}
	node.lost = nil
	if made := fill(); made != channels.MaxInvoices/2 {
		t.Errorf("%d after all have expired", made)
	}
}
