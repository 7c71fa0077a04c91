package ledger

// pageRows is a power of two. A page of 32-byte rows is 128 KiB: copied in some 20 µs, and small beside a block.
const pageRows = 4096

// table is a growing array in pages, so that growth never copies what is there, and a frozen view costs a copy of the page
// list only: a page that a view shares is copied when it is next written to.
type table[T any] struct {
	pages  []*[pageRows]T
	epochs []uint32 // per page: the table's epoch when the page was made or last copied
	dirty  []bool   // per page: written to since the last checkpoint
	epoch  uint32   // goes up with every view
	rows   uint32
}

// at is for reading only.
func (t *table[T]) at(i uint32) *T { return &t.pages[i/pageRows][i%pageRows] }

// edit is for writing: the row is shared with no view.
func (t *table[T]) edit(i uint32) *T {
	p := i / pageRows
	if t.epochs[p] != t.epoch {
		t.unshare(p)
	}
	return &t.pages[p][i%pageRows]
}

// restored is the epoch of a page that no view shares, and that no write has made dirty yet.
const restored = 1<<32 - 1

func (t *table[T]) unshare(p uint32) {
	if t.epochs[p] != restored {
		copied := *t.pages[p]
		t.pages[p] = &copied
	}
	t.epochs[p] = t.epoch
	t.dirty[p] = true
}

// add appends a zero row and returns its number and the row.
func (t *table[T]) add() (uint32, *T) {
	i := t.rows
	if i/pageRows == uint32(len(t.pages)) {
		t.pages = append(t.pages, new([pageRows]T))
		t.epochs = append(t.epochs, t.epoch)
		t.dirty = append(t.dirty, true)
	}
	t.rows++
	return i, t.edit(i)
}

// view is the table as it is now; nobody changes it any more. Reading it is safe beside writes to t.
func (t *table[T]) view() table[T] {
	for i, e := range t.epochs {
		if e == restored {
			t.epochs[i] = t.epoch
		}
	}
	v := table[T]{pages: append([]*[pageRows]T(nil), t.pages...), dirty: append([]bool(nil), t.dirty...), rows: t.rows}
	t.epoch++
	return v
}

// clean says that the pages written to so far are saved. A view was just taken, so a later write copies its page, and is seen.
func (t *table[T]) clean() { clear(t.dirty) }

// append adds a page that was restored, and so is saved. The rows in it are counted already.
func (t *table[T]) append(page *[pageRows]T) {
	t.pages = append(t.pages, page)
	t.epochs = append(t.epochs, restored)
	t.dirty = append(t.dirty, false)
}
