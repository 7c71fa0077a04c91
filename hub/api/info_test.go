package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/api"
)

func TestInfo(t *testing.T) {
	r := setup{api: api.Config{Version: "1.2.3"}}.rig(t)
	r.do(ask{method: "GET", path: "/healthz"}).want(200).has(object{"status": "ok"})
	r.do(ask{method: "GET", path: "/readyz"}).want(200).has(object{"status": "ready"})
	r.do(ask{method: "GET", path: "/v1/hub"}).want(200).has(object{"origin": origin, "version": "1.2.3", "registration": "open", "dev": true,
		"fee_ppm": feePPM, "max_batch_ops": 8192, "id_window_ms": 86_400_000, "id_ahead_ms": 30_000})
	key := r.do(ask{method: "GET", path: "/v1/hub/key"}).want(200).has(object{"origin": origin, "earlier": "[]"})
	if key.text("public_key") != r.ring.Public().String() || key.text("key_id") != r.ring.Public().ID() {
		t.Errorf("key %s", key.body)
	}
	if got := r.do(ask{method: "GET", path: "/openapi.yaml"}).want(200); string(got.body) != string(api.Document()) {
		t.Error("the document served is not the document")
	}
}

// metric reads /metrics.
func (r *rig) metrics() map[string]float64 {
	r.t.Helper()
	a := r.do(ask{method: "GET", path: "/metrics"}).want(200)
	all := make(map[string]float64)
	for line := range strings.Lines(string(a.body)) {
		if m := regexp.MustCompile(`^([a-z_]+(?:\{[^}]*\})?) (\S+)\n$`).FindStringSubmatch(line); m != nil {
			v, err := strconv.ParseFloat(m[2], 64)
			r.must(err)
			all[m[1]] = v
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	r := newRig(t)
	a, b := r.user(10_000), r.user(0)
	w := r.sell(b, 100)
	before := r.metrics()
	a.pay(b, 1).want(200)
	a.pay(b, 20_000).want(402)
	a.channel(b, 10)
	body := object{"id": r.id(), "to": b.account, "amount_msat": 1}
	a.post("/v1/transfers", body).want(200)
	a.post("/v1/transfers", body).want(200)
	w.opens(a.post(w.path("/unlock"), object{"price_version": 1}).want(200))
	w.opens(a.post(w.path("/unlock"), object{"price_version": 1}).want(200))
	r.credit(a, 5).want(200)
	after := r.metrics()
	moved := map[string]float64{
		`millrace_ops_total{result="applied"}`: 5, `millrace_ops_total{result="repeated"}`: 2, `millrace_ops_total{result="insufficient_funds"}`: 1,
		"millrace_secrets_released_total": 2, "millrace_block_ops_count": 5, "millrace_block_ops_sum": 5, "millrace_commit_seconds_count": 5,
		"millrace_ledger_index": 5, "millrace_ledger_seq": 5, "millrace_ledger_supply_msat": 5, "millrace_accounts": 0, "millrace_channels": 1,
		"millrace_contents": 0, "millrace_unlocks": 1, "millrace_remembered_ids": 4, "millrace_queue_ops": 0, "millrace_ops_not_taken_total": 0,
		"millrace_watermark_lag_blocks": 0, "millrace_snapshot_lag_blocks": 5,
	}
	for name, want := range moved {
		v, ok := after[name]
		if !ok {
			t.Errorf("no metric %s", name)
		} else if v-before[name] != want {
			t.Errorf("%s moved by %v, want %v", name, v-before[name], want)
		}
	}
	if after["millrace_block_bytes_total"] <= before["millrace_block_bytes_total"] {
		t.Error("no bytes of blocks counted")
	}
	for name := range after {
		if strings.Contains(name, a.account) {
			t.Errorf("%s names an account", name)
		}
	}
}

// TestShutdown: a request under way gets its answer; who still has a connection hears that the hub is stopping; nobody new
// is let in.
func TestShutdown(t *testing.T) {
	gate := newGate()
	r := setup{log: gate.log}.rig(t)
	a, b := r.user(1000), r.user(0)
	waiting := r.dial()
	gate.shut()
	body := fmt.Sprintf(`{"id":%q,"to":%q,"amount_msat":7}`, r.id(), b.account)
	under := r.dial()
	under.write("POST /v1/transfers HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer " + a.token + "\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	gate.waitProposed(t)
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	go func() { done <- r.server.Shutdown(ctx) }()
	for { // until the listener is closed
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	waiting.write("GET /readyz HTTP/1.1\r\nHost: hub\r\n\r\n")
	if got := waiting.read("GET", "/readyz"); got.status != 503 || got.object()["code"] != "stopping" || got.header.Get("Retry-After") == "" {
		t.Errorf("readyz while stopping: %d %v %s", got.status, got.header, got.body)
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v with a request under way", err)
	default:
	}
	gate.open()
	under.read("POST", "/v1/transfers").want(200).has(object{"result": "applied"})
	r.must(<-done)
	b.balance(7, 0)
}

// raw is a connection without an HTTP client in the way.
type raw struct {
	r    *rig
	conn net.Conn
	buf  *bufio.Reader
}

func (r *rig) dial() raw {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	r.must(err)
	r.t.Cleanup(func() { c.Close() })
	r.must(c.SetDeadline(time.Now().Add(20 * time.Second)))
	return raw{r, c, bufio.NewReader(c)}
}

// write ignores errors: a hub that has refused reads no further.
func (c raw) write(s string) { _, _ = c.conn.Write([]byte(s)) }

// read reads an answer and holds it against the document; without a path, which the document then does not have, it must be a
// problem.
func (c raw) read(method, path string) answer {
	c.r.t.Helper()
	resp, err := http.ReadResponse(c.buf, &http.Request{Method: method})
	c.r.must(err)
	defer resp.Body.Close()
	var body strings.Builder
	_, err = bufio.NewReader(resp.Body).WriteTo(&body)
	c.r.must(err)
	got := answer{c.r.t, method + " " + path, resp.StatusCode, resp.Header, []byte(body.String())}
	if path == "" {
		if resp.Header.Get("Content-Type") != "application/problem+json" {
			c.r.t.Errorf("%d as %s", resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		return got
	}
	if err := checker.Check(method, path, http.Header{"Authorization": {"Bearer x"}}, nil, resp.StatusCode, resp.Header, []byte(body.String())); err != nil && resp.StatusCode >= 400 {
		c.r.t.Errorf("contract: %v", err)
	}
	return got
}

// closed says whether the hub closes the connection now.
func (c raw) closed() bool {
	_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err := c.buf.ReadByte()
	var timeout net.Error
	return err != nil && !(slices.Contains([]string{"i/o timeout"}, err.Error()) || asNet(err, &timeout) && timeout.Timeout())
}
