package lnurl_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/ledger"
)

// TestBech32: the example of LUD-01, in both cases, and what is wrong with others.
func TestBech32(t *testing.T) {
	const (
		url  = "https://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df"
		text = "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS"
	)
	if got := lnurl.Encode(url); got != text {
		t.Errorf("%s", got)
	}
	for _, s := range []string{text, strings.ToLower(text)} {
		if got, err := lnurl.Decode(s); got != url || err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	swapped := strings.Replace(text, "7UM", "U7M", 1)
	for _, bad := range []string{
		"", "lnurl", "lnurl1", "lnurl1qqqqq", strings.ToLower(text[:20]) + text[20:], swapped, text[:len(text)-1], text + "Q", "LNBC" + text[5:],
		"LNURL1DP68GUÄ", "lnurl1dp68guro", lnurl.Encode(strings.Repeat("x", 4096)),
	} {
		if got, err := lnurl.Decode(bad); !errors.Is(err, lnurl.ErrBech32) {
			t.Errorf("%.40q: %q, %v", bad, got, err)
		}
	}
}

func FuzzBech32(f *testing.F) {
	f.Add("https://example.com/")
	f.Add("LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS")
	f.Fuzz(func(t *testing.T, s string) {
		if url, err := lnurl.Decode(s); err == nil && !strings.EqualFold(lnurl.Encode(url), s) {
			t.Errorf("%q is %q, which is %q", s, url, lnurl.Encode(url))
		}
		if len(s) > 2048 {
			return
		}
		if url, err := lnurl.Decode(lnurl.Encode(s)); url != s || err != nil {
			t.Errorf("%q: %q, %v", s, url, err)
		}
	})
}

func TestParse(t *testing.T) {
	p := lnurl.Parser{Hosts: []string{"hub.example", "pay.hub.example"}}
	link := func(url string) string { return lnurl.Encode(url) }
	for text, want := range map[string]lnurl.Target{
		"satoshi@bitcoin.org":                              {URL: "https://bitcoin.org/.well-known/lnurlp/satoshi", Address: "satoshi@bitcoin.org"},
		" Satoshi@Bitcoin.ORG\n":                           {URL: "https://bitcoin.org/.well-known/lnurlp/satoshi", Address: "satoshi@bitcoin.org"},
		"lightning:a.b-c_9@x.example":                      {URL: "https://x.example/.well-known/lnurlp/a.b-c_9", Address: "a.b-c_9@x.example"},
		"a+tip@x.example":                                  {URL: "https://x.example/.well-known/lnurlp/a+tip", Address: "a+tip@x.example"},
		"alice@hub.example":                                {URL: "https://hub.example/.well-known/lnurlp/alice", Address: "alice@hub.example", Name: "alice"},
		"alice+tip@PAY.hub.example":                        {URL: "https://pay.hub.example/.well-known/lnurlp/alice+tip", Address: "alice+tip@pay.hub.example", Name: "alice", Tag: "tip"},
		link("https://hub.example/.well-known/lnurlp/bob"): {URL: "https://hub.example/.well-known/lnurlp/bob", Name: "bob"},
		link("https://X.example/p?a=1"):                    {URL: "https://x.example/p?a=1"},
		"lightning:" + link("https://x.example/p"):         {URL: "https://x.example/p"},
		"LIGHTNING:" + link("https://x.example/p"):         {URL: "https://x.example/p"},
		"lnurlp://x.example/p?q=2":                         {URL: "https://x.example/p?q=2"},
		"LNURLP:x.example/p":                               {URL: "https://x.example/p"},
		"https://shop.example/q?lightning=" + link("https://x.example:8443/p"): {URL: "https://x.example:8443/p"},
		link("https://x.example/p?tag=payRequest"):                             {URL: "https://x.example/p?tag=payRequest"},
	} {
		if got, err := p.Parse(text); err != nil || got != want {
			t.Errorf("%.60q: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{
		"", "satoshi", "@bitcoin.org", "satoshi@", "sat oshi@bitcoin.org", "a@b@c", "ä@bitcoin.org", "a@bücher.example", "a@x.example/p", "a@x.example?p",
		"a@u:p@x.example", "a@x.example#f", "a@user%40x.example", "lnurlp://u:p@x.example/", "lnurlp://", "https://x.example/p", "lnurlw://x.example/p", "keyauth://x.example",
		link("http://x.example/p"), link("ftp://x.example/p"), link("https://u:p@x.example"), link("x"), link("javascript:alert(1)"), link("https://x.example/?tag=login"),
		"a@exampleexampleexample.onion", link("http://exampleexampleexample.onion/"), "https://x.example?lightning=lnbc1", strings.Repeat("a", 5000),
		strings.Repeat("a", 200) + "@x.example", link("https://x.example/" + strings.Repeat("x", 2048)), link("https://hub.example/other"),
		link("https://hub.example/.well-known/lnurlp/a/b"), "lnbc1pvjluezpp5qqqsyqcyq5rqwzqf",
	} {
		if got, err := p.Parse(bad); !errors.Is(err, lnurl.ErrTarget) {
			t.Errorf("%.60q: %+v, %v", bad, got, err)
		}
	}
	p.Development = true
	if got, err := p.Parse("a@127.0.0.1:8080"); err != nil || got.URL != "http://127.0.0.1:8080/.well-known/lnurlp/a" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestURI(t *testing.T) {
	for text, want := range map[string]lnurl.URI{
		"bitcoin:175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W":                                                        {Addresses: []string{"175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W"}},
		"BitCoin:175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W?AMOUNT=20.3&Label=Luke-Jr":                              {Addresses: []string{"175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W"}, Amount: 2_030_000_000_000, Label: "Luke-Jr"},
		"bitcoin:175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W?amount=50&label=Luke-Jr&message=Donation%20for%20a+b":   {Addresses: []string{"175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W"}, Amount: 5_000_000_000_000, Label: "Luke-Jr", Message: "Donation for a+b"},
		"bitcoin:?lightning=lnbc420bogusinvoice":                                                            {Invoice: "lnbc420bogusinvoice"},
		"bitcoin:?lno=lno1bogusoffer&sp=sp1qsilentpayment":                                                  {Offer: "lno1bogusoffer"},
		"bitcoin:x?lightning=lnbc420bogusinvoice":                                                           {Addresses: []string{"x"}, Invoice: "lnbc420bogusinvoice"},
		"bitcoin:x?somethingyoudontunderstand=50&somethingelseyoudontget=999&somethingyoudontunderstand=51": {Addresses: []string{"x"}},
		"bitcoin:?bc=bc1qufgy&bc=bc1p5swku":                                                                 {Addresses: []string{"bc1qufgy", "bc1p5swku"}},
		"BITCOIN:BC1QUFGY?BC=BC1P5SWKU":                                                                     {Addresses: []string{"BC1QUFGY", "BC1P5SWKU"}},
		"bitcoin:x?pop=app%3a":                                                                              {Addresses: []string{"x"}},
		"bitcoin:x?amount=.00000000001":                                                                     {Addresses: []string{"x"}, Amount: 1},
		"bitcoin:x?amount=21000000":                                                                         {Addresses: []string{"x"}, Amount: ledger.MaxMsat},
		"bitcoin:x?amount=1.":                                                                               {Addresses: []string{"x"}, Amount: 100_000_000_000},
	} {
		got, err := lnurl.ParseURI(text)
		if err != nil || strings.Join(got.Addresses, " ") != strings.Join(want.Addresses, " ") || got.Invoice != want.Invoice || got.Offer != want.Offer ||
			got.Amount != want.Amount || got.Label != want.Label || got.Message != want.Message {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{
		"", "bitcoin:", "bitcoin:?", "bitcoin:?label=x", "litecoin:x", "x?amount=1", "bitcoin:x?label=Luke-Jr&label=Matt", "bitcoin:x?amount=42&amount=10",
		"bitcoin:x?amount=42&AMOUNT=42", "bitcoin:x?pop=callback%3a&req-pop=callback%3a", "bitcoin:?bc=tb1qghfhmd", "bitcoin:x?req-somethingyoudontunderstand=50",
		"bitcoin:x?req-pop=https%3aevilwebsite.com", "bitcoin:x?amount=50,000.00", "bitcoin:x?amount=-1", "bitcoin:x?amount=", "bitcoin:x?amount=.", "bitcoin:x?amount=1e3",
		"bitcoin:x?amount=21000001", "bitcoin:x?amount=99999999999999999999", "bitcoin:x?amount=0.000000000001", "bitcoin:x?label=%zz", "bitcoin:x?lightning=a&lightning=b",
		"bitcoin:x?" + strings.Repeat("bc=bc1q&", 9), "bitcoin:x?label=" + strings.Repeat("x", 9000),
	} {
		if got, err := lnurl.ParseURI(bad); !errors.Is(err, lnurl.ErrURI) {
			t.Errorf("%.60s: %+v, %v", bad, got, err)
		}
	}
	for want, u := range map[string]lnurl.URI{
		"bitcoin:bc1q?amount=0.001&label=A%20%26%20B&lightning=lnbc1": {Addresses: []string{"bc1q"}, Amount: 100_000_000, Label: "A & B", Invoice: "lnbc1"},
		"bitcoin:?lightning=lnbc1":                                    {Invoice: "lnbc1"},
		"bitcoin:bc1q?amount=0.00000001":                              {Addresses: []string{"bc1q"}, Amount: 1},
		"bitcoin:bc1q?amount=12":                                      {Addresses: []string{"bc1q"}, Amount: 1_200_000_000_000},
		"bitcoin:bc1q?amount=20.30000001":                             {Addresses: []string{"bc1q"}, Amount: 2_030_000_001_000},
	} {
		if got := u.String(); got != want {
			t.Errorf("%s: want %s", got, want)
		}
		if back, err := lnurl.ParseURI(want); err != nil || back.String() != want {
			t.Errorf("%s: %v", back, err)
		}
	}
}
