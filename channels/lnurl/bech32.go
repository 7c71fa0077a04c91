package lnurl

import (
	"errors"
	"fmt"
	"strings"
)

// maxLNURL bounds an LNURL in bech32: eight fifths of the longest URL, what is before it and its checksum. BIP 173's bound of 90
// characters does not hold for LNURLs.
const maxLNURL = len(prefix) + 1 + (maxURL*8+4)/5 + checksumSize

const (
	prefix       = "lnurl"
	charset      = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	checksumSize = 6
)

// ErrBech32 is what text that is no LNURL in bech32 ends with.
var ErrBech32 = errors.New("not an LNURL")

// Encode writes a URL as an LNURL in upper case, which QR codes hold in fewer dots (LUD-01).
func Encode(url string) string {
	values := regroup([]byte(url), 8, 5)
	values = append(values, checksum(values)...)
	var b strings.Builder
	b.WriteString(prefix + "1")
	for _, v := range values {
		b.WriteByte(charset[v])
	}
	return strings.ToUpper(b.String())
}

// Decode reads what Encode writes, in upper or in lower case but not in both.
func Decode(text string) (url string, err error) {
	lower := strings.ToLower(text)
	if len(text) > maxLNURL || text != lower && text != strings.ToUpper(text) {
		return "", fmt.Errorf("%w: too long, or in mixed case", ErrBech32)
	}
	data, ok := strings.CutPrefix(lower, prefix+"1")
	if !ok || len(data) < checksumSize {
		return "", fmt.Errorf("%w: it does not begin with %s1", ErrBech32, prefix)
	}
	values := make([]byte, len(data))
	for i := range data {
		v := strings.IndexByte(charset, data[i])
		if v < 0 {
			return "", fmt.Errorf("%w: a character that bech32 does not have", ErrBech32)
		}
		values[i] = byte(v)
	}
	if polymod(values) != 1 {
		return "", fmt.Errorf("%w: a mistyped character: its checksum is wrong", ErrBech32)
	}
	values = values[:len(values)-checksumSize]
	if spare := len(values) * 5 % 8; spare >= 5 || len(values) > 0 && values[len(values)-1]&(1<<spare-1) != 0 {
		return "", fmt.Errorf("%w: bits are left over", ErrBech32)
	}
	return string(regroup(values, 5, 8)[:len(values)*5/8]), nil
}

// regroup cuts a string of bits into groups of another size, the last of them filled up with zeros.
func regroup(in []byte, from, to uint) (out []byte) {
	var bits, n uint
	for _, v := range in {
		bits, n = bits<<from|uint(v), n+from
		for n >= to {
			n -= to
			out = append(out, byte(bits>>n&(1<<to-1)))
		}
	}
	if n > 0 {
		out = append(out, byte(bits<<(to-n)&(1<<to-1)))
	}
	return out
}

func checksum(values []byte) []byte {
	mod := polymod(append(append([]byte{}, values...), make([]byte, checksumSize)...)) ^ 1
	sum := make([]byte, checksumSize)
	for i := range sum {
		sum[i] = byte(mod >> (5 * (checksumSize - 1 - i)) & 31)
	}
	return sum
}

// polymod is the checksum of BIP 173 over the prefix, expanded as it says, and values.
func polymod(values []byte) uint32 {
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for i := range len(prefix) {
		step(prefix[i] >> 5)
	}
	step(0)
	for i := range len(prefix) {
		step(prefix[i] & 31)
	}
	for _, v := range values {
		step(v)
	}
	return sum
}
