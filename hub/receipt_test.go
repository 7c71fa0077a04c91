package hub_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

func (r *rig) logKey() note.Verifier {
	r.t.Helper()
	v, err := tlog.NewVerifier(r.LogKey())
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// receipt is one that verifies.
func (r *rig) receipt(no ledger.AccountNo, seq uint64) (*tlog.Receipt, tlog.Checkpoint) {
	r.t.Helper()
	text, err := r.Receipt(no, seq)
	if err != nil {
		r.t.Fatal(err)
	}
	got, err := tlog.ParseReceipt(text)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := got.Verify(r.logKey())
	if err != nil {
		r.t.Fatal(err)
	}
	return got, c
}

func (r *rig) checkpoint() tlog.Checkpoint {
	r.t.Helper()
	signed, err := r.Checkpoint()
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := tlog.OpenCheckpoint(signed, r.logKey())
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestReceipts: every entry has a receipt for those whom it touches, at once and after a restart, and for nobody else.
func TestReceipts(t *testing.T) {
	r := newRig(t, setup{fee: 10_000})
	a, b, stranger := r.account(10_000), r.account(0), r.account(0)
	ops := make([]ledger.Op, 40)
	for i := range ops {
		ops[i] = transfer(a, b, ledger.Msat(i+1))
	}
	paid := r.must(ops...)
	ch := r.channels(a, b, 1, 500)[0]
	advanced := r.must(ledger.Op{Kind: ledger.OpAdvance, Actor: a, Target: uint32(ch), Amount: 77})[0]
	id := r.register(r.seal(b, "text", 1000))
	bought := r.must(ledger.Op{Kind: ledger.OpUnlock, Actor: a, ID: [16]byte(id), Version: 1})[0]
	check := func() {
		t.Helper()
		for i, p := range paid {
			got, _ := r.receipt(b, p.Seq())
			if l := got.Entry.Legs[0]; got.Entry.Seq != p.Seq() || l.From != a || l.To != b || l.Amount != ledger.Msat(i+1) || got.Entry.ID != ops[i].ID {
				t.Fatalf("transfer %d: %+v", i, got.Entry)
			}
		}
		if got, _ := r.receipt(a, advanced.Seq()); got.Entry.Kind != ledger.OpAdvance || got.Entry.Legs[0].Amount != 77 || got.Entry.Legs[0].Object != uint32(ch) {
			t.Fatalf("advance: %+v", got.Entry)
		}
		if got, _ := r.receipt(ledger.Fees, bought.Seq()); len(got.Entry.Legs) != 2 || got.Entry.Legs[0].To != ledger.Fees || got.Entry.Legs[0].Amount != 10 {
			t.Fatalf("unlock: %+v", got.Entry)
		}
		for _, seq := range []uint64{paid[0].Seq(), 0, bought.Seq() + 1, 1<<64 - 1} {
			if _, err := r.Receipt(stranger, seq); !errors.Is(err, hub.ErrNoEntry) {
				t.Errorf("a stranger's receipt of entry %d: %v", seq, err)
			}
		}
	}
	check()
	before := r.checkpoint()
	key := r.LogKey()
	r.stop()
	r.start()
	eventually(t, "the log is as long as before", func() bool { return r.checkpoint().Size >= before.Size })
	if r.LogKey() != key {
		t.Errorf("the log's key was %s and is %s", key, r.LogKey())
	}
	check()
	if after := r.checkpoint(); after.Size == before.Size && after.Root != before.Root {
		t.Errorf("one size, two roots: %v and %v", before, after)
	}
	r.stop()
}

// hashes reads a hub's tiles, as a monitor does.
type hashes struct{ *rig }

func (h hashes) Height() int                      { return 8 }
func (h hashes) SaveTiles([]sumdb.Tile, [][]byte) {}
func (h hashes) ReadTiles(tiles []sumdb.Tile) (all [][]byte, err error) {
	for _, t := range tiles {
		b, full, err := h.Tile(strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil || full != (t.W == 256) {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// TestCheckpointsExtendOneAnother: a monitor that reads nothing but checkpoints and tiles finds that the log only grows.
func TestCheckpointsExtendOneAnother(t *testing.T) {
	r := newRig(t, setup{})
	a, b := r.account(10_000), r.account(0)
	eventually(t, "a first leaf", func() bool { return r.checkpoint().Size > 0 }) // nothing extends an empty log
	old := r.checkpoint()
	for range 3 {
		for range 30 {
			r.must(transfer(a, b, 1))
		}
		eventually(t, "a newer checkpoint", func() bool { return r.checkpoint().Size > old.Size })
		c := r.checkpoint()
		proof, err := sumdb.ProveTree(c.Size, old.Size, sumdb.TileHashReader(sumdb.Tree{N: c.Size, Hash: c.Root}, hashes{r}))
		if err != nil {
			t.Fatal(err)
		}
		if err := sumdb.CheckTree(proof, c.Size, c.Root, old.Size, old.Root); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Tile("tile/entries/099"); !errors.Is(err, tlog.ErrNoTile) {
			t.Errorf("a tile that is not there: %v", err)
		}
		old = c
	}
	r.stop()
}

func TestLiabilities(t *testing.T) {
	r := newRig(t, setup{fee: 10_000, cfg: hub.Config{Liabilities: filepath.Join(t.TempDir(), "liabilities")}})
	a, b := r.account(10_000), r.account(0)
	r.channels(a, b, 1, 500)
	if _, err := r.Liabilities(); !errors.Is(err, hub.ErrNoEpoch) {
		t.Errorf("before the first: %v", err)
	}
	if _, err := r.LiabilityProof(a); !errors.Is(err, hub.ErrNoEpoch) {
		t.Errorf("before the first: %v", err)
	}
	prove := func(no ledger.AccountNo, want ledger.Msat, epoch uint64) {
		t.Helper()
		text, err := r.LiabilityProof(no)
		if err != nil {
			t.Fatal(err)
		}
		p, err := tlog.ParseLiabilityProof(text)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := p.Verify(r.logKey()); err != nil || p.Account != no || p.Balance != want || l.Epoch != epoch || l.Total != 10_000 {
			t.Fatalf("account %v: %d msat of %+v, %v", no, p.Balance, l, err)
		}
	}
	l, err := r.MakeLiabilities()
	if err != nil || l.Leaves != 4 {
		t.Fatalf("%+v, %v", l, err)
	}
	first := l.Epoch
	prove(a, 10_000, first) // what is held in a channel is still his
	prove(b, 0, first)
	r.must(transfer(a, b, 3000))
	late := r.account(0)
	prove(b, 0, first)
	if _, err := r.LiabilityProof(late); !errors.Is(err, hub.ErrNotInEpoch) {
		t.Errorf("an account that is too young: %v", err)
	}
	for range 3 {
		before := l.Epoch
		if l, err = r.MakeLiabilities(); err != nil || l.Epoch <= before {
			t.Fatalf("epoch %d after %d, %v", l.Epoch, before, err)
		}
	}
	prove(b, 3000, l.Epoch)
	c := r.checkpoint()
	if len(c.Extensions) != 1 || c.Extensions[0] != l.Line() {
		t.Errorf("the checkpoint says %q, want %q", c.Extensions, l.Line())
	}
	files, err := os.ReadDir(r.cfg.Liabilities)
	if err != nil || len(files) != 4 {
		t.Errorf("files %v, %v: want those of two epochs", files, err)
	}
	r.stop()
	r.start()
	prove(a, 7000, l.Epoch)
	r.stop()
}

// TestLiabilitiesDamaged: no file in the folder keeps a hub from starting, nothing that is damaged is served, and no number is given
// twice, whatever became of the files.
func TestLiabilitiesDamaged(t *testing.T) {
	r := newRig(t, setup{cfg: hub.Config{Liabilities: filepath.Join(t.TempDir(), "liabilities")}})
	a := r.account(10_000)
	var last uint64
	remake := func() (note, tree string) {
		t.Helper()
		l, err := r.MakeLiabilities()
		if err != nil || l.Epoch <= last {
			t.Fatalf("epoch %d after %d, %v", l.Epoch, last, err)
		}
		last = l.Epoch
		if _, err := r.LiabilityProof(a); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(r.cfg.Liabilities, strconv.FormatUint(last, 10))
		return name + ".note", name + ".tree"
	}
	for _, c := range []struct {
		what   string
		damage func(note, tree string) error
	}{
		{"tree cut off", func(_, tree string) error { return os.Truncate(tree, 50) }},
		{"tree empty", func(_, tree string) error { return os.Truncate(tree, 0) }},
		{"tree gone", func(_, tree string) error { return os.Remove(tree) }},
		{"note cut off", func(note, _ string) error { return os.Truncate(note, 30) }},
		{"note empty", func(note, _ string) error { return os.Truncate(note, 0) }},
		{"note a folder", func(note, _ string) error { return errors.Join(os.Remove(note), os.Mkdir(note, 0o700)) }},
		{"all gone", func(note, _ string) error { return os.RemoveAll(filepath.Dir(note)) }},
		{"made by others", func(note, _ string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(note), "x.note"), nil, 0o600)
		}},
		{"far ahead", func(note, _ string) error {
			last += 1_000_000_000 // a clock that was wrong
			return os.WriteFile(filepath.Join(filepath.Dir(note), strconv.FormatUint(last, 10)+".note"), []byte("x"), 0o600)
		}},
	} {
		damaged, tree := remake()
		r.stop()
		if err := c.damage(damaged, tree); err != nil {
			t.Fatal(err)
		}
		r.start()
		if _, err := r.LiabilityProof(a); err == nil != (c.what == "made by others") || err != nil && !errors.Is(err, hub.ErrNoEpoch) {
			t.Errorf("%s: %v", c.what, err)
		}
		if signed := r.checkpoint(); len(signed.Extensions) != 0 != (c.what == "made by others") {
			t.Errorf("%s: the checkpoint says %q", c.what, signed.Extensions)
		}
		remake()
	}
	r.stop()
}

func TestLiabilitiesOnSchedule(t *testing.T) {
	r := newRig(t, setup{cfg: hub.Config{Liabilities: filepath.Join(t.TempDir(), "liabilities"), EpochEvery: 50 * time.Millisecond}})
	first := uint64(1<<64 - 1)
	eventually(t, "a second epoch", func() bool {
		signed, err := r.Liabilities()
		if err != nil {
			return false
		}
		l, err := tlog.OpenLiabilities(signed, r.logKey())
		if err != nil {
			t.Fatal(err)
		}
		first = min(first, l.Epoch)
		return l.Epoch > first
	})
	r.stop()
	off := newRig(t, setup{})
	if _, err := off.MakeLiabilities(); !errors.Is(err, hub.ErrEpochs) {
		t.Error(err)
	}
	off.stop()
}
