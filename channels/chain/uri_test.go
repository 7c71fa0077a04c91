package chain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/ledger"
)

const (
	old      = "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"
	segwit   = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
	taproot  = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
	invoice  = "lnbc10u1p3pj257pp5yztkwjcz5ftl5laxkav23zmzekaw37zk6kmv80pk4xaev5qhtz7q"
	bitcoins = 100_000_000_000
)

var uris = []struct {
	text string
	want chain.URI
}{
	{"bitcoin:" + old, chain.URI{Address: old}},
	{"BITCOIN:" + old, chain.URI{Address: old}},
	{"BiTcOiN:" + strings.ToUpper(segwit), chain.URI{Address: strings.ToUpper(segwit)}},
	{"bitcoin:" + old + "?label=Luke-Jr", chain.URI{Address: old, Label: "Luke-Jr"}},
	{"bitcoin:" + old + "?amount=20.3&label=Luke-Jr", chain.URI{Address: old, Amount: 20.3 * bitcoins, Label: "Luke-Jr"}},
	{"bitcoin:" + old + "?amount=50&label=Luke-Jr&message=Donation%20for%20project%20xyz",
		chain.URI{Address: old, Amount: 50 * bitcoins, Label: "Luke-Jr", Message: "Donation for project xyz"}},
	{"bitcoin:" + old + "?somethingyoudontunderstand=50&somethingelseyoudontget=999", chain.URI{Address: old}},
	{"bitcoin:" + old + "?AMOUNT=.00000001&Message=1+1%3D2", chain.URI{Address: old, Amount: 1000, Message: "1+1=2"}},
	{"bitcoin:" + old + "?amount=1.&amountx=3", chain.URI{Address: old, Amount: bitcoins}},
	{"bitcoin:" + old + "?req-amount=1.000000000000", chain.URI{Address: old, Amount: bitcoins}},
	{"bitcoin:" + segwit + "?amount=0.00001&lightning=" + strings.ToUpper(invoice),
		chain.URI{Address: segwit, Amount: 1_000_000, Invoice: invoice}},
	{"bitcoin:?lightning=" + invoice + "&amount=0.00000000001", chain.URI{Amount: 1, Invoice: invoice}},
	{"bitcoin:?bc=" + taproot, chain.URI{Address: taproot}},
	{"bitcoin:?BC=" + taproot + "&bc=" + segwit + "&tb=nonsense&lno=lno1&sp=sp1", chain.URI{Address: taproot}},
	{"bitcoin:" + old + "?bc=" + segwit, chain.URI{Address: old}},
	{"bitcoin:" + old + "?&&label=%E2%82%BF&", chain.URI{Address: old, Label: "₿"}},
	{"bitcoin:" + old + "?pop=callback%3a&label=x#fragment", chain.URI{Address: old, Label: "x"}},
}

func TestURI(t *testing.T) {
	n := named(t, "mainnet")
	for _, tt := range uris {
		got, err := n.ParseURI(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.text, got, err)
		}
		if again, err := n.ParseURI(tt.want.String()); err != nil || again != tt.want {
			t.Errorf("%s is written %s: %+v, %v", tt.text, tt.want, again, err)
		}
	}
	for _, text := range []string{
		"", "bitcoin", "bitcoin:", "bitcoin:?", "bitcoin:?label=x", old, "litecoin:" + old, "bitcoin:" + old[:30], "lightning:" + invoice,
		"bitcoin:" + old + "?req-somethingyoudontunderstand=50&req-somethingelseyoudontget=999", "bitcoin:" + old + "?REQ-pop=x%3a",
		"bitcoin:" + old + "?amount=1&amount=1", "bitcoin:" + old + "?label=a&LABEL=a", "bitcoin:" + old + "?message=a&req-message=a",
		"bitcoin:" + old + "?amount=50,000.00", "bitcoin:" + old + "?amount=", "bitcoin:" + old + "?amount=.", "bitcoin:" + old + "?amount",
		"bitcoin:" + old + "?amount=-1", "bitcoin:" + old + "?amount=1e8", "bitcoin:" + old + "?amount=0x1", "bitcoin:" + old + "?amount=1.2.3",
		"bitcoin:" + old + "?amount=21000000.00000001", "bitcoin:" + old + "?amount=99999999999999999999999",
		"bitcoin:?amount=200000000&lightning=" + invoice,
		"bitcoin:" + old + "?amount=0.000000001", // a tenth of a satoshi, and no invoice
		"bitcoin:?amount=0.000000000001&lightning=" + invoice, "bitcoin:" + old + "?label=%zz", "bitcoin:%" + old,
		"bitcoin:" + old + "?label=" + strings.Repeat("x", 8<<10),
	} {
		if got, err := n.ParseURI(text); err == nil || errors.Is(err, channels.ErrNetwork) || got != (chain.URI{}) {
			t.Errorf("%.100q: %+v, %v", text, got, err)
		}
	}
	test := named(t, "testnet")
	for _, text := range []string{"bitcoin:" + segwit, "bitcoin:" + old + "?tb=tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "bitcoin:?tb=" + taproot} {
		if got, err := test.ParseURI(text); !errors.Is(err, channels.ErrNetwork) {
			t.Errorf("%s on testnet: %+v, %v", text, got, err)
		}
	}
	if got, err := test.ParseURI("bitcoin:?bc=" + segwit); err == nil {
		t.Errorf("no way to pay on testnet: %+v", got)
	}
}

// FuzzURI: what is read can be written, and read again as the same.
func FuzzURI(f *testing.F) {
	for _, tt := range uris {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := named(t, "mainnet")
		u, err := n.ParseURI(text)
		if err != nil {
			return
		}
		if u.Amount > ledger.MaxMsat || u.Address == "" && u.Invoice == "" {
			t.Fatalf("%q: %+v", text, u)
		}
		written := u.String()
		if len(written) > 8<<10 { // escapes that were not needed before
			return
		}
		if again, err := n.ParseURI(written); err != nil || again != u {
			t.Fatalf("%q is %+v, written %q, and that is %+v, %v", text, u, written, again, err)
		}
	})
}
