package hub_test

import (
	"testing"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// TestReleaseUnit: the outcome of a unit's unlock gives that unit's key, and never the work's.
func TestReleaseUnit(t *testing.T) {
	r := newRig(t, setup{})
	seller, buyer := r.account(0), r.account(1000)
	id := r.register(r.seal(seller, "a film", 500))
	if a, err := r.SetTerms(seller, id, 1, 10, ledger.Terms{Units: 3, FreeUnits: 1}); err != nil || a.Result() != ledger.Done {
		t.Fatal(a.Result(), err)
	}
	whole := r.submit(ledger.Op{Kind: ledger.OpUnlock, Actor: seller, ID: id, Version: 2})[0]
	file, err := r.Release(whole)
	if err != nil {
		t.Fatal(err)
	}
	for unit, want := range []struct {
		result ledger.Result
		paid   ledger.Msat
	}{{ledger.Repeated, 0}, {ledger.Done, 10}, {ledger.Done, 10}} {
		op := ledger.Op{Kind: ledger.OpUnlockUnit, Actor: buyer, Target: uint32(unit), ID: id, Amount: 10}
		for range 2 {
			a := r.submit(op)[0]
			key, err := r.ReleaseUnit(a)
			if err != nil || a.Result() != want.result || a.Amount() != want.paid || key != file.Unit(uint32(unit)) {
				t.Errorf("unit %d: %v for %d msat, %v", unit, a.Result(), a.Amount(), err)
			}
			if key, err := r.Release(a); err == nil || key != (seal.FileKey{}) {
				t.Errorf("unit %d gives the whole: %v", unit, err)
			}
			want.result = ledger.Repeated
		}
	}
	for what, a := range map[string]ledger.Applied{
		"the work": whole, "nothing": {},
		"a unit that there is not": r.submit(ledger.Op{Kind: ledger.OpUnlockUnit, Actor: buyer, Target: 3, ID: id, Amount: 10})[0],
		"a gift":                   r.submit(ledger.Op{Kind: ledger.OpGift, Actor: buyer, Target: uint32(seller), ID: id, Amount: 10})[0],
	} {
		if key, err := r.ReleaseUnit(a); err == nil || key != (seal.UnitKey{}) {
			t.Errorf("%s: a unit's key, %v", what, err)
		}
	}
	gift := r.submit(ledger.Op{Kind: ledger.OpGift, Actor: buyer, Target: uint32(seller), ID: id, Amount: 10})[0]
	if _, err := r.Release(gift); err == nil || gift.Result() != ledger.Repeated {
		t.Errorf("a gift (%v) opens the work for the giver", gift.Result())
	}
}
