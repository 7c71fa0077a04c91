package lightning

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const keySize = 33 // bytes of a node's public key

// networks are lnd's, with what stands for each in an invoice (BOLT 11; lnd's own for simnet).
var networks = map[string]struct {
	prefix string
	params *chaincfg.Params
}{
	"mainnet":  {"bc", &chaincfg.MainNetParams},
	"testnet":  {"tb", &chaincfg.TestNet3Params},
	"testnet4": {"tb", &chaincfg.TestNet4Params},
	"signet":   {"tbs", &chaincfg.SigNetParams},
	"regtest":  {"bcrt", &chaincfg.RegressionNetParams},
	"simnet":   {"sb", &chaincfg.SimNetParams},
}

// Decode reads a BOLT11 invoice, here and without asking the node. Its signature is checked; whether it has expired is the
// caller's question. channels.ErrNetwork is one of another network, channels.ErrRefused one that cannot be paid at all.
func (c *Client) Decode(text string) (channels.Invoice, error) {
	i, _, err := c.decode(text)
	return i, err
}

func (c *Client) decode(text string) (channels.Invoice, *zpay32.Invoice, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	own := networks[c.cfg.Network]
	if prefix, ok := invoicePrefix(text); !ok {
		return channels.Invoice{}, nil, fmt.Errorf("not a BOLT11 invoice: %w", channels.ErrRefused)
	} else if prefix != own.prefix {
		return channels.Invoice{}, nil, fmt.Errorf("an invoice of ln%s instead of ln%s: %w", prefix, own.prefix, channels.ErrNetwork)
	}
	z, err := zpay32.Decode(text, own.params, zpay32.WithErrorOnUnknownFeatureBit())
	if err != nil {
		return channels.Invoice{}, nil, fmt.Errorf("reading an invoice: %w: %w", channels.ErrRefused, err)
	}
	i := channels.Invoice{
		Text: text, Hash: *z.PaymentHash, Payee: hex.EncodeToString(z.Destination.SerializeCompressed()),
		Made: z.Timestamp, Expires: z.Timestamp.Add(z.Expiry()), FinalDelta: uint32(z.MinFinalCLTVExpiry()),
	}
	if z.MilliSat != nil {
		i.Amount = ledger.Msat(*z.MilliSat)
	}
	if z.Description != nil {
		i.Description = *z.Description
	}
	if z.DescriptionHash != nil {
		i.DescHash = z.DescriptionHash[:]
	}
	switch {
	case z.PaymentAddr.IsNone() && len(z.BlindedPaymentPaths) == 0:
		err = fmt.Errorf("an invoice without a payment secret: %w", channels.ErrRefused)
	case z.Features.HasFeature(lnwire.AMPRequired): // its payments have hashes of their own
		err = fmt.Errorf("an AMP invoice: %w", channels.ErrRefused)
	}
	return i, z, err
}

// invoicePrefix is the network in a BOLT11 invoice: what stands between ln and the amount. One is of a network that nobody has
// heard of if what looks like an invoice has another prefix.
func invoicePrefix(text string) (string, bool) {
	end := strings.LastIndexByte(text, '1')
	if end < 0 || !strings.HasPrefix(text, "ln") {
		return "", false
	}
	prefix := text[2:end]
	if digit := strings.IndexAny(prefix, "0123456789"); digit >= 0 {
		prefix = prefix[:digit]
	}
	for _, n := range networks {
		if prefix == n.prefix {
			return prefix, true
		}
	}
	return "", false
}
