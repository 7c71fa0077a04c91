package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
	"github.com/millrace/millrace/channels/lightning"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/api/lndhub"
	"github.com/millrace/millrace/hub/api/lnurlp"
	"github.com/millrace/millrace/hub/nwc"
	"github.com/millrace/millrace/ledger"
)

// wallets are how wallets of others pay and are paid: lightning addresses, LNURLs, LndHub, and Nostr Wallet Connect. Its zero value is none.
type wallets struct {
	client *lnurl.Client // asks other services
	names  *lnurl.Names
	desk   *lnurl.Desk
	links  *lnurl.Links
	lndhub *lndhub.Handler
	nwc    *nwc.Service // nil: there are no relays

	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// sweepEvery is the time between two looks at LNURLs for withdrawals that are taken and not paid.
const sweepEvery = time.Minute

// openClient makes what resolves lightning addresses, LNURLs and payment URIs, for the rails to be made with.
func (w *wallets) openClient(origin string, dev bool, c *channels.Config, lnd *lightning.Client, network string) error {
	u, err := url.Parse(origin)
	if err != nil {
		return usage("origin: %w", err)
	}
	w.names = lnurl.NewNames(c.Records, nil)
	w.client, err = lnurl.NewClient(lnurl.ClientConfig{Parser: lnurl.Parser{Hosts: []string{strings.ToLower(u.Host)}, Development: dev}, Decode: lnd.Decode})
	if err != nil {
		return err
	}
	chainOf, err := chain.ParseNetwork(network)
	if err != nil {
		return usage("network: %w", err)
	}
	c.Resolve = func(ctx context.Context, to string, amount ledger.Msat) (string, error) {
		text, err := w.resolve(ctx, chainOf, to, amount)
		if err != nil && !errors.Is(err, channels.ErrAmount) && !errors.Is(err, channels.ErrNetwork) {
			err = fmt.Errorf("%w: %w", channels.ErrTarget, err)
		}
		return text, err
	}
	return nil
}

// resolve makes an invoice, an address or an account of a text.
func (w *wallets) resolve(ctx context.Context, n chain.Network, to string, amount ledger.Msat) (string, error) {
	if len(to) > 8 && strings.EqualFold(to[:8], "bitcoin:") {
		return ofURI(n, to, amount)
	}
	t, err := w.client.Parse(to)
	if err != nil {
		return "", err
	}
	if t.Name != "" {
		no, err := w.names.Account(t.Name)
		return no.String(), err
	}
	offer, err := w.client.Resolve(ctx, t)
	if err != nil {
		return "", err
	}
	if amount == 0 && offer.Min == offer.Max {
		amount = offer.Min
	}
	if amount == 0 {
		return "", fmt.Errorf("%w: nobody says how much", channels.ErrAmount)
	}
	bill, err := w.client.Invoice(ctx, offer, amount, "")
	return bill.Invoice.Text, err
}

// ofURI is the invoice in a payment URI, or else its address. What it asks for is not overruled.
func ofURI(n chain.Network, text string, amount ledger.Msat) (string, error) {
	u, err := n.ParseURI(text)
	switch {
	case err != nil:
		return "", err
	case u.Amount != 0 && amount != u.Amount:
		return "", fmt.Errorf("%w: the URI asks for %d msat", channels.ErrAmount, u.Amount)
	case u.Invoice != "":
		return u.Invoice, nil
	}
	return u.Address, nil
}

// mostFee is what a payment of a wallet that names no limit may cost: a hundredth, and ten satoshis for small ones.
func mostFee(amount ledger.Msat) ledger.Msat { return max(amount/100, 10_000) }

// open makes the services of the rails. node is the public key of lnd.
func (w *wallets) open(cfg config, h *hub.Hub, node string, r *rails, log *slog.Logger) (err error) {
	origin := h.Origin()
	u, err := url.Parse(origin)
	if err != nil {
		return usage("origin: %w", err)
	}
	teller := r.desk.Teller()
	w.desk, err = lnurl.NewDesk(lnurl.DeskConfig{Base: origin, Host: strings.ToLower(u.Host), Names: w.names, Records: r.records, Invoices: teller, Node: node})
	if err != nil {
		return err
	}
	w.links, err = lnurl.NewLinks(lnurl.LinksConfig{Base: origin, Records: r.records, Payer: teller, Decode: teller.Decode, Fee: mostFee, Logger: log})
	if err != nil {
		return err
	}
	info := func(ctx context.Context) (lndhub.Info, error) {
		n, err := r.lnd.Info(ctx)
		return lndhub.Info{Key: n.Key, Alias: n.Alias, Network: n.Network, Height: uint32(n.Height), Synced: n.Synced, Version: n.Version}, err
	}
	w.lndhub, err = lndhub.New(lndhub.Config{
		Records: r.records, Wallet: teller, History: teller, Decode: teller.Decode, Fee: mostFee, Info: info, Open: openFor(cfg.LndHubPartners, h),
		Prefix: "/lndhub", Logger: log,
	})
	return err
}

// openFor opens accounts for those whom partners send. Their only way to it is the login that they are given.
func openFor(partners string, h *hub.Hub) func(partner string) (ledger.AccountNo, error) {
	all := strings.FieldsFunc(partners, func(c rune) bool { return c == ',' || c == ' ' })
	return func(partner string) (ledger.AccountNo, error) {
		if !slices.Contains(all, partner) {
			return 0, lndhub.ErrPartner
		}
		a, _, err := h.OpenAccount()
		if err == nil && !a.Result().OK() {
			err = fmt.Errorf("opening an account: %v", a.Result())
		}
		return ledger.AccountNo(a.Object()), err
	}
}

// start takes up what is under way.
func (w *wallets) start(log *slog.Logger) {
	if w.nwc != nil {
		w.nwc.Start()
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.running.Go(func() {
		for {
			if err := w.links.Sweep(w.ctx); err != nil && w.ctx.Err() == nil {
				log.Warn("looking after LNURLs", "err", err)
			}
			select {
			case <-time.After(sweepEvery):
			case <-w.ctx.Done():
				return
			}
		}
	})
}

// moved is told of what is done: an invoice that was paid makes room for another one, and applications are notified. It returns at once.
func (w *wallets) moved(no ledger.AccountNo, i channels.Item) {
	if w.desk != nil && i.Incoming && i.State == channels.Settled {
		w.desk.Paid(i.Hash)
	}
	if w.nwc != nil {
		w.nwc.Moved(no, i)
	}
}

// mounts are what the API's server serves beside its own routes.
func (w *wallets) mounts(log *slog.Logger) (all []api.Mount) {
	if w.lndhub == nil {
		return nil
	}
	pages := lnurlp.New(lnurlp.Config{Desk: w.desk, Links: w.links, Logger: log})
	return []api.Mount{{Handles: lnurlp.Handles, Handle: pages.Handle}, {Handles: w.lndhub.Handles, Handle: w.lndhub.Handle}}
}

// offered are what accounts are offered by the API; nil: nothing, there is no Lightning node.
func (w *wallets) offered() *api.Wallets {
	if w.lndhub == nil {
		return nil
	}
	return &api.Wallets{Names: w.names, Desk: w.desk, Links: w.links, Logins: w.lndhub, Connections: w.nwc}
}

// close ends what asks the rails, before they end.
func (w *wallets) close() {
	if w.nwc != nil {
		w.nwc.Close()
	}
	if w.cancel != nil {
		w.cancel()
		w.running.Wait()
	}
	if w.lndhub != nil {
		w.lndhub.Close()
	}
	if w.client != nil {
		w.client.Close()
	}
}
