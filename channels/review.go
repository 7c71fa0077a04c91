package channels

import (
	"encoding/json"
	"errors"
	"fmt"
)

// What a reviewer of the records reads, who compares them with the node's own (channels/audit). Nothing here changes anything.

// DepositsOf are the deposits of a payment hash (one at most) or of a transaction, whoever's they are.
func (r *Rails) DepositsOf(hash Hash) (list []Deposit, err error) {
	err = scan(r, rowKey(keyDeposit, hash[:]), func(_ []byte, d *Deposit) error {
		list = append(list, *d)
		return nil
	})
	return list, err
}

// PayerOf is the payout that pays, paid or was to pay over Lightning what has a payment hash. False: there is none.
func (r *Rails) PayerOf(hash Hash) (p Payout, found bool, err error) {
	var key Key
	if found, err = r.read(rowKey(keyPaying, hash[:]), &key); err != nil || !found {
		return p, false, err
	}
	p, _, err = r.find(key)
	return p, err == nil, err
}

// EachDeposit calls f with every deposit there is, in the order of their hashes, until f fails; it returns that error.
func (r *Rails) EachDeposit(f func(*Deposit) error) error {
	return scan(r, []byte(keyDeposit), func(_ []byte, d *Deposit) error { return f(d) })
}

// EachPayer calls f with every payout that has, or had, a payment hash of its own, in the order of the hashes, until f fails; it returns
// that error. Of several that were to pay the same it is the last.
func (r *Rails) EachPayer(f func(*Payout) error) error {
	return scan(r, []byte(keyPaying), func(_ []byte, key *Key) error {
		p, _, err := r.find(*key)
		if err != nil {
			return err
		}
		return f(&p)
	})
}

// EachBatch calls f with every batch there ever was, in no order, until f fails; it returns that error.
func (r *Rails) EachBatch(f func(*Batch) error) error {
	return scan(r, []byte(keyBatch), func(_ []byte, b *Batch) error { return f(b) })
}

// scan reads all records under a prefix, one after the other.
func scan[T any](r *Rails, prefix []byte, f func(key []byte, value *T) error) error {
	var failed error
	err := r.records.Scan(prefix, nil, func(key, text []byte) bool {
		value := new(T)
		if failed = json.Unmarshal(text, value); failed != nil {
			failed = fmt.Errorf("reading %q: %w", key, failed)
		} else {
			failed = f(key[len(prefix):], value)
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}
