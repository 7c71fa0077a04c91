package channels

import "testing"

// TestDecidedFee: what an operator decides was paid costs the account what the node's record says, and has its proof; without a record
// there is no fee.
func TestDecidedFee(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Gate = new(mayGo).gate })
	from := r.account(10_000)
	text, hash := r.node.foreign(1000, behaviour{})
	q := r.request(from, text, 0, 100)
	unknown, _ := r.node.foreign(2000, behaviour{})
	other := r.request(from, unknown, 0, 100)
	for _, q := range []Request{q, other} {
		r.withdraw(q)
		r.ends(q.Key, Held)
	}
	backup := r.memory.clone()
	r.stop()
	r.node.begin(Payment{Hash: hash, FeeLimit: 100}, behaviour{fee: 7})
	r.restore(backup)
	r.incident("foreign")
	for _, key := range []Key{q.Key, other.Key} {
		if _, err := r.Decide(key, true, "the node says so"); err != nil {
			t.Fatal(err)
		}
	}
	if p := r.ends(q.Key, Done); p.Fee != 7 || p.Proof == (Hash{}) || !p.Decided {
		t.Error(shown(p))
	}
	if p := r.ends(other.Key, Done); p.Fee != 0 || p.Proof != (Hash{}) {
		t.Error(shown(p))
	}
	r.has(from, 10_000-1007-2000, 0)
}
