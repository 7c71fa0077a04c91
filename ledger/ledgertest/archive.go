package ledgertest

import "github.com/millrace/millrace/ledger"

// Archive remembers everything for ever, in maps.
type Archive struct {
	ids   map[sentID]ledger.Remembered
	owned map[[2]uint32]ledger.Owned
}

// NewArchive is empty.
func NewArchive() Archive {
	return Archive{make(map[sentID]ledger.Remembered), make(map[[2]uint32]ledger.Owned)}
}

// Follow takes in what a block did. The same block may come again, as after a restart.
func (a Archive) Follow(r *ledger.Record) {
	r.Remembered(func(e ledger.Remembered) { a.ids[sentID{e.ID, e.Actor}] = e })
	r.Owned(func(o ledger.Owned) { a.owned[[2]uint32{uint32(o.Account), o.Content}] = o })
}

// ID is for ledger.Archive.
func (a Archive) ID(id ledger.OpID, actor ledger.AccountNo) (ledger.Remembered, bool, error) {
	e, ok := a.ids[sentID{id, actor}]
	return e, ok, nil
}

// Owned is for ledger.Archive.
func (a Archive) Owned(account ledger.AccountNo, content uint32) (ledger.Owned, bool, error) {
	o, ok := a.owned[[2]uint32{uint32(account), content}]
	return o, ok, nil
}
