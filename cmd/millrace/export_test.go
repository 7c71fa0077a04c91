package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/statement"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/parquet-go/parquet-go"
)

// paidHub is the folder of a stopped hub in which one account has paid another 1, 2, 3 and so on, and the ids of that.
func paidHub(t *testing.T, payments int) (dir string, from, to ledger.AccountNo, ids []ledger.OpID) {
	t.Helper()
	hub := newHub(t)
	payer, token := hub.account(t, "1000000")
	payee, _ := hub.account(t, "")
	from, _ = ledger.ParseAccountNo(payer)
	to, _ = ledger.ParseAccountNo(payee)
	c := hub.client(t, token)
	for i := range payments {
		ids = append(ids, client.NewID())
		if _, err := c.Transfer(t.Context(), ids[i], to, ledger.Msat(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if r := hub.stop(); r.code != 0 {
		t.Fatal(r.err)
	}
	return hub.dir, from, to, ids
}

func readLegs(t *testing.T, b []byte) []statement.Leg {
	t.Helper()
	legs, err := parquet.Read[statement.Leg](bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return legs
}

func exported(t *testing.T, path string) []statement.Leg {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return readLegs(t, b)
}

// TestExport: what was paid is in the export, in its order, under the ids of the payments; after a second run of the hub, too.
func TestExport(t *testing.T) {
	dir, from, to, ids := paidHub(t, 20)
	path := filepath.Join(t.TempDir(), "entries.parquet")
	ok(t, "export", "--data", dir, "-o", path)
	all := exported(t, path)
	if len(all) != 3+len(ids) { // two accounts are opened, one is funded
		t.Fatalf("%d rows", len(all))
	}
	for i, l := range all {
		if l.Seq != int64(i+1) || l.Time == 0 || l.Block == 0 {
			t.Errorf("row %d: %+v", i, l)
		}
	}
	for i, l := range all[3:] {
		want := statement.Leg{Seq: l.Seq, Time: l.Time, Block: l.Block, Kind: "transfer", Move: "paid", From: uint32(from), To: uint32(to),
			Amount: int64(i + 1), ID: ids[i]}
		if l != want {
			t.Errorf("payment %d: %+v, want %+v", i, l, want)
		}
	}
	if all[0].Kind != "open_account" || all[1].Kind != "credit" || all[1].Amount != 1000000 || all[1].To != uint32(from) {
		t.Errorf("%+v", all[:3])
	}

	hub := serveIn(t, dir)
	hub.account(t, "5")
	hub.stop()
	answer := ok(t, "export", "--data", dir, "-o", path, "--force")
	if more := exported(t, path); len(more) != len(all)+2 || more[len(all)-1] != all[len(all)-1] || answer["entries"] != json.Number("25") {
		t.Errorf("%d rows, %v", len(more), answer)
	}
	onlyIn(t, filepath.Dir(path), "entries.parquet")
}

func TestExportRange(t *testing.T) {
	dir, _, _, _ := paidHub(t, 7) // 10 entries
	path := filepath.Join(t.TempDir(), "entries.parquet")
	for _, c := range []struct {
		from, to    string
		first, last int64
	}{{"1", "0", 1, 10}, {"4", "0", 4, 10}, {"1", "6", 1, 6}, {"3", "3", 3, 3}, {"10", "10", 10, 10}} {
		ok(t, "export", "--data", dir, "-o", path, "--force", "--from-seq", c.from, "--to-seq", c.to)
		legs := exported(t, path)
		if n := len(legs); n != int(c.last-c.first+1) || legs[0].Seq != c.first || legs[n-1].Seq != c.last {
			t.Errorf("from %s to %s: %+v", c.from, c.to, legs)
		}
	}
	none := filepath.Join(t.TempDir(), "none.parquet")
	for _, c := range [][2]string{{"0", "0"}, {"5", "4"}, {"11", "0"}, {"1", "11"}, {"20", "30"}} {
		fails(t, exitUsage, "entry", "export", "--data", dir, "-o", none, "--from-seq", c[0], "--to-seq", c[1])
	}
	onlyIn(t, filepath.Dir(none))
}

// TestExportStream: to a pipe, and of a hub that nobody has used.
func TestExportStream(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	r := millrace(t, nil, nil, "export", "--data", dir, "-o", "-")
	if r.code != 0 || len(readLegs(t, []byte(r.out))) != 0 || !strings.Contains(r.err, "exported 0 entries") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
	dir, _, _, _ = paidHub(t, 2)
	r = millrace(t, nil, nil, "export", "--data", dir, "-o", "-")
	if r.code != 0 || len(readLegs(t, []byte(r.out))) != 5 {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// TestExportRefuses: a folder that a hub has open, one that is none, a file that is there; and nothing is left behind.
func TestExportRefuses(t *testing.T) {
	hub := newHub(t)
	hub.account(t, "")
	path := filepath.Join(t.TempDir(), "entries.parquet")
	fails(t, exitData, "in use", "export", "--data", hub.dir, "-o", path)
	hub.stop()
	fails(t, exitData, "not initialised", "export", "--data", t.TempDir(), "-o", path)
	onlyIn(t, filepath.Dir(path))
	writeFile(t, path, []byte("mine"))
	fails(t, exitUsage, "exists", "export", "--data", hub.dir, "-o", path)
	same(t, path, []byte("mine"))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code := run(ctx, []string{"millrace", "export", "--data", hub.dir, "-o", path, "--force"}, nil, strings.NewReader(""), io.Discard, io.Discard)
	if code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	same(t, path, []byte("mine"))
	onlyIn(t, filepath.Dir(path), "entries.parquet")
}

// TestExportDamaged: of a log that has lost its end there is no export that looks whole.
func TestExportDamaged(t *testing.T) {
	dir, _, _, _ := paidHub(t, 3)
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	hub := serveIn(t, dir)
	hub.account(t, "1")
	hub.stop()
	mark, err := os.ReadFile(filepath.Join(dir, "WATERMARK"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(older, "WATERMARK"), mark)
	path := filepath.Join(t.TempDir(), "entries.parquet")
	fails(t, exitData, "missing", "export", "--data", older, "-o", path)
	onlyIn(t, filepath.Dir(path))
}

// indexed makes an index of a folder's first blocks: all of them, or as many as most says.
func indexed(t *testing.T, dir string, most uint64) {
	t.Helper()
	path := filepath.Join(dir, "index")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	log, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(index.Options{Dir: path})
	if err != nil {
		t.Fatal(err)
	}
	state := ledger.New(log.Params(), ledger.Seed{1, 2})
	enough := errors.New("enough")
	err = log.Blocks(1, func(i uint64, block []byte) error {
		if i > most {
			return enough
		}
		_, err := state.Apply(i, block, nil)
		x.Append(state.Last())
		return err
	})
	if errors.Is(err, enough) {
		err = nil
	}
	if err := errors.Join(err, x.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestExportIndexed: the index gives the same export as the blocks do, however far it goes; and one of another log gives none.
func TestExportIndexed(t *testing.T) {
	dir, _, _, _ := paidHub(t, 9) // 12 entries, each in a block of its own
	folder := t.TempDir()
	want, got := filepath.Join(folder, "want"), filepath.Join(folder, "got")
	if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
		t.Fatal(err)
	}
	for _, part := range [][2]string{{"1", "0"}, {"1", "5"}, {"4", "11"}, {"9", "0"}, {"12", "12"}} {
		ok(t, "export", "--data", dir, "-o", want, "--force", "--from-seq", part[0], "--to-seq", part[1])
		for _, most := range []uint64{0, 1, 6, 11, 12} {
			indexed(t, dir, most)
			ok(t, "export", "--data", dir, "-o", got, "--force", "--from-seq", part[0], "--to-seq", part[1])
			if a, b := exported(t, want), exported(t, got); !slices.Equal(a, b) || len(a) == 0 {
				t.Errorf("entries %s, index of %d blocks: %+v, want %+v", part, most, b, a)
			}
		}
		if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(got); err != nil {
		t.Fatal(err)
	}
	indexed(t, dir, 12)
	fails(t, exitUsage, "ends with entry 12", "export", "--data", dir, "-o", got, "--to-seq", "13")
	short, _, _, _ := paidHub(t, 4)
	if err := os.RemoveAll(filepath.Join(short, "index")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "index"), filepath.Join(short, "index")); err != nil {
		t.Fatal(err)
	}
	fails(t, exitData, "it ends with block 12", "export", "--data", short, "-o", got)
	onlyIn(t, folder, "want")
}

// TestExportOtherIndex: an index with as many blocks that has other entries is of another log.
func TestExportOtherIndex(t *testing.T) {
	other, _, _, _ := paidHub(t, 1) // 4 blocks, 4 entries
	indexed(t, other, 4)
	hub := newHub(t)
	_, token := hub.account(t, "100")
	account, _ := hub.account(t, "")
	payee, err := ledger.ParseAccountNo(account)
	if err != nil {
		t.Fatal(err)
	}
	c := hub.client(t, token)
	batch := []client.Op{client.TransferOp(client.NewID(), payee, 1), client.TransferOp(client.NewID(), payee, 2)} // block 4
	if got, err := c.Batch(t.Context(), batch); err != nil || got.Applied != 2 {
		t.Fatal(got, err)
	}
	hub.stop()
	if err := os.RemoveAll(filepath.Join(hub.dir, "index")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(other, "index"), filepath.Join(hub.dir, "index")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "entries.parquet")
	fails(t, exitData, "block 4 with entry 4, the log with entry 5", "export", "--data", hub.dir, "-o", path)
	onlyIn(t, filepath.Dir(path))
}
