package nwc

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// TestMethods: what each method is asked and answers, in both encryptions.
func TestMethods(t *testing.T) {
	for _, how := range []scheme{nip44, nip04} {
		t.Run(string(how), func(t *testing.T) {
			r := newRig(t, 1)
			a, _ := r.connect(alice, Wanted{Name: "app", Notify: true})
			a.how = how
			var info struct {
				Info
				Methods, Notifications []string
				Lud16                  string
			}
			if f := a.call("get_info", paramsOf(), &info); f != nil || info.Alias != "hub" || info.Network != "regtest" || info.Height != 7 ||
				len(info.Methods) != 8 || len(info.Notifications) != 2 || info.Lud16 != alice.String()+"@hub.example" {
				t.Errorf("%+v, %+v", info, f)
			}
			var balance struct{ Balance ledger.Msat }
			if f := a.call("get_balance", paramsOf(), &balance); f != nil || balance.Balance != 1_000_000 {
				t.Errorf("%+v, %+v", balance, f)
			}
			var bill, found transaction
			if f := a.call("make_invoice", paramsOf("amount", 5000, "description", "a \"song\" <ü>", "expiry", 60), &bill); f != nil || bill.Amount != 5000 ||
				bill.Type != "incoming" || bill.State != "pending" || bill.Description != "a \"song\" <ü>" || bill.Expires-bill.Made != 60 || bill.Invoice != "lntest5000" {
				t.Errorf("%+v, %+v", bill, f)
			}
			if f := a.call("lookup_invoice", paramsOf("payment_hash", bill.Hash), &found); f != nil || found != bill {
				t.Errorf("%+v, %+v", found, f)
			}
			if f := a.call("lookup_invoice", paramsOf("payment_hash", strings.Repeat("0", 64)), &found); f == nil || f.Code != NotFound {
				t.Errorf("%+v", f)
			}
			if paid, f := a.pay(20_000); f != nil || paid.Preimage == (channels.Hash{}) {
				t.Errorf("%+v, %+v", paid, f)
			}
			var sent payResult
			node := "02" + strings.Repeat("ab", 32)
			if f := a.call("pay_keysend", paramsOf("amount", 700, "pubkey", node, "preimage", strings.Repeat("11", 32),
				"tlv_records", []any{paramsOf("type", 696969, "value", "6869"), paramsOf("type", keysendRecord, "value", strings.Repeat("11", 32))}), &sent); f != nil {
				t.Errorf("%+v", f)
			}
			made := r.wallet.payments()
			if len(made) != 2 || made[0].Invoice != "lntest20000" || made[0].FeeLimit != 210 || made[1].Payee != node || made[1].Amount != 700 ||
				made[1].Preimage[31] != 0x11 || !reflect.DeepEqual(made[1].Records, map[uint64][]byte{696969: []byte("hi")}) {
				t.Errorf("%+v", made)
			}
			var budget map[string]any
			if f := a.call("get_budget", paramsOf(), &budget); f != nil || len(budget) != 0 {
				t.Errorf("%+v, %+v", budget, f)
			}
		})
	}
}

// TestFaults: what is asked wrongly, and what a connection is not for.
func TestFaults(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{})
	node := "02" + strings.Repeat("ab", 32)
	for name, step := range map[string]struct {
		method string
		params any
		want   Code
	}{
		"an unknown method":  {"multi_pay_invoice", paramsOf(), NotImplemented},
		"another network":    {"pay_invoice", paramsOf("invoice", "lnother"), Other},
		"no invoice":         {"pay_invoice", paramsOf("invoice", "x"), Other},
		"no amount":          {"pay_invoice", paramsOf("invoice", "lntest0"), Other},
		"another amount":     {"pay_invoice", paramsOf("invoice", "lntest5", "amount", 6), Other},
		"text for an amount": {"pay_invoice", paramsOf("invoice", "lntest5", "amount", "6"), Other},
		"an array":           {"pay_invoice", []int{1}, Other},
		"no node":            {"pay_keysend", paramsOf("amount", 5, "pubkey", "02ab"), Other},
		"nothing to send":    {"pay_keysend", paramsOf("amount", 0, "pubkey", node), Other},
		"a bad preimage":     {"pay_keysend", paramsOf("amount", 5, "pubkey", node, "preimage", "ab"), Other},
		"a bad record":       {"pay_keysend", paramsOf("amount", 5, "pubkey", node, "tlv_records", []any{paramsOf("type", 5, "value", "ab")}), Other},
		"a long record":      {"pay_keysend", paramsOf("amount", 5, "pubkey", node, "tlv_records", []any{paramsOf("type", 70000, "value", strings.Repeat("ab", 1025))}), Other},
		"a long description": {"make_invoice", paramsOf("amount", 5, "description", strings.Repeat("x", 640)), Other},
		"a short hash":       {"make_invoice", paramsOf("amount", 5, "description_hash", "ab"), Other},
		"an old invoice":     {"make_invoice", paramsOf("amount", 5, "expiry", -1), Other},
		"no hash":            {"lookup_invoice", paramsOf(), Other},
		"a type":             {"list_transactions", paramsOf("type", "both"), Other},
		"far behind":         {"list_transactions", paramsOf("offset", 100_001), Other},
		"before the first":   {"list_transactions", paramsOf("offset", -1), Other},
	} {
		r.clock.pass(time.Second)
		if f := a.call(step.method, step.params, new(any)); f == nil || f.Code != step.want || f.Message == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for err, want := range map[error]Code{
		channels.ErrBalance: InsufficientBalance, channels.ErrPaidBefore: PaymentFailed, channels.ErrExpired: PaymentFailed, channels.ErrInTransit: PaymentFailed,
		channels.ErrNotAllowed: Other, channels.ErrInvoice: Other,
	} {
		r.clock.pass(time.Second)
		r.wallet.set(func(channels.Order) (channels.State, ledger.Msat, error) { return "", 0, fmt.Errorf("here: %w", err) })
		if _, f := a.pay(5000); f == nil || f.Code != want || strings.Contains(f.Message, "here") {
			t.Errorf("%v: %+v", err, f)
		}
	}
	r.wallet.set(func(channels.Order) (channels.State, ledger.Msat, error) { return channels.GaveBack, 0, nil })
	if _, f := a.pay(5000); f == nil || f.Code != PaymentFailed || !strings.Contains(f.Message, "no_route") {
		t.Errorf("%+v", f)
	}
	r.spent(alice, 0, 0)

	b, _ := r.connect(bob, Wanted{Methods: []string{"get_balance"}, Life: time.Hour})
	if _, f := b.pay(5000); f == nil || f.Code != Restricted {
		t.Errorf("%+v", f)
	}
	if f := b.call("get_info", paramsOf(), new(any)); f != nil {
		t.Errorf("%+v", f)
	}
	r.clock.pass(time.Hour)
	if f := b.call("get_balance", paramsOf(), new(any)); f == nil || f.Code != Unauthorized {
		t.Errorf("%+v", f)
	}
	for _, text := range []string{"", "null", "{}", "[", `{"method":7}`} {
		if text == "" {
			continue
		}
		e := a.raw([]byte(text))
		r.relays[0].put(e)
		if s := a.answer(e); s.Error == nil || s.Error.Code != Other {
			t.Errorf("%s: %+v", text, s)
		}
	}
	e := a.ask("get_balance", paramsOf())
	e, err := newEvent(a.key, kindRequest, r.clock.now(), e.Content, []string{"p", a.to.String()}, []string{"encryption", "rot13"})
	if err != nil {
		t.Fatal(err)
	}
	r.relays[0].put(e)
	if s := a.answer(e); s.Error == nil || s.Error.Code != UnsupportedEncryption {
		t.Errorf("%+v", s)
	}
}

// TestIgnored: events that are not to be answered, whoever sends them.
func TestIgnored(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{})
	stranger := &app{r: r, key: newKey(), to: a.to, how: nip44}
	old := a.ask("get_balance", paramsOf())
	r.clock.pass(maxAge + time.Second)
	var late []*event
	late = append(late, old, stranger.ask("get_balance", paramsOf()))
	a.tags = [][]string{{"expiration", fmt.Sprint(r.clock.now().Unix())}}
	late = append(late, a.ask("get_balance", paramsOf()))
	a.tags = nil
	r.clock.pass(maxAhead + time.Second)
	ahead := a.ask("get_balance", paramsOf())
	r.clock.pass(-maxAhead - time.Second)
	late = append(late, ahead)
	garbled := a.ask("get_balance", paramsOf())
	garbled, err := newEvent(a.key, kindRequest, r.clock.now(), garbled.Content[:len(garbled.Content)-8]+"AAAAAAA=", garbled.Tags...)
	if err != nil {
		t.Fatal(err)
	}
	late = append(late, garbled)
	for _, e := range late {
		r.relays[0].put(e)
	}
	if f := a.call("get_balance", paramsOf(), new(any)); f != nil { // which is answered, and came last
		t.Errorf("%+v", f)
	}
	if n := len(r.relays[0].kept(kindResponse)); n != 1 {
		t.Errorf("%d responses", n)
	}
}

// TestList: pages, bounds, and what NIP-47 has no words for.
func TestList(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{})
	now := time.Now()
	for i := range 50 {
		item := channels.Item{
			Rail: channels.Lightning, Incoming: i%2 == 0, State: channels.Settled, Hash: channels.Hash{1, byte(i)}, Preimage: channels.Hash{2, byte(i)},
			Invoice: strings.Repeat("l", 300), Amount: ledger.Msat(i), Fee: 7, Made: now, Settled: now,
		}
		switch i {
		case 48:
			item.Rail = channels.Chain
		case 47:
			item.State = channels.GaveBack
		case 46:
			item.Hash = channels.Hash{}
		}
		r.wallet.invoices = append(r.wallet.invoices, item)
	}
	list := func(p map[string]any) (amounts []ledger.Msat) {
		t.Helper()
		var got struct{ Transactions []transaction }
		if f := a.call("list_transactions", p, &got); f != nil {
			t.Fatalf("%+v", f)
		}
		for _, x := range got.Transactions {
			amounts = append(amounts, x.Amount)
			if x.State == "settled" && (x.Fees != 7 || x.Preimage == "" || x.Settled == 0) {
				t.Errorf("%+v", x)
			}
		}
		return amounts
	}
	if got := list(paramsOf("limit", 3)); !reflect.DeepEqual(got, []ledger.Msat{49, 45, 44}) {
		t.Errorf("%v", got)
	}
	if got := list(paramsOf("limit", 2, "offset", 1, "unpaid", true)); !reflect.DeepEqual(got, []ledger.Msat{47, 45}) {
		t.Errorf("%v", got)
	}
	if got := list(paramsOf("type", "outgoing", "limit", 2)); !reflect.DeepEqual(got, []ledger.Msat{49, 45}) {
		t.Errorf("%v", got)
	}
	if got := list(paramsOf("limit", 1000)); len(got) != maxListed {
		t.Errorf("%d", len(got))
	}
	if got := list(paramsOf("offset", 1000)); len(got) != 0 {
		t.Errorf("%v", got)
	}
	for i := range r.wallet.invoices {
		r.wallet.invoices[i].Invoice = strings.Repeat("l", 20_000)
	}
	if got := list(paramsOf("limit", 20)); len(got) != 2 { // as many as pass a relay
		t.Errorf("%d", len(got))
	}
}

// TestNotifications: in both encryptions, to the connections that want them.
func TestNotifications(t *testing.T) {
	r := newRig(t, 1)
	a, _ := r.connect(alice, Wanted{Notify: true})
	_, _ = r.connect(alice, Wanted{})
	_, _ = r.connect(bob, Wanted{Notify: true})
	in := channels.Item{Rail: channels.Internal, Incoming: true, State: channels.Settled, Hash: channels.Hash{5}, Amount: 77, Made: time.Now(), Settled: time.Now()}
	r.Moved(alice, channels.Item{Rail: channels.Chain, State: channels.Settled, Hash: channels.Hash{4}})
	r.Moved(alice, channels.Item{Rail: channels.Lightning, State: channels.GaveBack, Hash: channels.Hash{4}})
	r.Moved(alice, in)
	for kind, how := range map[int]scheme{kindNotify: nip44, kindNotifyLegacy: nip04} {
		r.eventually("a notification", func() bool { return len(r.relays[0].kept(kind)) > 0 })
		all := r.relays[0].kept(kind)
		text, err := open(how, a.key, all[0].Key, all[0].Content)
		var got struct {
			Type string      `json:"notification_type"`
			What transaction `json:"notification"`
		}
		if err := errors.Join(err, json.Unmarshal(text, &got)); err != nil || got.Type != "payment_received" || got.What.Amount != 77 || len(all) != 1 {
			t.Errorf("%s, %d, %v", text, len(all), err)
		}
	}
	infos := r.relays[0].kept(kindInfo)
	r.eventually("what connections can do", func() bool { infos = r.relays[0].kept(kindInfo); return len(infos) == 3 })
	for _, e := range infos {
		can, _ := e.tag("encryption")
		told, _ := e.tag("notifications")
		if can != "nip44_v2 nip04" || !strings.HasPrefix(e.Content, "pay_invoice ") || strings.HasSuffix(e.Content, " notifications") != (told != "") {
			t.Errorf("%+v", e)
		}
	}
}
