package main

import (
	"context"
	"log/slog"
	"net/netip"
	"net/url"

	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/nwc"
	"github.com/millrace/millrace/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// isRelay says whether a relay can be used: by TLS, or in development by a loopback address of this machine. Which relays there are is the
// operator's choice alone, so that one in a network of his own is called, too; users are shown them, so that there is no password in one.
func isRelay(text string, dev bool) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	if u.Scheme == "ws" && dev {
		a, err := netip.ParseAddr(u.Hostname())
		return err == nil && a.Unmap().IsLoopback()
	}
	return u.Scheme == "wss"
}

// connect makes what applications reach through relays by Nostr Wallet Connect, if there are any. It calls nobody before start.
func (w *wallets) connect(cfg config, ring *keyring.Ring, r *rails, log *slog.Logger) (err error) {
	if len(cfg.NWCRelays) == 0 {
		return nil
	}
	teller := r.desk.Teller()
	w.nwc, err = nwc.New(nwc.Config{
		Records: r.records, Wallet: teller, History: teller, Decode: teller.Decode, Fee: mostFee,
		Relays: cfg.NWCRelays, Secret: ring.ConnectSecret(), Development: cfg.Dev, Logger: log,
		Info: func(ctx context.Context) (nwc.Info, error) {
			n, err := r.lnd.Info(ctx)
			if err != nil {
				return nwc.Info{}, err
			}
			return nwc.Info{Alias: n.Alias, Key: n.Key, Network: n.Network, Height: uint32(n.Height), Block: n.Block.TxID()}, nil
		},
		Address: func(no ledger.AccountNo) string {
			address, err := w.desk.Address(no)
			if err != nil {
				log.Warn("an account's lightning address", "err", err)
			}
			return address
		},
	})
	return ofData(err)
}

// collectors are the metrics of what serves wallets of others.
func (w *wallets) collectors() []prometheus.Collector {
	if w.nwc == nil {
		return nil
	}
	return w.nwc.Collectors()
}
