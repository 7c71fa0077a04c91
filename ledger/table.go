package ledger

// pageRows is a power of two. A page of 32-byte rows is 128 KiB: copied in some 20 µs, and small beside a block.
const pageRows = 4096

// table is a growing array in pages, so that growth never copies what is there, and a frozen view costs a copy of the page
// list only: a page that a view shares is copied when it is next written to.
type table[T any] struct {
	pages  []*[pageRows]T
	epochs []uint32 // per page: the table's epoch when the page was made or last copied
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

func (t *table[T]) unshare(p uint32) {
	copied := *t.pages[p]
	t.pages[p] = &copied
	t.epochs[p] = t.epoch
}

// add appends a zero row and returns its number and the row.
func (t *table[T]) add() (uint32, *T) {
	i := t.rows
	if i/pageRows == uint32(len(t.pages)) {
		t.pages = append(t.pages, new([pageRows]T))
		t.epochs = append(t.epochs, t.epoch)
	}
	t.rows++
	return i, t.edit(i)
}

// view is the table as it is now; nobody changes it any more. Reading it is safe beside writes to t.
func (t *table[T]) view() table[T] {
	v := table[T]{pages: append([]*[pageRows]T(nil), t.pages...), rows: t.rows}
	t.epoch++
	return v
}
