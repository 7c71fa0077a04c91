package lnurl

import (
	"errors"
	"fmt"
	"math/bits"
	"net/url"
	"strconv"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// ErrURI is what text ends with that is no bitcoin: URI, or one that says what must be understood and is not.
var ErrURI = errors.New("not a bitcoin: URI that can be paid")

const (
	maxURI       = 8 << 10 // bytes
	maxURIParams = 64
)

// URI is a bitcoin: URI (BIP 321). It says what can be paid, each of it enough: whether they are of our network is for their parsers to say.
type URI struct {
	Addresses []string    // on-chain: the one before the question mark first
	Invoice   string      // BOLT11
	Offer     string      // BOLT12
	Amount    ledger.Msat // zero: the payer says how much
	Label     string      // whom it is for
	Message   string      // what it is for
}

// String writes a URI in the form that the most wallets read: one address, and the rest as parameters. The amount is a whole number of
// satoshis there: a part of one is rounded up.
func (u URI) String() string {
	var b strings.Builder
	b.WriteString("bitcoin:")
	if len(u.Addresses) > 0 {
		b.WriteString(u.Addresses[0])
	}
	separator := byte('?')
	add := func(key, value string) {
		if value == "" {
			return
		}
		b.WriteByte(separator)
		b.WriteString(key + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
		separator = '&'
	}
	if u.Amount > 0 {
		add("amount", formatBTC(u.Amount))
	}
	add("label", u.Label)
	add("message", u.Message)
	add("lightning", u.Invoice)
	add("lno", u.Offer)
	return b.String()
}

// formatBTC writes an amount in BTC without trailing zeros.
func formatBTC(amount ledger.Msat) string {
	sat := (uint64(amount) + 999) / 1000
	text := strconv.FormatUint(sat/1e8, 10)
	if part := strings.TrimRight(fmt.Sprintf("%08d", sat%1e8), "0"); part != "" {
		text += "." + part
	}
	return text
}

// ParseURI reads a bitcoin: URI. Keys and the scheme are in any case; parameters that are not known are passed over, but for those that
// begin with req-, without which nothing may be paid.
func ParseURI(text string) (URI, error) {
	rest, ok := cutScheme(strings.TrimSpace(text), "bitcoin")
	if !ok || len(text) > maxURI {
		return URI{}, fmt.Errorf("%w: it does not begin with bitcoin:, or is longer than %d bytes", ErrURI, maxURI)
	}
	address, query, _ := strings.Cut(rest, "?")
	var u URI
	if address != "" {
		u.Addresses = append(u.Addresses, address)
	}
	seen := make(map[string]bool)
	for param := range strings.SplitSeq(query, "&") {
		if param == "" {
			continue
		}
		key, raw, _ := strings.Cut(param, "=")
		value, err := url.PathUnescape(raw) // a plus is a plus: RFC 3986 has no other meaning for it
		if err != nil || len(seen) >= maxURIParams {
			return URI{}, fmt.Errorf("%w: its parameters", ErrURI)
		}
		key = strings.ToLower(key)
		if err := u.add(key, value, seen[strings.TrimPrefix(key, "req-")]); err != nil {
			return URI{}, fmt.Errorf("%w: %w", ErrURI, err)
		}
		seen[strings.TrimPrefix(key, "req-")] = true
	}
	if len(u.Addresses) == 0 && u.Invoice == "" && u.Offer == "" {
		return URI{}, fmt.Errorf("%w: there is nothing to pay to", ErrURI)
	}
	return u, nil
}

// add takes one parameter.
func (u *URI) add(key, value string, again bool) (err error) {
	switch key {
	case "amount", "label", "message", "pop", "req-pop", "lightning", "lno":
		if again {
			return fmt.Errorf("%s is there twice", key)
		}
	}
	switch key {
	case "amount":
		u.Amount, err = parseBTC(value)
	case "label":
		u.Label = shorten(value, 200)
	case "message":
		u.Message = shorten(value, 640)
	case "lightning":
		u.Invoice = value
	case "lno":
		u.Offer = value
	case "bc", "tb", "bcrt", "sb": // addresses by the prefix of their network
		if !strings.HasPrefix(strings.ToLower(value), key+"1") {
			return fmt.Errorf("what is in %s does not begin with it", key)
		}
		if len(u.Addresses) == 8 {
			return errors.New("more than 8 addresses")
		}
		u.Addresses = append(u.Addresses, value)
	default:
		if strings.HasPrefix(key, "req-") {
			return fmt.Errorf("it needs %.32q, which is not known here", key)
		}
	}
	return err
}

// parseBTC reads decimal BTC exactly, to the msat: 0.00000000001 is one.
func parseBTC(text string) (ledger.Msat, error) {
	const places = 11
	whole, part, _ := strings.Cut(text, ".")
	if whole == "" && part == "" || len(part) > places || strings.Trim(whole+part, "0123456789") != "" {
		return 0, fmt.Errorf("%.32q is not an amount in BTC", text)
	}
	if whole == "" {
		whole = "0"
	}
	btc, err := strconv.ParseUint(whole, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.32q is more than there is", text)
	}
	rest, err := strconv.ParseUint((part + strings.Repeat("0", places))[:places], 10, 64)
	if err != nil {
		return 0, err
	}
	over, msat := bits.Mul64(btc, 1e11)
	if msat += rest; over != 0 || msat > uint64(ledger.MaxMsat) {
		return 0, fmt.Errorf("%.32q is more than there is", text)
	}
	return ledger.Msat(msat), nil
}
