package chain

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// URI is a request for payment as wallets read it out of a link or a QR code (BIP-321, and BIP-21 before it).
type URI struct {
	Address string      // or empty, where there is another way to pay
	Invoice string      // BOLT11, or empty
	Amount  ledger.Msat // zero: the payer says how much. Without an invoice, whole satoshis
	Label   string      // who is paid; at most maxURI bytes with all the rest
	Message string      // what for
}

// maxURI bounds a URI, in bytes: room for an invoice with many hints. A QR code has at most 4,296 characters.
const maxURI = 8 << 10

const scheme = "bitcoin:"

// String writes the URI. An address of segwit and an invoice are written as they are; what has to be escaped is.
func (u URI) String() string {
	var b strings.Builder
	b.WriteString(scheme + u.Address)
	separator := byte('?')
	add := func(key, value string) {
		if value != "" {
			b.WriteByte(separator)
			b.WriteString(key + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
			separator = '&'
		}
	}
	if u.Amount > 0 {
		add("amount", bitcoin(u.Amount))
	}
	add("label", u.Label)
	add("message", u.Message)
	add("lightning", u.Invoice)
	return b.String()
}

// ParseURI reads a payment URI for this network. Its address is checked, its invoice is not. An address may be where BIP-21 has it, or
// behind a key with the network's prefix (bc=, tb=, ...): the first one counts. A URI with a key that must be understood and is not
// (req-...), with no way to pay, or with a second amount, label or message, is refused. The error of an address of another network is
// channels.ErrNetwork.
func (n Network) ParseURI(text string) (URI, error) {
	if len(text) > maxURI {
		return URI{}, fmt.Errorf("a payment URI of %d bytes: at most %d are read", len(text), maxURI)
	}
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return URI{}, errors.New("no payment URI: bitcoin: is not what it begins with")
	}
	var u URI
	var err error
	address, query, _ := strings.Cut(text[len(scheme):], "?")
	query, _, _ = strings.Cut(query, "#")
	if u.Address, err = url.PathUnescape(address); err != nil {
		return URI{}, fmt.Errorf("reading a payment URI: %w", err)
	}
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if value, err = url.PathUnescape(value); err != nil { // not QueryUnescape: a plus is a plus
			return URI{}, fmt.Errorf("reading a payment URI: %w", err)
		}
		if err := n.take(&u, strings.ToLower(key), value, seen); err != nil {
			return URI{}, fmt.Errorf("reading a payment URI: %w", err)
		}
	}
	if u.Address == "" && u.Invoice == "" {
		return URI{}, errors.New("a payment URI without an address or invoice of this network")
	}
	if u.Address != "" {
		if _, err := n.Script(u.Address); err != nil {
			return URI{}, fmt.Errorf("reading a payment URI: %w", err)
		}
	}
	if u.Invoice == "" && u.Amount%1000 != 0 {
		return URI{}, errors.New("a payment URI whose amount is no whole number of satoshis")
	}
	return u, nil
}

// take puts one parameter in its place. seen are the keys that may be there once.
func (n Network) take(u *URI, key, value string, seen map[string]bool) (err error) {
	name, required := strings.CutPrefix(key, "req-")
	known := true
	switch name {
	case "amount", "label", "message":
		if seen[name] {
			return fmt.Errorf("two parameters %s", name)
		}
		seen[name] = true
	}
	switch name {
	case "amount":
		u.Amount, err = parseBitcoin(value)
	case "label":
		u.Label = value
	case "message":
		u.Message = value
	case "lightning":
		if u.Invoice == "" {
			u.Invoice = strings.ToLower(value)
		}
	case n.prefix():
		if u.Address == "" {
			u.Address = value
		}
	default:
		known = false
	}
	if required && !known {
		return fmt.Errorf("it has a parameter %q, which must be understood and is not", key)
	}
	return err
}

// bitcoin writes an amount in bitcoins, 10^11 msat, without zeros that say nothing.
func bitcoin(m ledger.Msat) string {
	text := fmt.Sprintf("%d.%011d", m/msatPerBitcoin, m%msatPerBitcoin)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

const (
	msatPerBitcoin = 100_000_000_000
	bitcoinDigits  = 11 // behind the point
)

// parseBitcoin reads an amount in bitcoins: digits, and at most eleven behind a point.
func parseBitcoin(text string) (ledger.Msat, error) {
	whole, part, point := strings.Cut(text, ".")
	part = strings.TrimRight(part, "0")
	if whole == "" && part == "" && (!point || text == ".") || len(part) > bitcoinDigits {
		return 0, fmt.Errorf("the amount %.40q is none in bitcoins", text)
	}
	var m ledger.Msat
	for _, c := range whole + part + strings.Repeat("0", bitcoinDigits-len(part)) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("the amount %.40q is none in bitcoins", text)
		}
		digit := ledger.Msat(c - '0')
		if m > (ledger.MaxMsat-digit)/10 { // asked before, since ten times as much may be past 64 bits
			return 0, fmt.Errorf("the amount %.40q is more than there can be", text)
		}
		m = m*10 + digit
	}
	return m, nil
}
