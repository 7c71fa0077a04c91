package tlog_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

// What is read is written the same, or refused with the sentinel for it.

func FuzzDecodeEntry(f *testing.F) {
	for seq := range uint64(36) {
		e := sampleEntry(seq)
		f.Add(tlog.AppendEntry(nil, &e))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, rest, err := tlog.DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, tlog.ErrForm) {
				t.Fatal(err)
			}
			return
		}
		if again := append(tlog.AppendEntry(nil, &e), rest...); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, e, again)
		}
	})
}

func FuzzDecodeLeaf(f *testing.F) {
	for _, l := range newTestLog(f, 3).leaves {
		f.Add(l.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := tlog.DecodeLeaf(b)
		if err != nil {
			if !errors.Is(err, tlog.ErrForm) {
				t.Fatal(err)
			}
			return
		}
		if again := l.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, l, again)
		}
	})
}

func FuzzParseTile(f *testing.F) {
	l := newTestLog(f, 300)
	f.Add("tile/0/000", int64(300))
	f.Add("tile/1/000.p/1", int64(256))
	f.Add("tile/entries/x001/234.p/44", int64(300))
	f.Fuzz(func(t *testing.T, path string, size int64) {
		tile, err := tlog.ParseTile(path)
		if err != nil {
			if !errors.Is(err, tlog.ErrNoTile) {
				t.Fatal(err)
			}
			return
		}
		if tile.Path() != path {
			t.Fatalf("%q and %q are one tile", path, tile.Path())
		}
		if size < 0 || size > l.size() {
			return
		}
		if b, err := tile.Read(size, l, l); err == nil && len(b) == 0 || err != nil && !errors.Is(err, tlog.ErrNoTile) {
			t.Fatalf("%s of %d: %d bytes, %v", path, size, len(b), err)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	l := newTestLog(f, 3)
	f.Add(l.checkpoint(3))
	f.Add(l.checkpoint(2, "an extension"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := tlog.OpenCheckpoint(b, l.key)
		if err != nil {
			if !errors.Is(err, tlog.ErrForm) && !errors.Is(err, tlog.ErrProof) {
				t.Fatal(err)
			}
			return
		}
		if _, err := c.Sign(l.signer); err != nil {
			t.Fatalf("%+v was read and cannot be signed: %v", c, err)
		}
	})
}

func FuzzParseReceipt(f *testing.F) {
	l := newTestLog(f, 12)
	good := make(map[string]bool)
	for _, n := range []int64{2, 7, 11} {
		text := l.receipt(n, l.size(), l.leaves[n].First+min(4, uint64(n)-2)).Write()
		good[string(text)] = true
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := tlog.ParseReceipt(text)
		if err != nil {
			if !errors.Is(err, tlog.ErrForm) {
				t.Fatal(err)
			}
			return
		}
		if again := r.Write(); !bytes.Equal(again, text) {
			t.Fatalf("%q is written as %q", text, again)
		}
		_, err = r.Verify(l.key)
		if err != nil && !errors.Is(err, tlog.ErrForm) && !errors.Is(err, tlog.ErrProof) {
			t.Fatal(err)
		}
		if err == nil && !good[string(text)] && bytes.Count(r.Checkpoint, []byte("— ")) == 1 {
			t.Fatalf("a receipt that the hub did not make:\n%s", text)
		}
	})
}

func FuzzParseLiabilityProof(f *testing.F) {
	l := newTestLog(f, 0)
	good := make(map[string]bool)
	for _, n := range []int{1, 6, 100} {
		h := sampleHolders(n)
		e := writeEpoch(f, l, h)
		text := e.prove(f, h[n/2].Account).Write()
		good[string(text)] = true
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := tlog.ParseLiabilityProof(text)
		if err != nil {
			if !errors.Is(err, tlog.ErrForm) {
				t.Fatal(err)
			}
			return
		}
		if again := p.Write(); !bytes.Equal(again, text) {
			t.Fatalf("%q is written as %q", text, again)
		}
		_, err = p.Verify(l.key)
		if err != nil && !errors.Is(err, tlog.ErrForm) && !errors.Is(err, tlog.ErrProof) {
			t.Fatal(err)
		}
		if err == nil && !good[string(text)] && bytes.Count(p.Signed, []byte("— ")) == 1 {
			t.Fatalf("a proof that the hub did not make:\n%s", text)
		}
	})
}

func FuzzParseLiabilities(f *testing.F) {
	e := writeEpoch(f, newTestLog(f, 0), sampleHolders(5))
	f.Add(e.Line())
	f.Fuzz(func(t *testing.T, line string) {
		l, err := tlog.ParseLiabilities(line)
		if err != nil {
			if !errors.Is(err, tlog.ErrForm) {
				t.Fatal(err)
			}
			return
		}
		if l.Line() != line || l.Total > ledger.MaxMsat {
			t.Fatalf("%q is %+v", line, l)
		}
	})
}

func FuzzSumFile(f *testing.F) {
	l := newTestLog(f, 0)
	for _, n := range []int{1, 6, 200} {
		e := writeEpoch(f, l, sampleHolders(n))
		f.Add(e.file, uint32(1))
	}
	f.Fuzz(func(t *testing.T, file []byte, account uint32) {
		s, err := tlog.OpenSumFile(bytes.NewReader(file), int64(len(file)), testSecret)
		if err != nil {
			if !errors.Is(err, tlog.ErrForm) {
				t.Fatal(err)
			}
			return
		}
		p, ok, err := s.Prove(ledger.AccountNo(account), nil)
		if err == nil && ok && uint32(p.Account) != account {
			t.Fatalf("a proof for %v, asked for %d", p.Account, account)
		}
	})
}
