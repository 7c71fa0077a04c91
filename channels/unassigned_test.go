package channels

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// stranger is an account that the ledger does not know, and that the records have an address of: as beside a ledger that was put back
// from a backup.
const stranger ledger.AccountNo = 4000

// lost writes an address of the stranger's.
func (r *rig) lost() string {
	r.t.Helper()
	const address = "addrlost"
	if err := r.memory.Write(Row{Key: rowKey(keyAddress, []byte(address)), Value: accountBytes(stranger)}); err != nil {
		r.t.Fatal(err)
	}
	return address
}

// TestRefusedCredit: a deposit that the ledger will never credit waits for an operator, who assigns it to another account.
func TestRefusedCredit(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	ref := Ref{r.chain.pay(Output{[]byte(r.lost()), 200_000}).id, 0}
	r.deposited(stranger, ref, DepositPending)
	r.chain.mine(3)
	if i := r.incident("unassigned"); i.Subject != ref.String() || i.Account != stranger || i.Amount != 200_000_000 {
		t.Errorf("%+v", i)
	}
	r.crash()
	if d := r.deposited(0, ref, DepositUnassigned); d.Credit != (ID{}) {
		t.Errorf("%+v", d)
	}
	if list, _, err := r.Deposits(stranger, true, Page{}); err != nil || len(list) != 0 {
		t.Errorf("it is still on the list of the account that it was refused for: %+v, %v", list, err)
	}
	if err := r.Assign(ref, stranger); !errors.Is(err, ErrTarget) {
		t.Errorf("to an account that there is not: %v", err)
	}
	r.chain.undo(3, true) // and what comes of it when it is not even in the chain
	r.incident("reorganised")
	if err := r.Assign(ref, to); !errors.Is(err, ErrNoItem) {
		t.Errorf("of what is not in the chain: %v", err)
	}
	r.has(to, 0, 0)
	r.chain.mu.Lock()
	r.chain.blocks = append(r.chain.blocks, []*transaction{r.chain.known[ref.Hash]})
	r.chain.changed()
	r.chain.mu.Unlock()
	r.eventually("it is in the chain again", func() bool { list, _ := r.Incidents(0); return len(list) == 1 })
	if err := r.Assign(ref, to); err != nil {
		t.Fatal(err)
	}
	r.deposited(to, ref, DepositCredited)
	if list, _, err := r.Deposits(to, true, Page{}); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	r.chain.mine(buried)
	r.eventually("nothing is watched", func() bool { keys, _ := r.keysUnder(keyWatch, nil, 10); return len(keys) == 0 })
	r.crash()
	r.has(to, 200_000_000, 0)
	if list, _ := r.Incidents(1); len(list) != 1 || list[0].Closed.IsZero() {
		t.Errorf("%+v", list)
	}
}

// TestManyNobodys: strangers who send money to nobody neither fill the list of incidents, nor hide what they have sent.
func TestManyNobodys(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	const many = MaxOfKind + 20
	var refs []Ref
	for i := range many {
		hash := Hash{1, byte(i), byte(i >> 8)}
		refs = append(refs, LightningRef(hash))
		if err := r.receive(&Receipt{Hash: hash, Amount: 1000, Time: r.now(), Keysend: true}); err != nil {
			t.Fatal(err)
		}
	}
	r.Raise(Incident{Kind: "stuck", Subject: "x", Text: "another kind"})
	r.crash()
	list, err := r.Incidents(0)
	if err != nil || len(list) != MaxOfKind+2 {
		t.Errorf("%d incidents, %v", len(list), err)
	}
	r.incident("stuck")
	var found []Deposit
	for g := (Page{Most: 200}); ; {
		page, next, err := r.Unassigned(g)
		if err != nil {
			t.Fatal(err)
		}
		if found = append(found, page...); next == nil {
			break
		}
		g.Before = next
	}
	if len(found) != many {
		t.Errorf("%d of %d deposits are listed", len(found), many)
	}
	last := refs[many-1] // it has no incident of its own
	if err := r.Assign(last, to); err != nil {
		t.Fatal(err)
	}
	r.has(to, 1000, 0)
	if left, _, err := r.Unassigned(Page{}); err != nil || len(left) != many-1 {
		t.Errorf("%d are left, %v", len(left), err)
	}
}

// nobodys are stories of money that nobody knows the owner of: whenever it waits, an operator hears of it; and it is assigned once.
func nobodys() []story {
	assigned := func(r *rig, s *pays, ref Ref, from ledger.AccountNo) error {
		d, err := r.Deposit(s.to, ref)
		if err == nil && d.Status == DepositCredited {
			return nil
		}
		if d, err = r.Deposit(0, ref); err != nil || d.Status != DepositUnassigned {
			return fmt.Errorf("%w: %s, %v", errNotYet, d.Status, err)
		}
		list, err := r.Incidents(0)
		if err != nil {
			return err
		}
		r.memory.mu.Lock()
		dead := r.memory.dead
		r.memory.mu.Unlock()
		if dead { // and what was written last this process does not know
			return errNotYet
		}
		if len(list) != 1 || list[0].Kind != "unassigned" || list[0].Account != from {
			r.t.Errorf("it waits for its owner, and the incidents are %+v", list)
		}
		_ = r.Assign(ref, s.to)
		return errNotYet
	}
	check := func(amount int64) func(r *rig, s any) {
		return func(r *rig, s any) {
			r.has(s.(*pays).to, amount, 0)
			if list, _ := r.Incidents(0); len(list) != 0 {
				r.t.Errorf("%+v", list)
			}
		}
	}
	return []story{
		{"keysend to nobody", func(r *rig) any { return &pays{to: r.account(0)} }, func(r *rig, state any) error {
			s := state.(*pays)
			if s.hash == (Hash{}) {
				s.hash = Hash{2}
				r.node.settle(s.hash, 61_000, nil)
			}
			return assigned(r, s, LightningRef(s.hash), 0)
		}, nil, check(61_000)},
		{"refused deposit", func(r *rig) any {
			s := &pays{to: r.account(0)}
			s.hash = r.chain.pay(Output{[]byte(r.lost()), 200_000}).id
			return s
		}, func(r *rig, state any) error {
			s := state.(*pays)
			return assigned(r, s, Ref{s.hash, 0}, stranger)
		}, func(r *rig) { r.chain.mine(1) }, check(200_000_000)},
	}
}
