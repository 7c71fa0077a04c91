package chain_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
)

var names = []string{"mainnet", "testnet", "testnet4", "signet", "regtest", "simnet"}

// The same keys and scripts on every network. Those of mainnet and testnet are examples of BIP-173, BIP-350 and BIP-13.
const (
	h20 = "751e76e8199196d454941c45d1b3a323f1433bd6"
	h32 = "1863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262"
	x32 = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
)

var addresses = []struct {
	script  string
	address [4]string // mainnet; testnet and signet; regtest; simnet
}{
	{"76a914" + h20 + "88ac", [4]string{"1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", "mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r",
		"mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r", "SXyGazfm6S3xfcySmD6QNkZYmtfysC2jvc"}},
	{"a914" + h20 + "87", [4]string{"3CNHUhP3uyB9EUtRLsmvFUmvGdjGdkTxJw", "2N3vVYSK5XRgVSGWy21PnsRmBUywSQNdCsf",
		"2N3vVYSK5XRgVSGWy21PnsRmBUywSQNdCsf", "rgFTfWZ3hFrXjdLeEP5XUGtkYA8aXtvdf3"}},
	{"0014" + h20, [4]string{"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
		"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "sb1qw508d6qejxtdg4y5r3zarvary0c5xw7krxe8se"}},
	{"0020" + h32, [4]string{"bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
		"tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
		"bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry", "sb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qgp4n0m"}},
	{"5120" + x32, [4]string{"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
		"tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47zagq",
		"bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6", "sb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqj0g639"}},
}

// column says which of the four addresses are a network's.
var column = map[string]int{"mainnet": 0, "testnet": 1, "testnet4": 1, "signet": 1, "regtest": 2, "simnet": 3}

// TestAddresses: every kind, on every network, both ways; and on no other.
func TestAddresses(t *testing.T) {
	for _, a := range addresses {
		for _, name := range names {
			n := named(t, name)
			own := a.address[column[name]]
			script, err := n.Script(own)
			if err != nil || hex.EncodeToString(script) != a.script {
				t.Errorf("%s on %s: %x, %v", own, name, script, err)
			}
			if text, err := n.Address(script); err != nil || text != own {
				t.Errorf("%s on %s is written %s, %v", own, name, text, err)
			}
			if upper, err := n.Script(strings.ToUpper(own)); strings.Contains(own, "1q") && !bytes.Equal(upper, script) {
				t.Errorf("%s in capitals: %x, %v", own, upper, err)
			}
			for _, other := range a.address {
				if other == own {
					continue
				}
				if script, err := n.Script(other); !errors.Is(err, channels.ErrNetwork) || script != nil {
					t.Errorf("%s on %s: %x, %v", other, name, script, err)
				}
			}
		}
	}
}

func TestNoAddresses(t *testing.T) {
	n := named(t, "mainnet")
	for _, text := range []string{
		"", " ", "bc1", "1", "bitcoin", "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMh", " 1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH",
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",                     // checksum
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kV8f3t4",                     // both cases
		"bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", // a character that is none
		"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", // version 1 in bech32 instead of bech32m
		"BC1SW50QGDZ25J",                       // version 16
		"bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", // version 2
		"bc1pfeessrawgf",                       // pay to anchor: nobody's
		"bc1gmk9yu",                            // empty
		"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",                     // a public key
		"5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",                                    // a private key
		"lnbc1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdpl2pkx2ctnv5sxxmmw", // an invoice
		strings.Repeat("1", 91), "bc1" + strings.Repeat("q", 5000),
	} {
		if script, err := n.Script(text); err == nil || errors.Is(err, channels.ErrNetwork) || script != nil {
			t.Errorf("%q: %x, %v", text, script, err)
		}
	}
	for _, script := range []string{"", "6a", "6a0548656c6c6f", "51", "51024e73", "21" + "02" + x32 + "ac", "00", "0014" + h20 + "00"} {
		raw, err := hex.DecodeString(script)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := n.Address(raw); err == nil {
			t.Errorf("%s has the address %s", script, text)
		}
	}
	if _, err := chain.ParseNetwork("bitcoin"); err == nil {
		t.Error("a network called bitcoin")
	}
}

// FuzzAddress: what is taken for an address has a script that is written as the same address, and the same output in every case.
func FuzzAddress(f *testing.F) {
	for _, a := range addresses {
		for _, text := range a.address {
			f.Add(text)
			f.Add(strings.ToUpper(text))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range names {
			n := named(t, name)
			script, err := n.Script(text)
			if err != nil {
				continue
			}
			back, err := n.Address(script)
			if err != nil || back != text && back != strings.ToLower(text) {
				t.Fatalf("%q on %s is %x, which is %q, %v", text, name, script, back, err)
			}
			if !slices.Contains([]int{22, 23, 25, 34}, len(script)) || chain.Dust(script, chain.DustRate) < 294 {
				t.Fatalf("%q on %s is %x", text, name, script)
			}
		}
	})
}
