package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/entry"
	"github.com/millrace/millrace/ledger"
)

// lines is the whole of an account's history, oldest first, as the API shows it, read past the API.
func (r *rig) lines(no ledger.AccountNo) (all []string) {
	r.t.Helper()
	r.must(r.hub.AccountLines(no, ledger.Range{}, func(l *ledger.Line) bool {
		all = append(all, string(entry.AppendLine(nil, l, r.hub.ContentID)))
		return true
	}))
	return all
}

type page struct {
	Entries []json.RawMessage `json:"entries"`
	Next    string            `json:"next"`
}

func (a answer) page() (p page) {
	a.t.Helper()
	if err := json.Unmarshal(a.want(200).body, &p); err != nil {
		a.t.Fatal(err)
	}
	return p
}

func (p page) lines() (all []string) {
	for _, e := range p.Entries {
		all = append(all, string(e))
	}
	return all
}

// pages reads a history to its end, by the links that the answers carry, and calls between after each page.
func (u user) pages(path string, between func()) (all []string) {
	u.r.t.Helper()
	for path != "" {
		a := u.get(path)
		p := a.page()
		all = append(all, p.lines()...)
		path = ""
		if link := a.header.Get("Link"); link != "" {
			path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			if !strings.Contains(path, "cursor="+p.Next) {
				u.r.t.Fatalf("link %s, next %s", link, p.Next)
			}
		} else if p.Next != "" {
			u.r.t.Fatal("next without a link")
		}
		between()
	}
	return all
}

// busy makes n entries that touch an account, in batches: advances, and transfers to and fro.
func (r *rig) busy(a, b user, n int) {
	r.t.Helper()
	name, _ := a.channel(b, uint64(n))
	for total := 0; n > 0; {
		var ops []object
		for range min(n, 1500) {
			switch n--; n % 3 {
			case 0:
				ops = append(ops, object{"op": "transfer", "id": r.id(), "to": b.account, "amount_msat": 1 + n%7})
			default:
				total++
				ops = append(ops, object{"op": "advance", "channel": name, "total_msat": total})
			}
		}
		if got := a.post("/v1/batches", ops).want(200); got.num("applied") != int64(len(ops)) {
			r.t.Fatalf("%.300s", got.body)
		}
		r.later(time.Second)
	}
}

// TestPages: ten thousand entries, most of them in the index's tables and the rest not yet, page by page in both orders, are the
// whole; what is added meanwhile moves nothing.
func TestPages(t *testing.T) {
	r := setup{segment: 1024}.rig(t)
	a, b := r.user(1_000_000), r.user(0)
	r.busy(a, b, 10_000)
	whole := r.lines(a.no)
	if len(whole) != 10_003 { // opened, credited, the channel
		t.Fatalf("%d lines", len(whole))
	}
	added := 0
	got := a.pages("/v1/accounts/"+a.account+"/entries?limit=997", func() { a.pay(b, 1).want(200); added++ })
	slices.Reverse(got)
	if !slices.Equal(got, whole) {
		t.Fatalf("newest first: %d lines of %d", len(got), len(whole))
	}
	stop := added + 5
	got = a.pages("/v1/accounts/"+a.account+"/entries?limit=1000&order=oldest", func() {
		if added < stop {
			a.pay(b, 1).want(200)
			added++
		}
	})
	if whole = r.lines(a.no); len(whole) != 10_003+added || !slices.Equal(got, whole) {
		t.Fatalf("oldest first: %d lines of %d", len(got), len(whole))
	}
	if got := a.get("/v1/accounts/" + a.account + "/entries").page(); len(got.Entries) != 100 || got.lines()[0] != whole[len(whole)-1] {
		t.Errorf("%d entries, first %s", len(got.Entries), got.lines()[0])
	}
	r.restart()
	got = a.pages("/v1/accounts/"+a.account+"/entries?limit=1000&order=oldest", func() {})
	if !slices.Equal(got, whole) {
		t.Errorf("after a restart: %d lines of %d", len(got), len(whole))
	}
}

// TestChannelHistory: both parties and the operator see the same; nobody else sees anything.
func TestChannelHistory(t *testing.T) {
	r := newRig(t)
	a, b, c := r.user(1000), r.user(0), r.user(0)
	name, _ := a.channel(b, 100)
	path := "/v1/channels/" + name
	a.post(path+"/advance", object{"total_msat": 30}).want(200)
	a.post(path+"/top-up", object{"id": r.id(), "amount_msat": 50}).want(200)
	b.post(path+"/close", nil).want(200)
	var got []string
	for _, who := range []user{a, b, a.with(r.operator)} {
		p := who.get(path + "/entries?order=oldest").page()
		var all []string
		for _, e := range p.Entries {
			var l struct {
				Kind string
				Left int64 `json:"left_msat"`
				Paid int64 `json:"paid_msat"`
				LC   int64 `json:"left_change_msat"`
				PC   int64 `json:"paid_change_msat"`
			}
			r.must(json.Unmarshal(e, &l))
			all = append(all, fmt.Sprint(l.Kind, " ", l.LC, l.PC, " ", l.Left, l.Paid))
		}
		if got == nil {
			got = all
		}
		newest := who.get(path + "/entries").page().lines()
		slices.Reverse(newest)
		if !slices.Equal(all, got) || !slices.Equal(newest, p.lines()) {
			t.Errorf("%v, before %v; newest first %v", all, got, newest)
		}
	}
	if want := []string{"open_channel 100 0 100 0", "advance -30 30 70 30", "top_up 50 0 120 30", "close_channel -120 0 0 30"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for _, sub := range []string{"/entries", "/statement"} {
		c.get(path+sub).refused(403, "not_permitted", "another")
		a.get("/v1/channels/"+ledger.ChannelNo(99).String()+sub).refused(404, "channel_unknown", "no such")
		b.get("/v1/accounts/"+a.account+sub).refused(403, "foreign_account", "another")
		a.with(r.operator).get("/v1/accounts/"+ledger.AccountNo(999).String()+sub).refused(404, "account_unknown", "no such")
	}
	a.narrowed(object{"scopes": []string{"pay"}}).get("/v1/accounts/"+a.account+"/entries").refused(403, "scope_missing", "read")
}

// TestVisibleAtOnce: with many writers at a time, an entry is in both histories and on top of the balance when its answer arrives.
func TestVisibleAtOnce(t *testing.T) {
	r := setup{segment: 64}.rig(t)
	var users []user
	for range 6 {
		users = append(users, r.user(10_000))
	}
	var all sync.WaitGroup
	for i, u := range users {
		all.Go(func() {
			to := users[(i+1)%len(users)]
			for n := range 40 {
				body, _ := json.Marshal(object{"id": r.id(), "to": to.account, "amount_msat": 1 + n})
				paid, err := r.try(ask{method: "POST", path: "/v1/transfers", token: u.token, body: body})
				if err != nil || paid.status != 200 {
					t.Errorf("%v, %s", err, paid.body)
					return
				}
				seq := fmt.Sprintf(`"seq":%s,`, paid.object()["seq"])
				for _, who := range []user{u, to} {
					for _, order := range []string{"newest", "oldest"} {
						got, err := r.try(ask{method: "GET", path: "/v1/accounts/" + who.account + "/entries?limit=1000&order=" + order, token: who.token})
						if err != nil || got.status != 200 || !strings.Contains(string(got.body), seq) {
							t.Errorf("%s first: no %s; %v, %d", order, seq, err, got.status)
							return
						}
					}
				}
			}
		})
	}
	all.Wait()
	for _, u := range users { // every line leads to the next one's balance
		balance := int64(0)
		r.must(r.hub.AccountLines(u.no, ledger.Range{}, func(l *ledger.Line) bool {
			if balance += l.Change[0]; balance != l.After[0] {
				t.Errorf("%s: entry %d: %d, want %d", u.account, l.Seq, l.After[0], balance)
			}
			return true
		}))
		u.balance(balance, 0)
	}
}

// TestTimes: since, until and at, in both forms.
func TestTimes(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	for range 5 {
		r.later(time.Minute)
		a.pay(b, 10).want(200)
	}
	at := func(minutes int) string { return fmt.Sprint(startAt + minutes*60_000) }
	for query, want := range map[string]int{
		"": 7, "since=" + at(1): 5, "since=" + at(5): 1, "until=" + at(5): 6, "until=" + at(1): 2, "since=" + at(2) + "&until=" + at(4): 2,
		"since=" + at(6): 0, "until=0": 0, "since=" + at(3) + "&until=" + at(3): 0, "since=" + at(4) + "&until=" + at(2): 0, "since=" + at(99): 0,
		"since=" + url.QueryEscape(time.UnixMilli(startAt+120_000).UTC().Format(time.RFC3339)):                                4,
		"since=" + url.QueryEscape(time.UnixMilli(startAt+120_000).In(time.FixedZone("", 5400)).Format(time.RFC3339)):         4,
		"until=" + url.QueryEscape(time.UnixMilli(startAt+120_001).UTC().Format(time.RFC3339Nano)) + "&order=oldest&limit=10": 4,
	} {
		if got := a.get("/v1/accounts/" + a.account + "/entries?" + query).page(); len(got.Entries) != want {
			t.Errorf("%s: %d entries, want %d", query, len(got.Entries), want)
		}
	}
	for minutes, want := range map[int]int64{-1: 0, 0: 1000, 1: 990, 3: 970, 5: 950, 9: 950} {
		a.get("/v1/accounts/" + a.account + "/balance?at=" + at(minutes)).want(200).has(object{"account": a.account, "balance_msat": want, "held_msat": 0})
	}
	a.get("/v1/accounts/" + a.account + "/balance").want(200).has(object{"balance_msat": 950, "seq": r.hub.Seq()})
	b.get("/v1/accounts/"+a.account+"/balance").refused(403, "foreign_account", "another")
}

// TestStatements: each format is whole, and adds up.
func TestStatements(t *testing.T) {
	r := setup{segment: 512}.rig(t)
	a, b := r.user(1_000_000), r.user(0)
	r.busy(a, b, 3000)
	path := "/v1/accounts/" + a.account + "/statement"
	from, until := startAt+500, startAt+2500 // the seconds of the channel's opening and of the last batches lie apart
	got := a.get(fmt.Sprintf("%s?from=%d&until=%d&format=json", path, from, until)).want(200)
	var s struct {
		Opening, Closing struct {
			Balance int64 `json:"balance_msat"`
			Held    int64 `json:"held_msat"`
		}
		Count int
		Lines []struct {
			Change int64 `json:"change_msat"`
			Held   int64 `json:"held_change_msat"`
		}
	}
	r.must(json.Unmarshal(got.body, &s))
	balance, held := s.Opening.Balance, s.Opening.Held
	for _, l := range s.Lines {
		balance, held = balance+l.Change, held+l.Held
	}
	if s.Count == 0 || s.Count != len(s.Lines) || balance != s.Closing.Balance || held != s.Closing.Held {
		t.Errorf("%d lines lead from %v to %d and %d, not to %v", s.Count, s.Opening, balance, held, s.Closing)
	}
	a.get(fmt.Sprintf("/v1/accounts/%s/balance?at=%d", a.account, until-1)).want(200).has(object{"balance_msat": balance, "held_msat": held})

	rows, err := csv.NewReader(strings.NewReader(string(a.get(path).want(200).body))).ReadAll()
	if err != nil || len(rows) < 3003 {
		t.Errorf("CSV: %d rows, %v", len(rows), err)
	}
	for _, format := range []string{"csv", "json", "hledger", "parquet"} {
		got := a.get(path + "?format=" + format).want(200)
		if name := got.header.Get("Content-Disposition"); !strings.Contains(name, a.account) || len(got.body) < 3000 {
			t.Errorf("%s: %s, %d bytes", format, name, len(got.body))
		}
	}
	empty := a.get(fmt.Sprintf("%s?until=%d&format=json", path, startAt-1000)).want(200)
	if empty.num("count") != 0 || empty.num("last_seq") != empty.num("first_seq")-1 {
		t.Errorf("%s", empty.body)
	}
	for _, period := range []string{"until=0", "from=0&until=0", fmt.Sprintf("from=%d&until=%d", until, until)} {
		for format, least := range map[string]int{"csv": 50, "json": 100, "hledger": 50, "parquet": 500} {
			if got := a.get(path + "?" + period + "&format=" + format).want(200); len(got.body) < least {
				t.Errorf("%s, %s: %s", period, format, got.body)
			}
		}
	}
	a.get(fmt.Sprintf("%s?from=%d&until=%d&format=json", path, until, until)).want(200).has(object{"count": 0,
		"closing": map[string]any{"balance_msat": json.Number(fmt.Sprint(s.Closing.Balance)), "held_msat": json.Number(fmt.Sprint(s.Closing.Held))}})
	name, _ := a.channel(b, 10)
	a.post("/v1/channels/"+name+"/advance", object{"total_msat": 4}).want(200)
	b.get("/v1/channels/" + name + "/statement?format=json").want(200).has(object{"count": 2, "closing": map[string]any{"left_msat": json.Number("6"), "paid_msat": json.Number("4")}})
}

// TestClockBehind: what was acknowledged is in a statement and a balance of now, also when the clock is behind the ledger's.
func TestClockBehind(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	a.pay(b, 30).want(200)
	r.restart()
	r.millis.Store(startAt - 3_600_000)
	a.pay(b, 4).want(200)
	closing := object{"closing": map[string]any{"balance_msat": json.Number("966"), "held_msat": json.Number("0")}}
	a.get("/v1/accounts/" + a.account + "/statement?format=json").want(200).has(closing).has(object{"count": 4})
	a.get("/v1/accounts/" + a.account + "/balance").want(200).has(object{"balance_msat": 966, "seq": r.hub.Seq()})
}

// TestBadQueries: what is not understood is said so, and never taken for something else.
func TestBadQueries(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(1000)
	for range 3 {
		a.pay(b, 1).want(200)
	}
	entries := "/v1/accounts/" + a.account + "/entries"
	next := a.get(entries + "?limit=1").page().Next
	oldest := a.get(entries + "?limit=1&order=oldest").page().Next
	foreign := b.get("/v1/accounts/" + b.account + "/entries?limit=1").page().Next
	for query, mention := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "limit=-1": "limit", "limit=ten": "limit", "limit=": "limit", "limit=1e2": "limit", "limit=007": "limit",
		"order=best": "order", "order=": "order", "since=yesterday": "since", "until=": "until", "since=-5": "since", "until=2027-02-30T00:00:00Z": "until",
		"since=2027-01-15": "since", "until=99999999999999999999": "until", "since=1969-12-31T23:59:59Z": "since", "since=2027-01-15T08:00:00+01:00": "%2B",
		"cursor=": "cursor", "cursor=x": "cursor", "cursor=" + next + "A": "cursor", "cursor=" + next[:17]: "cursor", "cursor=AAAAAAAAAAAAAAAAAA": "another",
		"cursor=" + foreign: "another history", "cursor=" + oldest: "another order", "order=oldest&cursor=" + next: "another order",
		"cursor=" + strings.ToLower(next) + "=": "cursor", "limit=5&limit=5": "twice", "page=2": "does not belong", "limit=5&": "does not belong",
	} {
		if query == "limit=5&" { // an empty parameter is none
			a.get(entries + "?" + query).want(200)
			continue
		}
		a.get(entries+"?"+query).refused(400, "malformed_query", mention)
	}
	for path, mention := range map[string]string{
		"/balance?at=now": "at", "/balance?when=1": "belong", "/statement?format=pdf": "format", "/statement?from=2&until=1": "after until",
		"/statement?from=9999-01-01T00:00:00Z": "future",
		"/statement?limit=1":                   "belong", "/events?after=-1": "after", "/events?after=x": "after", "/events?after=999999": "newest",
	} {
		a.get("/v1/accounts/"+a.account+path).refused(400, "malformed_query", mention)
	}
	for _, id := range []string{"x", "-1", "999999", "1.5"} {
		r.do(ask{method: "GET", path: "/v1/accounts/" + a.account + "/events", token: a.token, header: map[string]string{"Last-Event-ID": id}}).
			refused(400, "malformed_query", "")
	}
	if r.server.Streams() != 0 {
		t.Errorf("%d streams are open", r.server.Streams())
	}
	if a.get(entries).want(http.StatusOK).header.Get("Link") != "" {
		t.Error("a link behind the last page")
	}
}
