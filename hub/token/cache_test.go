package token

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestExpiry(t *testing.T) {
	m := NewMint(root, 4)
	for _, c := range []struct {
		at  time.Time
		err error
	}{
		{evening, ErrExpired}, // before the token is in the cache
		{evening.Add(-1), nil},
		{evening.Add(-1), nil}, // a hit
		{evening, ErrExpired},
		{evening.Add(time.Hour), ErrExpired},
		{noon, nil}, // the caller's clock decides, also when it is set back
	} {
		if g, err := m.Verify([]byte(golden), c.at); !errors.Is(err, c.err) || (err != nil && g != Grant{}) {
			t.Errorf("at %v: got %+v, %v; want %v", c.at, g, err, c.err)
		}
	}
}

func TestCacheBound(t *testing.T) {
	for _, size := range []int{-1, 0, 1, 15, 16, 17, 40} {
		m := NewMint(root, size)
		for i := range 300 {
			text := must(t)(m.Issue(alice, Limits{MaxMsat: 1}))
			if _, err := m.Verify([]byte(text), noon); err != nil {
				t.Fatalf("size %d, token %d: %v", size, i, err)
			}
			if n := m.cache.len(); n > max(size, 0) {
				t.Fatalf("size %d: %d entries", size, n)
			}
		}
		index := 0
		for i := range m.cache.shards {
			index += len(m.cache.shards[i].index)
		}
		if index != m.cache.len() {
			t.Errorf("size %d: %d keys for %d entries", size, index, m.cache.len())
		}
	}
}

// TestCacheKeepsWhatIsUsed: a holder who makes one-time tokens without end does not push out one that is in use.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	m := NewMint(root, 4)
	if _, err := m.Verify([]byte(golden), noon); err != nil {
		t.Fatal(err)
	}
	kept := sha256.Sum256([]byte(golden))
	for i := range 200 {
		if _, err := m.Verify([]byte(must(t)(m.Issue(alice, Limits{}))), noon); err != nil {
			t.Fatal(err)
		}
		if _, ok := m.cache.shard(kept).index[kept]; !ok {
			t.Fatalf("the token in use was pushed out by token %d", i)
		}
		m.Verify([]byte(golden), noon)
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	m := NewMint(root, 1024)
	text := []byte(golden)
	if _, err := m.Verify(text, noon); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]time.Time{"valid": noon, "expired": evening} {
		if n := testing.AllocsPerRun(100, func() { m.Verify(text, at) }); n != 0 {
			t.Errorf("%s: %v allocations on a hit, want 0", name, n)
		}
	}
}

// TestConcurrent is for the race detector: more tokens than the cache holds, from many goroutines.
func TestConcurrent(t *testing.T) {
	m := NewMint(root, 20)
	var texts [40][]byte
	for i := range texts {
		texts[i] = []byte(must(t)(m.Issue(alice, Limits{MaxMsat: 1 + goldenLimits.MaxMsat})))
	}
	var wg sync.WaitGroup
	failed := make(chan string, 8)
	for g := range 8 {
		wg.Go(func() {
			for i := range 400 {
				if got, err := m.Verify(texts[(i*(g+1))%len(texts)], noon); err != nil || got.Account != alice {
					failed <- fmt.Sprintf("%+v, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	for f := range failed {
		t.Error(f)
	}
	if n := m.cache.len(); n > 20 {
		t.Errorf("%d entries, want at most 20", n)
	}
}

func BenchmarkVerifyHit(b *testing.B) {
	m := NewMint(root, 1024)
	text := []byte(golden)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := m.Verify(text, noon); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkVerifyMiss(b *testing.B) {
	m := NewMint(root, 0)
	text := []byte(golden)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Verify(text, noon); err != nil {
			b.Fatal(err)
		}
	}
}
