package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger"
)

const (
	alice   = ledger.FirstAccount
	bob     = ledger.FirstAccount + 1
	startAt = 1_800_000_000_000
)

// history is a ledger of transfers.
type history struct {
	mu       sync.Mutex
	lines    map[ledger.AccountNo][]ledger.Line
	entries  []ledger.Entry
	appended chan struct{}
}

func newHistory() *history {
	return &history{lines: make(map[ledger.AccountNo][]ledger.Line), appended: make(chan struct{})}
}

// pay appends n transfers of one msat to an account.
func (h *history) pay(to ledger.AccountNo, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range n {
		seq := uint64(len(h.entries) + 1)
		id := ledger.NewOpID(startAt+seq, [10]byte{byte(seq)})
		h.entries = append(h.entries, ledger.Entry{Seq: seq, Time: startAt + seq, Kind: ledger.OpTransfer, ID: id,
			Legs: []ledger.Leg{{Amount: 1, From: ledger.Dev, To: to, Kind: ledger.OpTransfer, Move: ledger.MovePaid}}})
		h.lines[to] = append(h.lines[to], ledger.Line{Seq: seq, Time: startAt + seq, Kind: ledger.OpTransfer, Other: ledger.Dev, ID: id,
			Change: [2]int64{1, 0}, After: [2]int64{int64(len(h.lines[to]) + 1), 0}})
	}
	close(h.appended)
	h.appended = make(chan struct{})
}

func (h *history) AccountLines(no ledger.AccountNo, g ledger.Range, f func(*ledger.Line) bool) error {
	h.mu.Lock()
	lines := h.lines[no]
	h.mu.Unlock()
	at, _ := slices.BinarySearchFunc(lines, g.From, func(l ledger.Line, seq uint64) int { return int(l.Seq) - int(seq) })
	for _, l := range lines[at:] {
		if g.To != 0 && l.Seq > g.To || !f(&l) {
			break
		}
	}
	return nil
}

func (h *history) Entries(from uint64, f func(*ledger.Entry) bool) error {
	h.mu.Lock()
	entries := h.entries
	h.mu.Unlock()
	for _, e := range entries[min(int(from)-1, len(entries)):] {
		if !f(&e) {
			break
		}
	}
	return nil
}

func (h *history) Seq() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return uint64(len(h.entries))
}

func (h *history) Appended() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.appended
}

// clock lets short pauses pass, and keeps those until a retry until a test moves it on.
type clock struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[chan time.Time]time.Time
}

func newClock() *clock {
	return &clock{now: time.UnixMilli(startAt), waiting: make(map[chan time.Time]time.Time)}
}

func (c *clock) millis() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64(c.now.UnixMilli())
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	if d <= 2*time.Second {
		return time.After(time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	over := make(chan time.Time, 1)
	c.waiting[over] = c.now.Add(d)
	return over
}

// next moves on to the first pause that ends, and says how long that was.
func (c *clock) next() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first chan time.Time
	for over, at := range c.waiting {
		if first == nil || at.Before(c.waiting[first]) {
			first = over
		}
	}
	if first == nil {
		return 0
	}
	d := c.waiting[first].Sub(c.now)
	c.now = c.waiting[first]
	first <- c.now
	delete(c.waiting, first)
	return d
}

// got is a delivery as it arrived.
type got struct {
	header http.Header
	body   []byte
	delivered
}

type delivered struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		Account string `json:"account"`
		First   uint64 `json:"first"`
		Last    uint64 `json:"last"`
		Entries []struct {
			Seq uint64 `json:"seq"`
		} `json:"entries"`
	} `json:"data"`
}

func (g got) id() string { return g.header.Get("webhook-id") }

// receiver is a real HTTP server that keeps what it gets. What it answers can be changed.
type receiver struct {
	t *testing.T
	*httptest.Server
	mu     sync.Mutex
	all    []got
	answer http.HandlerFunc // nil: 204
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	g := got{header: q.Header, body: body}
	if err == nil {
		err = json.Unmarshal(body, &g.delivered)
	}
	if err != nil {
		r.t.Errorf("a delivery of %.200q: %v", body, err)
	}
	r.mu.Lock()
	answer := r.answer
	r.all = append(r.all, g)
	r.mu.Unlock()
	if answer != nil {
		answer(w, q)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) answers(f http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) status(code int) {
	r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func (r *receiver) got() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// seqs are those of all entries that arrived, in the order of their arrival.
func (r *receiver) seqs() (all []uint64) {
	for _, g := range r.got() {
		for _, e := range g.Data.Entries {
			all = append(all, e.Seq)
		}
	}
	return all
}

func upTo(first, last uint64) (all []uint64) {
	for seq := first; seq <= last; seq++ {
		all = append(all, seq)
	}
	return all
}

// rig is a dispatcher on a history, with a folder.
type rig struct {
	*webhook.Dispatcher
	t       *testing.T
	history *history
	clock   *clock
	path    string
	log     *bytes.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, history: newHistory(), clock: newClock(), path: filepath.Join(t.TempDir(), "webhooks.json"), log: &bytes.Buffer{}}
	r.start(true)
	return r
}

func (r *rig) config(development bool) webhook.Config {
	return webhook.Config{Path: r.path, Source: r.history, Development: development, Clock: r.clock.millis, After: r.clock.after,
		Contents: func(uint32) (ledger.ContentID, bool) { return ledger.ContentID{}, false },
		Logger:   slog.New(slog.NewTextHandler(r.log, nil))}
}

// edit changes the text of the file, and sums it anew.
func (r *rig) edit(change func(text string) string) {
	r.t.Helper()
	text, err := os.ReadFile(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	changed := change(string(text))
	if changed == string(text) {
		r.t.Fatal("nothing changed")
	}
	if err := os.WriteFile(r.path, []byte(resum(changed)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// resum gives a file's text the checksum that belongs to it.
func resum(text string) string {
	head, list, ok := strings.Cut(text, `"endpoints": `)
	if !ok {
		return text
	}
	sum := sha256.Sum256([]byte(strings.TrimSuffix(list, "\n}\n")))
	before, _, _ := strings.Cut(head, `"sha256"`)
	return fmt.Sprintf("%s\"sha256\": \"%x\",\n \"endpoints\": %s", before, sum, list)
}

func (r *rig) start(development bool) {
	r.t.Helper()
	d, err := webhook.New(r.config(development))
	if err != nil {
		r.t.Fatal(err)
	}
	d.SetTimeout(10 * time.Second)
	d.Start()
	r.Dispatcher = d
	r.t.Cleanup(func() { _ = d.Close() }) // for tests that fail
}

func (r *rig) stop() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) add(account ledger.AccountNo, url string) (id, secret string) {
	r.t.Helper()
	e, secret, err := r.Add(account, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return e.ID, secret
}

func (r *rig) only(account ledger.AccountNo) webhook.Endpoint {
	r.t.Helper()
	all := r.List(account)
	if len(all) != 1 {
		r.t.Fatalf("%d webhooks", len(all))
	}
	return all[0]
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within twenty seconds: %s", what)
		}
	}
}

// signed says whether one of a delivery's signatures is by a secret, computed here by the specification's words.
func (g got) signed(secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(g.id() + "." + g.header.Get("webhook-timestamp") + "." + string(g.body)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return slices.Contains(strings.Split(g.header.Get("webhook-signature"), " "), want)
}
