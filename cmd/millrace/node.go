package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
	"github.com/millrace/millrace/ledger/store/rebuild"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// node is a hub with all that it stands on. Its fields are set in this order, and stopped in the other.
type node struct {
	store    *store.Store
	listener net.Listener
	tls      *tls.Config // nil: plain HTTP
	index    *index.Index
	hub      *hub.Hub
	started  bool     // the hub owns the store and the index
	pricing  *pricing // nil: not started yet
	rails    *rails   // nil: not open yet
	webhooks *webhook.Dispatcher
	admin    *http.Server
	server   *api.Server
	operator string // file of the operator's token; empty: none
}

// startNode opens, recovers and wires a hub, up to where it could serve. On an error the node is what has to be stopped.
func (a *app) startNode(ctx context.Context, cfg config, log *slog.Logger) (*node, error) {
	n := &node{}
	running := new(atomic.Pointer[hub.Hub]) // the store is open before there is a hub
	die := func(err error) {
		err = mendable(err)
		if f := classify(err); f.exit == exitData {
			log.Error("ending the process", "err", err)
			a.exit(exitData)
			return
		}
		log.Error("ending the process: a restart recovers what is durable", "err", err)
		a.exit(exitInternal)
	}
	fatal := func(err error) {
		if h := running.Load(); h != nil {
			h.Fail(err)
			return
		}
		die(err)
	}
	data, err := filepath.Abs(cfg.Data) // the hub tells where its backups lie
	if err != nil {
		return n, usage("data: %w", err)
	}
	n.store, err = store.Open(store.Options{
		Dir: data, WALDir: cfg.WALDir, CheckpointEvery: cfg.snapshotEvery(), DiskReserve: cfg.DiskReserveBytes, Logger: log, Fatal: fatal,
		Committed: func(blocks, bytes int, took time.Duration) { running.Load().Committed(blocks, bytes, took) },
	})
	if err != nil {
		return n, ofData(err)
	}
	if err := rebuild.Clear(n.store.FS(), filepath.Join(data, "index")); err != nil {
		return n, ofData(err)
	}
	ring, err := openRing(cfg)
	if err != nil {
		return n, err
	}
	var origin string
	if n.listener, origin, err = listen(cfg); err != nil {
		return n, err
	}
	if err := n.encrypt(cfg); err != nil {
		return n, err
	}
	if n.index, err = openIndex(cfg, n.store, ring, fatal, running, log); err != nil {
		return n, ofData(err)
	}
	n.hub, err = hub.New(hub.Config{
		Params: n.store.Params(), Index: n.index, Ring: ring, Origin: origin, Vouchers: voucher.Verifier{Origin: origin}, Dev: cfg.Dev, MaxQueueOps: cfg.MaxQueueOps, Logger: log, Fatal: die,
		Liabilities: filepath.Join(cfg.Data, "liabilities"), EpochEvery: cfg.LiabilitiesEvery.Duration,
	})
	if err != nil {
		return n, usage("%w", err)
	}
	running.Store(n.hub)
	if err := n.store.Start(ctx, n.hub.Machine(), n.index); err != nil {
		return n, ofData(err)
	}
	n.hub.Start(n.store)
	n.started = true
	if n.pricing, err = startPricing(cfg, n.hub, log); err != nil {
		return n, err
	}
	if n.rails, err = openRails(ctx, cfg, n.hub, ring, log, fatal); err != nil {
		return n, err
	}
	if err := n.rails.start(data, log); err != nil {
		return n, err
	}
	n.hub.WatchLag(n.store.Lag)
	n.hub.WatchSpace(n.store.Space)
	return n, n.wire(cfg, log)
}

// openIndex opens what is derived from the log, or makes it anew: the replay fills it.
func openIndex(cfg config, s *store.Store, ring *keyring.Ring, fatal func(error), running *atomic.Pointer[hub.Hub], log *slog.Logger) (*index.Index, error) {
	return index.Open(index.Options{
		Dir: filepath.Join(cfg.Data, "index"), FS: s.FS(), IDKeep: s.Params().IDWindow, Notary: hub.NewNotary(ring), Logger: log, Fatal: fatal,
		Flushed: func(index, seq uint64) { running.Load().Indexed(index, seq) },
	})
}

// snapshotEvery turns "only a graceful stop" into a number that no log reaches: to the store, zero is its default.
func (c *config) snapshotEvery() int64 {
	if c.SnapshotEveryBytes == 0 {
		return 1<<63 - 1
	}
	return c.SnapshotEveryBytes
}

func (n *node) encrypt(cfg config) error {
	if cfg.TLSCertFile == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.TLSCertFile, cfg.TLSKeyFile)
	if err != nil {
		return usage("TLS: %w", err)
	}
	n.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	return nil
}

// wire puts the webhooks, the API, the admin listener and the operator's token around a running hub.
func (n *node) wire(cfg config, log *slog.Logger) (err error) {
	n.webhooks, err = webhook.New(webhook.Config{
		Path: filepath.Join(cfg.Data, "webhooks.json"), Source: n.hub, Contents: n.hub.ContentID, Development: cfg.Dev, Logger: log,
	})
	if err != nil {
		return ofData(err)
	}
	n.webhooks.Start()
	n.server, err = api.New(api.Config{
		Hub: n.hub, Registration: api.Registration(cfg.Registration), InviteCodes: cfg.InviteCodes,
		Webhooks: n.webhooks, Rates: n.pricing.desk, Rails: n.rails.desk, Settle: n.rails.settle, Audit: n.rails.audit, Wallets: n.rails.wallets.offered(), Mounts: n.rails.wallets.mounts(log), Nodes: n.rails.nodes(), MaxConnections: cfg.MaxConnections, MaxStreams: cfg.MaxStreams, RequestTimeout: cfg.RequestTimeout.Duration, Version: buildVersion(), Logger: log, TLS: n.tls, Backups: backups{n.store, n.index, cfg.Data, n.rails.records},
		Metrics: append(append(n.rails.collectors(), n.pricing.collectors()...), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	})
	if err != nil {
		return err
	}
	if cfg.Dev {
		text, err := n.hub.OperatorToken()
		if err != nil {
			return err
		}
		n.operator = filepath.Join(cfg.Data, "operator.token")
		if err := replaceFile(n.operator, text+"\n"); err != nil {
			return err
		}
	}
	return n.profile(cfg, log)
}

// profile serves pprof on a loopback address.
func (n *node) profile(cfg config, log *slog.Logger) error {
	if cfg.AdminListen == "" {
		return nil
	}
	ln, err := net.Listen("tcp", cfg.AdminListen)
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	n.admin = &http.Server{Handler: mux, ReadHeaderTimeout: cfg.RequestTimeout.Duration}
	log.Info("profiling", "listen", ln.Addr().String())
	go func() { _ = n.admin.Serve(ln) }() // it ends with Close, and is not worth ending the hub for
	return nil
}

// stop takes down what was started: no more requests, those under way answered, a snapshot, the folder released.
func (n *node) stop(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	if n.server != nil {
		errs = append(errs, n.server.Shutdown(ctx))
	}
	if n.listener != nil {
		if err := n.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if n.admin != nil {
		errs = append(errs, n.admin.Close())
	}
	if n.webhooks != nil {
		errs = append(errs, n.webhooks.Close()) // before the hub, whose history it reads
	}
	if n.rails != nil {
		errs = append(errs, n.rails.close()) // before the hub, whose ledger they move
	}
	if n.pricing != nil {
		n.pricing.close() // before the hub, too
	}
	switch {
	case n.started:
		errs = append(errs, ofData(n.hub.Close(ctx)))
	default:
		if n.store != nil {
			errs = append(errs, ofData(n.store.Close()))
		}
		if n.index != nil {
			errs = append(errs, ofData(n.index.Close()))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
