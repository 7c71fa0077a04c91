// Package api is the hub on HTTP: JSON under /v1, problems by RFC 9457, and batches in three encodings. The contract is
// openapi.yaml, which the server hands out and the integration tests hold every exchange against.
//
// A request becomes ledger ops on its own goroutine (route.go, body.go and a file for each noun), is submitted to the hub,
// and its answer is written when the ledger has it. Nothing of fasthttp's buffers is kept: an op is a value.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/rates"
	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

//go:embed openapi.yaml
var document []byte

// Document is the API's description, OpenAPI 3.1.
func Document() []byte { return document }

// The bounds of a request. A connection holds one request at a time: at most its body and headers, the ops (40 bytes each)
// and outcomes (24) of a batch, and an answer of some 80 bytes an op, 3.3 MiB in all. So the default of 1,024 connections
// holds 3.3 GiB if every one of them sends the largest of batches, and arraysAtOnce JSON arrays some 13 MiB each beside.
const (
	maxHeader    = 8 << 10   // bytes of request line and headers
	maxBody      = 192 << 10 // of anything but a batch; a registration's header of 64 KiB in base64 is the largest
	maxBatchBody = 2 << 20   // of a batch: 8,192 NDJSON ops of 256 bytes
	idleTimeout  = 90 * time.Second
	arraysAtOnce = 8 // JSON arrays are parsed as a whole, into six times their size: further ones wait
)

// Registration says who may open an account.
type Registration string

const (
	RegistrationOpen   Registration = "open"
	RegistrationInvite Registration = "invite"
	RegistrationClosed Registration = "closed"
)

// Config is what a server is made of. Only Hub must be set.
type Config struct {
	Hub            *hub.Hub
	Registration   Registration           // empty: open
	InviteCodes    []string               // each as good as the others, and as often as its holder likes
	MaxConnections int                    // open at a time, further ones are answered 503; 0: 1,024
	RequestTimeout time.Duration          // for a request to arrive and for its answer to leave; 0: 10 s
	Version        string                 // of the software; empty: "devel"
	TLS            *tls.Config            // nil: plain HTTP
	Logger         *slog.Logger           // nil: nowhere
	Backups        Backups                // nil: none are made
	Metrics        []prometheus.Collector // in /metrics beside the hub's own
	Webhooks       *webhook.Dispatcher    // nil: none
	Rates          *rates.Desk            // nil: rates are only those that the operator sets
	Rails          *channels.Rails        // nil: money moves inside only
	Audit          *audit.Auditor         // nil: there is no node to compare the books with
	Settle         *settle.Desk           // nil: nobody is settled; with Rails only
	Wallets        *Wallets               // nil: nobody has names, links, logins or connections; with Rails only
	Mounts         []Mount                // what is served beside the routes
	Nodes          []Node                 // that the rails go by
	MaxStreams     int                    // event streams and statements open at a time; 0: 256
}

// Validate fills in what is zero, and names what is wrong.
func (c *Config) Validate() error {
	if c.Registration == "" {
		c.Registration = RegistrationOpen
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 1024
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 256
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 10 * time.Second
	}
	if c.Version == "" {
		c.Version = "devel"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Hub == nil:
		return errors.New("api: no hub")
	case c.Registration != RegistrationOpen && c.Registration != RegistrationInvite && c.Registration != RegistrationClosed:
		return fmt.Errorf("api: registration %q: want open, invite or closed", c.Registration)
	case c.Registration == RegistrationInvite && len(c.InviteCodes) == 0:
		return errors.New("api: registration by invite, but no invite codes")
	case c.MaxConnections < 1 || c.RequestTimeout < 0 || c.MaxStreams < 1:
		return errors.New("api: connections, streams and timeout must be positive")
	}
	return nil
}

// Server is the hub on HTTP.
type Server struct {
	cfg      Config
	hub      *hub.Hub
	http     *fasthttp.Server
	calls    sync.Pool // of *call
	draining atomic.Bool
	stopping chan struct{} // closed by Shutdown
	stop     sync.Once
	streams  streams
	denials  denials
	arrays   chan struct{} // a token for each JSON array being parsed
	metrics  fasthttp.RequestHandler

	pingPause time.Duration // pingPause, but in tests

	nodes   []*watched
	life    context.Context // ends with Shutdown
	end     context.CancelFunc
	running sync.WaitGroup // of watch
	waiting chan struct{}  // a token for each request that waits for the rails
}

// New makes a server. Serve starts it.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, hub: cfg.Hub, arrays: make(chan struct{}, arraysAtOnce), stopping: make(chan struct{}), pingPause: pingPause,
		streams: streams{most: cfg.MaxStreams, of: make(map[ledger.AccountNo]int)},
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.waiting = make(chan struct{}, max(1, cfg.MaxConnections/waitingShare))
	s.calls.New = func() any { return &call{server: s, hub: s.hub} }
	for _, n := range cfg.Nodes {
		s.nodes = append(s.nodes, &watched{Node: n})
	}
	registry := prometheus.NewRegistry()
	for _, c := range s.collectors() {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("api: metrics: %w", err)
		}
	}
	s.metrics = metricsHandler(registry)
	s.http = newHTTP(cfg, s.handle)
	return s, nil
}

func (s *Server) collectors() []prometheus.Collector {
	all := append(s.hub.Collectors(), s.cfg.Metrics...)
	if s.cfg.Webhooks != nil {
		all = append(all, s.cfg.Webhooks.Collectors()...)
	}
	if s.cfg.Rails != nil {
		all = append(all, newRailsMetrics(s.cfg.Rails))
	}
	all = append(all, s.nodeMetrics()...)
	return append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_streams",
		Help: "Event streams and statements that are open."}, func() float64 { return float64(s.streams.count()) }))
}

// newHTTP sets every bound that fasthttp has.
func newHTTP(cfg Config, handler fasthttp.RequestHandler) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      handler,
		ErrorHandler:                 unreadable,
		HeaderReceived:               func(h *fasthttp.RequestHeader) fasthttp.RequestConfig { return bodyLimit(cfg.Hub, h) },
		NoDefaultServerHeader:        true,
		Concurrency:                  cfg.MaxConnections + spareWorkers,
		ReadBufferSize:               maxHeader,
		ReadTimeout:                  cfg.RequestTimeout,
		WriteTimeout:                 cfg.RequestTimeout,
		IdleTimeout:                  idleTimeout,
		MaxRequestBodySize:           maxBody,
		DisablePreParseMultipartForm: true,
		CloseOnShutdown:              true,
		Logger:                       quiet{cfg.Logger},
	}
}

// Serve answers requests until Shutdown, which makes it return nil.
func (s *Server) Serve(ln net.Listener) error {
	for _, w := range s.nodes {
		s.running.Go(func() { s.watch(w) })
	}
	ln = bounded{Listener: ln, open: s.http.GetOpenConnectionsCount, most: s.cfg.MaxConnections, tls: s.cfg.TLS != nil}
	if s.cfg.TLS != nil {
		ln = tls.NewListener(ln, s.cfg.TLS)
	}
	return s.http.Serve(ln)
}

// Shutdown stops accepting, lets the requests under way end, and returns. /readyz says no from the first moment. Event streams
// end at once, and statements that are not whole yet are cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.stop.Do(func() { close(s.stopping); s.end() })
	err := s.http.ShutdownWithContext(ctx)
	s.running.Wait() // what a node is asked ends with life
	return err
}

// Mount is an API of others', under paths that are none of ours: not below /v1/.
type Mount struct {
	Handles func(path string) bool
	Handle  fasthttp.RequestHandler
}

// mounted answers a request that is a mount's.
func (s *Server) mounted(ctx *fasthttp.RequestCtx) bool {
	if path := ctx.Path(); len(s.cfg.Mounts) == 0 || bytes.HasPrefix(path, []byte("/v1/")) {
		return false
	}
	for _, m := range s.cfg.Mounts {
		if m.Handles(string(ctx.Path())) {
			m.Handle(ctx)
			return true
		}
	}
	return false
}

// handle answers one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	if s.mounted(ctx) {
		return
	}
	c := s.calls.Get().(*call)
	c.ctx = ctx
	s.dispatch(c)
	if c.lost { // the batch is still on its way, and no longer ours
		return
	}
	c.reset()
	s.calls.Put(c)
}

// bodyLimit lets only batches be large, and files of payments of those who have a token. A connection on which a body came in chunks is not used again: what a proxy in front
// took for the rest of that body could be meant as the next request (RFC 9112, section 6.1).
func bodyLimit(known *hub.Hub, h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if h.ContentLength() == -1 || len(h.Peek(fasthttp.HeaderTransferEncoding)) > 0 {
		h.SetConnectionClose()
	}
	if string(h.RequestURI()) == "/v1/batches" {
		return fasthttp.RequestConfig{MaxRequestBodySize: maxBatchBody}
	}
	if isImport(string(h.RequestURI())) {
		if text, ok := strings.CutPrefix(string(h.Peek(fasthttp.HeaderAuthorization)), "Bearer "); ok {
			if _, err := known.Verify([]byte(text)); err == nil {
				return fasthttp.RequestConfig{MaxRequestBodySize: maxImportBody}
			}
		}
	}
	return fasthttp.RequestConfig{}
}

// unreadable answers what is no request, or too large or too slow a one.
func unreadable(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var timeout interface{ Timeout() bool }
	p := problem{status: 400, code: "malformed_request", detail: "this is not an HTTP/1.1 request"}
	switch {
	case errors.As(err, &small):
		p = problem{status: 431, code: "headers_too_large", detail: fmt.Sprintf("request line and headers take at most %d bytes", maxHeader)}
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		p = problem{status: 413, code: "body_too_large", detail: fmt.Sprintf("a batch takes at most %d bytes, a file of payments %d, any other body %d", maxBatchBody, maxImportBody, maxBody)}
	case errors.As(err, &timeout) && timeout.Timeout():
		p = problem{status: 408, code: "request_timeout", retryable: true, detail: "the request did not arrive whole in time"}
	}
	p.write(ctx)
	ctx.SetConnectionClose()
}

// quiet keeps what fasthttp has to say about single connections at the level of debugging, and to its fixed words: what it
// fills into them can quote the request, and a token with it.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, _ ...any) { q.log.Debug("http", "says", format) }
