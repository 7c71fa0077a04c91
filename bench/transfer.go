package bench

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/ledger"
)

// transferFunds is what every payer has: enough for a year of payments of some msat.
const transferFunds = 1_000_000_000_000

// transferRequest is a whole request of one payer to one payee, built beforehand.
type transferRequest struct {
	bytes []byte
	id    int // where the id stands
	digit int // where the amount's last digit stands
	payer ledger.AccountNo
	payee ledger.AccountNo
	sent  int64
}

// transferSource goes round and round its payers, and only writes a new id and an amount of 1,000 to 1,009 msat.
type transferSource struct {
	random   *rand.Rand
	requests []transferRequest
	at       int
	amount   int64 // of the last request
	payments uint64
}

func (s *transferSource) next(now time.Time) ([]byte, int) {
	s.at = (s.at + 1) % len(s.requests)
	r := &s.requests[s.at]
	id := newID(uint64(now.UnixMilli()), s.random)
	writeUUID(r.bytes[r.id:], id)
	digit := byte(s.random.Uint32N(10))
	r.bytes[r.digit] = '0' + digit
	s.amount = 1000 + int64(digit)
	return r.bytes, 1
}

func (s *transferSource) answered(status int, body []byte) error {
	if err := wantOK(status, body); err != nil {
		return err
	}
	r := &s.requests[s.at]
	if !bytes.Contains(body, []byte(`"result":"applied"`)) || !bytes.Contains(body, r.bytes[r.id:r.id+36]) {
		return fmt.Errorf("a transfer was answered with %.300q", body)
	}
	r.sent += s.amount
	s.payments++
	return nil
}

// writeUUID is OpID.String in place.
func writeUUID(b []byte, id ledger.OpID) {
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
}

func newTransferRequest(token string, payer, payee ledger.AccountNo) transferRequest {
	body := fmt.Appendf(nil, `{"id":"%v","to":"%v","amount_msat":1000}`, ledger.OpID{}, payee)
	r := transferRequest{payer: payer, payee: payee, bytes: head("/v1/transfers", token, "application/json", len(body))}
	r.id = len(r.bytes) + len(`{"id":"`)
	r.bytes = append(r.bytes, body...)
	r.digit = len(r.bytes) - 2
	return r
}

func runTransfer(ctx context.Context, c *Config, dir string) (Result, error) {
	var load []*transferSource
	k := &httpCase{name: "http-transfer", call: "transfer", conns: c.Conns}
	k.setUp = func(ctx context.Context, c *Config, r *rig) (hub, idle []source, err error) {
		if load, err = newTransferSources(ctx, c, r); err != nil {
			return nil, nil, err
		}
		for i, s := range load {
			hub = append(hub, s)
			twin := &transferSource{random: rand.New(rand.NewPCG(2, uint64(i)))}
			for _, q := range s.requests {
				q.bytes = bytes.Clone(q.bytes)
				twin.requests = append(twin.requests, q)
			}
			idle = append(idle, twin)
		}
		return hub, idle, nil
	}
	k.tally = func() (n uint64) {
		for _, s := range load {
			n += s.payments
		}
		return n
	}
	k.check = func(state *ledger.State) error { return checkTransfers(state, load) }
	return k.run(ctx, c, dir)
}

// newTransferSources makes the payers, each of whom pays one other, and a token for each.
func newTransferSources(ctx context.Context, c *Config, r *rig) ([]*transferSource, error) {
	b := newBuilder(ctx, r.submit)
	accounts, err := b.accounts(c.Conns*c.Payers, transferFunds)
	if err != nil {
		return nil, err
	}
	tokens, err := r.tokens(accounts)
	if err != nil {
		return nil, err
	}
	payees := b.random.Perm(len(accounts))
	all := make([]*transferSource, 0, c.Conns)
	for i := range c.Conns {
		s := &transferSource{random: rand.New(rand.NewPCG(1, uint64(i)))}
		for j := i; j < len(accounts); j += c.Conns {
			payee := payees[j]
			if payee == j {
				payee = (j + 1) % len(accounts)
			}
			s.requests = append(s.requests, newTransferRequest(tokens[j], accounts[j], accounts[payee]))
		}
		all = append(all, s)
	}
	return all, nil
}

// checkTransfers holds every balance against what was acknowledged as sent and received.
func checkTransfers(state *ledger.State, all []*transferSource) error {
	want := make(map[ledger.AccountNo]int64)
	for _, s := range all {
		for i := range s.requests {
			r := &s.requests[i]
			want[r.payer] += transferFunds - r.sent
			want[r.payee] += r.sent
		}
	}
	for no, balance := range want {
		if err := checkAccount(state, no, balance); err != nil {
			return err
		}
	}
	return nil
}
