package lightning_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lightning"
)

// The example of BOLT 11 of a donation of any amount, and of a cup of coffee.
const (
	donation = "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5s" +
		"xxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql"
	coffee = "lnbc2500u1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7" +
		"enxv4jsxqzpu9qrsgquk0rl77nj30yxdy8j9vdx85fkpmdla2087ne0xh8nhedh8w27kyke0lp53ut353s06fv3qfegext0eh0ymjpf39tuven09sam30g4vgpfna3rh"
)

func reader(t *testing.T, network string) *lightning.Client {
	t.Helper()
	c, err := lightning.New(lightning.Config{Address: "127.0.0.1:1", Certificate: "none", Macaroon: "none", Network: network})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // nothing was ever open
	return c
}

func TestDecode(t *testing.T) {
	c := reader(t, "mainnet")
	for _, text := range []string{coffee, strings.ToUpper(coffee), " " + coffee + "\n"} {
		i, err := c.Decode(text)
		if err != nil || i.Text != coffee || i.Amount != 250_000_000 || i.Description != "1 cup coffee" || i.Expires.Sub(i.Made) != time.Minute ||
			i.Hash.String() != "0001020304050607080900010203040506070809000102030405060708090102" ||
			i.Payee != "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad" {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	if i, err := c.Decode(donation); err != nil || i.Amount != 0 || i.Expires.Sub(i.Made) != time.Hour || i.Made.Unix() != 1496314658 {
		t.Errorf("%+v, %v", i, err)
	}
	for _, text := range []string{"", "ln", "lnbc", "lnbc1", coffee[:len(coffee)-1], coffee + "q", "lno1qcp4256ypq", "lnxx2500u1pvj", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
		strings.Replace(coffee, "2500u", "2500m", 1), strings.Repeat(coffee, 100)} {
		if _, err := c.Decode(text); !errors.Is(err, channels.ErrRefused) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

// TestDecodeNetworks: an invoice of one network is not another's, though one's name begins with the other's.
func TestDecodeNetworks(t *testing.T) {
	all := map[string]*chaincfg.Params{
		"mainnet": &chaincfg.MainNetParams, "testnet": &chaincfg.TestNet3Params, "signet": &chaincfg.SigNetParams,
		"regtest": &chaincfg.RegressionNetParams, "simnet": &chaincfg.SimNetParams,
	}
	for of, params := range all {
		for _, amount := range []lnwire.MilliSatoshi{0, 1, 123_000, 100_000_000_000} {
			text := sign(t, params, amount)
			for network := range all {
				i, err := reader(t, network).Decode(text)
				if network == of && (err != nil || lnwire.MilliSatoshi(i.Amount) != amount) || network != of && !errors.Is(err, channels.ErrNetwork) {
					t.Errorf("%d msat of %s on %s: %+v, %v", amount, of, network, i, err)
				}
			}
		}
	}
}

func sign(t *testing.T, params *chaincfg.Params, amount lnwire.MilliSatoshi) string {
	t.Helper()
	options := []func(*zpay32.Invoice){zpay32.Description("x"), zpay32.PaymentAddr([32]byte{1}), zpay32.Features(lnwire.NewFeatureVector(
		lnwire.NewRawFeatureVector(lnwire.TLVOnionPayloadRequired, lnwire.PaymentAddrRequired), lnwire.Features))}
	if amount > 0 {
		options = append(options, zpay32.Amount(amount))
	}
	i, err := zpay32.NewInvoice(params, [32]byte{7}, time.Unix(1_800_000_000, 0), options...)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := btcec.PrivKeyFromBytes([]byte{9})
	text, err := i.Encode(zpay32.MessageSigner{SignCompact: func(msg []byte) ([]byte, error) {
		return ecdsa.SignCompact(key, chainhash.HashB(msg), true), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func FuzzDecode(f *testing.F) {
	f.Add(coffee)
	f.Add(donation)
	f.Add("lnsb1")
	c, err := lightning.New(lightning.Config{Address: "127.0.0.1:1", Certificate: "none", Macaroon: "none", Network: "mainnet"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := c.Decode(text)
		if err != nil && !errors.Is(err, channels.ErrRefused) && !errors.Is(err, channels.ErrNetwork) {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && (i.Payee == "" || i.Text == "") {
			t.Errorf("%q: %+v", text, i)
		}
	})
}
