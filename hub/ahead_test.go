package hub_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

// TestIndexOfAnotherLog: an index that has blocks which the log lost, or another block than the log has, is refused: ids and
// entitlements of payments that nobody has any more would count, and a key be released for one of them. Without the index, the hub
// goes on with what the log has.
func TestIndexOfAnotherLog(t *testing.T) {
	r := newRig(t, setup{fee: 10_000})
	seller, alice, bob := r.account(0), r.account(10_000), r.account(0)
	id := r.register(r.seal(seller, "a work", 1000))
	r.stop()
	shorter := withKeys(t, r.dir, copyFolder(t, r.dir))
	other := &rig{t: t, dir: withKeys(t, r.dir, copyFolder(t, r.dir)), fatal: r.fatal}
	other.start()
	other.must(transfer(alice, bob, 2))
	other.must(transfer(alice, bob, 3)) // as many blocks as the other hub
	other.stop()
	r.start()
	r.must(transfer(alice, bob, 1))
	if _, _, err := r.Unlock(&hub.Batch{}, hub.Purchase{Buyer: alice, Content: id, PriceVersion: 1}); err != nil {
		t.Fatal(err)
	}
	r.stop()
	for name, dir := range map[string]string{"a log that lost its end": shorter, "another log": other.dir} {
		mixed := withKeys(t, dir, copyFolder(t, dir))
		newer := copyFolder(t, r.dir)
		if err := errors.Join(os.RemoveAll(filepath.Join(mixed, "index")), os.Rename(filepath.Join(newer, "index"), filepath.Join(mixed, "index"))); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(mixed, "WATERMARK")); err != nil {
			t.Fatal(err)
		}
		_, s, err := openHub(mixed, hub.Config{}, func(error) {})
		if err == nil {
			t.Errorf("%s: started beside it", name)
		}
		if s != nil {
			_ = s.Close()
		}
	}

	if err := os.RemoveAll(filepath.Join(shorter, "index")); err != nil {
		t.Fatal(err)
	}
	r.dir = shorter
	r.start()
	a, _, err := r.Unlock(&hub.Batch{}, hub.Purchase{Buyer: alice, Content: id, PriceVersion: 1})
	if err != nil || a.Result() != ledger.Done || r.balance(alice) != 9_000 || r.balance(bob) != 0 {
		t.Errorf("%v, %v: alice has %d, bob %d", a.Result(), err, r.balance(alice), r.balance(bob))
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
