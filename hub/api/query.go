package api

import (
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
)

// query is the parameters in a URL, taken out one by one, strictly: what is unknown, there twice or out of bounds is an error,
// and the first one counts.
type query struct {
	args  *fasthttp.Args
	taken int
	err   *problem
}

func (c *call) query() query { return query{args: c.ctx.QueryArgs()} }

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = &problem{status: 400, code: "malformed_query", detail: fmt.Sprintf(format, args...)}
	}
}

// end returns the first error, a parameter that nobody took among them. Parameters there twice were taken once.
func (q *query) end() *problem {
	if q.err == nil && q.args.Len() != q.taken {
		q.fail("the URL has a parameter that does not belong here, or one twice")
	}
	return q.err
}

// maxSeq is the largest seq that all JSON readers take.
const maxSeq = 1<<53 - 1

// text is nil for a parameter that is not there.
func (q *query) text(name string) []byte {
	if !q.args.Has(name) {
		return nil
	}
	q.taken++
	return append([]byte{}, q.args.Peek(name)...)
}

// whole is a number from least to most, or what it is when it is not there.
func (q *query) whole(name string, least, most, otherwise uint64) uint64 {
	text := q.text(name)
	if text == nil {
		return otherwise
	}
	n, ok := parseWhole(text)
	if !ok || n < least || n > most {
		q.fail("%s must be a whole number from %d to %d, not %q", name, least, most, clip(string(text)))
	}
	return n
}

// maxMillis is the first millisecond of the year 10000, which RFC 3339 cannot write.
const maxMillis = 253_402_300_800_000

// millis is a time in milliseconds since 1970, or by RFC 3339, in whose form parts of a millisecond are cut off.
func (q *query) millis(name string, otherwise uint64) uint64 {
	text := q.text(name)
	if text == nil {
		return otherwise
	}
	n, ok := parseWhole(text)
	if !ok {
		t, err := time.Parse(time.RFC3339, string(text))
		if ok = err == nil && t.UnixMilli() >= 0; ok {
			n = uint64(t.UnixMilli())
		}
	}
	if !ok || n >= maxMillis {
		q.fail("%s must be a time from 1970 to 9999, in milliseconds since 1970 or as 2027-01-31T18:00:00Z (a + in a URL is %%2B), not %q", name, clip(string(text)))
		return 0
	}
	return n
}

// word is one of some words, the first of them when it is not there.
func (q *query) word(name string, words ...string) string {
	text := q.text(name)
	if text == nil {
		return words[0]
	}
	for _, w := range words {
		if string(text) == w {
			return w
		}
	}
	q.fail("%s must be one of %q, not %q", name, words, clip(string(text)))
	return words[0]
}
