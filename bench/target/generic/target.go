// Package generic is a payment system of which nothing is known but how to speak to it: requests over HTTP that a scenario describes (scenario.HTTP).
//
// Each op is a request of its own, in order, whatever a scenario's batches hold. Accounts, channels and works have to be there before: balances
// and totals are read before and after the load, and what they have changed by is verified. Where the scenario does not say how to read them,
// the verdict is that nobody knows. Nor is it known whether a work that was bought was delivered.
package generic

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// ErrUndescribed means that a scenario does not say how to speak to the system.
var ErrUndescribed = errors.New("the scenario has no [http]: it says how to speak to the system")

// errNoBooks is why nothing can be verified.
var errNoBooks = errors.New("the scenario does not say how to read what the system has: [http.balance], and [http.channel] where there are channels")

// The bounds of an answer, and of the connections that read balances.
const (
	maxAnswer = 4 << 20
	readers   = 16
)

// Target is such a system.
type Target struct {
	plan    *workload.Plan
	about   *scenario.HTTP
	name    string
	headers map[string]string // secrets from the environment put in

	balances, totals []int64 // before the load; nil: cannot be read
}

// New reads what there is before the load.
func New(ctx context.Context, plan *workload.Plan) (*Target, error) {
	h := plan.Scenario.HTTP
	if h == nil {
		return nil, ErrUndescribed
	}
	u, err := url.Parse(h.URL)
	if err != nil {
		return nil, errors.New("http.url cannot be read") // and it is not quoted: it may hold a password
	}
	t := &Target{plan: plan, about: h, name: "http " + u.Host, headers: make(map[string]string)}
	for name, value := range h.Headers {
		if variable, ok := strings.CutPrefix(value, "$"); ok {
			if value, ok = os.LookupEnv(variable); !ok {
				return nil, fmt.Errorf("http.headers: %s: there is no %s in the environment", name, variable)
			}
		}
		t.headers[name] = value
	}
	if err := t.probe(ctx); err != nil {
		return nil, err
	}
	t.balances, t.totals, err = t.read(ctx)
	if errors.Is(err, errNoBooks) {
		err = nil
	}
	return t, err
}

// probing is how long it may take to say that it is there.
const probing = 10 * time.Second

// probe asks whether anybody is there: any answer will do.
func (t *Target) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probing)
	defer cancel()
	s := t.connect()
	defer s.Close()
	if _, _, err := s.ask(ctx, "GET", "/", "", "", strings.NewReplacer()); err != nil {
		return fmt.Errorf("%w: %s: %w", generator.ErrAway, t.name, err)
	}
	return nil
}

// Name says where it is.
func (t *Target) Name() string { return t.name }

// Traits says what nobody knows.
func (t *Target) Traits() generator.Traits { return generator.Traits{Durability: "not known"} }

// Connect makes a session with a connection of its own, which is made by the first request.
func (t *Target) Connect(int) (generator.Session, error) { return t.connect(), nil }

func (t *Target) connect() *session {
	ctx, cancel := context.WithCancel(context.Background())
	return &session{target: t, ctx: ctx, cancel: cancel, client: http.Client{
		Transport: &http.Transport{
			MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true,
			TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1, as the others
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Books are what there would be if the system had begun with what the plan says: what it had before is taken off.
func (t *Target) Books(ctx context.Context) (*workload.Books, error) {
	if t.balances == nil {
		return nil, errNoBooks
	}
	balances, totals, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	p := t.plan
	b := &workload.Books{Balances: balances, Owned: -1, Kept: -1, Cut: t.about.Cut}
	for i := range balances {
		if balances[i] -= t.balances[i]; i < p.Scenario.Population.Payers {
			balances[i] += int64(p.Available)
		}
	}
	for i := range totals {
		moved := totals[i] - t.totals[i]
		if t.about.Direct {
			balances[p.Payer(i)] += moved
		}
		b.Totals = append(b.Totals, uint64(max(moved, 0)))
	}
	return b, nil
}

// Close has nothing to end.
func (t *Target) Close() error { return nil }

// account is what an account is called.
func (t *Target) account(n int) string {
	return strings.Replace(t.about.Account, "{n}", strconv.Itoa(n), 1)
}

// read asks for all balances and totals.
func (t *Target) read(ctx context.Context) (balances, totals []int64, err error) {
	channels := len(t.plan.Payee)
	if t.about.Balance.Path == "" || channels > 0 && t.about.Channel.Path == "" {
		return nil, nil, errNoBooks
	}
	balances, totals = make([]int64, t.plan.Accounts()), make([]int64, channels)
	errs := make([]error, readers)
	var wait sync.WaitGroup
	for k := range readers {
		wait.Go(func() {
			s := t.connect()
			defer s.Close()
			for i := k; i < len(balances) && errs[k] == nil; i += readers {
				balances[i], errs[k] = s.look(ctx, t.about.Balance, "{account}", t.account(i))
			}
			for i := k; i < len(totals) && errs[k] == nil; i += readers {
				totals[i], errs[k] = s.look(ctx, t.about.Channel, "{channel}", strconv.Itoa(i))
			}
		})
	}
	wait.Wait()
	return balances, totals, errors.Join(errs...)
}

// lookFor bounds how long a balance is waited for.
const lookFor = 30 * time.Second

// look reads one number.
func (s *session) look(ctx context.Context, l scenario.Look, key, value string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	path := strings.ReplaceAll(l.Path, key, value)
	status, body, err := s.ask(ctx, "GET", path, "", "", strings.NewReplacer(key, value))
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", path, err)
	}
	if status != 200 {
		return 0, fmt.Errorf("reading %s: status %d: %.200q", path, status, body)
	}
	n, err := point(body, l.Pointer)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w: %.200q", path, err, body)
	}
	return n, nil
}

// point finds a whole number in JSON by a pointer (RFC 6901). One in a string will do.
func point(body []byte, pointer string) (int64, error) {
	at := json.RawMessage(body)
	for pointer != "" {
		var part string
		part, pointer, _ = strings.Cut(pointer[1:], "/")
		if pointer != "" {
			pointer = "/" + pointer
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		var object map[string]json.RawMessage
		var list []json.RawMessage
		if json.Unmarshal(at, &object) == nil && object[part] != nil {
			at = object[part]
			continue
		}
		i, err := strconv.Atoi(part)
		if err != nil || json.Unmarshal(at, &list) != nil || i < 0 || i >= len(list) {
			return 0, fmt.Errorf("%w: there is no %q in it", generator.ErrAnswer, part)
		}
		at = list[i]
	}
	n, err := strconv.ParseInt(strings.Trim(strings.TrimSpace(string(at)), `"`), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: no whole number: %.40q", generator.ErrAnswer, at)
	}
	return n, nil
}

// ask sends a request and reads its answer.
func (s *session) ask(ctx context.Context, method, path, kind, body string, fill *strings.Replacer) (status int, answer []byte, err error) {
	q, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.target.about.URL, "/")+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, errors.New("the request cannot be made: see [http]") // not quoted: it may hold a secret
	}
	// The transport must not send a request again by itself, as it does with one whose body it can have anew, or that has a header
	// Idempotency-Key, spelled so: the tally has to know how often it was sent.
	q.GetBody = nil
	if body != "" {
		q.Header.Set("Content-Type", kind)
	}
	for name, value := range s.target.headers {
		q.Header[strings.ToLower(name)] = []string{fill.Replace(value)}
	}
	r, err := s.client.Do(q)
	var about *url.Error
	if errors.As(err, &about) {
		err = about.Err // without the URL, which is another for each op, and may hold a secret
	}
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(r.Body, maxAnswer+1)); err != nil {
		return 0, nil, fmt.Errorf("reading an answer: %w", err)
	}
	if len(answer) > maxAnswer {
		return 0, nil, fmt.Errorf("%w: more than %d bytes", generator.ErrAnswer, maxAnswer)
	}
	return r.StatusCode, answer, nil
}
