package api

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fastjson"
)

// object is a JSON object whose members are taken out one by one, strictly: what is missing, of the wrong type or out of
// bounds, unknown or there twice is an error, and the first one counts. It is valid until the next parse.
type object struct {
	call  *call
	json  *fastjson.Object
	taken int
	err   *problem
}

// body parses the request's JSON object. With optional, no body counts as an empty object.
func (c *call) body(optional bool) object {
	b := c.ctx.Request.Body()
	if len(b) == 0 && optional {
		return object{call: c}
	}
	if p := c.wantType("application/json"); p != nil {
		return object{call: c, err: p}
	}
	v, err := c.parse(b, maxValues)
	if err != nil {
		return object{call: c, err: malformed("the body is not JSON: %s", clip(err.Error()))}
	}
	return c.object(v)
}

func (c *call) object(v *fastjson.Value) object {
	o, err := v.Object()
	if err != nil {
		return object{call: c, err: malformed("want a JSON object, not %s", article(v.Type()))}
	}
	return object{call: c, json: o}
}

// wantType refuses bodies of another media type, and encoded ones.
func (c *call) wantType(want string) *problem {
	if got := mediaType(c.ctx.Request.Header.ContentType()); !strings.EqualFold(string(got), want) {
		return &problem{status: 415, code: "media_type_unknown", detail: "want a body of " + want}
	}
	return c.uncoded()
}

// uncoded refuses bodies that are compressed or the like.
func (c *call) uncoded() *problem {
	if e := c.ctx.Request.Header.ContentEncoding(); len(e) > 0 && string(e) != "identity" {
		return &problem{status: 415, code: "content_coding_unknown", detail: "want a body without content coding"}
	}
	return nil
}

// mediaType is a Content-Type without its parameters.
func mediaType(contentType []byte) []byte {
	if i := bytes.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	return bytes.TrimRight(contentType, " \t")
}

// take returns a member, or nil.
func (o *object) take(name string) *fastjson.Value {
	if o.json == nil {
		return nil
	}
	v := o.json.Get(name)
	if v != nil {
		o.taken++
	}
	return v
}

func (o *object) fail(format string, args ...any) {
	if o.err == nil {
		o.err = malformed(format, args...)
	}
}

// end returns the first error, a member that nobody took among them. Members there twice were taken once.
func (o *object) end() *problem {
	if o.err == nil && o.json != nil && o.json.Len() != o.taken {
		o.err = malformed("the body has a member that does not belong here, or one twice")
	}
	return o.err
}

// whole is a number from 1, or from 0 where zero is allowed, to most.
func (o *object) whole(name string, least, most uint64, required bool) uint64 {
	v := o.take(name)
	if v == nil {
		if required {
			o.fail("%s is missing", name)
		}
		return 0
	}
	if v.Type() != fastjson.TypeNumber {
		o.fail("%s must be a whole number, not %s", name, article(v.Type()))
		return 0
	}
	o.call.number = v.MarshalTo(o.call.number[:0])
	n, ok := parseWhole(o.call.number)
	if !ok || n < least || n > most {
		o.fail("%s must be a whole number from %d to %d, not %s", name, least, most, clip(string(o.call.number)))
		return 0
	}
	return n
}

func (o *object) amount(name string) ledger.Msat {
	return ledger.Msat(o.whole(name, 1, uint64(ledger.MaxMsat), true))
}

// text is a string of 1 to most bytes. It points into the parser's memory.
func (o *object) text(name string, most int, required bool) []byte {
	v := o.take(name)
	if v == nil {
		if required {
			o.fail("%s is missing", name)
		}
		return nil
	}
	b, err := v.StringBytes()
	if err != nil {
		o.fail("%s must be a string, not %s", name, article(v.Type()))
		return nil
	}
	if len(b) == 0 || len(b) > most {
		o.fail("%s must have 1 to %d bytes", name, most)
		return nil
	}
	return b
}

func (o *object) account(name string) ledger.AccountNo {
	no, err := ledger.ParseAccountNo(o.text(name, 16, true))
	if err != nil {
		o.fail("%s: %v", name, err)
	}
	return no
}

func (o *object) opID() ledger.OpID {
	id, err := ledger.ParseOpID(o.text("id", 36, true))
	if err != nil {
		o.fail("%v", err)
	}
	return id
}

func (o *object) sha256(name string, required bool) (sum [32]byte, given bool) {
	b := o.text(name, 64, required)
	if b == nil {
		return sum, false
	}
	if len(b) != 64 || !lowerHex(sum[:], b) {
		o.fail("%s must be 64 lower-case hexadecimal digits", name)
	}
	return sum, true
}

// parseWhole reads a JSON number that has neither sign, fraction nor exponent.
func parseWhole(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 19 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, true
}

func lowerHex(dst, src []byte) bool {
	for i := range dst {
		hi, lo := strings.IndexByte(hexDigits, src[2*i]), strings.IndexByte(hexDigits, src[2*i+1])
		if hi < 0 || lo < 0 {
			return false
		}
		dst[i] = byte(hi<<4 | lo)
	}
	return true
}

func malformed(format string, args ...any) *problem {
	return &problem{status: 400, code: "malformed_body", detail: fmt.Sprintf(format, args...)}
}

// clip keeps a stranger's words short.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

func article(t fastjson.Type) string {
	switch t {
	case fastjson.TypeNull, fastjson.TypeTrue, fastjson.TypeFalse:
		return t.String()
	case fastjson.TypeArray, fastjson.TypeObject:
		return "an " + t.String()
	}
	return "a " + t.String()
}
