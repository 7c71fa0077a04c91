package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/rates"
	"github.com/millrace/millrace/ledger"
	"github.com/prometheus/client_golang/prometheus"
)

// pricing is what keeps the ledger's rates up to date, where there are sources. The zero value does nothing.
type pricing struct {
	desk   *rates.Desk // nil: there are no sources
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// startPricing begins to ask the sources of a configuration.
func startPricing(cfg config, h *hub.Hub, log *slog.Logger) (p *pricing, err error) {
	p = &pricing{}
	if cfg.Rates.off() {
		return p, nil
	}
	c := cfg.Rates.desk(cfg.Dev)
	c.Ledger, c.Logger, c.Clock = rateBook{h}, log, h.Now
	if p.desk, err = rates.New(c); err != nil {
		return p, usage("%w", err)
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	p.ended.Go(func() { p.desk.Run(ctx) })
	return p, nil
}

func (p *pricing) collectors() []prometheus.Collector {
	if p.desk == nil {
		return nil
	}
	return p.desk.Collectors()
}

// close ends the asking. A rate that is being set is set.
func (p *pricing) close() {
	if p.cancel != nil {
		p.cancel()
		p.ended.Wait()
	}
}

// rateBook is the hub's ledger as a place for rates.
type rateBook struct{ hub *hub.Hub }

func (b rateBook) Rate(code currency.Code) (rates.Rate, bool) {
	r, ok := b.hub.Rate(ledger.Currency(code))
	return rates.Rate{Currency: code, Msat: uint64(r.Msat), Until: time.Unix(int64(r.Until), 0)}, ok
}

func (b rateBook) SetRate(r rates.Rate) error {
	a, err := b.hub.SetRate(ledger.Currency(r.Currency), ledger.Msat(r.Msat), uint32(r.Until.Unix()))
	if err == nil && !a.Result().OK() {
		err = fmt.Errorf("the ledger refuses the rate: %v", a.Result())
	}
	return err
}
