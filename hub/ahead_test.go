package hub_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/hub"
)

// TestIndexAhead: a log that has lost its end, beside an index that has not, is refused: ids and entitlements of payments that
// nobody has any more would count, and a key be released for one of them. Without the index, the hub goes on with what the log has.
func TestIndexAhead(t *testing.T) {
	r := newRig(t, setup{fee: 10_000})
	seller, alice, bob := r.account(0), r.account(10_000), r.account(0)
	id := r.register(r.seal(seller, "a work", 1000))
	r.stop()
	dir := withKeys(t, r.dir, copyFolder(t, r.dir))
	r.start()
	r.must(transfer(alice, bob, 1))
	if _, _, err := r.Unlock(&hub.Batch{}, hub.Purchase{Buyer: alice, Content: id, PriceVersion: 1}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	newer := copyFolder(t, r.dir)
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "index")), os.Rename(filepath.Join(newer, "index"), filepath.Join(dir, "index"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "WATERMARK")); err != nil {
		t.Fatal(err)
	}
	h, s, err := openHub(dir, hub.Config{}, func(error) {})
	if err == nil {
		err = h.Start(s)
	}
	if err == nil {
		t.Fatal("started beside an index that is ahead of its log")
	}
	if s != nil {
		_ = s.Close()
	}
	t.Log(err)

	lost := withKeys(t, dir, copyFolder(t, dir))
	if err := os.RemoveAll(filepath.Join(lost, "index")); err != nil {
		t.Fatal(err)
	}
	r.dir = lost
	r.start()
	if r.balance(alice) != 10_000 || r.balance(bob) != 0 {
		t.Errorf("alice has %d, bob %d", r.balance(alice), r.balance(bob))
	}
	a, _, err := r.Unlock(&hub.Batch{}, hub.Purchase{Buyer: alice, Content: id, PriceVersion: 1})
	if err != nil || a.Amount() != 1000 || r.balance(alice) != 9_000 {
		t.Errorf("%v, %v: alice has %d", a.Result(), err, r.balance(alice))
	}
	r.stop()
}

// withKeys copies the keyring, too.
func withKeys(t *testing.T, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "keys"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}
