package network

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Moment is one of a call through a Switchboard.
type Moment string

const (
	Asked    Moment = "asked"    // the node has not got it yet
	Sent     Moment = "sent"     // the node has been given all of it, and has not answered
	Answered Moment = "answered" // the node has answered, and who asked has not heard it; of a stream, with each message
)

// Seen is told of each moment of each call, by its name: SendPaymentV2 of lnd, sendrawtransaction of btcd. The call stands still until it
// returns; the context is that of who asked. An error loses the call there: to who asked, the node is gone. Calls come at once, and so
// does Seen.
type Seen func(ctx context.Context, method string, m Moment) error

// Switchboard stands between a client and a node's RPC as a Proxy does, but knows the calls. It has the node's certificate and key, so that
// clients do not know. Of what a node answers it is told before the client, so whoever kills a client then, kills it between what the node
// has done and what the client knows.
type Switchboard struct {
	listen net.Listener
	server *http.Server
	base   *http.Transport
	ended  sync.WaitGroup
}

// Switchboard is one for lnd's gRPC.
func (l *Lightning) Switchboard(seen Seen) (*Switchboard, error) {
	return newSwitchboard(l.address, l.CertFile(), filepath.Join(l.process.Dir, "tls.key"), seen)
}

// Switchboard is one for btcd's RPC.
func (b *Bitcoin) Switchboard(seen Seen) (*Switchboard, error) {
	return newSwitchboard(b.address, b.CertFile(), filepath.Join(b.process.Dir, "rpc.key"), seen)
}

func newSwitchboard(node, cert, key string, seen Seen) (*Switchboard, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("a switchboard: the node's certificate: %w", err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		return nil, fmt.Errorf("a switchboard: the node's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s := &Switchboard{base: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, DisableCompression: true, IdleConnTimeout: time.Minute,
	}}
	if s.listen, err = net.Listen("tcp", loopback(0)); err != nil {
		return nil, fmt.Errorf("a switchboard: %w", err)
	}
	quiet := log.New(io.Discard, "", 0) // clients and nodes are killed here
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: node}) },
		Transport:     operator{s.base, seen},
		FlushInterval: -1, // messages of a stream go on at once
		ErrorLog:      quiet,
	}
	s.server = &http.Server{Handler: forward, ErrorLog: quiet, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	s.ended.Go(func() { _ = s.server.ServeTLS(s.listen, "", "") }) // it ends with Close
	return s, nil
}

// Address is what a client is told instead of the node's.
func (s *Switchboard) Address() string { return s.listen.Addr().String() }

// Close ends it with its connections, and with calls that stand still.
func (s *Switchboard) Close() error {
	err := s.server.Close()
	s.ended.Wait()
	s.base.CloseIdleConnections()
	return err
}

// operator makes the connections of a Switchboard.
type operator struct {
	base http.RoundTripper
	seen Seen
}

// errLost has httputil answer 502, which gRPC knows as a node that is not there, and which is no answer of btcd.
var errLost = errors.New("the call is lost")

// RoundTrip implements http.RoundTripper.
func (o operator) RoundTrip(r *http.Request) (*http.Response, error) {
	method, err := methodOf(r)
	if err != nil {
		return nil, err
	}
	at := func(m Moment) error {
		if err := o.seen(r.Context(), method, m); err != nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		return nil
	}
	if err := at(Asked); err != nil {
		return nil, err
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &notified{ReadCloser: r.Body, end: func() error { return at(Sent) }}
	}
	resp, err := o.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	// The first of an answer is waited for before its headers go on, so that a call can still be lost as a whole.
	first := bufio.NewReader(resp.Body)
	if _, err := first.Peek(1); err != nil && !errors.Is(err, io.EOF) {
		resp.Body.Close()
		return nil, err
	}
	if err := at(Answered); err != nil {
		resp.Body.Close()
		return nil, err
	}
	body := &notified{ReadCloser: struct {
		io.Reader
		io.Closer
	}{first, resp.Body}}
	fresh := false // what comes behind the first
	body.some = func() error {
		if !fresh {
			fresh = true
			return nil
		}
		return at(Answered)
	}
	resp.Body = body
	return resp, nil
}

// methodOf is the name of a call: the end of a gRPC's path, or what is in a request of btcd's.
func methodOf(r *http.Request) (string, error) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		return path.Base(r.URL.Path), nil
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, answerMost))
	if err != nil {
		return "", fmt.Errorf("reading a request: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	var call struct {
		Method string `json:"method"`
	}
	if err := json.Unmarshal(text, &call); err != nil {
		return "", fmt.Errorf("reading a request: %w", err)
	}
	return call.Method, nil
}

// notified tells of what is read of a body: of each part, and of its end. Both may be nil.
type notified struct {
	io.ReadCloser
	some, end func() error
}

func (n *notified) Read(b []byte) (int, error) {
	count, err := n.ReadCloser.Read(b)
	if count > 0 && n.some != nil {
		if failed := n.some(); failed != nil {
			return 0, failed
		}
	}
	if errors.Is(err, io.EOF) && n.end != nil {
		tell := n.end
		n.end = nil
		if failed := tell(); failed != nil {
			return count, failed
		}
	}
	return count, err
}
