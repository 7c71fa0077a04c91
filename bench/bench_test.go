package bench

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

func tiny(t *testing.T) Config {
	return Config{
		Dir: t.TempDir(), Rounds: 2, Round: 20 * time.Millisecond, Accounts: 200, Clients: 2, Channels: 100, BatchOps: 50,
		LineOps: 10, BatchConns: 2, Conns: 3, Payers: 2, Contents: 5,
	}
}

func TestInProcess(t *testing.T) {
	cfg := tiny(t)
	cfg.Cases = []string{"core", "durable", "vouchers"}
	results, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, limits := range []int{0, 2} {
		r := results[i]
		if r.Name != cfg.Cases[i] || len(r.Limits) != limits || len(r.Rounds) != 2 || r.Value <= 0 || r.Ops == 0 || r.P50 <= 0 {
			t.Errorf("result %+v", r)
		}
	}
	if r := results[1]; r.LogBytes < 17 || r.Ratio <= 0 {
		t.Errorf("durable: %v bytes of log a payment, ratio %v", r.LogBytes, r.Ratio)
	}
	left, err := os.ReadDir(cfg.Dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

// respond answers every request on every connection of a listener with the same bytes.
func respond(t *testing.T, answer string) (string, func() error, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String(), ln.Close, nil
}

func TestRefusalsFailTheCase(t *testing.T) {
	for _, name := range []string{"http-batch-binary", "http-batch-ndjson", "http-transfer", "http-unlock"} {
		for answer, want := range map[string]string{
			"HTTP/1.1 503 Overloaded\r\nContent-Length: 4\r\n\r\nbusy": "status 503: busy",
			"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":           "",
		} {
			cfg := tiny(t)
			cfg.Cases = []string{name}
			cfg.Serve = func(*hub.Hub, string) (string, func() error, error) { return respond(t, answer) }
			cfg.ServeNoop = func() (string, func() error, error) {
				return respond(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			}
			results, err := Run(t.Context(), cfg)
			if err == nil || len(results) != 0 || !strings.Contains(err.Error(), "requests failed") || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, answered %q: %v, %v", name, answer, results, err)
			}
		}
	}
}

func TestTallyMustBeTheLedgers(t *testing.T) {
	cfg := tiny(t)
	cfg.setDefaults()
	r, err := newRig(t.Context(), &cfg, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	channels, err := newBuilder(t.Context(), r.submit).crowd(100)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := divide(channels, 1, 50)
	if err != nil {
		t.Fatal(err)
	}
	all := clients{{advances: parts[0]}}
	if err := r.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := all.run(t.Context(), r.hub, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var res Result
	nothing := func(*ledger.State) error { return nil }
	if err := r.finish(t.Context(), all.tally(), &res, all.check); err != nil {
		t.Errorf("right tally: %v", err)
	}
	if err := r.finish(t.Context(), all.tally()+1, &res, nothing); err == nil {
		t.Error("a payment that the ledger does not have went unnoticed")
	}
	parts[0].ops[7].Amount++
	if err := r.finish(t.Context(), all.tally(), &res, all.check); err == nil {
		t.Error("a total that the ledger does not have went unnoticed")
	}
}

func TestInterrupted(t *testing.T) {
	cfg := tiny(t)
	cfg.Cases = []string{"durable"}
	ctx, cancel := context.WithCancel(t.Context())
	cfg.Progress = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if _, err := Run(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, err := os.ReadDir(cfg.Dir); err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestValidate(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"unknown case": func(c *Config) { c.Cases = []string{"speed"} },
		"no server":    func(c *Config) { c.Cases = []string{"http-unlock"} },
		"batch":        func(c *Config) { c.BatchOps = hub.MaxBatchOps + 1 },
		"queue":        func(c *Config) { c.BatchOps, c.Clients = hub.MaxBatchOps, 9 },
		"negative":     func(c *Config) { c.Rounds = -1 },
		"repeats":      func(c *Config) { c.Repeats = 101 },
	} {
		cfg := Config{Cases: []string{"core"}}
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(&cfg)
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRequestsAreBuiltWithoutAllocations(t *testing.T) {
	channels := []uint32{1, 2, 3}
	sources := map[string]source{
		"binary":   &batchSource{requests: []batchRequest{newBatchRequest("t", false, channels)}},
		"ndjson":   &batchSource{text: true, requests: []batchRequest{newBatchRequest("t", true, channels)}},
		"transfer": &transferSource{random: random(), requests: []transferRequest{newTransferRequest("t", 16, 17)}},
		"unlock":   &unlockSource{random: random(), again: true, works: make([]work, 2), buyers: []buyer{newBuyer("t", 16)}},
	}
	now := time.Now()
	for name, s := range sources {
		if n := testing.AllocsPerRun(100, func() { s.next(now) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestRequestsInPlace looks at whole requests as they are on the wire.
func TestRequestsInPlace(t *testing.T) {
	s := &transferSource{random: random(), requests: []transferRequest{newTransferRequest("tok", 16, 17)}}
	request, _ := s.next(time.UnixMilli(1_700_000_000_000))
	top, body, _ := strings.Cut(string(request), "\r\n\r\n")
	var got struct {
		ID     string `json:"id"`
		To     string `json:"to"`
		Amount int64  `json:"amount_msat"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	id, err := ledger.ParseOpID(got.ID)
	if err != nil || id.Millis() != 1_700_000_000_000 || got.To != ledger.AccountNo(17).String() || got.Amount != s.amount {
		t.Errorf("%+v, %v", got, err)
	}
	if !strings.HasPrefix(top, "POST /v1/transfers HTTP/1.1\r\n") || !strings.Contains(top, "Authorization: Bearer tok\r\n") {
		t.Errorf("head %q", top)
	}
	lines := &batchSource{text: true, requests: []batchRequest{newBatchRequest("t", true, []uint32{1, 70000})}}
	for i := range 2 {
		request, n := lines.next(time.Now())
		_, body, _ := strings.Cut(string(request), "\r\n\r\n")
		want := ""
		for _, no := range []ledger.ChannelNo{1, 70000} {
			want += `{"op":"advance","channel":"` + no.String() + `","total_msat":100000000` + string(rune('1'+i)) + "}\n"
		}
		if body != want || n != 2 {
			t.Errorf("body %q, want %q", body, want)
		}
		answer := strings.Repeat(`{"result":"applied","seq":1,"paid_msat":1}`+"\n", 2)
		if err := lines.answered(200, []byte(answer)); err != nil {
			t.Error(err)
		}
	}
}
