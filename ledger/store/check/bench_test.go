package check

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

// BenchmarkRun checks a folder of n advances, in blocks of 8,192 over 10,000 channels, and as many transfers as a thirty-second
// of that: what a busy hub's log is made of.
func BenchmarkRun(b *testing.B) {
	const entries = 4 << 20
	f := &folder{fs: vfs.NewMem(), params: ledger.DefaultParams(), notary: true}
	if err := store.Init(store.Options{Dir: dir, FS: f.fs}, f.params); err != nil {
		b.Fatal(err)
	}
	f.fill(b, entries)
	b.ResetTimer()
	for range b.N {
		log := f.open(b)
		o := f.index()
		o.Notary = nil
		r, err := Run(b.Context(), Config{Log: log, Index: o, Notary: newNotary(), Found: func(f Finding) { b.Error(f) }})
		if err := errors.Join(err, log.Close()); err != nil || r.Compared < entries {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(f.seq)/b.Elapsed().Seconds()/1e6, "M-entries/s")
}

// fill makes a log of advances and transfers, with its index.
func (f *folder) fill(b *testing.B, entries int) {
	const channels, inBlock = 10_000, 8192
	log := f.open(b)
	o := f.index()
	o.SegmentEntries = 1 << 20
	x, err := index.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	m := &machine{ledger.New(f.params, ledger.Seed{1, 2}), x}
	m.state.Attach(x)
	if err := log.Start(b.Context(), m, x); err != nil {
		b.Fatal(err)
	}
	now, ids := uint64(1_760_000_000_000), uint32(0)
	var builder ledger.Builder
	add := func(op ledger.Op) {
		if op.Kind != ledger.OpAdvance {
			var random [10]byte
			ids++
			binary.BigEndian.PutUint32(random[6:], ids)
			op.ID = ledger.NewOpID(now, random)
		}
		builder.Add(&op, nil)
	}
	propose := func() { // everything in it is applied, or this would never end
		seq := m.state.Seq() + uint64(builder.Count())
		now++
		block := builder.Seal(ledger.Header{Time: now, Number: now, Parent: m.state.Index(), Head: m.state.Head()})
		if err := errors.Join(log.Propose(block), log.Barrier(b.Context())); err != nil || m.state.Seq() != seq {
			b.Fatal(err, m.state.Seq(), seq)
		}
		builder.Reset()
	}
	for i := range uint32(channels) { // the first account is the payee of all, and channel n that of the n-th after it
		account := uint32(ledger.FirstAccount) + i
		add(ledger.Op{Kind: ledger.OpOpenAccount})
		add(ledger.Op{Kind: ledger.OpCredit, Actor: ledger.Dev, Target: account, Amount: 1 << 40})
		if i == 0 {
			continue
		}
		add(ledger.Op{Kind: ledger.OpOpenChannel, Actor: ledger.AccountNo(account), Target: uint32(ledger.FirstAccount), Amount: 1 << 30, Version: uint32(now/1000) + 86_000})
		if i%2048 == 2047 {
			propose()
		}
	}
	propose()
	for i := uint64(0); m.state.Seq() < uint64(entries); propose() {
		for range inBlock {
			i++
			channel := uint32(1 + i*7919%(channels-1))
			if i%33 == 0 {
				add(ledger.Op{Kind: ledger.OpTransfer, Actor: ledger.FirstAccount + ledger.AccountNo(channel), Target: uint32(ledger.FirstAccount), Amount: 3})
				continue
			}
			add(ledger.Op{Kind: ledger.OpAdvance, Actor: ledger.FirstAccount + ledger.AccountNo(channel), Target: channel, Amount: ledger.Msat(i)})
		}
	}
	f.seq = m.state.Seq()
	if err := errors.Join(log.Close(), x.Close()); err != nil {
		b.Fatal(err)
	}
}
