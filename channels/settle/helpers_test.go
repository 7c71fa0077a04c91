package settle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

var errCrash = errors.New("the process is gone")

// disk is what survives a crash. A crash is at a write: before it, or after it though it is not reported.
type disk struct {
	mu      sync.Mutex
	rows    map[string][]byte
	keys    []string // sorted; nil: to be made
	wrote   int
	largest int  // bytes of a write
	crash   int  // at this write, counted from one; zero: never
	after   bool // the write is done all the same
	dead    bool
}

func newDisk() *disk { return &disk{rows: make(map[string][]byte)} }

// restart is a new process on the same disk.
func (d *disk) restart() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead, d.crash = false, 0
}

func (d *disk) crashed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

func (d *disk) Get(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, errCrash
	}
	v, ok := d.rows[string(key)]
	if !ok {
		return nil, nil
	}
	return append([]byte{}, v...), nil
}

func (d *disk) Scan(prefix, from []byte, f func(key, value []byte) bool) error {
	d.mu.Lock()
	if d.dead {
		d.mu.Unlock()
		return errCrash
	}
	if d.keys == nil {
		d.keys = make([]string, 0, len(d.rows))
		for k := range d.rows {
			d.keys = append(d.keys, k)
		}
		slices.Sort(d.keys)
	}
	keys := d.keys
	d.mu.Unlock()
	if from == nil {
		from = prefix
	}
	i, _ := slices.BinarySearch(keys, string(from))
	for ; i < len(keys) && strings.HasPrefix(keys[i], string(prefix)); i++ {
		d.mu.Lock()
		v, ok := d.rows[keys[i]]
		d.mu.Unlock()
		if ok && !f([]byte(keys[i]), v) {
			return nil
		}
	}
	return nil
}

func (d *disk) Write(rows ...channels.Row) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errCrash
	}
	size := 0
	for _, r := range rows {
		size += len(r.Key) + len(r.Value)
	}
	d.largest = max(d.largest, size)
	d.wrote++
	if d.wrote == d.crash {
		d.dead = true
		if !d.after {
			return errCrash
		}
	}
	for _, r := range rows {
		k := string(r.Key)
		_, had := d.rows[k]
		if r.Value == nil {
			delete(d.rows, k)
		} else {
			d.rows[k] = bytes.Clone(r.Value)
		}
		if had != (r.Value != nil) {
			d.keys = nil
		}
	}
	if d.dead {
		return errCrash
	}
	return nil
}

// testNet knows addresses that begin with test1, and invoices lntest + a number of msat.
type testNet struct{}

func (testNet) Output(address string) (Output, error) {
	switch {
	case strings.HasPrefix(address, "bc1"):
		return Output{}, fmt.Errorf("%w: an address of mainnet", channels.ErrNetwork)
	case strings.HasPrefix(address, "test1"):
		return Output{VSize: 31, Dust: 294}, nil
	}
	return Output{}, errors.New("not an address")
}

func (testNet) Invoice(text string) (channels.Invoice, error) {
	var i channels.Invoice
	if _, err := fmt.Sscanf(text, "lntest%d", &i.Amount); err != nil {
		return i, errors.New("not an invoice")
	}
	i.Text = text
	return i, nil
}

const testNode = "02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// id is an id that says where it was made.
func id(n int) ledger.OpID {
	return ledger.NewOpID(1_800_000_000_000, [10]byte{8: byte(n >> 8), 9: byte(n)})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
