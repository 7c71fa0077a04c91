package rates

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/hub/currency"
)

// Ledger is where rates are kept that are priced by.
type Ledger interface {
	// Rate is a currency's newest, stale or not; false: it has none.
	Rate(currency.Code) (Rate, bool)
	// SetRate sets a new one, and returns when it is durable.
	SetRate(Rate) error
}

// Rate is what a currency costs.
type Rate struct {
	Currency currency.Code
	Msat     uint64    // for a million units, 1 to MaxRate
	Until    time.Time // the ledger prices by it until then
}

// Desk asks the sources, and sets rates. Its methods may be called by any goroutine, but rounds are one after the other.
type Desk struct {
	cfg     Config
	sources []source
	metrics *metrics
	round   sync.Mutex

	mu    sync.Mutex
	state map[currency.Code]*state
}

// source is one with what it takes to ask it.
type source struct {
	*Source
	read func(context.Context) ([]reading, error)
	end  func()
}

// state is what is known about a currency.
type state struct {
	voices map[string]voice  // the newest of each source, fresh or not
	errs   map[string]string // what is wrong with a source's last answer
	held   hold
	err    error // why the last round had no rate
}

// New makes a desk. It asks nobody before Run.
func New(c Config) (*Desk, error) {
	c.Sources = slices.Clone(c.Sources)
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("rates: %w", err)
	}
	if c.Ledger == nil {
		return nil, errors.New("rates: no ledger")
	}
	d := &Desk{cfg: c, state: make(map[currency.Code]*state)}
	for i := range d.cfg.Sources {
		s := source{Source: &d.cfg.Sources[i], end: func() {}}
		if s.URL == "" {
			s.read = s.readFile
		} else {
			p := newPage(s.Source, &d.cfg)
			s.read, s.end = p.read, p.client.CloseIdleConnections
		}
		d.sources = append(d.sources, s)
		for _, code := range s.Currencies {
			if d.state[code] == nil {
				d.state[code] = &state{voices: make(map[string]voice), errs: make(map[string]string)}
			}
		}
	}
	d.metrics = newMetrics(d)
	return d, nil
}

// Run asks at once and then again and again, until the context ends.
func (d *Desk) Run(ctx context.Context) {
	for d.Round(ctx); ctx.Err() == nil; d.Round(ctx) {
		select {
		case <-ctx.Done():
		case <-d.cfg.After(d.cfg.Every):
		}
	}
	for _, s := range d.sources {
		s.end()
	}
}

// Round asks each source once, all at the same time, and sets the rates that moved or are about to become stale.
func (d *Desk) Round(ctx context.Context) {
	d.round.Lock()
	defer d.round.Unlock()
	if ctx.Err() != nil {
		return
	}
	var asking sync.WaitGroup
	for _, s := range d.sources {
		asking.Go(func() {
			found, err := s.read(ctx)
			if ctx.Err() == nil {
				d.heard(s, found, err)
			}
		})
	}
	asking.Wait()
	for _, code := range d.Currencies() {
		if ctx.Err() != nil {
			return
		}
		d.settle(code)
	}
}

// Currencies are those that there are sources for, in the order of their letters.
func (d *Desk) Currencies() []currency.Code {
	codes := make([]currency.Code, 0, len(d.state))
	for code := range d.state {
		codes = append(codes, code)
	}
	slices.SortFunc(codes, func(a, b currency.Code) int { return strings.Compare(a.String(), b.String()) })
	return codes
}

// ahead is how far a source's clock may be before ours.
const ahead = time.Minute

// heard keeps what a source said. What it did not say now, it may have said before.
func (d *Desk) heard(s source, found []reading, err error) {
	now := d.cfg.Clock()
	d.mu.Lock()
	defer d.mu.Unlock()
	said := make(map[currency.Code]bool)
	for _, r := range found {
		text := ""
		if r.at.After(now.Add(ahead)) {
			text = fmt.Sprintf("its time is %v from now", r.at.Sub(now).Round(time.Second))
		} else if d.state[r.currency].voices[s.Name] = (voice{s.Name, r}); now.Sub(r.at) > s.Stale {
			text = fmt.Sprintf("it is of %v ago", now.Sub(r.at).Round(time.Second))
		}
		d.tell(s.Name, r.currency, text)
		said[r.currency] = true
	}
	for _, code := range s.Currencies {
		if text := "nothing was said"; !said[code] {
			if err != nil {
				text = err.Error()
				text = strings.ToValidUTF8(text[:min(len(text), maxError)], "\ufffd")
			}
			d.tell(s.Name, code, text)
		}
	}
}

// tell keeps how a source did, and logs it when it is something else than before. d.mu must be held.
func (d *Desk) tell(name string, code currency.Code, text string) {
	st := d.state[code]
	before, known := st.errs[name]
	st.errs[name] = text
	log := d.cfg.Logger.With("source", name, "currency", code.String())
	switch {
	case text == "":
		d.metrics.read.WithLabelValues(name, "read").Inc()
		if before != "" {
			log.Info("a source of rates can be read again")
		}
		return
	case !known || before == "":
		log.Warn("a source of rates cannot be read", "err", text)
	}
	d.metrics.read.WithLabelValues(name, "failed").Inc()
}

// settle judges a currency, and sets its rate if there is a reason to.
func (d *Desk) settle(code currency.Code) {
	now := d.cfg.Clock()
	last, _ := d.cfg.Ledger.Rate(code)
	d.mu.Lock()
	st := d.state[code]
	v, err := d.cfg.judge(last.Msat, d.fresh(st, now), &st.held)
	d.mu.Unlock()
	if err == nil && d.due(last, v.msat, now) {
		err = d.cfg.Ledger.SetRate(Rate{Currency: code, Msat: v.msat, Until: now.Add(d.cfg.Valid)})
		if err == nil {
			d.cfg.Logger.Info("a rate is set", "currency", code.String(), "msat_per_million", v.msat, "before", last.Msat, "sources", v.sources)
		}
	}
	d.mu.Lock()
	changed := (err == nil) != (st.err == nil) || err != nil && reasonOf(err) != reasonOf(st.err)
	st.err = err
	d.mu.Unlock()
	if err != nil && changed {
		d.cfg.Logger.Warn("there is no new rate", "currency", code.String(), "err", err)
	}
}

// reasonOf is an error without what changes from round to round.
func reasonOf(err error) error {
	for _, known := range [...]error{ErrFew, ErrApart, ErrHeld} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// fresh are the voices about a currency that count. d.mu must be held.
func (d *Desk) fresh(st *state, now time.Time) (voices []voice) {
	for _, s := range d.sources {
		if v, ok := st.voices[s.Name]; ok && now.Sub(v.at) <= s.Stale {
			voices = append(voices, v)
		}
	}
	return voices
}

// due says whether a rate is to be set: there is none, it moved, or there is time for but a few rounds more before it is stale.
func (d *Desk) due(last Rate, msat uint64, now time.Time) bool {
	left := last.Until.Sub(now)
	moved := last.Msat == 0 || !within(new(big.Rat).SetUint64(last.Msat), new(big.Rat).SetUint64(msat), d.cfg.Move)
	return moved || left <= max(2*d.cfg.Every, d.cfg.Valid/4)
}
