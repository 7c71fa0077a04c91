package hub_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// TestLifeOfAPayment goes the whole way in one process, and once more after a restart.
func TestLifeOfAPayment(t *testing.T) {
	r := newRig(t, setup{fee: 100_000})
	opened, text, err := r.OpenAccount()
	if err != nil || opened.Result() != ledger.Done {
		t.Fatalf("%v, %v", opened.Result(), err)
	}
	reader := ledger.AccountNo(opened.Object())
	if grant, err := r.Verify([]byte(text)); err != nil || grant.Account != reader {
		t.Errorf("the token is for %v, %v", grant.Account, err)
	}
	r.must(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: uint32(reader), Amount: 100_000, ID: newID()})
	creator, publisher, poor := r.account(0), r.account(0), r.account(99)

	r.must(transfer(reader, creator, 1000))
	c := r.channels(reader, creator, 1, 5000)[0]
	r.must(ledger.Op{Kind: ledger.OpAdvance, Actor: reader, Target: uint32(c), Amount: 1234})
	if ch, ok := r.Channel(c); !ok || ch.Total != 1234 || ch.Funded != 5000 {
		t.Errorf("channel %+v", ch)
	}
	if a, _ := r.Account(reader); a.Available != 94_000 || a.Held != 3766 {
		t.Errorf("reader %+v", a)
	}

	w := r.seal(creator, strings.Repeat("a long song. ", 10_000), 10_000)
	w.offer.Payees = []ledger.Payee{{Account: creator, Share: 2}, {Account: publisher, Share: 1}}
	id := r.register(w)
	if content, ok := r.Content(id); !ok || content.Price != 10_000 || content.PriceVersion != 1 || content.Size != uint64(len(w.file)) {
		t.Errorf("content %+v", content)
	}

	var b hub.Batch
	blocks := r.log.count()
	none, key, err := r.Unlock(&b, hub.Purchase{Buyer: poor, Content: id, Max: 10_000})
	if err != nil || none.Result() != ledger.InsufficientFunds || key != (seal.FileKey{}) || none.Seq() != 0 {
		t.Errorf("unpaid: %v, key given: %v, %v", none.Result(), key != (seal.FileKey{}), err)
	}
	if r.log.count() != blocks {
		t.Error("a refusal was logged")
	}
	for _, p := range []struct {
		purchase hub.Purchase
		want     ledger.Result
	}{
		{hub.Purchase{Buyer: reader, Content: id, Max: 9_999}, ledger.PriceTooHigh},
		{hub.Purchase{Buyer: reader, Content: id, PriceVersion: 2}, ledger.PriceChanged},
		{hub.Purchase{Buyer: reader, Content: id}, ledger.OpMalformed},
		{hub.Purchase{Buyer: reader, Content: ledger.ContentID{1}, Max: 1}, ledger.ContentUnknown},
		{hub.Purchase{Buyer: 9999, Content: id, Max: 10_000}, ledger.AccountUnknown},
	} {
		if a, key, err := r.Unlock(&b, p.purchase); err != nil || a.Result() != p.want || key != (seal.FileKey{}) {
			t.Errorf("%+v: %v, %v", p.purchase, a.Result(), err)
		}
	}

	paid, key, err := r.Unlock(&b, hub.Purchase{Buyer: reader, Content: id, PriceVersion: 1})
	if err != nil || paid.Result() != ledger.Done || paid.Amount() != 10_000 || !w.opens(key) {
		t.Fatalf("unlock: %v of %d, opens %v, %v", paid.Result(), paid.Amount(), w.opens(key), err)
	}
	want := map[ledger.AccountNo]int64{reader: 84_000, creator: 1000 + 1234 + 6000, publisher: 3000, ledger.Fees: 1000, poor: 99}
	check := func(when string) {
		t.Helper()
		for no, n := range want {
			if got := r.balance(no); got != n {
				t.Errorf("%s: %v has %d, want %d", when, no, got, n)
			}
		}
	}
	check("after the unlock")
	again := func(when string) {
		t.Helper()
		a, key2, err := r.Unlock(&b, hub.Purchase{Buyer: reader, Content: id, PriceVersion: 1})
		if err != nil || a.Result() != ledger.Repeated || a.Seq() != paid.Seq() || a.Amount() != 10_000 || key2 != key {
			t.Errorf("%s: %v, seq %d of %d, %v", when, a.Result(), a.Seq(), paid.Seq(), err)
		}
		if key3, err := r.Release(a); err != nil || key3 != key {
			t.Errorf("%s: release: %v", when, err)
		}
		check(when)
	}
	again("repeated")
	if a, key, err := r.Unlock(&b, hub.Purchase{Buyer: creator, Content: id, Max: 1}); err != nil || a.Result() != ledger.Repeated || !w.opens(key) {
		t.Errorf("the seller's own: %v, %v", a.Result(), err)
	}
	r.stop()
	r.start()
	again("after a restart")
	if err := r.cfgRing().Rotate(time.Now()); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	again("after a rotation of the hub's keys")
	r.stop()
	audit(t, r.dir)
}

// cfgRing is another holder of the hub's keyring file.
func (r *rig) cfgRing() *keyring.Ring {
	ring, err := keyring.Open(filepath.Join(r.dir, "keys"), keyring.KEK{1})
	if err != nil {
		r.t.Fatal(err)
	}
	return ring
}

func TestRegister(t *testing.T) {
	r := newRig(t, setup{})
	seller, other := r.account(0), r.account(0)
	w := r.seal(seller, "a work", 500)
	id := r.register(w)
	blocks, seq := r.log.count(), r.metric("millrace_ledger_seq", "")

	if got, a, err := r.Register(w.offer); err != nil || got != id || a.Result() != ledger.Repeated {
		t.Errorf("the same again: %v, %v", a.Result(), err)
	}
	stranger, err := keyring.Create(filepath.Join(t.TempDir(), "keys"), keyring.KEK{2}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bent := func(change func(*hub.Offer)) hub.Offer {
		o := r.seal(seller, "another", 500).offer
		o.Header = bytes.Clone(o.Header)
		change(&o)
		return o
	}
	for name, o := range map[string]hub.Offer{
		"no header":     bent(func(o *hub.Offer) { o.Header = nil }),
		"no age":        bent(func(o *hub.Offer) { o.Header = []byte("hello\n") }),
		"cut header":    bent(func(o *hub.Offer) { o.Header = o.Header[:len(o.Header)-1] }),
		"longer header": bent(func(o *hub.Offer) { o.Header = append(o.Header, "x"...) }),
		"another's MAC": bent(func(o *hub.Offer) {
			o.Header = append(o.Header[:len(o.Header)-44], w.offer.Header[len(w.offer.Header)-44:]...)
		}),
		"foreign origin":   sealFor(t, r.SealingKeys()[0], "https://hub.example", ledger.ContentID{1}, seller, "x", 5).offer,
		"foreign key":      sealFor(t, stranger.Public(), testOrigin, ledger.ContentID{1}, seller, "x", 5).offer,
		"no commitment":    bent(func(o *hub.Offer) { o.Commitment = [32]byte{} }),
		"one bit off":      bent(func(o *hub.Offer) { o.Commitment[31] ^= 1 }),
		"another's":        bent(func(o *hub.Offer) { o.Commitment = w.offer.Commitment }),
		"no title":         bent(func(o *hub.Offer) { o.Title = "" }),
		"long title":       bent(func(o *hub.Offer) { o.Title = strings.Repeat("x", ledger.MaxTitle+1) }),
		"control in title": bent(func(o *hub.Offer) { o.Title = "a\nb" }),
		"title not UTF-8":  bent(func(o *hub.Offer) { o.Title = "a\xff" }),
		"17 payees":        bent(func(o *hub.Offer) { o.Payees = payees(17, seller) }),
	} {
		if _, a, err := r.Register(o); !errors.Is(err, hub.ErrOffer) || a.Result() != ledger.Undecided {
			t.Errorf("%s: %v, %v", name, a.Result(), err)
		}
	}
	moved := bent(func(o *hub.Offer) {}) // the content id is in the clear: whoever changes it has a stanza that does not open
	hexID := []byte(headerID(t, moved.Header).String())
	moved.Header = bytes.Replace(moved.Header, hexID, []byte(id.String()), 1)
	if _, _, err := r.Register(moved); !errors.Is(err, hub.ErrOffer) {
		t.Errorf("stanza moved to another content: %v", err)
	}
	for name, c := range map[string]struct {
		offer hub.Offer
		want  ledger.Result
	}{
		"another price":  {func() hub.Offer { o := w.offer; o.Price = 501; return o }(), ledger.ContentExists},
		"another seller": {func() hub.Offer { o := w.offer; o.Seller = other; return o }(), ledger.ContentExists},
		"another title":  {func() hub.Offer { o := w.offer; o.Title = "b"; return o }(), ledger.ContentExists},
		"free":           {bent(func(o *hub.Offer) { o.Price = 0 }), ledger.AmountZero},
		"too dear":       {bent(func(o *hub.Offer) { o.Price = ledger.MaxMsat + 1 }), ledger.AmountTooLarge},
		"unknown seller": {bent(func(o *hub.Offer) { o.Seller = 999 }), ledger.AccountUnknown},
		"unknown payee":  {bent(func(o *hub.Offer) { o.Payees = []ledger.Payee{{Account: 999, Share: 1}} }), ledger.PayeeUnknown},
		"payee twice": {bent(func(o *hub.Offer) {
			o.Payees = []ledger.Payee{{Account: seller, Share: 1}, {Account: seller, Share: 1}}
		}), ledger.SplitInvalid},
		"no share": {bent(func(o *hub.Offer) { o.Payees = []ledger.Payee{{Account: seller}} }), ledger.SplitInvalid},
		"share too large": {bent(func(o *hub.Offer) {
			o.Payees = []ledger.Payee{{Account: seller, Share: ledger.MaxShare + 1}}
		}), ledger.SplitInvalid},
		"key of another": {sameKey(t, r, w, other), ledger.CommitmentTaken},
	} {
		if _, a, err := r.Register(c.offer); err != nil || a.Result() != c.want {
			t.Errorf("%s: %v, %v; want %v", name, a.Result(), err, c.want)
		}
	}
	if r.log.count() != blocks || r.metric("millrace_ledger_seq", "") != seq || r.metric("millrace_contents", "") != 1 {
		t.Error("something was logged")
	}
	sixteen := bent(func(o *hub.Offer) { o.Title, o.Payees = strings.Repeat("é", 100), nil })
	for range ledger.MaxPayees {
		sixteen.Payees = append(sixteen.Payees, ledger.Payee{Account: r.account(0), Share: ledger.MaxShare})
	}
	if _, a, err := r.Register(sixteen); err != nil || a.Result() != ledger.Done {
		t.Errorf("the largest offer: %v, %v", a.Result(), err)
	}
	r.stop()
}

func payees(n int, first ledger.AccountNo) (all []ledger.Payee) {
	for i := range n {
		all = append(all, ledger.Payee{Account: first + ledger.AccountNo(i), Share: 1})
	}
	return all
}

func headerID(t *testing.T, raw []byte) ledger.ContentID {
	t.Helper()
	h, err := seal.ParseHeader(raw)
	if err != nil {
		t.Fatal(err)
	}
	return h.Content
}

// sameKey is what a thief who bought a work offers: its file key in a new header, under a content id of his own. age's
// writer makes a fresh key for each file, so the header is made by hand.
func sameKey(t *testing.T, r *rig, w work, thief ledger.AccountNo) hub.Offer {
	t.Helper()
	h, err := seal.ParseHeader(w.offer.Header)
	if err != nil {
		t.Fatal(err)
	}
	key, err := r.cfgRing().OpenHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	raw := relist(t, r.SealingKeys()[0], key, ledger.ContentID{0xee})
	return hub.Offer{Seller: thief, Header: raw, Commitment: seal.Commitment(key), Title: "mine", Price: 1, Size: 1}
}

// relist writes an age header (C2SP age.md) with a file key that is known.
func relist(t *testing.T, to seal.PublicKey, key seal.FileKey, id ledger.ContentID) []byte {
	t.Helper()
	recipient, err := seal.NewRecipient(to, testOrigin, id)
	if err != nil {
		t.Fatal(err)
	}
	stanzas, err := recipient.Wrap(key[:])
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b64 := base64.RawStdEncoding
	for _, s := range stanzas {
		fmt.Fprintf(&b, "age-encryption.org/v1\n-> %s %s\n%s\n---", s.Type, strings.Join(s.Args, " "), b64.EncodeToString(s.Body))
	}
	macKey, err := hkdf.Key(sha256.New, key[:], nil, "header", 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, macKey)
	mac.Write(b.Bytes())
	fmt.Fprintf(&b, " %s\n", b64.EncodeToString(mac.Sum(nil)))
	return b.Bytes()
}

// TestRelease: nothing but the outcome of an unlock that was paid yields a key.
func TestRelease(t *testing.T) {
	r := newRig(t, setup{})
	seller, buyer := r.account(0), r.account(1000)
	id := r.register(r.seal(seller, "a work", 500))
	c := r.channels(buyer, seller, 1, 100)[0]
	unlock := ledger.Op{Kind: ledger.OpUnlock, Actor: buyer, ID: id, Version: 1}
	outcomes := map[string]ledger.Applied{
		"zero":       {},
		"transfer":   r.must(transfer(buyer, seller, 1))[0],
		"advance":    r.must(ledger.Op{Kind: ledger.OpAdvance, Actor: buyer, Target: uint32(c), Amount: 1})[0],
		"no advance": r.submit(ledger.Op{Kind: ledger.OpAdvance, Actor: buyer, Target: uint32(c), Amount: 1})[0],
		"reprice":    r.must(ledger.Op{Kind: ledger.OpReprice, Actor: seller, ID: id, Version: 1, Amount: 600})[0],
		"refused":    r.submit(unlock)[0],
		"opening":    r.must(ledger.Op{Kind: ledger.OpOpenAccount, ID: newID()})[0],
	}
	retire := r.must(ledger.Op{Kind: ledger.OpRetire, Actor: seller, ID: id})[0]
	outcomes["retire"] = retire
	released := r.metric("millrace_secrets_released_total", "")
	for name, a := range outcomes {
		if key, err := r.Release(a); err == nil || key != (seal.FileKey{}) {
			t.Errorf("%s: a key, %v", name, err)
		}
	}
	if r.metric("millrace_secrets_released_total", "") != released {
		t.Error("counted as released")
	}
	own := r.submit(ledger.Op{Kind: ledger.OpUnlock, Actor: seller, ID: id, Version: 1})[0]
	if _, err := r.Release(own); err != nil || own.Result() != ledger.Repeated {
		t.Errorf("the seller's own: %v, %v", own.Result(), err)
	}
	r.stop()
}
