package settle

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Way is how a destination is reached.
type Way string

const (
	ToAccount          Way = "account"           // of the hub itself
	ToNode             Way = "node"              // a keysend to a node's public key
	ToLightningAddress Way = "lightning_address" // LUD-16: somebody@somewhere
	ToLNURL            Way = "lnurl"             // LUD-06, in bech32
	ToAddress          Way = "address"           // on-chain
	ToInvoice          Way = "invoice"           // BOLT11: paid once, so it is for imports alone
)

// Target is one destination.
type Target struct {
	Way  Way    `json:"way"`
	Text string `json:"text"`
}

// maxTarget bounds the text of a destination in bytes: an LNURL of a long web address, or an invoice with many hints.
const maxTarget = 2000

// Output is what an on-chain address takes in a transaction.
type Output struct {
	VSize uint8  `json:"vsize"` // virtual bytes
	Dust  uint16 `json:"dust"`  // satoshis: less than this is not relayed
}

// Network reads what only means something on one chain.
type Network interface {
	// Output checks an address. An error that is channels.ErrNetwork names another chain.
	Output(address string) (Output, error)
	// Invoice decodes and checks a BOLT11 invoice.
	Invoice(text string) (channels.Invoice, error)
}

// ErrTarget is wrapped by every error about a destination. Its text can be shown to whoever named it.
var ErrTarget = errors.New("not a destination")

// Rail is the one over which a way is reached.
func (w Way) Rail() channels.Rail {
	switch w {
	case ToAccount:
		return channels.Internal
	case ToAddress:
		return channels.Chain
	}
	return channels.Lightning
}

// ParseTarget finds out what kind of destination a text is, and checks all that can be known without asking anybody. What is
// written in either case (LNURLs, lightning addresses, invoices) becomes lower case.
func ParseTarget(text string, net Network) (Target, Output, error) {
	text = strings.TrimSpace(text)
	lower := strings.ToLower(text)
	lower = strings.TrimPrefix(lower, "lightning:")
	switch {
	case text == "":
		return Target{}, Output{}, fmt.Errorf("%w: it is empty", ErrTarget)
	case len(text) > maxTarget:
		return Target{}, Output{}, fmt.Errorf("%w: longer than %d bytes", ErrTarget, maxTarget)
	case strings.Contains(lower, "@"):
		return Target{ToLightningAddress, lower}, Output{}, checkLightningAddress(lower)
	case strings.HasPrefix(lower, "lnurl1"):
		return Target{ToLNURL, lower}, Output{}, checkLNURL(lower)
	case isNode(lower):
		return Target{ToNode, lower}, Output{}, nil
	}
	if _, err := ledger.ParseAccountNo(text); err == nil {
		return Target{ToAccount, text}, Output{}, nil
	}
	if strings.HasPrefix(lower, "ln") {
		if _, err := net.Invoice(lower); err != nil {
			return Target{}, Output{}, fmt.Errorf("%w: the invoice: %w", ErrTarget, err)
		}
		return Target{ToInvoice, lower}, Output{}, nil
	}
	out, err := net.Output(text)
	if err != nil {
		return Target{}, Output{}, fmt.Errorf("%w: neither an account, a lightning address, an LNURL, a node's public key nor an address: %w", ErrTarget, err)
	}
	return Target{ToAddress, text}, out, nil
}

// account is the number of a target that is one, checked before.
func (t Target) account() ledger.AccountNo {
	no, _ := ledger.ParseAccountNo(t.Text)
	return no
}

// isNode says whether a text looks like a compressed public key of secp256k1.
func isNode(text string) bool {
	if len(text) != 66 || text[0] != '0' || text[1] != '2' && text[1] != '3' {
		return false
	}
	return strings.Trim(text, "0123456789abcdef") == ""
}

// checkLightningAddress checks a LUD-16 address in lower case. A port may follow the host, as on a network for tests.
func checkLightningAddress(text string) error {
	name, host, _ := strings.Cut(text, "@")
	if name == "" || len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.+") != "" {
		return fmt.Errorf("%w: before the @ of a lightning address are 1 to 64 of a-z, 0-9, -, _, . and +", ErrTarget)
	}
	host, port, found := strings.Cut(host, ":")
	if found && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
		return fmt.Errorf("%w: the port of a lightning address", ErrTarget)
	}
	if host == "" || len(host) > 253 {
		return fmt.Errorf("%w: behind the @ of a lightning address is a host", ErrTarget)
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fmt.Errorf("%w: the host of a lightning address", ErrTarget)
		}
	}
	return nil
}

const bech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// checkLNURL checks the characters and the checksum of an LNURL in lower case (LUD-01: bech32 of BIP 173, of any length).
// What web address it hides is looked at by whoever calls it.
func checkLNURL(text string) error {
	const prefix = "lnurl"
	sum := uint32(1)
	step := func(v uint32) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ v
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for i := range prefix {
		step(uint32(prefix[i] >> 5))
	}
	step(0)
	for i := range prefix {
		step(uint32(prefix[i] & 31))
	}
	data := text[len(prefix)+1:]
	for i := range len(data) {
		v := strings.IndexByte(bech32, data[i])
		if v < 0 {
			return fmt.Errorf("%w: an LNURL has no %q", ErrTarget, data[i])
		}
		step(uint32(v))
	}
	if sum != 1 || len(data) < 6+8 {
		return fmt.Errorf("%w: the checksum of the LNURL does not match", ErrTarget)
	}
	return nil
}
