package contract

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/healthz" {
			io.WriteString(w, `{"status":"fine"}`)
			return
		}
		w.Header().Set("Got", string(body))
		io.WriteString(w, transferResp)
	}))
	defer server.Close()
	var failures []error
	checker := newChecker(t)
	client := http.Client{Transport: Transport{Checker: checker, Fail: func(err error) { failures = append(failures, err) }}}

	request, _ := http.NewRequest("POST", server.URL+"/v1/transfers", strings.NewReader(transferReq))
	request.Header.Set("Authorization", "Bearer AgEIbWlsbHJhY2UC")
	request.Header.Set("Content-Type", "application/json")
	if got, body := do(t, &client, request); got.Get("Got") != transferReq || body != transferResp {
		t.Errorf("the exchange did not arrive as it was sent: %s, %s", got.Get("Got"), body)
	}
	if len(failures) != 0 || !slices.Equal(checker.Seen(), []string{"POST /v1/transfers"}) {
		t.Errorf("failures %v, seen %v", failures, checker.Seen())
	}

	request, _ = http.NewRequest("GET", server.URL+"/healthz", nil)
	if _, body := do(t, &client, request); body != `{"status":"fine"}` {
		t.Errorf("body %s", body)
	}
	if len(failures) != 1 || !strings.Contains(failures[0].Error(), "GET /healthz answered 200: response: body") {
		t.Errorf("failures %v", failures)
	}
}

func do(t *testing.T, client *http.Client, request *http.Request) (http.Header, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Header, string(body)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportErrors(t *testing.T) {
	lost := errors.New("connection lost")
	base := roundTripper(func(*http.Request) (*http.Response, error) { return nil, lost })
	transport := Transport{Base: base, Checker: newChecker(t), Fail: func(err error) { t.Errorf("checked: %v", err) }}
	request, _ := http.NewRequest("GET", "http://hub.example/healthz", nil)
	if _, err := transport.RoundTrip(request); !errors.Is(err, lost) {
		t.Errorf("error %v", err)
	}
	transport.Base = roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(io.LimitReader(endless{}, maxBody+1))}, nil
	})
	if _, err := transport.RoundTrip(request); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("error %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
