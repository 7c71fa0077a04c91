package contract

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// maxBody bounds what Transport keeps of one request or response; the largest body of the document, a JSON batch of
// 8,192 unlocks, is about 1 MiB.
const maxBody = 16 << 20

// Transport checks every exchange that passes through it and leaves it as it was. A stream of events is checked as far as it was read
// when it ends or is closed, any other answer before its caller gets it.
type Transport struct {
	Base    http.RoundTripper // carries the exchange; nil means http.DefaultTransport
	Checker *Checker          // must be set
	Fail    func(error)       // called with what Check found, on the caller's or the reader's goroutine; must be set
}

// RoundTrip implements http.RoundTripper. An exchange that did not happen is not checked.
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	reqBody, err := readBody(req.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the request's body: %w", err)
	}
	if reqBody != nil {
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(reqBody))
	}
	resp, err := base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if mediaType(resp.Header) == eventsType {
		t.follow(req, reqBody, resp)
		return resp, nil
	}
	respBody, err := readBody(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the response's body: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(respBody))
	if err := t.Checker.Check(req.Method, req.URL.RequestURI(), req.Header, reqBody, resp.StatusCode, resp.Header, respBody); err != nil {
		t.Fail(err)
	}
	return resp, nil
}

// readBody reads a body whole and closes it. No body is nil.
func readBody(body io.ReadCloser) ([]byte, error) {
	if body == nil || body == http.NoBody {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && len(data) > maxBody {
		err = fmt.Errorf("more than %d bytes", maxBody)
	}
	return data, err
}
