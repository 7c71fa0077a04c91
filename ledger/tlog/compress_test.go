package tlog_test

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/ledger/tlog"
)

// TestCompressor: the fast way gives SHA-256, for every length around the edges of blocks. That it is taken at all is asserted
// too: a release of Go that ends it should be heard of.
func TestCompressor(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	message := make([]byte, 600)
	for i := range message {
		message[i] = byte(rng.Uint32())
	}
	for n := range message {
		fast, got := tlog.CompressorWorks(message[:n])
		if want := sha256.Sum256(message[:n]); got != want {
			t.Fatalf("%d bytes: %x, want %x", n, got, want)
		}
		if !fast {
			t.Fatal("the standard library's digest has another form than the one known: stateAt")
		}
	}
}

func TestTreeWithoutState(t *testing.T) {
	for _, n := range []int{1, 17, 300} {
		l, entries := sampleBlock(5, 9, n)
		fast, slow := tlog.NewTree(testSecret), tlog.WithoutState(tlog.NewTree(testSecret))
		if a, b := build(fast, l, entries), build(slow, l, entries); a != b {
			t.Fatalf("%d entries: %+v and %+v", n, a, b)
		}
	}
}
