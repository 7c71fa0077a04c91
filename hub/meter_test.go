package hub_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// units is an offer of a work of 10 units, the first two free, and its file key.
func (r *rig) units(seller ledger.AccountNo, price ledger.Msat) (hub.Offer, seal.FileKey) {
	r.t.Helper()
	var file bytes.Buffer
	var given seal.FileKey
	s, err := seal.SealUnits(&file, r.SealingKeys()[0], testOrigin, ledger.ContentID(newID()), func(key seal.FileKey) ([]byte, uint32, error) {
		given = key
		return []byte("{}"), 10, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return hub.Offer{Seller: seller, Header: s.Header, Commitment: s.Commitment, Title: "a work", Price: price, Size: uint64(s.Size), FileSHA256: s.SHA256, FreeUnits: 2}, given
}

// TestUnits: a unit is bought once and released again for nothing, after a restart, too; nobody gets the key of the whole.
func TestUnits(t *testing.T) {
	r := newRig(t, setup{fee: 100_000})
	seller, buyer, poor := r.account(0), r.account(1000), r.account(99)
	offer, file := r.units(seller, 100)
	id, a, err := r.Register(offer)
	if err != nil || a.Result() != ledger.Done {
		t.Fatalf("register: %v, %v", a.Result(), err)
	}
	m, ok := r.Meter(id)
	if want := (hub.Meter{Seller: seller, Price: 100, PriceVersion: m.PriceVersion, Units: 10, Free: 2}); !ok || m != want {
		t.Fatalf("meter %+v, want %+v", m, want)
	}
	if _, a, err := r.Register(offer); err != nil || a.Result() != ledger.Repeated {
		t.Errorf("registered again: %v, %v", a.Result(), err)
	}
	var b hub.Batch
	unlock := func(p hub.UnitPurchase, want ledger.Result) {
		t.Helper()
		p.Content = id
		a, key, err := r.UnlockUnit(&b, p)
		if wanted := file.Unit(p.Unit); err != nil || a.Result() != want || want.OK() != (key == wanted) {
			t.Errorf("%+v: %v, want %v; %v", p, a.Result(), want, err)
		}
	}
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 3, Max: 100}, ledger.Done)
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 3, Max: 1}, ledger.Repeated)
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 4, PriceVersion: m.PriceVersion}, ledger.Done)
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 0, Max: 1}, ledger.Repeated)
	unlock(hub.UnitPurchase{Buyer: seller, Unit: 9, Max: 1}, ledger.Repeated)
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 5, Max: 99}, ledger.PriceTooHigh)
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 5, PriceVersion: m.PriceVersion + 1}, ledger.PriceChanged)
	unlock(hub.UnitPurchase{Buyer: poor, Unit: 5, Max: 100}, ledger.InsufficientFunds)
	if r.balance(buyer) != 800 || r.balance(seller) != 180 {
		t.Errorf("buyer %d, seller %d", r.balance(buyer), r.balance(seller))
	}
	for unit, want := range map[uint32]bool{0: true, 1: true, 2: false, 10: false} {
		key, found, err := r.FreeUnit(&b, id, unit)
		if wanted := file.Unit(unit); err != nil || found != want || found != (key == wanted) {
			t.Errorf("free unit %d: %v, %v", unit, found, err)
		}
	}
	if a, key, err := r.Unlock(&b, hub.Purchase{Buyer: buyer, Content: id, Max: 1000}); err != nil || a.Result().OK() || key != (seal.FileKey{}) {
		t.Errorf("the whole: %v, %v", a.Result(), err)
	}
	a, _, err = r.UnlockUnit(&b, hub.UnitPurchase{Buyer: buyer, Content: id, Unit: 3, Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Release(a); err == nil {
		t.Error("a unit's outcome released the file key")
	}
	whole := r.register(r.seal(seller, "a work", 100))
	if _, ok := r.Meter(whole); ok {
		t.Error("a work that is sold whole has a meter")
	}
	a, _, err = r.Unlock(&b, hub.Purchase{Buyer: buyer, Content: whole, Max: 100})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReleaseUnit(a); err == nil {
		t.Error("a work's outcome released the key of a unit")
	}
	r.stop()
	r.start()
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 3, Max: 1}, ledger.Repeated)
	unlock(hub.UnitPurchase{Buyer: buyer, Unit: 4, Max: 1}, ledger.Repeated)
	r.stop()
	audit(t, r.dir)
}

// TestRegisterUnitsTorn: a hub that ends between the two entries that put metered work on sale sells it to nobody, and registering it
// again puts it on sale.
func TestRegisterUnitsTorn(t *testing.T) {
	r := newRig(t, setup{})
	seller, buyer := r.account(0), r.account(1_000_000)
	offer, file := r.units(seller, 100)
	r.log.failAfter(1)
	if _, a, err := r.Register(offer); err == nil {
		t.Fatalf("register: %v", a.Result())
	}
	<-r.fatal
	r.stop()
	r.start()
	id := headerID(t, offer.Header)
	var b hub.Batch
	if a, _, err := r.Unlock(&b, hub.Purchase{Buyer: buyer, Content: id, Max: ledger.MaxMsat}); err != nil || a.Result() != ledger.InsufficientFunds {
		t.Errorf("the whole: %v, %v", a.Result(), err)
	}
	if _, ok := r.Meter(id); ok {
		t.Error("there are units already")
	}
	if _, _, err := r.Register(offer); err != nil {
		t.Fatal(err)
	}
	if a, key, err := r.UnlockUnit(&b, hub.UnitPurchase{Buyer: buyer, Content: id, Unit: 5, Max: 100}); err != nil || a.Result() != ledger.Done || key != file.Unit(5) {
		t.Errorf("a unit: %v, %v", a.Result(), err)
	}
}

func TestRegisterUnitsRefuses(t *testing.T) {
	r := newRig(t, setup{})
	seller := r.account(0)
	offer, _ := r.units(seller, 100)
	offer.FreeUnits = 11
	if _, _, err := r.Register(offer); !errors.Is(err, hub.ErrOffer) {
		t.Errorf("more free units than there are: %v", err)
	}
	whole := r.seal(seller, "a work", 100).offer
	whole.FreeUnits = 1
	if _, _, err := r.Register(whole); !errors.Is(err, hub.ErrOffer) {
		t.Errorf("free units of a work that is sold whole: %v", err)
	}
	offer.FreeUnits, offer.Price = 2, 0
	if _, _, err := r.Register(offer); !errors.Is(err, hub.ErrOffer) {
		t.Errorf("for nothing: %v", err)
	}
	if _, ok := r.Content(headerID(t, offer.Header)); ok {
		t.Error("registered, though it has no price")
	}
}
