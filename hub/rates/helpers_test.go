package rates

import (
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/currency"
)

func list(t testing.TB, letters ...string) (codes []currency.Code) {
	t.Helper()
	for _, text := range letters {
		c, err := currency.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, c)
	}
	return codes
}

// books are a ledger's rates, of which there can be an error.
type books struct {
	mu    sync.Mutex
	rates map[currency.Code]Rate
	sets  int
	fail  error
}

func newBooks() *books { return &books{rates: make(map[currency.Code]Rate)} }

func (b *books) Rate(c currency.Code) (Rate, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.rates[c]
	return r, ok
}

func (b *books) SetRate(r Rate) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.rates[r.Currency] = r
	b.sets++
	return nil
}

// want fails if a currency's rate is not that of a price for one bitcoin (zero: there is none), or was not set so many times by all.
func (b *books) want(t *testing.T, code currency.Code, price int64, sets int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	want := uint64(0)
	if price != 0 {
		want = nearest(big.NewRat(millionBitcoins, price))
	}
	if got := b.rates[code].Msat; got != want || b.sets != sets {
		t.Errorf("%v: rate %d, set %d times; want %d, %d times", code, got, b.sets, want, sets)
	}
}

// dial is a clock that a test sets.
type dial struct {
	mu   sync.Mutex
	time time.Time
}

func newDial() *dial { return &dial{time: time.Unix(1_795_000_000, 0)} }

func (d *dial) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.time
}

func (d *dial) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.time = d.time.Add(by)
}

// file writes a source's file as of the clock's time.
func (d *dial) file(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, d.now(), d.now())); err != nil {
		t.Fatal(err)
	}
}

func inTemp(t *testing.T, name string) string { return filepath.Join(t.TempDir(), name) }
