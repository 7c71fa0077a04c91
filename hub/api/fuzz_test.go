package api_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/ledger"
)

// fuzzed is a hub for a fuzz target: a log in memory, an account with money, one without, a channel and a work.
func fuzzed(f *testing.F) (r *rig, payer, payee user) {
	r = setup{log: newGate().log, node: newNode(), api: api.Config{RequestTimeout: time.Second}}.rig(f)
	payer, payee = r.user(1_000_000), r.user(0)
	payer.channel(payee, 1000)
	r.sell(payee, 10)
	return r, payer, payee
}

// FuzzJSONOp sends a line as a batch, as an array of one and as a transfer. The transport holds whatever is taken against
// the document, whose JSON is strict; what is not taken changes nothing.
func FuzzJSONOp(f *testing.F) {
	r, a, _ := fuzzed(f)
	for _, line := range []string{
		`{"op":"transfer","id":"01a3185c-5000-7abc-8def-0123456789ab","to":"ah0h","amount_msat":1}`,
		`{"op":"advance","channel":"c101","total_msat":1}`, `{"op":"unlock","content":"00000000000000000000000000000000","max_msat":1,"price_version":1}`,
		`{"id":"01a3185c-5000-7abc-8def-0123456789ab","to":"ah0h","amount_msat":1}`, `{"op":"adv\u0061nce","channel":"c101","total_msat":1}`,
		`{"op":"advance","channel":"c101","total_msat":1e0}`, `{"op":"advance","op":"advance"}`, `[[[[`, "{\"\xff\":nan}", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r.t = t
		defer func() { r.t = f }()
		for _, q := range []ask{{kind: lines, path: "/v1/batches", body: line}, {path: "/v1/batches", body: "[" + string(line) + "]"}, {path: "/v1/transfers", body: line}} {
			q.method, q.token = "POST", a.token
			before := r.frozen()
			got := r.do(q)
			if got.status >= 500 {
				t.Errorf("%d: %s", got.status, got.body)
			}
			if got.status >= 400 && r.frozen() != before {
				t.Errorf("a refused body changed the ledger: %s", got.body)
			}
		}
	})
}

// FuzzBinaryBatch sends records. Whole ones of known kinds are taken, and what was refused is not applied.
func FuzzBinaryBatch(f *testing.F) {
	r, a, b := fuzzed(f)
	id := [16]byte(ledger.NewOpID(startAt, [10]byte{1}))
	f.Add(record(1, uint32(b.no), 1, id))
	f.Add(append(record(2, 1, 1, [16]byte{}), record(3, 1, 10, id)...))
	f.Add(record(1, uint32(b.no), 1<<64-1, [16]byte{}))
	f.Add(record(2, 1, 1, id))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, body []byte) {
		r.t = t
		defer func() { r.t = f }()
		before, seq := r.frozen(), r.state().Seq()
		got := r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: binaryOps, body: body})
		switch got.status {
		case 200:
			applied := uint64(got.body[4]) | uint64(got.body[5])<<8
			if now := r.state().Seq(); now-seq != applied {
				t.Errorf("%d applied, and %d entries made", applied, now-seq)
			}
		case 400, 413:
			if r.frozen() != before {
				t.Error("a refused batch changed the ledger")
			}
		default:
			t.Errorf("%d: %s", got.status, got.body)
		}
	})
}

// FuzzRequest sends any bytes on a connection: the hub answers or closes, never with a 5xx but 503, and every error of its
// own has the problem's form.
func FuzzRequest(f *testing.F) {
	r, a, b := fuzzed(f)
	body := `{"id":"01a3185c-5000-7abc-8def-0123456789ab","to":"` + b.account + `","amount_msat":1}`
	for _, s := range []string{
		head("GET", "/v1/hub", ""), head("GET", "/metrics", ""), head("POST", "/v1/accounts", "", "Content-Length: 0"), "\x00", "GET / HTTP/1.1\r\n\r\n",
		head("POST", "/v1/transfers", a.token, asJSON, "Content-Length: "+strconv.Itoa(len(body))) + body, head("HEAD", "/healthz", "") + head("GET", "/healthz", ""),
		head("POST", "/v1/batches", a.token, asJSON, "Transfer-Encoding: chunked") + "2\r\n[]\r\n0\r\n\r\n", head("PUT", "//%2e", "", "Expect: 100-continue", "Content-Length: 1"),
		head("GET", "/v1/hub", "", "Connection: upgrade", "Upgrade: h2c"), head("CONNECT", "hub:80", ""), head("POST", "/v1/batches", "", "Content-Length: 99999999999999999999"),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			_, _ = conn.Write(request)
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		buf := bufio.NewReader(conn)
		for {
			if _, err := buf.Peek(1); err != nil {
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Error("neither answered nor closed")
				}
				return
			}
			resp, err := http.ReadResponse(buf, nil)
			if err != nil {
				return // an answer to HEAD, read as one with a body, or one that was cut off by the end
			}
			text, err := io.ReadAll(resp.Body)
			if resp.StatusCode >= 500 && resp.StatusCode != 503 {
				t.Errorf("%d: %.300s", resp.StatusCode, text)
			}
			var problem struct{ Code, Detail string }
			if resp.StatusCode >= 400 && err == nil && (json.Unmarshal(text, &problem) != nil || problem.Code == "" || problem.Detail == "") {
				t.Errorf("%d is no problem: %.300s", resp.StatusCode, text)
			}
		}
	})
}

// FuzzRoute sends methods and paths. Paths that the document does not have are 404, and what it has is served.
func FuzzRoute(f *testing.F) {
	r, a, _ := fuzzed(f)
	for _, route := range api.Routes() {
		method, path, _ := strings.Cut(route, " ")
		f.Add(method, path)
		f.Add("PUT", strings.ReplaceAll(path, "{}", "ag0g"))
	}
	f.Add("GET", "/v1/%2e%2e/hub")
	f.Add("GET", "//v1/hub?x=1#y")
	var patterns []string
	for _, route := range api.Routes() {
		patterns = append(patterns, strings.ReplaceAll(regexp.QuoteMeta(route), `\{\}`, "[^/]+"))
	}
	served := regexp.MustCompile("^(" + strings.Join(patterns, "|") + ")$")
	f.Fuzz(func(t *testing.T, method, path string) {
		if strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || method == "" || method == "HEAD" || method == "CONNECT" || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \r\n\t\x00#?") || len(path) > 7000 {
			return
		}
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, head(method, path, a.token, "Connection: close", "Content-Length: 0"))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s %q: %v", method, path, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 500 {
			t.Errorf("%s %q: %d", method, path, resp.StatusCode)
		}
		code := problemCode(resp.Body)
		if code == "malformed_request" { // bytes that no path has
			return
		}
		if unserved := code == "route_unknown" || code == "method_not_allowed"; unserved == served.MatchString(method+" "+path) {
			t.Errorf("%s %q: %d %s", method, path, resp.StatusCode, code)
		}
	})
}

func problemCode(body io.Reader) string {
	var problem struct{ Code string }
	_ = json.NewDecoder(body).Decode(&problem)
	return problem.Code
}
