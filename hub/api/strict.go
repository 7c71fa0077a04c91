package api

import (
	"errors"
	"unicode/utf8"

	"github.com/millrace/millrace/hub"
	"github.com/valyala/fastjson"
)

// The bounds of JSON. fastjson keeps 80 bytes for each value, and says what it cannot read, with all that follows, once more
// for each level of nesting: without these, 2 MiB of brackets cost 10 GB of error messages.
const (
	maxDepth       = 4                   // levels; the deepest body, a registration's payees, has 3
	maxValues      = 128                 // in anything but a batch; a registration with 16 payees has 57
	maxBatchValues = 8 * hub.MaxBatchOps // an op with its 5 members is 6: 5 MiB
)

var (
	errDeep   = errors.New("it is nested too deeply")
	errWide   = errors.New("it has too many values")
	errText   = errors.New("a string has no end, or a byte or an escape that JSON does not have")
	errSymbol = errors.New("it has a symbol that does not belong there")
)

// parse reads one JSON value of at most so many values. It is valid until the next parse.
func (c *call) parse(b []byte, values int) (*fastjson.Value, error) {
	if err := strict(b, values); err != nil {
		return nil, err
	}
	return c.parser.ParseBytes(b)
}

// strict refuses what fastjson takes and JSON (RFC 8259) does not have, in strings and between values, and what is larger
// than any body of ours. The rest of the grammar is fastjson's to check.
func strict(b []byte, values int) error {
	depth, n := 0, 1
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			size := stringSize(b[i+1:])
			if size < 0 {
				return errText
			}
			i += size
		case '{', '[':
			n++
			if depth++; depth > maxDepth {
				return errDeep
			}
		case '}', ']':
			depth--
		case ',':
			n++
		case ':', ' ', '\t', '\r', '\n', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-', '+', '.', 'E',
			'a', 'e', 'f', 'l', 'n', 'r', 's', 't', 'u': // of numbers, true, false and null
		default:
			return errSymbol
		}
	}
	if n > values {
		return errWide
	}
	return nil
}

// stringSize is the number of bytes up to and with the closing quote, or -1 for what is no string.
func stringSize(b []byte) int {
	var all byte
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if all >= utf8.RuneSelf && !utf8.Valid(b[:i]) {
				return -1
			}
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			size := escapeSize(b[i+1:])
			if size == 0 {
				return -1
			}
			i += size
		default:
			all |= c
		}
	}
	return -1
}

// escapeSize is the number of bytes after a backslash that belong to it, or 0 for what is no escape. Half of a pair of
// surrogates is none: no UTF-8 could stand for it.
func escapeSize(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		first, ok := hex4(b[1:])
		switch {
		case !ok || first&0xfc00 == 0xdc00:
			return 0
		case first&0xfc00 != 0xd800:
			return 5
		case len(b) < 11 || b[5] != '\\' || b[6] != 'u':
			return 0
		}
		if second, ok := hex4(b[7:]); ok && second&0xfc00 == 0xdc00 {
			return 11
		}
	}
	return 0
}

func hex4(b []byte) (n uint16, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | uint16(c)
	}
	return n, true
}
