package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestOpenPart: a part of a work opens for the price of the work, and what is not there is not paid for.
func TestOpenPart(t *testing.T) {
	m := newMarket(t)
	const size = 3*64<<10 + 5
	plain, sealed, _ := m.seal(t, "work", size)
	out := m.path("out")
	part := func(from, n int, more ...string) []string {
		return m.open(m.buyer, out, sealed, append(more, "--force", "--offset", fmt.Sprint(from), "--length", fmt.Sprint(n))...)
	}
	fails(t, exitUsage, fmt.Sprintf("has %d bytes", size), part(size+1, 1)...)
	fails(t, exitUsage, "invalid", part(-1, 1)...)
	bytes := read(t, sealed)
	if r := millrace(t, nil, strings.NewReader(string(bytes)), m.open(m.buyer, out, "-", "--offset", "1")...); r.code != exitUsage || !strings.Contains(r.err, "regular file") {
		t.Errorf("a stream: %+v", r)
	}
	cut := writeFile(t, m.path("cut"), bytes[:len(bytes)-6])
	fails(t, exitFile, "no sealed work has", m.open(m.buyer, out, cut, "--offset", "1")...)
	if got := m.balance(t, m.buyer); got != "1000" {
		t.Errorf("the buyer has %s", got)
	}
	for _, test := range []struct{ from, n, to int }{
		{0, 1, 1}, {1, 0, size}, {65535, 2, 65537}, {65536, 65536, 131072}, {131071, 70000, size}, {size - 1, 5, size}, {size, 1, size},
		{100, 1 << 62, size},
	} {
		got := ok(t, part(test.from, test.n)...)
		same(t, out, plain[test.from:test.to])
		if got["size"] != json.Number(fmt.Sprint(test.to-test.from)) {
			t.Errorf("from %d to %d: %v", test.from, test.to, got)
		}
	}
	if got := m.balance(t, m.buyer); got != "900" {
		t.Errorf("the buyer has %s", got)
	}
	bytes[len(bytes)-70_000] ^= 1 // which is behind the part
	bent := writeFile(t, m.path("bent"), bytes)
	fails(t, exitFile, "SHA-256", m.open(m.buyer, out, bent, "--force", "--offset", "7", "--length", "9")...)
	ok(t, m.open(m.buyer, out, bent, "--force", "--offset", "7", "--length", "9", "--no-verify")...)
	same(t, out, plain[7:16])
	fails(t, exitFile, "opening it again is free", m.open(m.buyer, out, bent, "--force", "--offset", "100000", "--no-verify")...)
	same(t, out, plain[7:16])
}
