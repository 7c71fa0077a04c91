package bench

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
	api "github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// elsewhere is a hub that is there already, in development mode. Its population is made through the API, with money that the operator's token
// makes, and its books are read through the API: what each account has, and what each channel has paid. Whatever else the hub has is left as
// it is, and what was made for the load stays. Faults of the process are not in the suite's hands, nor is what it uses.
type elsewhere struct {
	hubDoor
	plan  *workload.Plan
	where string
	http  *http.Client
	cut   uint64        // that the hub keeps of a work's price
	as    []*api.Client // by account
}

// probing is how long a hub may take to say that it is there.
const probing = 10 * time.Second

// askers bounds the requests at once that make the population and read the books.
const askers = 32

// errElsewhere is returned, wrapped, for a hub that cannot be loaded.
var errElsewhere = errors.New("this hub cannot be loaded")

func newElsewhere(ctx context.Context, c *Config, plan *workload.Plan, where string) (*elsewhere, error) {
	u, err := url.Parse(where)
	switch {
	case err != nil || u.Scheme != "http" || u.Hostname() == "":
		return nil, fmt.Errorf("%w: want http://host[:port], and no TLS: what ends it would be measured, too", ErrTarget)
	case c.Operator == "":
		return nil, fmt.Errorf("%w: a hub that is there already needs the operator's token, to make money: --operator-token-file", ErrTarget)
	}
	t := &elsewhere{plan: plan, where: strings.TrimSuffix(where, "/"), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: askers, MaxConnsPerHost: askers}}}
	t.Address, t.Batches, t.Encoding = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")), plan.Scenario.Request.Ops > 1, plan.Scenario.Request.Encoding
	operator, err := t.client(c.Operator)
	if err != nil {
		return nil, err
	}
	probe, cancel := context.WithTimeout(ctx, probing)
	defer cancel()
	is, err := operator.Hub(probe)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, fmt.Errorf("%w within %v: a hub at %s", generator.ErrAway, probing, t.Address)
	case err != nil:
		return nil, err
	case !is.Dev || is.Registration != "open":
		return nil, fmt.Errorf("%w: it is not in development mode with open registration (millrace serve --dev): nobody can make money there", errElsewhere)
	case plan.Scenario.Request.Ops > is.MaxBatchOps:
		return nil, fmt.Errorf("%w: it takes batches of %d ops at most", errElsewhere, is.MaxBatchOps)
	}
	t.cut = uint64(ledger.FeeOf(ledger.Msat(plan.Scenario.Population.Price), is.FeePPM))
	announce(c, plan)
	if err := t.populate(ctx, operator); err != nil {
		return nil, fmt.Errorf("making accounts, channels and works: %w", err)
	}
	return t, nil
}

func (t *elsewhere) client(token string) (*api.Client, error) {
	return api.New(api.Config{Hub: t.where, Token: token, HTTP: t.http})
}

// each does something n times, several at once, until one fails.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	for k := range askers {
		wait.Go(func() {
			for i := k; i < n && ctx.Err() == nil; i += askers {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}

func (t *elsewhere) populate(ctx context.Context, operator *api.Client) error {
	p := t.plan
	n := p.Scenario.Population
	all := p.Accounts()
	t.Accounts, t.as, t.Tokens = make([]ledger.AccountNo, all), make([]*api.Client, all), make([]string, n.Payers)
	if err := each(ctx, all, func(ctx context.Context, i int) error {
		a, err := operator.CreateAccount(ctx, "")
		if err != nil {
			return err
		}
		if t.Accounts[i] = ledger.AccountNo(a.Number); i < n.Payers {
			t.Tokens[i] = a.Token
		}
		t.as[i], err = t.client(a.Token)
		return err
	}); err != nil {
		return err
	}
	funds := ledger.Msat(p.Available + p.ChannelFunds*uint64(p.PerPayer))
	if err := each(ctx, n.Payers, func(ctx context.Context, i int) error {
		if funds == 0 {
			return nil
		}
		_, err := operator.DevCredit(ctx, api.NewID(), t.Accounts[i], funds)
		return err
	}); err != nil {
		return err
	}
	t.Channels = make([]uint32, n.Channels)
	expires := time.Now().Add(channelLife * time.Second)
	if err := each(ctx, n.Channels, func(ctx context.Context, i int) error {
		made, err := t.as[p.Payer(i)].OpenChannel(ctx, api.NewID(), t.Accounts[p.Payee[i]], ledger.Msat(p.ChannelFunds), expires)
		t.Channels[i] = made.Number
		return err
	}); err != nil {
		return err
	}
	return t.register(ctx, operator, n.Works, ledger.Msat(n.Price))
}

// register puts the works on sale. A seller gets the key of what is his for nothing: it is what buyers have to get.
func (t *elsewhere) register(ctx context.Context, operator *api.Client, n int, price ledger.Msat) error {
	t.Works = make([]work, n)
	if n == 0 {
		return nil
	}
	key, err := operator.Key(ctx)
	if err != nil {
		return err
	}
	public, err := seal.ParsePublicKey(key.PublicKey)
	if err != nil {
		return err
	}
	return each(ctx, n, func(ctx context.Context, i int) error {
		w, seller := &t.Works[i], t.as[t.plan.Seller(i)]
		w.Number = ledger.ContentID(newID(rand.Uint64(), rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))))
		hex.Encode(w.ID[:], w.Number[:])
		sealed, err := seal.Seal(io.Discard, strings.NewReader("a work"), public, key.Origin, w.Number)
		if err != nil {
			return err
		}
		if _, err := seller.Register(ctx, api.Offer{Header: sealed.Header, Commitment: sealed.Commitment, Title: "a work", PriceMsat: price,
			Size: uint64(sealed.Size), SHA256: sealed.SHA256}); err != nil {
			return err
		}
		got, err := seller.Unlock(ctx, api.Purchase{Content: w.Number, MaxMsat: price})
		if err != nil {
			return err
		}
		if seal.Commitment(seal.FileKey(got.FileKey)) != sealed.Commitment {
			return errors.New("the hub gives a seller another key than his work's")
		}
		w.Key = base64.StdEncoding.AppendEncode(nil, got.FileKey)
		return nil
	})
}

// Name says where the hub is.
func (t *elsewhere) Name() string { return "millrace at " + t.Address }

// Books asks for every balance and every channel's total. Nobody says how many works are owned in all, and the house may have other customers.
func (t *elsewhere) Books(ctx context.Context) (*workload.Books, error) {
	b := &workload.Books{Balances: make([]int64, len(t.Accounts)), Totals: make([]uint64, len(t.Channels)), Owned: -1, Kept: -1, Cut: t.cut}
	if err := each(ctx, len(t.Accounts), func(ctx context.Context, i int) error {
		a, err := t.as[i].Account(ctx, t.Accounts[i])
		b.Balances[i] = a.BalanceMsat
		return err
	}); err != nil {
		return nil, fmt.Errorf("reading balances: %w", err)
	}
	if err := each(ctx, len(t.Channels), func(ctx context.Context, i int) error {
		c, err := t.as[t.plan.Payer(i)].Channel(ctx, ledger.ChannelNo(t.Channels[i]))
		b.Totals[i] = uint64(c.TotalMsat)
		return err
	}); err != nil {
		return nil, fmt.Errorf("reading channels: %w", err)
	}
	return b, nil
}

// Close hangs up. The hub is not ours.
func (t *elsewhere) Close() error {
	t.http.CloseIdleConnections()
	return nil
}
