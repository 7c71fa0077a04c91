package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/channels/settle"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store/records"
	"github.com/prometheus/client_golang/prometheus"
)

// rails are the ways in and out of a hub, with the nodes that they go by. The zero value is none.
type rails struct {
	records *records.Records
	lnd     *lightning.Client // nil: nothing goes over Lightning
	btcd    *chain.Client     // nil: nothing goes on-chain
	desk    *channels.Rails
	settle  *settle.Desk
	audit   *audit.Auditor // nil: there is no node to compare the books with
	wallets wallets
	meter   meter

	following sync.WaitGroup
	unfollow  context.CancelFunc // ends what runs in following; nil: nothing does
}

// meter counts what came in and went out.
type meter struct{ items, msat *prometheus.CounterVec }

func newMeter() meter {
	labels := []string{"rail", "direction"}
	return meter{
		items: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_rails_moves_total", Help: "Deposits credited and payouts done since the process started."}, labels),
		msat:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "millrace_rails_moved_msat_total", Help: "Their money, in msat."}, labels),
	}
}

// moved is told of what is done.
func (m meter) moved(_ ledger.AccountNo, i channels.Item) {
	if i.State != channels.Settled {
		return
	}
	direction := "out"
	if i.Incoming {
		direction = "in"
	}
	m.items.WithLabelValues(string(i.Rail), direction).Inc()
	m.msat.WithLabelValues(string(i.Rail), direction).Add(float64(i.Amount))
}

// moved passes on what an account's money has done. Nobody of them waits for anything, or asks the rails: see channels.Config.
func (r *rails) moved(no ledger.AccountNo, i channels.Item) {
	r.meter.moved(no, i)
	r.wallets.moved(no, i)
}

// firstMeeting is how long a hub waits for its node the first time, when it learns which one it is.
const firstMeeting = 30 * time.Second

// openRails opens the records and makes clients of the nodes. Nothing moves before start.
func openRails(ctx context.Context, cfg config, h *hub.Hub, ring *keyring.Ring, log *slog.Logger, fatal func(error)) (r *rails, err error) {
	r = &rails{}
	r.records, err = records.Open(records.Options{Dir: filepath.Join(cfg.Data, railsName), Create: true, Logger: log, Fatal: fatal})
	if err != nil {
		return r, ofData(err)
	}
	r.meter = newMeter()
	c := channels.Config{
		Moved:   r.moved,
		Records: r.records, Ledger: h.Book(), Secret: ring.KeysendSecret(), Logger: log, Fatal: fatal,
		Policy: channels.Policy{BatchEvery: cfg.BatchEvery.Duration},
	}
	if cfg.LndAddress != "" {
		if err := r.meet(ctx, cfg, &c, log); err != nil {
			return r, err
		}
	}
	if cfg.BtcdAddress != "" {
		if err := r.watch(cfg, &c); err != nil {
			return r, err
		}
	}
	if r.lnd != nil {
		if err := r.wallets.openClient(h.Origin(), cfg.Dev, &c, r.lnd, cfg.Network); err != nil {
			return r, err
		}
	}
	if r.settle, err = r.openSettlement(c, log, fatal); err != nil {
		return r, ofData(err)
	}
	c.Gate = r.gate
	if r.desk, err = channels.New(c); err != nil || r.lnd == nil {
		return r, err
	}
	if err := r.wallets.open(cfg, h, c.Node, r, log); err != nil {
		return r, err
	}
	if err := r.wallets.connect(cfg, ring, r, log); err != nil {
		return r, err
	}
	r.audit, err = audit.New(audit.Config{
		Store: r.records, Ledger: c.Ledger, Node: r.lnd, History: r.lnd, Records: r.desk, Archive: r.desk, Alarms: r.desk, Changed: r.desk.Wake, Logger: log,
	})
	return r, err
}

// gate says whether a payout may be made: not while the books do not agree, and not past the operator's caps.
func (r *rails) gate(p channels.Payout) error {
	if r.audit != nil {
		if err := r.audit.Stopped(); err != nil {
			return err
		}
	}
	return r.settle.Gate().Check(p)
}

// freshFor is how old a comparison of the books may be that a settlement run begins by.
const freshFor = time.Minute

// ready says whether a settlement run may begin.
func (r *rails) ready(ctx context.Context) error {
	if p, paused := r.desk.Paused(); paused {
		return fmt.Errorf("%w: %s", channels.ErrPaused, p.Reason)
	}
	if r.audit == nil {
		return nil
	}
	return r.audit.Fresh(ctx, freshFor)
}

// openSettlement opens the desk that pays accounts by run, whose gate keeps the operator's caps.
func (r *rails) openSettlement(c channels.Config, log *slog.Logger, fatal func(error)) (*settle.Desk, error) {
	nodes := &settle.Nodes{Script: c.Script, Dust: c.Dust}
	if r.lnd != nil {
		nodes.Decode, nodes.Assets = r.lnd.Decode, r.lnd.Assets
	}
	if r.btcd != nil {
		nodes.FeeRate = c.Watcher.FeeRate
	}
	return settle.Open(settle.Config{Ready: r.ready, Records: c.Records, Ledger: c.Ledger, Network: nodes, Market: nodes.Market, Logger: log, Fatal: fatal})
}

// start takes up what is under way, and keeps an eye on the books and on the backups of lnd's channels.
func (r *rails) start(data string, log *slog.Logger) error {
	if err := r.desk.Start(); err != nil {
		return ofData(err)
	}
	r.settle.Start(r.desk)
	if r.wallets.links != nil {
		r.wallets.start(log)
	}
	if r.audit == nil {
		return nil
	}
	var ctx context.Context
	ctx, r.unfollow = context.WithCancel(context.Background())
	r.following.Go(func() { r.audit.Run(ctx) })
	keeper := &audit.Keeper{Dir: filepath.Join(data, channelsName), Node: r.lnd, Logger: log}
	r.following.Go(func() {
		if err := keeper.Run(ctx); err != nil && ctx.Err() == nil {
			log.Error("lnd's channel backups are not kept any more", "err", err)
		}
	})
	return nil
}

// meet makes the client of lnd. The books of a ledger are about one node: the first that the hub meets, whose key it writes down.
func (r *rails) meet(ctx context.Context, cfg config, c *channels.Config, log *slog.Logger) (err error) {
	lnd := lightning.Config{
		Address: cfg.LndAddress, Certificate: cfg.LndTLSCertFile, Macaroon: cfg.LndMacaroonFile, Network: cfg.Network, Logger: log,
	}
	path := filepath.Join(cfg.Data, nodeName)
	known, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ofData(err)
	}
	lnd.Node = strings.TrimSpace(string(known))
	if r.lnd, err = lightning.New(lnd); err != nil {
		return usage("%w", err)
	}
	if lnd.Node == "" {
		if lnd.Node, err = introduce(ctx, r.lnd, cfg.Network); err != nil {
			return usage("the hub has to find its node at lnd_address once: %w", err)
		}
		if err := replaceFile(path, lnd.Node+"\n"); err != nil {
			return ofData(err)
		}
		log.Info("this is the hub's node from now on", "node", lnd.Node, "network", cfg.Network)
	}
	c.Payer, c.Receiver, c.Node = r.lnd, r.lnd, lnd.Node
	return nil
}

// introduce asks a node who it is until it answers.
func introduce(ctx context.Context, lnd *lightning.Client, network string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, firstMeeting)
	defer cancel()
	for {
		n, err := lnd.Info(ctx)
		switch {
		case err == nil && n.Network != network:
			return "", fmt.Errorf("it is on %s, and network says %s", n.Network, network)
		case err == nil:
			return n.Key, nil
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(time.Second):
		}
	}
}

// watch makes the client of btcd, and has the node's wallet pay on-chain.
func (r *rails) watch(cfg config, c *channels.Config) error {
	network, err := chain.ParseNetwork(cfg.Network)
	if err != nil {
		return usage("network: %w", err)
	}
	b := chain.Config{Network: network, Address: cfg.BtcdAddress, User: cfg.BtcdUser}
	password, err := readSmall(cfg.BtcdPasswordFile)
	if err != nil {
		return usage("btcd_password_file: %w", err)
	}
	b.Password = strings.TrimSpace(string(password))
	if cfg.BtcdCertFile != "" {
		if b.Cert, err = readSmall(cfg.BtcdCertFile); err != nil {
			return usage("btcd_cert_file: %w", err)
		}
	}
	if r.btcd, err = chain.New(b); err != nil {
		return usage("btcd: %w", err)
	}
	c.Watcher, c.Wallet, c.Purse = r.btcd, r.lnd, r.lnd
	c.Tip = func(ctx context.Context) (int64, error) {
		tip, err := r.btcd.Tip(ctx)
		return tip.Height, err
	}
	c.Script = network.Script
	c.Dust = func(script []byte) channels.Sat { return chain.Dust(script, chain.RelayRate) }
	c.Replace = chain.Replace
	return nil
}

// nodes are what the hub looks after.
func (r *rails) nodes() (all []api.Node) {
	if r.lnd != nil {
		all = append(all, api.Node{Name: "lnd", Ask: func(ctx context.Context) error {
			n, err := r.lnd.Info(ctx)
			if err == nil && !n.Synced {
				err = api.ErrBehind
			}
			return err
		}})
	}
	if r.btcd != nil {
		all = append(all, api.Node{Name: "btcd", Ask: r.btcd.Check})
	}
	return all
}

// close stops what moves, and then lets go of the nodes. What is open goes on at the next start.
func (r *rails) close() error {
	r.wallets.close()
	if r.unfollow != nil {
		r.unfollow()
		r.following.Wait()
	}
	if r.settle != nil {
		r.settle.Close()
	}
	if r.desk != nil {
		r.desk.Close()
	}
	var errs []error
	if r.lnd != nil {
		errs = append(errs, r.lnd.Close())
	}
	if r.btcd != nil {
		r.btcd.Close()
	}
	if r.records != nil {
		errs = append(errs, ofData(r.records.Close()))
	}
	return errors.Join(errs...)
}
