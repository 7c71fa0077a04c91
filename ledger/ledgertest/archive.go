package ledgertest

import "github.com/millrace/millrace/ledger"

// Archive remembers everything for ever, in maps.
type Archive struct {
	ids   map[sentID]ledger.Remembered
	owned map[[3]uint32]ledger.Owned
}

// NewArchive is empty.
func NewArchive() Archive {
	return Archive{make(map[sentID]ledger.Remembered), make(map[[3]uint32]ledger.Owned)}
}

// Follow takes in what a block did. The same block may come again, as after a restart.
func (a Archive) Follow(r *ledger.Record) {
	r.Remembered(func(e ledger.Remembered) { a.ids[sentID{e.ID, e.Actor}] = e })
	r.Owned(func(o ledger.Owned) { a.owned[[3]uint32{uint32(o.Account), o.Content, o.Unit}] = o })
}

// ID is for ledger.Archive.
func (a Archive) ID(id ledger.OpID, actor ledger.AccountNo) (ledger.Remembered, bool, error) {
	e, ok := a.ids[sentID{id, actor}]
	return e, ok, nil
}

// Owned is for ledger.Archive.
func (a Archive) Owned(account ledger.AccountNo, content, unit uint32) (ledger.Owned, bool, error) {
	o, ok := a.owned[[3]uint32{uint32(account), content, unit}]
	return o, ok, nil
}
