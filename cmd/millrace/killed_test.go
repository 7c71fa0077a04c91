package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

const (
	killRounds  = "MILLRACE_TEST_KILL_ROUNDS" // how often to kill; 50 when not set
	killPayers  = 4
	killWorks   = 12
	killPrice   = 700
	killFunds   = 10_000_000_000
	killChannel = 1_000_000_000 // funds of each payer's first channel
	killBatch   = 200           // advances in one
)

// payer is a client who goes on with what was not answered until it is, however often the hub is killed meanwhile.
type payer struct {
	no      ledger.AccountNo
	token   string
	channel ledger.ChannelNo // the first
	hub     *client.Client
	try     func(context.Context) error // what is to be answered; nil: think of something

	paid, total  ledger.Msat
	transfers    map[string]uint64 // seq by id
	opened       map[ledger.ChannelNo]ledger.Msat
	bought       map[ledger.ContentID]uint64 // seq
	sent, resent int
}

// shop is who is paid, and what is sold.
type shop struct {
	payee, seller *payer
	works         map[ledger.ContentID][]byte // the sealed files
	ids           []ledger.ContentID
}

// TestKilled kills a hub fifty times while it is paid through: by single transfers, by advances in binary batches, by unlocks that
// release keys, and by opening channels. Clients send again what was not answered. In the end everything has happened once, to
// the msat, and stands in the histories.
func TestKilled(t *testing.T) {
	rounds := 50
	if n, err := strconv.Atoi(os.Getenv(killRounds)); err == nil {
		rounds = n
	}
	dir := filepath.Join(t.TempDir(), "data")
	ok(t, "init", "--data", dir)
	url, cmd := process(t, dir)
	s, payers := openShop(t, url, filepath.Join(dir, "operator.token"))
	for round := range rounds {
		var paying sync.WaitGroup
		for _, p := range payers {
			p.connect(t, url)
			paying.Go(func() {
				if err := p.pay(s); !gone(err) {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		paying.Wait()
		_ = cmd.Wait()
		if url, cmd = process(t, dir); t.Failed() {
			return
		}
	}
	sent, resent := 0, 0
	for _, p := range append(payers, s.payee, s.seller) {
		p.connect(t, url)
		if p.try != nil {
			if err := p.try(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sent, resent = sent+p.sent, resent+p.resent
	}
	s.settle(t, payers)
	t.Logf("%d kills, %d requests, %d of them sent again", rounds, sent, resent)
	if resent == 0 {
		t.Error("nothing was ever sent again")
	}
}

// gone says whether an error is one of a hub that was killed.
func gone(err error) bool {
	var p *client.Problem
	return errors.Is(err, client.ErrUnreachable) || errors.As(err, &p) && p.Status == http.StatusServiceUnavailable
}

// openShop makes accounts, money, a channel for each payer, and works.
func openShop(t *testing.T, url, operator string) (*shop, []*payer) {
	t.Helper()
	text, err := readToken(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	dev := &payer{token: text}
	dev.connect(t, url)
	account := func(msat ledger.Msat) *payer {
		a, err := dev.hub.CreateAccount(t.Context(), "")
		if err == nil && msat > 0 {
			_, err = dev.hub.DevCredit(t.Context(), client.NewID(), ledger.AccountNo(a.Number), msat)
		}
		if err != nil {
			t.Fatal(err)
		}
		p := &payer{no: ledger.AccountNo(a.Number), token: a.Token, transfers: map[string]uint64{},
			opened: map[ledger.ChannelNo]ledger.Msat{}, bought: map[ledger.ContentID]uint64{}}
		p.connect(t, url)
		return p
	}
	s := &shop{payee: account(0), seller: account(0), works: map[ledger.ContentID][]byte{}}
	for i := range killWorks {
		s.sell(t, ledger.ContentID{0xc1, byte(i)})
	}
	var payers []*payer
	for range killPayers {
		p := account(killFunds)
		c, err := p.hub.OpenChannel(t.Context(), client.NewID(), s.payee.no, killChannel, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		p.channel = ledger.ChannelNo(c.Number)
		p.opened[p.channel] = killChannel
		payers = append(payers, p)
	}
	return s, payers
}

func (s *shop) sell(t *testing.T, id ledger.ContentID) {
	t.Helper()
	key, err := s.seller.hub.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	public, err := seal.ParsePublicKey(key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	sealed, err := seal.Seal(&file, strings.NewReader(id.String()), public, key.Origin, id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.seller.hub.Register(t.Context(), client.Offer{Header: sealed.Header, Commitment: sealed.Commitment, Title: "a work",
		PriceMsat: killPrice, Size: uint64(sealed.Size), SHA256: sealed.SHA256})
	if err != nil {
		t.Fatal(err)
	}
	s.works[id] = file.Bytes()
	s.ids = append(s.ids, id)
}

// connect is for every start of the hub: its port is another.
func (p *payer) connect(t *testing.T, url string) {
	t.Helper()
	c, err := client.New(client.Config{Hub: url, Token: p.token, Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	p.hub = c
}

// pay goes on until the hub is gone.
func (p *payer) pay(s *shop) error {
	for {
		if p.try == nil {
			p.try = []func(*shop) func(context.Context) error{p.transfer, p.advance, p.buy, p.open}[rand.IntN(4)](s)
		} else {
			p.resent++
		}
		if err := p.try(context.Background()); err != nil {
			return err
		}
		p.try = nil
		p.sent++
	}
}

func (p *payer) transfer(s *shop) func(context.Context) error {
	id, amount := client.NewID(), ledger.Msat(1+rand.IntN(1000))
	return func(ctx context.Context) error {
		a, err := p.hub.Transfer(ctx, id, s.payee.no, amount)
		if err == nil {
			p.paid += amount
			p.transfers[a.ID] = a.Seq
		}
		return err
	}
}

func (p *payer) open(s *shop) func(context.Context) error {
	id, amount, until := client.NewID(), ledger.Msat(1+rand.IntN(1000)), time.Now().Add(time.Hour)
	return func(ctx context.Context) error {
		a, err := p.hub.OpenChannel(ctx, id, s.payee.no, amount, until)
		if err != nil {
			return err
		}
		if _, there := p.opened[ledger.ChannelNo(a.Number)]; there {
			return fmt.Errorf("channel %s was opened twice", a.Channel)
		}
		p.opened[ledger.ChannelNo(a.Number)] = amount
		return nil
	}
}

func (p *payer) buy(s *shop) func(context.Context) error {
	id := s.ids[rand.IntN(len(s.ids))]
	return func(ctx context.Context) error {
		a, err := p.hub.Buy(ctx, client.Purchase{Content: id, MaxMsat: killPrice})
		if err != nil {
			return err
		}
		var plain bytes.Buffer
		if err := seal.Open(&plain, bytes.NewReader(s.works[id]), a.Key); err != nil || plain.String() != id.String() {
			return fmt.Errorf("the key of %v does not open it: %w", id, err)
		}
		if seq, owned := p.bought[id]; owned && (seq != a.Seq || a.Result != "repeated") || a.PaidMsat != killPrice {
			return fmt.Errorf("bought with entry %d, and again: %+v", seq, a)
		}
		p.bought[id] = a.Seq
		return nil
	}
}

// advance raises the first channel's total step by step, in one binary batch. Sent again, all but the last may be refused, since
// the total is higher by then.
func (p *payer) advance(*shop) func(context.Context) error {
	total, body := p.total, []byte(nil)
	for range killBatch {
		total += ledger.Msat(1 + rand.IntN(5))
		record := binary.LittleEndian.AppendUint32(nil, uint32(ledger.OpAdvance))
		record = binary.LittleEndian.AppendUint32(record, uint32(p.channel))
		record = binary.LittleEndian.AppendUint64(record, uint64(total))
		body = append(body, append(record, make([]byte, 16)...)...)
	}
	return func(ctx context.Context) error {
		answer, err := p.post(ctx, body)
		if err != nil {
			return err
		}
		le := binary.LittleEndian
		n, applied, repeated, refused := le.Uint32(answer), le.Uint32(answer[4:]), le.Uint32(answer[8:]), le.Uint32(answer[12:])
		if n != killBatch || applied+repeated+refused != n || len(answer) != 24+8*int(refused) || refused == n {
			return fmt.Errorf("a batch of %d: %d applied, %d repeated, %d refused", n, applied, repeated, refused)
		}
		for i := range refused {
			at, why := le.Uint32(answer[24+8*i:]), ledger.Result(le.Uint16(answer[28+8*i:]))
			if at == n-1 || why != ledger.TotalBelow {
				return fmt.Errorf("advance %d of %d: %v", at, n, why)
			}
		}
		p.total = total
		return nil
	}
}

func (p *payer) post(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.hub.URL()+"/v1/batches", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/vnd.millrace.ops")
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", client.ErrUnreachable, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%w: %d, %w", client.ErrUnreachable, resp.StatusCode, err)
	case resp.StatusCode != http.StatusOK || len(answer) < 24:
		return nil, fmt.Errorf("batch: %d %s", resp.StatusCode, answer)
	}
	return answer, nil
}

// settle adds everything up, as the clients were told it.
func (s *shop) settle(t *testing.T, payers []*payer) {
	t.Helper()
	var earned, sold ledger.Msat
	for _, p := range payers {
		balance, held := ledger.Msat(killFunds), ledger.Msat(0)
		for _, funds := range p.opened {
			balance -= funds
			held += funds
		}
		held -= p.total
		price := killPrice * ledger.Msat(len(p.bought))
		p.has(t, int64(balance-p.paid-price), int64(held))
		earned += p.paid + p.total
		sold += price
		p.history(t, s)
	}
	s.payee.has(t, int64(earned), 0)
	s.seller.has(t, int64(sold), 0)
}

func (p *payer) has(t *testing.T, balance, held int64) {
	t.Helper()
	a, err := p.hub.Account(t.Context(), p.no)
	if err != nil {
		t.Fatal(err)
	}
	if a.BalanceMsat != balance || int64(a.HeldMsat) != held {
		t.Errorf("account %v has %d msat and %d held, want %d and %d", p.no, a.BalanceMsat, a.HeldMsat, balance, held)
	}
	var last client.Entry
	sum, heldSum := int64(0), int64(0)
	p.entries(t, func(e client.Entry) {
		last, sum, heldSum = e, sum+e.ChangeMsat, heldSum+e.HeldChangeMsat
		if e.BalanceMsat != sum || e.HeldMsat != heldSum {
			t.Fatalf("account %v: after entry %d there are %d and %d msat, the changes come to %d and %d", p.no, e.Seq, e.BalanceMsat, e.HeldMsat, sum, heldSum)
		}
	})
	if last.BalanceMsat != balance || last.HeldMsat != held {
		t.Errorf("the history of account %v ends with %d and %d msat, want %d and %d", p.no, last.BalanceMsat, last.HeldMsat, balance, held)
	}
}

// entries reads a history page by page, the oldest first.
func (p *payer) entries(t *testing.T, f func(client.Entry)) {
	t.Helper()
	for page := (client.Page{Oldest: true, Limit: 1000}); ; {
		got, err := p.hub.Entries(t.Context(), p.no, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got.Entries {
			f(e)
		}
		if page.Cursor = got.Next; got.Next == "" {
			return
		}
	}
}

// history: each transfer, purchase and channel stands in it once, where the client was told, and nothing else does.
func (p *payer) history(t *testing.T, s *shop) {
	t.Helper()
	seen := map[string]int{}
	p.entries(t, func(e client.Entry) {
		seen[e.Kind]++
		if seq, sent := p.transfers[e.ID]; e.Kind == "transfer" && (!sent || seq != e.Seq) {
			t.Errorf("account %v: transfer %s is entry %d, and was acknowledged as %d", p.no, e.ID, e.Seq, seq)
		}
	})
	if seen["transfer"] != len(p.transfers) || seen["unlock"] != len(p.bought) || seen["open_channel"] != len(p.opened) {
		t.Errorf("account %v: %v in its history, told of %d transfers, %d unlocks and %d channels", p.no, seen, len(p.transfers), len(p.bought), len(p.opened))
	}
}
