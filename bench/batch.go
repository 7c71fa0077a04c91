package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/millrace/millrace/ledger"
)

// The binary layouts of POST /v1/batches, as the API's document gives them.
const (
	recordSize  = 32
	recordTotal = 8  // where in a record an advance has its total
	resultsSize = 24 // of an answer without refusals
)

// firstTotal is the total that every channel has reached before: ten digits from the first to the last, so that a text of
// JSON can be patched in place.
const firstTotal = 1_000_000_000

// batchRequest is a whole request of advances, built beforehand.
type batchRequest struct {
	bytes    []byte
	totals   []int // where the totals stand
	channels []uint32
	total    uint64 // that was acknowledged for every channel in it
	unsure   bool   // the total was not: it, or one less
}

// batchSource goes round and round its requests, whose channels are its own, and only writes the next total into them.
type batchSource struct {
	text     bool
	requests []batchRequest
	last     *batchRequest // the one that was sent last
	at       int
	waiting  bool // for an answer to last
	payments uint64
}

func (s *batchSource) next(time.Time) ([]byte, int) {
	r := &s.requests[s.at]
	s.at = (s.at + 1) % len(s.requests)
	s.last, s.waiting = r, true
	total := r.total + 1
	if s.text {
		var digits [10]byte
		text := strconv.AppendUint(digits[:0], total, 10)
		for _, at := range r.totals {
			copy(r.bytes[at:], text)
		}
	} else {
		for _, at := range r.totals {
			binary.LittleEndian.PutUint64(r.bytes[at:], total)
		}
	}
	return r.bytes, len(r.channels)
}

func (s *batchSource) answered(status int, body []byte) error {
	if err := wantOK(status, body); err != nil {
		return err
	}
	n := len(s.last.channels)
	applied := 0
	if s.text {
		applied = bytes.Count(body, []byte(`{"result":"applied"`))
	} else if len(body) == resultsSize && int(binary.LittleEndian.Uint32(body)) == n {
		applied = int(binary.LittleEndian.Uint32(body[4:]))
	}
	if applied != n {
		return fmt.Errorf("%d of %d payments applied: %.120q", applied, n, body)
	}
	s.waiting, s.last.unsure = false, false
	s.last.total++
	s.payments += uint64(n)
	return nil
}

// check holds every channel against the total that was acknowledged for it.
func (s *batchSource) check(state *ledger.State) error {
	for i := range s.requests {
		r := &s.requests[i]
		for _, no := range r.channels {
			if c, ok := state.Channel(ledger.ChannelNo(no)); !ok || uint64(c.Total) != r.total {
				return fmt.Errorf("channel %v has paid %d msat, the tally says %d", ledger.ChannelNo(no), c.Total, r.total)
			}
		}
	}
	return nil
}

// newBatchRequest builds the request of a batch. In text all totals have ten digits.
func newBatchRequest(token string, text bool, channels []uint32) batchRequest {
	r := batchRequest{channels: channels, total: firstTotal}
	var body []byte
	mediaType := "application/vnd.millrace.ops"
	if text {
		mediaType = "application/x-ndjson"
	}
	for _, no := range channels {
		if text {
			body = fmt.Appendf(body, `{"op":"advance","channel":"%v","total_msat":`, ledger.ChannelNo(no))
			r.totals = append(r.totals, len(body))
			body = fmt.Appendf(body, "%d}\n", uint64(firstTotal))
			continue
		}
		r.totals = append(r.totals, len(body)+recordTotal)
		var record [recordSize]byte
		record[0] = byte(ledger.OpAdvance)
		binary.LittleEndian.PutUint32(record[4:], no)
		body = append(body, record[:]...)
	}
	r.bytes = head("/v1/batches", token, mediaType, len(body))
	for i := range r.totals {
		r.totals[i] += len(r.bytes)
	}
	r.bytes = append(r.bytes, body...)
	return r
}

func runBatchBinary(ctx context.Context, c *Config, dir string) (Result, error) {
	return runBatches(ctx, c, dir, "http-batch-binary", c.BatchOps, false)
}

func runBatchLines(ctx context.Context, c *Config, dir string) (Result, error) {
	return runBatches(ctx, c, dir, "http-batch-ndjson", c.LineOps, true)
}

func runBatches(ctx context.Context, c *Config, dir, name string, size int, text bool) (Result, error) {
	var load []*batchSource
	k := &httpCase{name: name, call: fmt.Sprintf("batch of %d", size), conns: c.BatchConns}
	k.setUp = func(ctx context.Context, c *Config, r *rig) ([]source, []source, error) {
		per := (c.Channels + c.BatchConns*size - 1) / (c.BatchConns * size) // requests of a connection
		var hub, idle []source
		var err error
		if load, err = newBatchSources(ctx, c, r, per, size, text); err != nil {
			return nil, nil, err
		}
		for _, s := range load {
			hub = append(hub, s)
			twin := &batchSource{text: text}
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
	k.check = func(state *ledger.State) error {
		for _, s := range load {
			if err := s.check(state); err != nil {
				return err
			}
		}
		return nil
	}
	return k.run(ctx, c, dir)
}

// newBatchSources makes a payer for each connection, since a token pays from one account, with channels to a thousand payees
// in random order, each advanced to firstTotal.
func newBatchSources(ctx context.Context, c *Config, r *rig, requests, size int, text bool) ([]*batchSource, error) {
	b := newBuilder(ctx, r.submit)
	n := requests * size
	payers, err := b.accounts(c.BatchConns, ledger.Msat(n)*channelFunds)
	if err != nil {
		return nil, err
	}
	payees, err := b.accounts(min(n, 1000), 0)
	if err != nil {
		return nil, err
	}
	tokens, err := r.tokens(payers)
	if err != nil {
		return nil, err
	}
	channels, err := b.channels(n*len(payers), channelFunds, func(i int) (ledger.AccountNo, ledger.AccountNo) {
		return payers[i%len(payers)], payees[b.random.IntN(len(payees))]
	})
	if err != nil {
		return nil, err
	}
	if err := b.advanceAll(channels, firstTotal); err != nil {
		return nil, err
	}
	b.random.Shuffle(len(channels), func(i, j int) { channels[i], channels[j] = channels[j], channels[i] })
	own := make(map[ledger.AccountNo][]uint32)
	for _, p := range channels {
		own[p.payer] = append(own[p.payer], p.channel)
	}
	all := make([]*batchSource, 0, len(payers))
	for i, payer := range payers {
		s := &batchSource{text: text}
		for at := 0; at < n; at += size {
			s.requests = append(s.requests, newBatchRequest(tokens[i], text, own[payer][at:at+size]))
		}
		all = append(all, s)
	}
	return all, nil
}
