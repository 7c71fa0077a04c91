package api

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/millrace/millrace/ledger"
)

const hexDigits = "0123456789abcdef"

// The answers are small and of fixed form, so they are appended, not reflected.

func (c *call) begin(name string) {
	c.out = append(append(append(c.out[:0], `{"`...), name...), `":`...)
}

func (c *call) next(name string) { c.out = append(append(append(c.out, `,"`...), name...), `":`...) }

func (c *call) end() { c.out = append(c.out, '}') }

func (c *call) uint(n uint64) { c.out = strconv.AppendUint(c.out, n, 10) }

func (c *call) int(n int64) { c.out = strconv.AppendInt(c.out, n, 10) }

// quote is for text that needs no escape: ids, names, base64.
func (c *call) quote(s string) { c.out = append(append(append(c.out, '"'), s...), '"') }

// The text forms of what the ledger numbers and names.

func (c *call) accountNo(no ledger.AccountNo) { c.out = append(no.Append(append(c.out, '"')), '"') }

func (c *call) channelNumber(no uint32) {
	c.out = append(ledger.ChannelNo(no).Append(append(c.out, '"')), '"')
}

func (c *call) contentName(id ledger.ContentID) { c.out = append(id.Append(append(c.out, '"')), '"') }

func (c *call) opID(id ledger.OpID) { c.out = append(id.Append(append(c.out, '"')), '"') }

func (c *call) base64(b []byte) {
	c.out = append(base64.StdEncoding.AppendEncode(append(c.out, '"'), b), '"')
}

func (c *call) hex(b []byte) { c.out = append(hex.AppendEncode(append(c.out, '"'), b), '"') }

// result begins an answer with what every outcome has.
func (c *call) result(a ledger.Applied) {
	c.begin("result")
	c.quote(a.Result().String())
	c.next("seq")
	c.uint(a.Seq())
}

// appendString appends a JSON string with what must be escaped, escaped. Bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
