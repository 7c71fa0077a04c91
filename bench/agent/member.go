package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/bench/generator"
)

const (
	pings        = 20
	pingWait     = 5 * time.Second
	stopWait     = 12 * time.Second // longer than an agent holds an answer
	asking       = time.Second      // between two questions for progress
	again        = time.Second / 5  // before what was not answered is asked again
	silence      = 10 * time.Second // after which an agent that does not answer is lost
	maxAnswer    = 4 << 30          // a testimony: the tally of twenty million accounts is a few hundred megabytes
	maxIntervals = 200_000          // of one load, in bytes a few tens of millions
)

// errAnswer is returned, wrapped, for what no agent says.
var errAnswer = errors.New("what answers there is no millrace bench agent")

// refusal is what an agent says instead of an answer.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// member is one agent.
type member struct {
	url    string
	id     string // of the load
	secret string
	http   *http.Client
	offset time.Duration // of its clock from ours
	within time.Duration // which is known so exactly
	joined bool
	ctx    context.Context // ends when it is lost, with why
	cancel context.CancelCauseFunc

	mu        sync.Mutex
	begin     time.Time // of the last load, by our clock
	late      time.Duration
	intervals []generator.Interval
}

func newMember(ctx context.Context, where, id, secret string) (*member, error) {
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("agent %q: want http://host:port", where)
	}
	m := &member{url: strings.TrimSuffix(where, "/"), id: id, secret: secret, http: &http.Client{Transport: &http.Transport{}}} // and no proxy: the secret is for nobody else
	m.ctx, m.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	return m, nil
}

// fail names the agent.
func (m *member) fail(err error) error {
	if errors.Is(err, generator.ErrApart) {
		return err // it does so
	}
	return fmt.Errorf("agent %s: %w", m.url, err)
}

// look finds how far an agent's clock is off: by the answer that came fastest, in the middle of whose way the agent looked at it, give or take half
// the way (Cristian, "Probabilistic clock synchronization", 1989). It refuses one of another version, and one whose clock cannot be told exactly enough.
func (m *member) look(ctx context.Context, version string, enough time.Duration) error {
	for i := range pings {
		one, cancel := context.WithTimeout(ctx, pingWait)
		var said clock
		asked := time.Now()
		err := m.call(one, "GET", "/v1/clock", nil, &said)
		way := time.Since(asked)
		cancel()
		switch {
		case err != nil:
			return err
		case said.Now == 0:
			return errAnswer
		case said.Protocol != protocol || said.Version != version:
			return fmt.Errorf("it is another version of millrace: %s (protocol %d); this one is %s (protocol %d), and all have to be the same",
				versionText(said.Version), said.Protocol, versionText(version), protocol)
		}
		if i == 0 || way/2 < m.within {
			m.within = way / 2
			m.offset = time.Unix(0, said.Now).Sub(asked.Add(way / 2))
		}
	}
	if m.within > enough {
		return fmt.Errorf("%w: the clock of agent %s cannot be told to %v: the fastest of %d answers took %v", generator.ErrApart, m.url, enough, pings, 2*m.within)
	}
	return nil
}

func versionText(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}

// loads notes that a load begins at a time.
func (m *member) loads(begin time.Time, late time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begin, m.late, m.intervals = begin, late, nil
}

// keep asks how far the agent is, until it is lost or the load is over: the agent knows by it that somebody is there.
func (m *member) keep() {
	tick := time.NewTicker(asking)
	defer tick.Stop()
	for heard := time.Now(); ; {
		select {
		case <-m.ctx.Done():
			return
		case <-tick.C:
		}
		m.mu.Lock()
		begin, from := m.begin, len(m.intervals)
		m.mu.Unlock()
		one, cancel := context.WithTimeout(m.ctx, pingWait)
		var p progress
		asked := time.Now()
		err := m.call(one, "GET", fmt.Sprintf("/v1/progress?load=%s&from=%d", m.id, from), nil, &p)
		cancel()
		switch {
		case err == nil:
			heard = time.Now()
			if err := m.note(&p, begin, asked); err != nil {
				m.cancel(err)
			}
		case final(err):
			m.cancel(err)
		case time.Since(heard) > silence:
			m.cancel(fmt.Errorf("it has not answered for %v: %w", silence, err))
		}
	}
}

// note takes in how far an agent was at a time with the load that was to begin at another. One that is late is not loaded with to the end.
func (m *member) note(p *progress, begin, asked time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !begin.Equal(m.begin) || begin.IsZero() {
		return nil // of the load before, or of none
	}
	if len(m.intervals)+len(p.Intervals) > maxIntervals {
		return fmt.Errorf("%w: more than %d intervals", errAnswer, maxIntervals)
	}
	m.intervals = append(m.intervals, p.Intervals...)
	began := asked // it has not yet
	if p.Began != 0 {
		began = time.Unix(0, p.Began).Add(-m.offset)
	}
	return generator.Late(m.url, began.Sub(begin), m.late)
}

// await asks for something until it is there, or the agent is lost.
func (m *member) await(path string, into any) error {
	for {
		err := m.call(m.ctx, "GET", path+"?load="+m.id, nil, into)
		if err == nil {
			return nil
		}
		if final(err) {
			m.cancel(err)
		}
		select {
		case <-m.ctx.Done():
			return m.why(err)
		case <-time.After(again):
		}
	}
}

// why is what it was lost by, or else the error.
func (m *member) why(err error) error {
	if m.ctx.Err() != nil {
		return context.Cause(m.ctx)
	}
	return err
}

// final says of an error whether asking again would be in vain: the agent has refused, is none, or its process is not there any more.
func final(err error) bool {
	var said *refusal
	return errors.As(err, &said) || errors.Is(err, errAnswer) || errors.Is(err, syscall.ECONNREFUSED)
}

// call sends JSON, and reads the JSON that is answered.
func (m *member) call(ctx context.Context, method, path string, body, into any) error {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, m.url+path, text)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", m.secret)
	a, err := m.http.Do(r)
	if err != nil {
		var tried *url.Error // which repeats the address
		if errors.As(err, &tried) {
			err = tried.Err
		}
		return err
	}
	defer a.Body.Close()
	switch a.StatusCode {
	case http.StatusOK:
	case http.StatusAccepted:
		return errNotYet
	default:
		why, _ := io.ReadAll(io.LimitReader(a.Body, 1000)) // as much of it as there is
		return m.refused(a, path, string(bytes.TrimSpace(why)))
	}
	if err := json.NewDecoder(io.LimitReader(a.Body, maxAnswer)).Decode(into); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		if errors.As(err, &syntax) || errors.As(err, &kind) {
			return fmt.Errorf("%w: %s: %w", errAnswer, path, err)
		}
		return fmt.Errorf("reading the answer to %s: %w", path, err)
	}
	return nil
}

// refused is an answer that is none.
func (m *member) refused(a *http.Response, path, why string) error {
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") || strings.HasPrefix(why, "404 page") {
		return fmt.Errorf("%w, or one of another version: %s answers %s", errAnswer, path, a.Status)
	}
	return &refusal{a.StatusCode, why}
}
