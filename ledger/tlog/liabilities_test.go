package tlog_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

// holders are balances in memory.
type holders []tlog.Holder

func (h holders) Len() int                 { return len(h) }
func (h holders) Holder(i int) tlog.Holder { return h[i] }

func sampleHolders(n int) holders {
	rng := rand.New(rand.NewPCG(uint64(n), 3))
	h, account := make(holders, n), ledger.AccountNo(1)
	for i := range h {
		h[i] = tlog.Holder{Account: account, Balance: ledger.Msat(rng.Uint64N(1_000_000))}
		account += 1 + ledger.AccountNo(rng.IntN(3))
	}
	return h
}

// epoch is a written tree and its signed root.
type epoch struct {
	tlog.Liabilities
	file   []byte
	signed []byte
}

func writeEpoch(t testing.TB, l *testLog, h holders) epoch {
	t.Helper()
	var b bytes.Buffer
	root, err := tlog.WriteLiabilities(&b, tlog.Liabilities{Epoch: 7, Block: 9000, Time: testTime}, testSecret, h)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := root.Sign(l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return epoch{root, b.Bytes(), signed}
}

func (e *epoch) open(t testing.TB) *tlog.SumFile {
	t.Helper()
	f, err := tlog.OpenSumFile(bytes.NewReader(e.file), int64(len(e.file)), testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (e *epoch) prove(t testing.TB, a ledger.AccountNo) *tlog.LiabilityProof {
	t.Helper()
	p, ok, err := e.open(t).Prove(a, e.signed)
	if err != nil || !ok {
		t.Fatalf("account %v: found %v, %v", a, ok, err)
	}
	return p
}

func verifyLiability(text []byte, l *testLog) (*tlog.LiabilityProof, error) {
	p, err := tlog.ParseLiabilityProof(text)
	if err == nil {
		_, err = p.Verify(l.key)
	}
	return p, err
}

// slowSum is a second implementation of the sum tree, from README.md alone: recursive, over the holders in their order. It
// splits n leaves where RFC 6962 does.
func slowSum(leaves [][]byte, sums []uint64) ([]byte, uint64) {
	n := len(leaves)
	if n == 1 {
		return leaves[0], sums[0]
	}
	k := 1
	for 2*k < n {
		k *= 2
	}
	left, leftSum := slowSum(leaves[:k], sums[:k])
	right, rightSum := slowSum(leaves[k:], sums[k:])
	h := sha256.New()
	h.Write([]byte{5})
	h.Write(left)
	binary.Write(h, binary.LittleEndian, leftSum)
	h.Write(right)
	binary.Write(h, binary.LittleEndian, rightSum)
	return h.Sum(nil), leftSum + rightSum
}

func slowLeaf(salt []byte, a ledger.AccountNo, balance ledger.Msat) []byte {
	h := sha256.New()
	h.Write([]byte{4})
	h.Write(salt)
	binary.Write(h, binary.LittleEndian, uint32(a))
	binary.Write(h, binary.LittleEndian, uint64(balance))
	return h.Sum(nil)
}

// TestSumTreeAgainstSecondImplementation: every holder's proof verifies, and what the proofs say of positions and salts gives
// the same root another way.
func TestSumTreeAgainstSecondImplementation(t *testing.T) {
	l := newTestLog(t, 0)
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 31, 63, 64, 65, 66, 127, 128, 129, 191, 192, 193, 257, 640, 1000} {
		h := sampleHolders(n)
		e := writeEpoch(t, l, h)
		f := e.open(t)
		if f.Liabilities != e.Liabilities {
			t.Fatalf("%d holders: the file says %+v, written was %+v", n, f.Liabilities, e.Liabilities)
		}
		leaves, sums := make([][]byte, n), make([]uint64, n)
		for _, who := range h {
			p, ok, err := f.Prove(who.Account, e.signed)
			if err != nil || !ok || p.Holder != who {
				t.Fatalf("%d holders: %+v, %v, %v", n, p, ok, err)
			}
			back, err := verifyLiability(p.Write(), l)
			if err != nil || back.Holder != who {
				t.Fatalf("%d holders, account %v: %v\n%s", n, who.Account, err, p.Write())
			}
			if leaves[p.Position] != nil {
				t.Fatalf("%d holders: two at position %d", n, p.Position)
			}
			leaves[p.Position], sums[p.Position] = slowLeaf(p.Salt[:], who.Account, who.Balance), uint64(who.Balance)
		}
		if root, total := slowSum(leaves, sums); tlog.Hash(root) != e.Root || ledger.Msat(total) != e.Total || int(e.Leaves) != n {
			t.Fatalf("%d holders: %+v, want %x and %d", n, e.Liabilities, root, total)
		}
		for _, nobody := range []ledger.AccountNo{0, h[n-1].Account + 1, 1<<32 - 1} {
			if _, ok, err := f.Prove(nobody, e.signed); ok || err != nil {
				t.Errorf("%d holders: account %v is one: %v", n, nobody, err)
			}
		}
	}
}

// TestLiabilityProofIndependently reads a proof as its format is public.
func TestLiabilityProofIndependently(t *testing.T) {
	l, h := newTestLog(t, 0), sampleHolders(300)
	e := writeEpoch(t, l, h)
	for _, who := range h[40:90] {
		lines := strings.Split(string(e.prove(t, who.Account).Write()), "\n")
		field := func(line int, name string) string {
			v, ok := strings.CutPrefix(lines[line], name+" ")
			if !ok {
				t.Fatalf("line %d is %q", line, lines[line])
			}
			return v
		}
		if field(1, "account") != who.Account.String() || field(2, "balance") != fmt.Sprint(uint64(who.Balance)) {
			t.Fatal(lines)
		}
		salt, _ := base64.StdEncoding.DecodeString(field(3, "salt"))
		position, _ := strconv.Atoi(field(4, "position"))
		hash, sum := slowLeaf(salt, who.Account, who.Balance), uint64(who.Balance)
		next := 5
		for width := 300; width > 1; width, position = (width+1)/2, position/2 {
			if position^1 >= width {
				continue
			}
			var sibling string
			var siblingSum uint64
			if _, err := fmt.Sscan(lines[next], &sibling, &siblingSum); err != nil {
				t.Fatal(err)
			}
			next++
			other, _ := base64.StdEncoding.DecodeString(sibling)
			pair, sums := [][]byte{hash, other}, []uint64{sum, siblingSum}
			if position%2 == 1 {
				slices.Reverse(pair)
				slices.Reverse(sums)
			}
			hash, sum = slowSum(pair, sums)
		}
		if lines[next] != "" || tlog.Hash(hash) != e.Root || sum != uint64(e.Total) {
			t.Fatalf("account %v: %x and %d, want %v and %d", who.Account, hash, sum, e.Root, e.Total)
		}
	}
}

func TestLiabilitiesGolden(t *testing.T) {
	l, h := newTestLog(t, 0), sampleHolders(6)
	e := writeEpoch(t, l, h)
	p := e.prove(t, h[3].Account)
	golden(t, "liabilities.note", e.signed)
	golden(t, "proof.liability", p.Write())
	golden(t, "liabilities.base64", []byte(base64.StdEncoding.EncodeToString(e.file)+"\n"))
	text, err := os.ReadFile("testdata/golden/proof.liability")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifyLiability(text, l); err != nil {
		t.Fatal(err)
	}
}

// TestLiabilityProofMutants: nothing can be changed in a proof.
func TestLiabilityProofMutants(t *testing.T) {
	l := newTestLog(t, 0)
	for _, n := range []int{1, 6, 100} {
		h := sampleHolders(n)
		e := writeEpoch(t, l, h)
		text := e.prove(t, h[n/2].Account).Write()
		if _, err := verifyLiability(text, l); err != nil {
			t.Fatal(err)
		}
		mutants(text, func(what string, mutant []byte) {
			if _, err := verifyLiability(mutant, l); err == nil {
				t.Errorf("%s: it still verifies:\n%s", what, mutant)
			} else if !errors.Is(err, tlog.ErrForm) && !errors.Is(err, tlog.ErrProof) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// TestLiabilityForgeries: what is changed in meaning and written well is named.
func TestLiabilityForgeries(t *testing.T) {
	l, h := newTestLog(t, 0), sampleHolders(100)
	e, next := writeEpoch(t, l, h), writeEpoch(t, l, sampleHolders(101))
	for _, c := range []struct {
		want   string
		change func(p *tlog.LiabilityProof)
	}{
		{"add up to", func(p *tlog.LiabilityProof) { p.Balance++ }},
		{"do not lead to the signed root", func(p *tlog.LiabilityProof) { p.Account++ }},
		{"do not lead to the signed root", func(p *tlog.LiabilityProof) { p.Salt[0]++ }},
		{"do not lead to the signed root", func(p *tlog.LiabilityProof) { p.Position ^= 1 }},
		{"of 100 leaves", func(p *tlog.LiabilityProof) { p.Position = 100 }},
		{"add up to", func(p *tlog.LiabilityProof) { p.Signed = next.signed }},
	} {
		p := e.prove(t, h[50].Account)
		c.change(p)
		if _, err := verifyLiability(p.Write(), l); !errors.Is(err, tlog.ErrProof) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
	shifted := e.prove(t, h[50].Account) // what a tree with H(l, r, sum) would let through: the balance and its sibling's sum, exchanged
	text := strings.Split(string(shifted.Write()), "\n")
	var sibling string
	var sum uint64
	if _, err := fmt.Sscan(text[5], &sibling, &sum); err != nil {
		t.Fatal(err)
	}
	text[2], text[5] = fmt.Sprintf("balance %d", sum), fmt.Sprintf("%s %d", sibling, shifted.Balance)
	if _, err := verifyLiability([]byte(strings.Join(text, "\n")), l); !errors.Is(err, tlog.ErrProof) || !strings.Contains(err.Error(), "signed root") {
		t.Error(err)
	}
}

// TestLiabilitiesOfAnother: the signature must be the hub's, and of liabilities.
func TestLiabilitiesOfAnother(t *testing.T) {
	l := newTestLog(t, 3)
	e := writeEpoch(t, l, sampleHolders(5))
	_, key, err := tlog.NewSigner(testOrigin, [32]byte{8})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := tlog.NewVerifier(key)
	if _, err := tlog.OpenLiabilities(e.signed, other); !errors.Is(err, tlog.ErrProof) {
		t.Error(err)
	}
	if _, err := tlog.OpenCheckpoint(e.signed, l.key); !errors.Is(err, tlog.ErrForm) {
		t.Errorf("liabilities are taken for a checkpoint: %v", err)
	}
	if _, err := tlog.OpenLiabilities(l.checkpoint(3), l.key); !errors.Is(err, tlog.ErrForm) {
		t.Errorf("a checkpoint is taken for liabilities: %v", err)
	}
	foreign, err := note.Sign(&note.Note{Text: "millrace liabilities v1\nhob.example.com/log\n" + e.Line() + "\n"}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tlog.OpenLiabilities(foreign, l.key); !errors.Is(err, tlog.ErrProof) {
		t.Error(err)
	}
}

func TestLiabilitiesLine(t *testing.T) {
	e := writeEpoch(t, newTestLog(t, 0), sampleHolders(5))
	if got, err := tlog.ParseLiabilities(e.Line()); err != nil || got != e.Liabilities {
		t.Fatalf("%+v, %v", got, err)
	}
	root := tlog.Hash{}.String()
	for _, bad := range []string{
		"", "liabilities", e.Line() + " ", " " + e.Line(), strings.Replace(e.Line(), "epoch 7", "epoch 07", 1),
		strings.Replace(e.Line(), "epoch 7", "epoch +7", 1), strings.Replace(e.Line(), "epoch 7", "epoch -7", 1),
		"liabilities epoch 1 block 1 time 1 leaves 0 total 1 root " + root,
		"liabilities epoch 1 block 1 time 1 leaves 4294967296 total 1 root " + root,
		fmt.Sprintf("liabilities epoch 1 block 1 time 1 leaves 1 total %d root %s", ledger.MaxMsat+1, root),
		"liabilities epoch 1 block 1 time 1 leaves 1 total 1 root " + root[1:],
	} {
		if got, err := tlog.ParseLiabilities(bad); !errors.Is(err, tlog.ErrForm) {
			t.Errorf("%q is %+v: %v", bad, got, err)
		}
	}
}

// TestLiabilitiesTooLarge: no sum passes all the bitcoin there can be, so none can run over.
func TestLiabilitiesTooLarge(t *testing.T) {
	for name, c := range map[string]struct {
		h  holders
		ok bool
	}{
		"all there is":           {holders{{1, ledger.MaxMsat}}, true},
		"all there is, in parts": {holders{{1, ledger.MaxMsat - 5}, {2, 0}, {3, 5}}, true},
		"one more":               {holders{{1, ledger.MaxMsat + 1}}, false},
		"one more, in parts":     {holders{{1, ledger.MaxMsat}, {2, 1}}, false},
		"over 64 bits":           {slices.Repeat(holders{{1, ledger.MaxMsat}}, 100), false},
		"below zero":             {holders{{1, 5}, {2, 1<<64 - 5}}, false},
		"nobody":                 {holders{}, false},
	} {
		_, err := tlog.WriteLiabilities(&bytes.Buffer{}, tlog.Liabilities{Epoch: 1}, testSecret, c.h)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSumFileDamage: no flipped bit in the file leads to a proof that does not hold.
func TestSumFileDamage(t *testing.T) {
	l, h := newTestLog(t, 0), sampleHolders(70)
	e := writeEpoch(t, l, h)
	good := make(map[ledger.AccountNo][]byte)
	for _, who := range h {
		good[who.Account] = e.prove(t, who.Account).Write()
	}
	noticed := 0
	for i := range e.file {
		bad := epoch{e.Liabilities, bytes.Clone(e.file), e.signed}
		bad.file[i] ^= 1 << (i % 8)
		f, err := tlog.OpenSumFile(bytes.NewReader(bad.file), int64(len(bad.file)), testSecret)
		if err != nil {
			noticed++
			continue
		}
		if f.Liabilities != e.Liabilities {
			noticed++ // the hub compares it with what is signed
			continue
		}
		for _, who := range h {
			p, ok, err := f.Prove(who.Account, e.signed)
			if err != nil || !ok {
				noticed++
				continue
			}
			if !bytes.Equal(p.Write(), good[who.Account]) {
				t.Fatalf("byte %d: another proof for %v:\n%s", i, who.Account, p.Write())
			}
		}
	}
	if noticed < len(e.file) {
		t.Errorf("%d failures for %d flipped bits", noticed, len(e.file))
	}
	for _, n := range []int{0, 10, len(e.file) - 1} {
		if _, err := tlog.OpenSumFile(bytes.NewReader(e.file[:n]), int64(n), testSecret); !errors.Is(err, tlog.ErrForm) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if f, err := tlog.OpenSumFile(bytes.NewReader(e.file), int64(len(e.file)), tlog.Secret{9}); err == nil {
		if _, _, err := f.Prove(h[0].Account, e.signed); !errors.Is(err, tlog.ErrProof) {
			t.Errorf("with another secret: %v", err)
		}
	}
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(b), nil
}

func TestWriteLiabilitiesToFullDisk(t *testing.T) {
	for _, room := range []int{0, 1 << 16} {
		_, err := tlog.WriteLiabilities(&brokenWriter{room}, tlog.Liabilities{Epoch: 1}, testSecret, sampleHolders(20_000))
		if err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("%v", err)
		}
	}
}

// TestSumTreeOrder: the order is not that of the accounts, depends on the secret and the epoch, and comes again.
func TestSumTreeOrder(t *testing.T) {
	h := sampleHolders(500)
	order := func(epoch uint64, s tlog.Secret) (positions []uint32, salts []tlog.Salt) {
		var b bytes.Buffer
		if _, err := tlog.WriteLiabilities(&b, tlog.Liabilities{Epoch: epoch}, s, h); err != nil {
			t.Fatal(err)
		}
		f, err := tlog.OpenSumFile(bytes.NewReader(b.Bytes()), int64(b.Len()), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range h {
			p, _, err := f.Prove(who.Account, nil)
			if err != nil {
				t.Fatal(err)
			}
			positions, salts = append(positions, p.Position), append(salts, p.Salt)
		}
		return positions, salts
	}
	first, salts := order(1, testSecret)
	if again, _ := order(1, testSecret); !slices.Equal(again, first) {
		t.Error("another order, though nothing changed")
	}
	for name, c := range map[string]struct {
		epoch uint64
		s     tlog.Secret
	}{"epoch": {2, testSecret}, "secret": {1, tlog.Secret{}}} {
		positions, other := order(c.epoch, c.s)
		same := 0
		for i := range positions {
			if positions[i] == first[i] {
				same++
			}
			if slices.Contains(salts, other[i]) {
				t.Fatalf("another %s has a salt again", name)
			}
		}
		if same > 20 {
			t.Errorf("another %s: %d of 500 stand where they stood", name, same)
		}
	}
	rising := 0
	for i := 1; i < len(first); i++ {
		if first[i] > first[i-1] {
			rising++
		}
	}
	if rising < 150 || rising > 350 {
		t.Errorf("%d of 499 neighbours stand in the order of their accounts", rising)
	}
}

func BenchmarkWriteLiabilities(b *testing.B) {
	h := sampleHolders(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tlog.WriteLiabilities(&brokenWriter{1 << 40}, tlog.Liabilities{Epoch: 1}, testSecret, h); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(h)), "ns/holder")
}
