package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/api"
)

// head is a request's first lines, to which more may be added.
func head(method, path, token string, more ...string) string {
	s := method + " " + path + " HTTP/1.1\r\nHost: hub\r\n"
	if token != "" {
		s += "Authorization: Bearer " + token + "\r\n"
	}
	for _, m := range more {
		s += m + "\r\n"
	}
	return s + "\r\n"
}

const asJSON = "Content-Type: application/json"

// once sends bytes on a connection of its own and reads one answer.
func (r *rig) once(method, path, bytes string) answer {
	r.t.Helper()
	c := r.dial()
	go c.write(bytes)
	return c.read(method, path)
}

// TestPaths: what is not exactly a path of the document is nothing.
func TestPaths(t *testing.T) {
	r := newRig(t)
	a := r.user(1000)
	w := r.sell(a, 10)
	for _, path := range []string{"/", "/v1", "/v1/", "/v2/hub", "/v1/hub/", "/V1/hub", "/v1/Hub", "//v1/hub", "/v1//hub", "/v1/./hub", "/./v1/hub", "/x/../v1/hub", "/v1/hub/.",
		"/v1/hub/key/..", "/v1/%68ub", "/v1%2fhub", "/v1/hub%00", "/v1/hub%2e", "/v1/%2e/hub", "/v1/%2e%2e/v1/hub", "/v1/hub;a=b", "/v1/hub%3f", "/v1\\hub", "/healthz/", "//healthz", "/%2fhealthz",
		"/v1/accounts/", "/v1/accounts/" + a.account + "/", "/v1/accounts//" + a.account, "/v1/accounts/x/y", "/v1/accounts/" + a.account + "%2f", "/v1/accounts/%61" + a.account[1:],
		"/v1/contents/" + w.id.String() + "/", "/v1/contents/" + w.id.String() + "/x", "/v1/contents/../hub", "/v1/" + strings.Repeat("x", 7000), strings.Repeat("/", 5000),
		"/v1/hub/" + strings.Repeat("../", 2000)} {
		got := r.once("GET", "", head("GET", path, a.token))
		if strings.HasPrefix(path, "/v1/accounts/"+a.account+"%") || strings.HasPrefix(path, "/v1/accounts/%") {
			got.refused(400, "malformed_body", "account")
		} else {
			got.refused(404, "route_unknown", "path")
		}
	}
	r.still("a path with a trick", func() {
		for _, path := range []string{"//v1/transfers", "/v1/transfers/", "/v1/./transfers", "/v1/%74ransfers", "/v1/contents/" + w.id.String() + "//unlock", "/v1/channels/../transfers", "/v1/batches/", "/v1//batches"} {
			body := fmt.Sprintf(`{"id":%q,"to":"ag0g","amount_msat":1}`, r.id())
			r.once("POST", "", head("POST", path, a.token, asJSON, "Content-Length: "+strconv.Itoa(len(body)))+body).refused(404, "route_unknown", "path")
		}
	})
	r.once("GET", "/v1/hub", head("GET", "http://hub/v1/hub", "")).want(200) // the absolute form of RFC 9112
}

// TestMethods: a path that has other methods says which.
func TestMethods(t *testing.T) {
	r := newRig(t)
	a := r.user(1000)
	allowed := make(map[string][]string)
	for _, route := range api.Routes() {
		method, path, _ := strings.Cut(route, " ")
		allowed[path] = append(allowed[path], method)
	}
	for path, has := range allowed {
		path = strings.NewReplacer("{}", a.account, "{*}", "0/000").Replace(path)
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"} {
			if slices.Contains(has, method) {
				continue
			}
			r.still(method+" "+path, func() {
				got := r.once(method, "", head(method, path, a.token)).refused(405, "method_not_allowed", "method")
				if allow := got.header.Get("Allow"); allow != strings.Join(has, ", ") {
					t.Errorf("%s %s: Allow %q, want %q", method, path, allow, has)
				}
			})
		}
	}
	c := r.dial() // HEAD has no body, and the connection goes on
	c.write(head("HEAD", "/v1/hub", ""))
	resp, err := http.ReadResponse(c.buf, &http.Request{Method: "HEAD"})
	r.must(err)
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET" {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
	c.write(head("GET", "/healthz", ""))
	c.read("GET", "/healthz").want(200)
}

func TestMediaTypes(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	body := object{"id": r.id(), "to": b.account, "amount_msat": 1}
	r.still("another media type", func() {
		for _, kind := range []string{"text/plain", "application/jsonx", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/x-ndjson", binaryOps, "json", ";", "*/*"} {
			r.do(ask{method: "POST", path: "/v1/transfers", token: a.token, kind: kind, body: body}).refused(415, "media_type_unknown", "application/json")
			if kind != lines && kind != binaryOps {
				r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: kind, body: "[]"}).refused(415, "media_type_unknown", "application/json")
				r.do(ask{method: "POST", path: "/v1/accounts", kind: kind, body: "{}"}).refused(415, "media_type_unknown", "application/json")
			}
		}
		for _, coding := range []string{"gzip", "br", "identity, gzip", "x"} {
			for _, kind := range []string{"application/json", lines, binaryOps} {
				r.do(ask{method: "POST", path: "/v1/batches", token: a.token, kind: kind, body: "\x1f\x8b", header: map[string]string{"Content-Encoding": coding}}).refused(415, "content_coding_unknown", "coding")
			}
			r.do(ask{method: "POST", path: "/v1/transfers", token: a.token, body: body, header: map[string]string{"Content-Encoding": coding}}).refused(415, "content_coding_unknown", "coding")
		}
		r.once("POST", "/v1/transfers", head("POST", "/v1/transfers", a.token, "Content-Length: 2")+"{}").refused(415, "media_type_unknown", "application/json")
	})
	r.do(ask{method: "POST", path: "/v1/transfers", token: a.token, kind: "application/json; charset=utf-8", body: body, header: map[string]string{"Content-Encoding": "identity"}}).want(200)
	r.do(ask{method: "POST", path: "/v1/transfers", token: a.token, body: body, chunked: true}).want(200).has(object{"result": "repeated"})
}

// TestSizes: bodies and headers beyond their bounds are refused, whether their length is told before or not, and bodies
// up to them are read.
func TestSizes(t *testing.T) {
	r := newRig(t)
	a := r.user(1000)
	r.still("a body too large", func() {
		for _, path := range []string{"/v1/hub", "/v1/hub/key", "/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
			r.once("GET", path, head("GET", path, "", "Content-Length: 99999999999999")).refused(413, "body_too_large", strconv.Itoa(api.MaxBody))
		}
		for path, most := range map[string]int{"/v1/transfers": api.MaxBody, "/v1/accounts": api.MaxBody, "/v1/contents": api.MaxBody, "/v1/batches": api.MaxBatchBody, "/v1/batches?": api.MaxBody, "/v1/nowhere": api.MaxBody} {
			known := strings.TrimSuffix(path, "?")
			if known == "/v1/nowhere" {
				known = "" // of which the document says nothing
			}
			told := r.once("POST", known, head("POST", path, a.token, asJSON, "Content-Length: "+strconv.Itoa(most+1)))
			told.refused(413, "body_too_large", strconv.Itoa(most))
			r.once("POST", known, head("POST", path, a.token, asJSON, "Content-Length: 99999999999999")).refused(413, "body_too_large", strconv.Itoa(most))
			chunk := strings.Repeat(" ", 1<<16)
			chunks := strings.Repeat("10000\r\n"+chunk+"\r\n", most>>16+1) + "0\r\n\r\n"
			r.once("POST", known, head("POST", path, a.token, asJSON, "Transfer-Encoding: chunked")+chunks).refused(413, "body_too_large", strconv.Itoa(most))
			c := r.dial()
			c.write(head("POST", path, a.token, asJSON, "Expect: 100-continue", "Content-Length: "+strconv.Itoa(most+1)))
			if _, err := c.buf.Peek(12); err == nil { // it may say 100 first
				if line, _ := c.buf.Peek(12); string(line) == "HTTP/1.1 100" {
					_, _ = c.buf.Discard(len("HTTP/1.1 100 Continue\r\n\r\n"))
				}
			}
			c.read("POST", known).refused(413, "body_too_large", strconv.Itoa(most))
			if known == "" {
				continue
			}
			fits := r.once("POST", known, head("POST", path, a.token, asJSON, "Content-Length: "+strconv.Itoa(most))+strings.Repeat(" ", most))
			fits.refused(400, "malformed_body", "JSON")
		}
		long := "X-Long: " + strings.Repeat("x", api.MaxHeader)
		for _, path := range []string{"/v1/transfers", "/v1/accounts", "/v1/batches"} {
			r.once("POST", path, head("POST", path, a.token, asJSON, long)).refused(431, "headers_too_large", "header")
		}
		for _, path := range []string{"/v1/accounts/" + a.account, "/v1/hub", "/v1/hub/key", "/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
			r.once("GET", path, head("GET", path, a.token, long)).refused(431, "headers_too_large", "header")
		}
		r.once("GET", "/v1/hub", head("GET", "/v1/hub?"+strings.Repeat("x", api.MaxHeader), "")).refused(431, "headers_too_large", "header")
		r.once("GET", "/v1/hub", "GET /v1/hub HTTP/1.1\r\n"+strings.Repeat("A: b\r\n", 3000)).refused(431, "headers_too_large", "header")
	})
	r.once("GET", "/v1/hub", head("GET", "/v1/hub", "", "X-Long: "+strings.Repeat("x", api.MaxHeader-200))).want(200)
}

// TestBrokenRequests: what is no HTTP/1.1 is answered once and the connection closed, so that nothing hides behind it.
func TestBrokenRequests(t *testing.T) {
	r := newRig(t)
	a := r.user(1000)
	body := fmt.Sprintf(`{"id":%q,"to":"ag0g","amount_msat":1}`, r.id())
	size := "Content-Length: " + strconv.Itoa(len(body))
	hidden := head("POST", "/v1/accounts", "", "Content-Length: 0")
	for _, request := range []string{
		"GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "GET /v1/hub\r\n\r\n",
		head("POST", "/v1/accounts", "", "Content-Length: -1"), head("POST", "/v1/accounts", "", "Content-Length: 0x2") + "{}", head("POST", "/v1/accounts", "", "Content-Length: 1 0") + "{}",
		head("POST", "/v1/transfers", a.token, asJSON, size, "Content-Length: 5") + body, head("POST", "/v1/transfers", a.token, asJSON, size, "Transfer-Encoding: chunked") + body,
		head("POST", "/v1/accounts", "", "Transfer-Encoding: chunked") + "zz\r\n", head("POST", "/v1/accounts", "", "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n",
		head("POST", "/v1/accounts", "", "Transfer-Encoding: chunked") + "2\r\n{}xx0\r\n\r\n", head("GET", "/v1/hub", "", "X: a\x00b"), head("GET", "/v1/hub", "", ": x"),
	} {
		r.still(request, func() {
			c := r.dial()
			c.write(request + hidden)
			got := c.read("POST", "/v1/accounts")
			if got.status != 400 {
				t.Errorf("%q: %d %.200s", request, got.status, got.body)
				return
			}
			got.refused(400, "malformed_request", "HTTP")
			if !c.closed() {
				t.Errorf("%q: the connection goes on", request)
			}
		})
	}
}

// TestSlowRequests: who does not send in time is told so, and his connection closed.
func TestSlowRequests(t *testing.T) {
	r := setup{api: api.Config{RequestTimeout: 150 * time.Millisecond}}.rig(t)
	a := r.user(1000)
	for _, part := range []string{head("POST", "/v1/transfers", a.token, asJSON, "Content-Length: 100") + `{"id":`, "POST /v1/transfers HTTP/1.1\r\nHost", "POST /v1/tr",
		head("POST", "/v1/transfers", a.token, asJSON, "Transfer-Encoding: chunked") + "10\r\n{"} {
		r.still(part, func() {
			c := r.dial()
			start := time.Now()
			c.write(part)
			c.read("POST", "/v1/transfers").refused(408, "request_timeout", "time").has(object{"retryable": true})
			if took := time.Since(start); took < 100*time.Millisecond || took > 5*time.Second || !c.closed() {
				t.Errorf("after %v", took)
			}
		})
	}
	c := r.dial() // byte by byte is no way around it
	for start, request := time.Now(), head("GET", "/v1/hub", ""); len(request) > 1 && time.Since(start) < 400*time.Millisecond; request = request[1:] {
		c.write(request[:1])
		time.Sleep(20 * time.Millisecond)
	}
	c.read("GET", "/v1/accounts/"+a.account).refused(408, "request_timeout", "time")
}

// TestKeepAlive: many requests on one connection, good and bad in turns, pipelined too.
func TestKeepAlive(t *testing.T) {
	r := newRig(t)
	a := r.user(1000)
	c := r.dial()
	self := "/v1/accounts/" + a.account
	for range 3 {
		c.write(head("GET", self, a.token) + head("GET", self, "x") + head("POST", "/v1/transfers", a.token, asJSON, "Content-Length: 1") + "{" + head("GET", "/healthz", ""))
		c.read("GET", self).want(200)
		c.read("GET", self).refused(401, "token_invalid", "token")
		c.read("POST", "/v1/transfers").refused(400, "malformed_body", "JSON")
		c.read("GET", "/healthz").want(200)
	}
}

// TestChunkedIsLast: a request whose body came in chunks is the last one on its connection, so that what a proxy took for the
// rest of the body is never answered as a request of its own.
func TestChunkedIsLast(t *testing.T) {
	r := newRig(t)
	for _, head := range []string{
		"POST /v1/accounts HTTP/1.1\r\nHost: hub\r\nContent-Length: 43\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /v1/accounts HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\nContent-Length: 43\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: hub\r\nContent-Length: 43\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		c, err := net.Dial("tcp", r.addr)
		r.must(err)
		defer c.Close()
		r.must(c.SetDeadline(time.Now().Add(10 * time.Second)))
		_, err = c.Write([]byte(head + "0\r\n\r\nGET /v1/hub HTTP/1.1\r\nHost: hub\r\n\r\n"))
		r.must(err)
		all, err := io.ReadAll(c) // ends when the hub closes
		r.must(err)
		if n := bytes.Count(all, []byte("HTTP/1.1 ")); n != 1 {
			t.Errorf("%d answers to\n%s%s", n, head, all)
		}
	}
}
