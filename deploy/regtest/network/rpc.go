package network

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// answerMost bounds what btcd may answer: a block of 4 MB, in hex.
const answerMost = 16 << 20

// rpc asks btcd by JSON-RPC over HTTPS.
type rpc struct {
	url, user, password string
	client              *http.Client
}

// newRPC needs the certificate that btcd makes when it starts the first time.
func newRPC(address, user, password, cert string) (*rpc, error) {
	pem, err := os.ReadFile(cert)
	if err != nil {
		return nil, fmt.Errorf("btcd's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("btcd's certificate is not whole") // it may be being written
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Minute}
	return &rpc{url: "https://" + address, user: user, password: password, client: &http.Client{Transport: transport}}, nil
}

// rpcError is what btcd refuses with.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// call asks one thing. result is a pointer, or nil.
func (r *rpc) call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("btcd %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("btcd %s: %w", method, err)
	}
	req.SetBasicAuth(r.user, r.password)
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("btcd %s: %w", method, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return fmt.Errorf("btcd %s: %w", method, err)
	}
	var a struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("btcd %s: %s: %w", method, resp.Status, err)
	}
	if a.Error != nil {
		return fmt.Errorf("btcd %s: %w", method, a.Error)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return fmt.Errorf("btcd %s: %w", method, err)
	}
	return nil
}
