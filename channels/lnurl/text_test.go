package lnurl_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels/lnurl"
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
		"bob@hub.example:443":                              {URL: "https://hub.example/.well-known/lnurlp/bob", Address: "bob@hub.example:443", Name: "bob"},
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
		"a@exampleexampleexample.onion", "bob@hub.example.", "bob@hub.example.:443", link("http://exampleexampleexample.onion/"), "https://x.example?lightning=lnbc1", strings.Repeat("a", 5000),
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

// FuzzParse: whatever is pasted, what comes out can be called, and is not our own unless it says so.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@hub.example", "a@x.example", "lnurlp://x.example/p?q=2", "https://x.example?lightning=LNURL1", "lightning:a+b@[::1]:80"} {
		f.Add(s)
	}
	p := lnurl.Parser{Hosts: []string{"hub.example"}}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := p.Parse(s)
		if err != nil {
			return
		}
		if u, err := url.Parse(got.URL); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || (u.Host == "hub.example") != (got.Name != "") {
			t.Errorf("%q: %+v", s, got)
		}
	})
}
