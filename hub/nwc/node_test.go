package nwc

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// peer is an application of others, on Node.
type peer struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

type heard struct {
	Result       json.RawMessage
	Encryption   string
	Error, Name  string
	Notification *struct {
		Type string      `json:"notification_type"`
		What transaction `json:"notification"`
	}
}

// newPeer starts a program of testdata/npm, or skips the test.
func newPeer(t *testing.T, program string, first any) *peer {
	t.Helper()
	const websockets = "--experimental-websocket" // which Node has by itself from 22 on
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node on this machine")
	}
	folder := filepath.Join("testdata", "npm")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "@getalby", "sdk")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the npm package @getalby/sdk is not installed: make deps does it")
	}
	if err := exec.CommandContext(t.Context(), node, websockets, "-e", "0").Run(); err != nil {
		t.Skip("node is older than 20.10: it has no WebSocket")
	}
	cmd := exec.CommandContext(t.Context(), node, websockets, "--no-warnings", program)
	cmd.Dir, cmd.Stderr = folder, t.Output()
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("node: %v", err)
		}
	})
	p := &peer{t: t, in: in, out: bufio.NewScanner(out)}
	p.put(first)
	return p
}

func (p *peer) put(what any) {
	p.t.Helper()
	text, err := json.Marshal(what)
	if err == nil {
		_, err = p.in.Write(append(text, '\n'))
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) hear() (h heard) {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatal("node says nothing", p.out.Err())
	}
	if err := json.Unmarshal(p.out.Bytes(), &h); err != nil {
		p.t.Fatalf("%s: %v", p.out.Bytes(), err)
	}
	return h
}

// call has a method of the package called.
func (p *peer) call(method string, argument, result any) heard {
	p.t.Helper()
	p.put([]any{method, argument})
	h := p.hear()
	if h.Error == "" {
		if err := json.Unmarshal(h.Result, result); err != nil {
			p.t.Errorf("%s: %s: %v", method, h.Result, err)
		}
	}
	return h
}

// TestNode: the package that most applications are made with uses a wallet, in both encryptions.
func TestNode(t *testing.T) {
	for _, how := range []scheme{"", nip04} {
		t.Run("in "+string(how), func(t *testing.T) {
			r := newRig(t, 1)
			r.Close()
			r.cfg.Clock, r.cfg.After = nil, nil // the package has a clock of its own
			r.start()
			time.Sleep(time.Until(r.began.Add(time.Second))) // what is asked within its first second could be meant for another process
			_, uri, err := r.Connect(alice, Wanted{Name: "alby", Notify: true, Budget: 30_000, Period: Daily})
			if err != nil {
				t.Fatal(err)
			}
			p := newPeer(t, "app.mjs", paramsOf("uri", uri, "encryption", how))
			want := how
			if want == "" {
				want = nip44
			}
			var info struct {
				Alias, Network, Lud16  string
				Methods, Notifications []string
			}
			if h := p.call("getInfo", nil, &info); h.Error != "" || info.Alias != "hub" || len(info.Methods) != 8 || h.Encryption != string(want) {
				t.Errorf("%+v, %+v", h, info)
			}
			var service struct{ Encryptions, Capabilities, Notifications []string }
			if h := p.call("getWalletServiceInfo", nil, &service); h.Error != "" || strings.Join(service.Encryptions, " ") != schemes ||
				len(service.Capabilities) != 9 || len(service.Notifications) != 2 {
				t.Errorf("%+v, %+v", h, service)
			}
			var balance struct{ Balance ledger.Msat }
			if h := p.call("getBalance", nil, &balance); h.Error != "" || balance.Balance != 1_000_000 {
				t.Errorf("%+v, %+v", h, balance)
			}
			var bill, found transaction
			if h := p.call("makeInvoice", paramsOf("amount", 5000, "description", "a \"song\" <ü>"), &bill); h.Error != "" || bill.Amount != 5000 || bill.Description != "a \"song\" <ü>" {
				t.Errorf("%+v, %+v", h, bill)
			}
			if h := p.call("lookupInvoice", paramsOf("payment_hash", bill.Hash), &found); h.Error != "" || found != bill {
				t.Errorf("%+v, %+v", h, found)
			}
			if h := p.call("lookupInvoice", paramsOf("payment_hash", strings.Repeat("0", 64)), &found); h.Error != string(NotFound) || h.Name != "Nip47WalletError" {
				t.Errorf("%+v", h)
			}
			var list struct{ Transactions []transaction }
			if h := p.call("listTransactions", paramsOf("unpaid", true, "limit", 5), &list); h.Error != "" || len(list.Transactions) != 1 || list.Transactions[0] != bill {
				t.Errorf("%+v, %+v", h, list)
			}
			r.wallet.set(func(o channels.Order) (channels.State, ledger.Msat, error) { return channels.Settled, o.FeeLimit, nil })
			var paid payResult
			if h := p.call("payInvoice", paramsOf("invoice", "lntest20000"), &paid); h.Error != "" || paid.Fees != 210 {
				t.Errorf("%+v, %+v", h, paid)
			}
			if h := p.call("payKeysend", paramsOf("amount", 700, "pubkey", "02"+strings.Repeat("ab", 32), "tlv_records",
				[]any{paramsOf("type", 696969, "value", "6869")}), &paid); h.Error != "" || paid.Fees != 17 {
				t.Errorf("%+v, %+v", h, paid)
			}
			if h := p.call("payInvoice", paramsOf("invoice", "lntest20000"), &paid); h.Error != string(QuotaExceeded) {
				t.Errorf("%+v", h)
			}
			var budget struct {
				Used  ledger.Msat `json:"used_budget"`
				Total ledger.Msat `json:"total_budget"`
			}
			if h := p.call("getBudget", nil, &budget); h.Error != "" || budget.Used != 20_210+717 || budget.Total != 30_000 {
				t.Errorf("%+v, %+v", h, budget)
			}
			if h := p.call("signMessage", paramsOf("message", "x"), new(any)); h.Error != string(NotImplemented) {
				t.Errorf("%+v", h)
			}
			if h := p.call("subscribe", nil, new(any)); h.Error != "" {
				t.Fatalf("%+v", h)
			}
			r.eventually("the relay knows", func() bool { return r.relays[0].asked(kindNotify) || r.relays[0].asked(kindNotifyLegacy) })
			r.Moved(alice, channels.Item{Rail: channels.Lightning, Incoming: true, State: channels.Settled, Hash: channels.Hash{5}, Amount: 77, Made: time.Now()})
			if n := p.hear().Notification; n == nil || n.Type != "payment_received" || n.What.Amount != 77 {
				t.Errorf("%+v", n)
			}
		})
	}
}
