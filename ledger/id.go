package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// AccountNo, ChannelNo and HoldNo are dense: they count up from one and index arrays. Zero names nothing.
//
// In text they are a letter for the kind, the number in Crockford's base 32 without leading zeros, and two check
// symbols (the number modulo 1021), so that one mistyped or two swapped symbols name nobody instead of somebody else.
type (
	AccountNo uint32
	ChannelNo uint32
	HoldNo    uint32
)

// The accounts that every ledger has. Only the external ones (Dev, Lightning, Chain) can be negative: what they owe is
// the money that came in from outside. Numbers below FirstAccount are never given to a customer.
const (
	Fees         AccountNo = 1 // the hub's own income
	Dev          AccountNo = 2 // external: money made for development and load tests
	Lightning    AccountNo = 3 // external: what came in and went out over Lightning
	Chain        AccountNo = 4 // external: what came in and went out on-chain
	Escrow       AccountNo = 5 // what buyers have paid and nobody has earned yet: no transfer reaches it
	Market       AccountNo = 6 // holds nothing: its history has the rates of currencies
	FirstAccount AccountNo = 16
)

// External says whether money enters and leaves the ledger through the account.
func (a AccountNo) External() bool { return a == Dev || a == Lightning || a == Chain }

// ContentID names a sealed work: 16 random bytes that its creator chose, so that sealing needs no hub.
type ContentID [16]byte

// OpID makes an op that is not idempotent by nature happen once: a UUIDv7 (RFC 9562, section 5.7) that its sender chose.
type OpID [16]byte

// ErrID is what every Parse function of this package returns, wrapped, for text that is not what it should be.
var ErrID = errors.New("not a valid id")

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// checkModulus is the largest prime below 32*32: prime to 32, so swapped symbols change the remainder.
const checkModulus = 1021

func (a AccountNo) String() string  { return string(a.Append(nil)) }
func (c ChannelNo) String() string  { return string(c.Append(nil)) }
func (h HoldNo) String() string     { return string(appendNo(nil, 'h', uint32(h))) }
func (id ContentID) String() string { return string(id.Append(nil)) }

// String is the form of RFC 9562: 8-4-4-4-12 hexadecimal digits.
func (id OpID) String() string { return string(id.Append(nil)) }

// Append appends the text form, as String has it.
func (a AccountNo) Append(b []byte) []byte  { return appendNo(b, 'a', uint32(a)) }
func (c ChannelNo) Append(b []byte) []byte  { return appendNo(b, 'c', uint32(c)) }
func (id ContentID) Append(b []byte) []byte { return hex.AppendEncode(b, id[:]) }
func (id OpID) Append(to []byte) []byte {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return append(to, b[:]...)
}

// Millis is the time that the id carries, in milliseconds since 1970.
func (id OpID) Millis() uint64 { return binary.BigEndian.Uint64(id[0:8]) >> 16 }

// valid says whether the version and variant bits are those of a UUIDv7.
func (id OpID) valid() bool { return id[6]>>4 == 7 && id[8]>>6 == 2 }

// NewOpID makes a UUIDv7 of a time in milliseconds since 1970 and 10 random bytes, 74 bits of which are used.
func NewOpID(millis uint64, random [10]byte) OpID {
	var id OpID
	binary.BigEndian.PutUint64(id[0:8], millis<<16)
	copy(id[6:], random[:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseAccountNo reads the text form of an account, and of nothing else.
func ParseAccountNo[T ~string | ~[]byte](s T) (AccountNo, error) {
	n, err := parseNo('a', "account", s)
	return AccountNo(n), err
}

// ParseChannelNo reads the text form of a channel, and of nothing else.
func ParseChannelNo[T ~string | ~[]byte](s T) (ChannelNo, error) {
	n, err := parseNo('c', "channel", s)
	return ChannelNo(n), err
}

// ParseContentID reads 32 lower-case hexadecimal digits.
func ParseContentID[T ~string | ~[]byte](s T) (ContentID, error) {
	var id ContentID
	if len(s) != 32 || !decodeHex(id[:], s) {
		return ContentID{}, fmt.Errorf("content: %w: want 32 lower-case hexadecimal digits", ErrID)
	}
	return id, nil
}

// ParseOpID reads a UUIDv7 in the form of RFC 9562, in lower case. Another version of UUID is an error.
func ParseOpID[T ~string | ~[]byte](s T) (OpID, error) {
	var id OpID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' ||
		!decodeHex(id[0:4], s[0:8]) || !decodeHex(id[4:6], s[9:13]) || !decodeHex(id[6:8], s[14:18]) ||
		!decodeHex(id[8:10], s[19:23]) || !decodeHex(id[10:16], s[24:36]) || !id.valid() {
		return OpID{}, fmt.Errorf("id: %w: want a UUIDv7 such as 01932f4e-7c2a-7def-8123-456789abcdef", ErrID)
	}
	return id, nil
}

func appendNo(to []byte, kind byte, n uint32) []byte {
	var b [10]byte // a letter, up to 7 digits, 2 check symbols
	i := len(b)
	put := func(v uint32) { i--; b[i] = crockford[v&31] }
	check := n % checkModulus
	put(check)
	put(check >> 5)
	for ; n > 0; n >>= 5 {
		put(n)
	}
	i--
	b[i] = kind
	return append(to, b[i:]...)
}

func parseNo[T ~string | ~[]byte](kind byte, what string, s T) (uint32, error) {
	fail := func() (uint32, error) {
		return 0, fmt.Errorf("%s: %w: want %q, base-32 digits and two check symbols", what, ErrID, kind)
	}
	if len(s) < 4 || len(s) > 10 || s[0] != kind || s[1] == '0' {
		return fail()
	}
	var n, check uint64
	for i := 1; i < len(s); i++ {
		v := crockfordValue(s[i])
		if v < 0 {
			return fail()
		}
		if i < len(s)-2 {
			n = n<<5 | uint64(v)
		} else {
			check = check<<5 | uint64(v)
		}
	}
	if n > 1<<32-1 || n%checkModulus != check {
		return fail()
	}
	return uint32(n), nil
}

func crockfordValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'h':
		return int(c-'a') + 10
	case c == 'j' || c == 'k':
		return int(c-'j') + 18
	case c == 'm' || c == 'n':
		return int(c-'m') + 20
	case c >= 'p' && c <= 't':
		return int(c-'p') + 22
	case c >= 'v' && c <= 'z':
		return int(c-'v') + 27
	}
	return -1
}

func decodeHex[T ~string | ~[]byte](dst []byte, s T) bool {
	for i := range dst {
		hi, lo := hexValue(s[2*i]), hexValue(s[2*i+1])
		if hi < 0 || lo < 0 {
			return false
		}
		dst[i] = byte(hi<<4 | lo)
	}
	return true
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
