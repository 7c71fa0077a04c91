package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/api/contract"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

const (
	origin  = "http://127.0.0.1:8402"
	feePPM  = 10_000
	startAt = 1_800_000_000_000 // the hub's clock when a test begins
)

// rig is a whole hub for one test, put together as serve does: pebble, keyring, ledger, server, and a client whose every
// exchange is held against the document.
type rig struct {
	setup
	t        testing.TB
	dir      string
	kek      keyring.KEK
	ring     *keyring.Ring
	index    *index.Index
	hub      *hub.Hub
	webhooks *webhook.Dispatcher
	server   *api.Server
	addr     string
	millis   atomic.Uint64 // the hub's clock
	http     *http.Client
	operator string
	served   chan error
	rails    *channels.Rails
	wallets  *api.Wallets
	noRelays bool   // for connections
	endRails func() // nil: there are none
	down     bool
}

// setup says what a test's hub has of its own. The zero value is a development hub that is open to everybody.
type setup struct {
	notDev bool
	params ledger.Params // zero: the defaults, and a fee
	api    api.Config
	log    func(*hub.Hub) hub.Log // nil: pebble

	node    *node         // of the rails; nil: there are none
	segment int           // entries in a segment of the index; zero: its default
	ping    time.Duration // of event streams; zero: the server's
}

func newRig(t testing.TB) *rig { return setup{}.rig(t) }

func (s setup) rig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, setup: s, dir: t.TempDir()}
	r.millis.Store(startAt)
	rand.Read(r.kek[:])
	if r.params == (ledger.Params{}) {
		r.params = ledger.DefaultParams()
		r.params.FeePPM = feePPM
	}
	_, err := keyring.Create(filepath.Join(r.dir, "keys"), r.kek, time.Now())
	r.must(err)
	if s.log == nil {
		r.must(store.Init(store.Options{Dir: filepath.Join(r.dir, "data")}, r.params))
	}
	r.open()
	return r
}

// open starts a hub in the rig's folder. After a stop it starts the next one, at another address.
func (r *rig) open() {
	r.t.Helper()
	r.down, r.served = false, make(chan error, 1)
	var err error
	r.ring, err = keyring.Open(filepath.Join(r.dir, "keys"), r.kek)
	r.must(err)
	r.index, err = index.Open(index.Options{Dir: filepath.Join(r.dir, "index"), IDKeep: r.params.IDWindow, SegmentEntries: r.segment, Notary: hub.NewNotary(r.ring),
		Fatal: func(err error) { r.hub.Fail(err) }, Flushed: func(index, seq uint64) { r.hub.Indexed(index, seq) }})
	r.must(err)
	r.hub, err = hub.New(hub.Config{Params: r.params, Index: r.index, Ring: r.ring, Origin: origin, Vouchers: voucher.Verifier{Origin: origin}, Dev: !r.notDev, Clock: r.millis.Load, Liabilities: filepath.Join(r.dir, "liabilities"),
		Fatal: func(err error) { r.t.Errorf("the hub died: %v", err) }})
	r.must(err)
	log := hub.Log(nil)
	if r.log != nil {
		log = r.log(r.hub)
	} else {
		log = r.pebble(filepath.Join(r.dir, "data"))
	}
	r.hub.Start(log)
	r.webhooks, err = webhook.New(webhook.Config{Path: filepath.Join(r.dir, "webhooks.json"), Source: r.hub, Contents: r.hub.ContentID, Development: true})
	r.must(err)
	r.webhooks.Start()
	config := r.api
	config.Hub, config.Webhooks = r.hub, r.webhooks
	if st, ok := log.(*store.Store); ok {
		config.Backups = backups{st, r.index}
	}
	if r.node != nil {
		config.Rails, config.Settle = r.makeRails()
		config.Wallets = r.wallets
	}
	r.server, err = api.New(config)
	r.must(err)
	if r.ping != 0 {
		r.server.SetPing(r.ping)
	}
	r.listen()
	r.operator, err = r.hub.OperatorToken()
	r.must(err)
}

// restart ends the hub, as serve does, and starts another on what it left.
func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.open()
}

func (r *rig) pebble(dir string) hub.Log {
	s, err := store.Open(store.Options{Dir: dir, Fatal: r.hub.Fail, Committed: r.hub.Committed})
	r.must(err)
	r.hub.WatchLag(s.Lag)
	r.hub.WatchSpace(s.Space)
	r.must(s.Start(context.Background(), r.hub.Machine(), r.index))
	return s
}

// backups are as serve makes them.
type backups struct {
	*store.Store
	index *index.Index
}

func (b backups) Backup() (name, path string, through uint64, err error) {
	name, path, through, err = b.Store.Backup(b.index)
	if errors.Is(err, store.ErrLent) {
		err = fmt.Errorf("%w: %w", api.ErrBackupUnderWay, err)
	}
	return name, path, through, err
}

func (r *rig) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	r.addr = ln.Addr().String()
	go func() { r.served <- r.server.Serve(ln) }()
	base := &http.Transport{MaxIdleConnsPerHost: 64}
	r.http = &http.Client{Timeout: 30 * time.Second, Transport: contract.Transport{Base: base, Checker: checker, Fail: func(err error) { r.t.Errorf("contract: %v", err) }}}
	r.t.Cleanup(func() {
		base.CloseIdleConnections()
		r.stop()
	})
}

// stop ends the server and the hub, and audits the ledger: no test may end with money made or lost.
func (r *rig) stop() {
	if r.down {
		return
	}
	r.down = true
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		r.t.Errorf("stopping the server: %v", err)
	}
	if err := <-r.served; err != nil {
		r.t.Errorf("serving: %v", err)
	}
	if err := r.webhooks.Close(); err != nil {
		r.t.Errorf("stopping the webhooks: %v", err)
	}
	if r.endRails != nil {
		r.endRails()
	}
	if err := r.hub.Close(ctx); err != nil {
		r.t.Errorf("stopping the hub: %v", err)
	}
	if err := r.state().Audit(); err != nil {
		r.t.Errorf("audit: %v", err)
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// frozen is the whole ledger as bytes: equal bytes mean that nothing was applied between.
func (r *rig) frozen() string {
	var b bytes.Buffer
	_, err := r.hub.Machine().Snapshot().WriteTo(&b)
	r.must(err)
	return b.String()
}

func (r *rig) state() *ledger.State {
	s, err := ledger.Restore(strings.NewReader(r.frozen()), ledger.Seed{})
	r.must(err)
	return s
}

// later moves the hub's clock on.
func (r *rig) later(d time.Duration) { r.millis.Add(uint64(d.Milliseconds())) }

// id is a fresh UUIDv7 of the hub's time, off by a little if asked.
func (r *rig) id(off ...time.Duration) string {
	at := int64(r.millis.Load())
	for _, d := range off {
		at += d.Milliseconds()
	}
	var random [10]byte
	rand.Read(random[:])
	return ledger.NewOpID(uint64(at), random).String()
}

type object = map[string]any

// ask is a request.
type ask struct {
	method, path, token string
	kind                string // of the body; empty: application/json
	body                any    // nil: none; a string or bytes: as they are; anything else: as JSON
	header              map[string]string
	chunked             bool
}

// answer is what came back.
type answer struct {
	t      testing.TB
	name   string
	status int
	header http.Header
	body   []byte
}

func (r *rig) do(q ask) answer {
	r.t.Helper()
	a, err := r.try(q)
	r.must(err)
	return a
}

func (r *rig) try(q ask) (answer, error) {
	var body io.Reader
	switch b := q.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(text)
	}
	if q.chunked {
		body = io.NopCloser(body)
	}
	req, err := http.NewRequest(q.method, "http://"+r.addr+q.path, body)
	if err != nil {
		return answer{}, err
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.kind != "" {
		req.Header.Set("Content-Type", q.kind)
	}
	for k, v := range q.header {
		req.Header.Set(k, v)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{r.t, fmt.Sprintf("%s %.80s", q.method, q.path), resp.StatusCode, resp.Header, got}, err
}

// want fails the test unless the answer has the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d, want %d: %.300s", a.name, a.status, status, a.body)
	}
	return a
}

func (a answer) object() object {
	a.t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		a.t.Fatalf("%s: %v: %.300s", a.name, err, a.body)
	}
	return o
}

func (a answer) text(name string) string {
	a.t.Helper()
	s, ok := a.object()[name].(string)
	if !ok {
		a.t.Fatalf("%s: no string %s: %.300s", a.name, name, a.body)
	}
	return s
}

func (a answer) num(name string) int64 {
	a.t.Helper()
	n, ok := a.object()[name].(json.Number)
	if !ok {
		a.t.Fatalf("%s: no number %s: %.300s", a.name, name, a.body)
	}
	v, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		a.t.Fatal(err)
	}
	return v
}

// has fails the test unless the answer's members are these, among others.
func (a answer) has(want object) answer {
	a.t.Helper()
	got := a.object()
	for name, v := range want {
		if fmt.Sprint(got[name]) != fmt.Sprint(v) {
			a.t.Fatalf("%s: %s is %v, want %v: %.300s", a.name, name, got[name], v, a.body)
		}
	}
	return a
}

// refused fails the test unless the answer is a problem of this status and code whose detail is one clear sentence that
// mentions a word.
func (a answer) refused(status int, code, mention string) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d, want %d %s: %.300s", a.name, a.status, status, code, a.body)
	}
	detail := a.has(object{"code": code}).text("detail")
	if detail == "" || len(detail) > 400 || !strings.Contains(detail, mention) {
		a.t.Fatalf("%s: detail %q: want one that mentions %q", a.name, detail, mention)
	}
	return a
}

// user is an account and one of its tokens.
type user struct {
	r       *rig
	account string
	no      ledger.AccountNo
	token   string
}

// user opens an account and puts money into it.
func (r *rig) user(msat uint64) user {
	r.t.Helper()
	a := r.do(ask{method: "POST", path: "/v1/accounts"}).want(201)
	u := user{r, a.text("account"), ledger.AccountNo(a.num("number")), a.text("token")}
	if msat > 0 {
		r.credit(u, msat).want(200)
	}
	return u
}

func (r *rig) credit(u user, msat uint64) answer {
	r.t.Helper()
	return r.do(ask{method: "POST", path: "/v1/dev/credits", token: r.operator,
		body: object{"id": r.id(), "account": u.account, "amount_msat": msat}})
}

func (u user) post(path string, body any) answer {
	u.r.t.Helper()
	return u.r.do(ask{method: "POST", path: path, token: u.token, body: body})
}

func (u user) get(path string) answer {
	u.r.t.Helper()
	return u.r.do(ask{method: "GET", path: path, token: u.token})
}

// with is the same account by another token.
func (u user) with(token string) user {
	u.token = token
	return u
}

// narrowed is the same account by a token that the hub narrows.
func (u user) narrowed(limits object) user {
	u.r.t.Helper()
	return u.with(u.post("/v1/accounts/"+u.account+"/tokens", limits).want(201).text("token"))
}

// pay sends a transfer with a fresh id.
func (u user) pay(to user, msat uint64) answer {
	u.r.t.Helper()
	return u.post("/v1/transfers", object{"id": u.r.id(), "to": to.account, "amount_msat": msat})
}

// channel opens one for an hour and returns its name and number.
func (u user) channel(to user, msat uint64) (string, uint32) {
	u.r.t.Helper()
	a := u.post("/v1/channels", object{"id": u.r.id(), "to": to.account, "amount_msat": msat, "expires": u.r.millis.Load() + 3_600_000}).want(201)
	return a.text("channel"), uint32(a.num("number"))
}

// balance fails the test unless the account has this much at hand and this much held.
func (u user) balance(available, held int64) {
	u.r.t.Helper()
	a, ok := u.r.hub.Account(u.no)
	if !ok || a.Available != available || int64(a.Held) != held {
		u.r.t.Fatalf("%s has %d and %d held, want %d and %d", u.account, a.Available, a.Held, available, held)
	}
}
