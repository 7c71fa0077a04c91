package sha256x2_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger/tlog/sha256x2"
)

// hashers are all that there are on this machine.
func hashers() map[string]sha256x2.Hasher {
	return map[string]sha256x2.Hasher{"new": sha256x2.New(), "zero": {}}
}

// padded puts messages of n bytes each, which stand one behind the other, where Sum wants them. What was there before Pad came
// is not zero.
func padded(messages []byte, n int) []byte {
	var b []byte
	for len(messages) > 0 {
		m := append(bytes.Clone(messages[:n]), bytes.Repeat([]byte{0xa5}, sha256x2.Room(n)-n)...)
		sha256x2.Pad(m, n)
		b, messages = append(b, m...), messages[n:]
	}
	return b
}

// check hashes messages of n bytes and looks at each hash, and that nothing is written behind the last.
func check(t *testing.T, h sha256x2.Hasher, messages []byte, n int) {
	t.Helper()
	const behind = "behind the last"
	var want []byte
	for at := 0; at < len(messages); at += n {
		sum := sha256.Sum256(messages[at : at+n])
		want = append(want, sum[:]...)
	}
	got := append(make([]byte, len(want)), behind...)
	count := h.Sum(got, padded(messages, n), sha256x2.Room(n))
	if want = append(want, behind...); count != len(messages)/n || !bytes.Equal(got, want) {
		t.Fatalf("%d messages of %d bytes: %d hashes %x, want %x", len(messages)/n, n, count, got, want)
	}
}

func random(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// TestSum: every length around the edges of blocks, with even and odd numbers of messages.
func TestSum(t *testing.T) {
	for name, h := range hashers() {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= 600; n++ {
				for count := range 6 {
					check(t, h, random(uint64(n), n*count), n)
				}
			}
			for _, n := range []int{1, 54, 55, 56, 513, 4096, 100_000} {
				check(t, h, random(uint64(n), n*33), n)
			}
		})
	}
}

// TestSumOfNothing: messages of no bytes are messages.
func TestSumOfNothing(t *testing.T) {
	message := make([]byte, sha256x2.Room(0))
	sha256x2.Pad(message, 0)
	want := sha256.Sum256(nil)
	for name, h := range hashers() {
		sums := make([]byte, 3*sha256.Size)
		h.Sum(sums, bytes.Repeat(message, 3), len(message))
		if !bytes.Equal(sums, bytes.Repeat(want[:], 3)) {
			t.Errorf("%s: %x, want three times %x", name, sums, want)
		}
	}
}

// TestSumOfLengths: what has as many blocks is hashed together, whatever its length.
func TestSumOfLengths(t *testing.T) {
	for name, h := range hashers() {
		var messages, want []byte
		for n := 56; n < 120; n++ {
			m := random(uint64(n), n)
			sum := sha256.Sum256(m)
			messages, want = append(messages, padded(m, n)...), append(want, sum[:]...)
		}
		got := make([]byte, len(want))
		if h.Sum(got, messages, 128); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
}

// TestSumRefuses what would be written or read elsewhere.
func TestSumRefuses(t *testing.T) {
	message := make([]byte, 64)
	sha256x2.Pad(message, 55)
	refused := func(h sha256x2.Hasher, sums, messages, size int) (refused bool) {
		defer func() { refused = recover() != nil }()
		h.Sum(make([]byte, sums), bytes.Repeat(message, 3)[:messages], size)
		return false
	}
	for name, h := range hashers() {
		for _, c := range []struct {
			sums, messages, size int
			want                 bool
		}{
			{64, 128, 64, false}, {63, 128, 64, true}, {32, 128, 128, false}, {64, 127, 64, true}, {64, 129, 64, true},
			{64, 64, 128, true}, {64, 64, 0, true}, {64, 64, -64, true}, {64, 32, 32, true}, {0, 64, 64, true}, {0, 0, 64, false},
			{0, 0, 0, false},
		} {
			if got := refused(h, c.sums, c.messages, c.size); got != c.want {
				t.Errorf("%s: messages of %d bytes in %d, hashes in %d: refused %v", name, c.size, c.messages, c.sums, got)
			}
		}
	}
}

// FuzzSum cuts the bytes into messages of one length.
func FuzzSum(f *testing.F) {
	f.Add(random(1, 54*5), uint16(54))
	f.Add(random(2, 513*2), uint16(513))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		if n == 0 {
			return
		}
		b = b[:len(b)/int(n)*int(n)]
		for _, h := range hashers() {
			check(t, h, b, int(n))
		}
	})
}

// BenchmarkSum: sixteen entries of one leg, and two nodes of the inner tree.
func BenchmarkSum(b *testing.B) {
	for _, c := range []struct{ count, n int }{{16, 54}, {2, 513}} {
		for name, h := range hashers() {
			b.Run(fmt.Sprintf("%dx%d/%s", c.count, c.n, name), func(b *testing.B) {
				messages, sums := padded(random(1, c.count*c.n), c.n), make([]byte, c.count*sha256.Size)
				for b.Loop() {
					h.Sum(sums, messages, sha256x2.Room(c.n))
				}
				blocks := len(messages) / sha256.BlockSize
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(blocks), "ns/block")
			})
		}
	}
}
