package contract

import (
	"net/http"
	"strings"
	"testing"
)

const (
	hookID      = "wh_58e0cb6c3ad1bf0e"
	hookResp    = `{"webhook":"` + hookID + `","url":"https://shop.example/x","created":1795000000000,"cursor":3,"parked":1,"attempts":0}`
	hookNew     = `{"webhook":"` + hookID + `","url":"https://shop.example/x","secret":"whsec_` + key32 + `","created":1795000000000,"cursor":3,"parked":0,"attempts":0}`
	accountLine = `{"seq":3,"time":1795000000000,"kind":"transfer","other":"ah0h","id":"` + opID + `","change_msat":-5,"held_change_msat":0,"balance_msat":95,"held_msat":0}`
	channelLine = `{"seq":4,"time":1795000000000,"kind":"advance","object":"c101","other":"ah0h","left_change_msat":-5,"paid_change_msat":5,"left_msat":5,"paid_msat":5}`
	ledgerLine  = `{"seq":3,"time":1795000000000,"kind":"transfer","id":"` + opID + `","legs":[{"move":"paid","from":"ag0g","to":"ah0h","amount_msat":5}]}`
	accountFlow = "retry: 2000\nid: 2\n\nid: 3\nevent: entry\ndata: " + accountLine + "\n\n: ping\n\nid: 9\nevent: ent"
	statement   = `{"hub":"https://hub.example","account":"ag0g","from":"2026-11-18T00:00:00.000Z","from_ms":1794960000000,"until":"2026-11-19T00:00:00.000Z",
		"until_ms":1795046400000,"first_seq":3,"last_seq":2,"opening":{"balance_msat":100,"held_msat":0},"lines":[],"count":0,"closing":{"balance_msat":100,"held_msat":0}}`
)

// goodFollowing is good for what follows the log: history, events and webhooks.
var goodFollowing = map[string]call{
	"entries":       get("/v1/accounts/ag0g/entries", `{"entries":[`+accountLine+`]}`),
	"entries paged": withHeader(get("/v1/accounts/ag0g/entries?order=oldest&limit=1&since=0&until=2026-11-18T20:26:40Z&cursor=bwAAAAAAAAADAAAAAA", `{"entries":[`+accountLine+`],"next":"bwAAAAAAAAADAAAAAA"}`), "Link", `</v1/accounts/ag0g/entries?cursor=x>; rel="next"`),
	"channel lines": get("/v1/channels/c101/entries", `{"entries":[`+channelLine+`]}`),
	"past balance":  get("/v1/accounts/ag0g/balance?at=1795000000000", `{"account":"ag0g","seq":3,"balance_msat":95,"held_msat":0}`),
	"statement": withHeader(get("/v1/accounts/ag0g/statement?from=2026-11-18T00:00:00Z&until=1795046400000&format=json", statement),
		"Content-Disposition", `attachment; filename="millrace-ag0g.json"`),
	"channel statement": withHeader(call{method: "GET", path: "/v1/channels/c101/statement", status: 200, resp: "a,b\n", respType: "text/csv; charset=utf-8; header=present"},
		"Content-Disposition", `attachment; filename="millrace-c101.csv"`),
	"parquet": withHeader(call{method: "GET", path: "/v1/channels/c101/statement?format=parquet", status: 200, resp: "PAR1xxxxPAR1", respType: parquetType},
		"Content-Disposition", `attachment; filename="millrace-c101.parquet"`),
	"events":          {method: "GET", path: "/v1/accounts/ag0g/events?after=2", status: 200, resp: accountFlow, respType: eventsType},
	"operator events": {method: "GET", path: "/v1/events", status: 200, resp: "id: 3\nevent: entry\ndata: " + ledgerLine + "\n\n", respType: eventsType},

	"hooks":      get("/v1/accounts/ag0g/webhooks", `{"webhooks":[`+hookResp+`]}`),
	"hook new":   post("/v1/accounts/ag0g/webhooks", `{"url":"https://shop.example/x","after":0}`, 201, hookNew),
	"hook gone":  {method: "DELETE", path: "/v1/accounts/ag0g/webhooks/" + hookID, status: 200, resp: `{"webhook":"` + hookID + `"}`},
	"hook key":   post("/v1/accounts/ag0g/webhooks/"+hookID+"/rotate", ``, 200, hookNew),
	"hook again": post("/v1/accounts/ag0g/webhooks/"+hookID+"/replay", `{"after":1}`, 200, hookResp),
	"parked":     get("/v1/accounts/ag0g/webhooks/"+hookID+"/parked", `{"parked":[{"delivery":"`+hookID+`_1_2","first":1,"last":2,"at":1795000000000,"error":"answered 500"}]}`),

	"operator hooks":      get("/v1/webhooks", `{"webhooks":[]}`),
	"operator hook new":   post("/v1/webhooks", `{"url":"https://shop.example/x"}`, 201, hookNew),
	"operator hook gone":  {method: "DELETE", path: "/v1/webhooks/" + hookID, status: 200, resp: `{"webhook":"` + hookID + `"}`},
	"operator hook key":   post("/v1/webhooks/"+hookID+"/rotate", `{}`, 200, hookNew),
	"operator hook again": post("/v1/webhooks/"+hookID+"/replay", `{"delivery":"`+hookID+`_1_2"}`, 200, hookResp),
	"operator parked":     get("/v1/webhooks/"+hookID+"/parked", `{"parked":[]}`),
}

func withHeader(c call, name, value string) call {
	c.respHeader = http.Header{name: {value}}
	return c
}

func TestBadFollowing(t *testing.T) {
	checker := newChecker(t)
	for _, test := range []struct {
		name  string
		from  string // the good exchange
		spoil func(*call)
		want  string // part of the error
	}{
		{"line without a balance", "entries", resp(`,"balance_msat":95`, ``), "missing property"},
		{"line of another history", "channel lines", resp(channelLine, accountLine), "missing properties"},
		{"kind that is none", "entries", resp(`"transfer"`, `"gift"`), "one of"},
		{"short cursor", "entries paged", resp(`"next":"bw`, `"next":"`), "pattern"},
		{"link that is none", "entries paged", func(c *call) { c.respHeader = http.Header{"Link": {"/next"}} }, "Link"},
		{"accepted limit 0", "entries paged", func(c *call) { c.path = strings.Replace(c.path, "limit=1", "limit=0", 1) }, "minimum"},
		{"accepted an order that is none", "entries paged", func(c *call) { c.path = strings.Replace(c.path, "oldest", "best", 1) }, "one of"},
		{"accepted a time that is none", "past balance", func(c *call) { c.path = "/v1/accounts/ag0g/balance?at=noon" }, "pattern"},
		{"statement without its end", "statement", resp(`,"closing":{"balance_msat":100,"held_msat":0}`, ``), "missing property"},
		{"statement without a name", "statement", func(c *call) { c.respHeader = nil }, "Content-Disposition"},
		{"Parquet cut off", "parquet", resp("xPAR1", "x"), "not a whole"},
		{"event without its id", "events", resp("id: 3\n", ""), "its seq as id"},
		{"event under another name", "events", resp("event: entry", "event: payment"), "want the event"},
		{"event twice", "events", resp(": ping\n\n", "id: 3\nevent: entry\ndata: "+accountLine+"\n\n"), "event 3 after event 3"},
		{"event with bad data", "events", resp(`"balance_msat":95`, `"balance_msat":"95"`), "want integer"},
		{"event with another field", "events", resp("event: entry\n", "event: entry\ncolour: red\n"), "field"},
		{"line that is no field", "events", resp(": ping", "ping"), "line"},
		{"secret shown again", "hooks", resp(hookResp, hookNew), "additional properties"},
		{"short secret", "hook new", resp(key32, key16), "pattern"},
		{"accepted both ways to replay", "hook again", req(`{`, `{"delivery":"`+hookID+`_1_2",`), "not"},
		{"accepted no URL", "hook new", req(`"url":"https://shop.example/x",`, ``), "missing property"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, ok := goodFollowing[test.from]
			if !ok {
				t.Fatal("no such exchange")
			}
			test.spoil(&c)
			err := c.check(checker)
			if err == nil {
				t.Fatal("not flagged")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error lacks %q:\n%v", test.want, err)
			}
		})
	}
}
