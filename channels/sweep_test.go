package channels

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestGoRound: what can be done nothing about holds up none behind it, and all come again.
func TestGoRound(t *testing.T) {
	r := newRig(t, nil)
	r.stop()
	r.memory = r.memory.clone()
	rails, err := New(r.cfg) // that do not move
	if err != nil {
		t.Fatal(err)
	}
	const all = 3*sweepVain + 50
	for i := range all {
		if err := r.cfg.Records.Write(Row{Key: fmt.Appendf(nil, "test/%04d", i), Value: []byte{}}); err != nil {
			t.Fatal(err)
		}
	}
	var o round
	asked := make(map[string]int)
	odd := errors.New("odd")
	var cause error
	look := func(most int) (n int, err error) {
		err = rails.goRound(&o, "test/", most, func(key []byte) (bool, error) {
			n++
			asked[string(key)]++
			return string(key) < "0340", cause
		})
		return n, err
	}
	cause = odd
	for i, want := range []int{sweepVain, sweepVain, sweepVain, 41, sweepVain} {
		if n, err := look(1000); n != want || !errors.Is(err, odd) {
			t.Errorf("look %d: %d keys, %v", i, n, err)
		}
	}
	if len(asked) != 341 || asked["0000"] != 2 || asked["0339"] != 1 {
		t.Errorf("%d keys, the first %d times", len(asked), asked["0000"])
	}
	cause = ErrDown
	if n, err := look(1000); n != 1 || asked["0100"] != 2 || !errors.Is(err, ErrDown) {
		t.Errorf("a node that does not answer: asked about %d, %v", n, err)
	}
	cause = nil
	if n, err := look(150); n != 150 || asked["0250"] != 2 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	if n, err := look(1000); n != 90 || o != nil || err != nil {
		t.Errorf("the rest: %d keys, %v", n, err)
	}
}

// TestOddInvoice: an invoice about which the node has no answer does not keep those behind it from their end, nor does a key that is none.
func TestOddInvoice(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	var all []Deposit
	for i := range 3 {
		d, err := r.NewInvoice(t.Context(), to, NewInvoice{Amount: 1, Expiry: time.Minute + time.Duration(i)*time.Second})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if err := r.memory.Write(Row{Key: rowKey(keyUnpaid, []byte{0}), Value: []byte{}}, Row{Key: rowKey(keyExpired, []byte{0}), Value: []byte{}}); err != nil {
		t.Fatal(err)
	}
	r.node.mu.Lock()
	r.node.mute = map[Hash]bool{all[0].Hash: true}
	r.node.mu.Unlock()
	r.clock.forward(10 * time.Minute)
	r.deposited(to, all[1].Ref, DepositExpired)
	r.deposited(to, all[2].Ref, DepositExpired)
	r.node.mu.Lock()
	r.node.mute = nil
	r.node.mu.Unlock()
	r.deposited(to, all[0].Ref, DepositExpired)
	r.clock.forward(keepExpired + time.Hour)
	r.eventually("they are forgotten", func() bool { list, _, err := r.Deposits(to, true, Page{}); return err == nil && len(list) == 0 })
}

// TestOddCoins: a coin that cannot be looked up, and one whose record cannot be read, hold up no others; and the height from which the
// wallet is asked for coins stays below what could not be taken in.
func TestOddCoins(t *testing.T) {
	r := newRig(t, nil)
	to := r.account(0)
	address, err := r.NewAddress(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	pay := func() Ref { return Ref{r.chain.pay(Output{[]byte(address), 50_000}).id, 0} }
	odd := pay()
	r.deposited(to, odd, DepositPending)
	r.chain.mu.Lock()
	r.chain.mute = map[Hash]bool{odd.Hash: true}
	tx := &transaction{Outs: []Output{{[]byte(address), 70_000}}, Salt: -1, foreign: true, Fee: 1000}
	tx.seal()
	broken := Ref{tx.id, 0}
	r.chain.mu.Unlock()
	key := rowKey(keyDeposit, broken.bytes())
	if err := r.memory.Write(Row{Key: key, Value: []byte("no JSON")}); err != nil {
		t.Fatal(err)
	}
	r.chain.mu.Lock()
	r.chain.mempool = append(r.chain.mempool, tx)
	r.chain.changed()
	r.chain.mu.Unlock()
	r.chain.mine(2 * buried)
	for range 20 { // in the order of their hashes some are behind the odd one
		ref := pay()
		r.chain.mine(1)
		r.deposited(to, ref, DepositCredited)
	}
	if since, err := r.mark(coinsMark); err != nil || since != 0 {
		t.Errorf("asked from height %d on, and a coin below is not taken in: %v", since, err)
	}
	r.chain.mu.Lock()
	r.chain.mute = nil
	r.chain.mu.Unlock()
	r.deposited(to, odd, DepositCredited)
	if err := r.memory.Write(Row{Key: key}); err != nil {
		t.Fatal(err)
	}
	r.deposited(to, broken, DepositCredited)
	r.eventually("it is asked from higher up", func() bool { since, _ := r.mark(coinsMark); return since > buried })
	r.has(to, (21*50_000+70_000)*1000, 0)
}
