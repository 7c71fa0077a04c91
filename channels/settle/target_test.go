package settle

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// The LNURL is the example of LUD-01.
const exampleLNURL = "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS"

func TestParseTarget(t *testing.T) {
	account := ledger.AccountNo(77).String()
	for _, c := range []struct {
		text string
		want Target
	}{
		{" Alice@Example.com ", Target{ToLightningAddress, "alice@example.com"}},
		{"a-b_c.d+e@127.0.0.1:8080", Target{ToLightningAddress, "a-b_c.d+e@127.0.0.1:8080"}},
		{exampleLNURL, Target{ToLNURL, strings.ToLower(exampleLNURL)}},
		{"lightning:" + exampleLNURL, Target{ToLNURL, strings.ToLower(exampleLNURL)}},
		{strings.ToUpper(testNode), Target{ToNode, testNode}},
		{account, Target{ToAccount, account}},
		{"LNTEST5000", Target{ToInvoice, "lntest5000"}},
		{"test1abc", Target{ToAddress, "test1abc"}},
	} {
		got, _, err := ParseTarget(c.text, testNet{})
		if err != nil || got != c.want {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
}

func TestParseTargetRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "@example.com", "alice@", "alice@exa mple.com", "al ice@example.com", "alice@-x.com", "alice@x..com", "alice@x.com:",
		"alice@x.com:123456", "alice@b@c", exampleLNURL[:len(exampleLNURL)-1] + "Q", "lnurl1", "lnurl1qqqqqq", "lntestx", "04" + testNode[2:],
		testNode[:65] + "g", "nonsense", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", strings.Repeat("a", 3000), "=cmd()", "a077777",
	} {
		if got, _, err := ParseTarget(text, testNet{}); !errors.Is(err, ErrTarget) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, _, err := ParseTarget("bc1q", testNet{}); !errors.Is(err, channels.ErrNetwork) {
		t.Errorf("another network's address: %v", err)
	}
}

func TestPayeeChecked(t *testing.T) {
	me, other := ledger.AccountNo(20), ledger.AccountNo(21)
	p := Payee{Lightning: "A@B.c", Address: "test1x", Threshold: 5, Schedule: Schedule{Daily: "06:30"}}
	must(t, p.check(me, testNet{}))
	if p.Lightning != "a@b.c" || p.Output != (Output{31, 294}) || p.Prefer != PreferCheapest {
		t.Errorf("in one form: %+v", p)
	}
	if got := p.target(channels.Lightning); got != (Target{ToLightningAddress, "a@b.c"}) {
		t.Errorf("over Lightning it goes to %v", got)
	}
	node := Payee{Lightning: testNode}
	if got := node.target(channels.Lightning); got != (Target{ToNode, testNode}) {
		t.Errorf("a keysend goes to %v", got)
	}
	must(t, (&Payee{Internal: other.String()}).check(me, testNet{}))
	must(t, (&Payee{Paused: true}).check(me, testNet{}))

	for what, p := range map[string]Payee{
		"internal":        {Internal: me.String()},
		"internal: it":    {Internal: other.String(), Address: "test1x"},
		"lightning":       {Lightning: "test1x"},
		"once":            {Lightning: "lntest5"},
		"address":         {Address: "a@b.c"},
		"another":         {Address: "bc1x"},
		"prefer":          {Prefer: "pigeon"},
		"threshold_msat":  {Threshold: ledger.MaxMsat + 1},
		"reserve_msat":    {Reserve: ledger.MaxMsat + 1},
		"max_fee_ppm":     {MaxFee: ledger.PPM + 1},
		"hub_fee_percent": {HubFeePercent: 101},
		"schedule":        {Schedule: Schedule{Daily: "x"}},
	} {
		if err := p.check(me, testNet{}); !errors.Is(err, ErrPayee) || !strings.Contains(err.Error(), what) && what != "another" && what != "once" {
			t.Errorf("%s: %v", what, err)
		}
	}
}
