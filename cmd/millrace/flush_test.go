package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFlushSays: whoever has batches cut is told what payouts wait for that a flush cannot help.
func TestFlushSays(t *testing.T) {
	s := newHub(t) // for its operator's token
	incident := func(kind, subject, text string) string {
		return `{"kind":"` + kind + `","subject":"` + subject + `","text":"` + text + `","raised":1,"again":1,"times":1}`
	}
	open := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/incidents") {
			io.WriteString(w, `{"incidents":[`+open+`]}`)
			return
		}
		io.WriteString(w, `{}`)
	}))
	defer server.Close()
	flush := func() string {
		t.Helper()
		r := millrace(t, nil, nil, "payouts", "flush", "--hub", server.URL, "--token-file", s.operator)
		if r.code != 0 {
			t.Fatalf("exit %d: %s", r.code, r.err)
		}
		return strings.TrimSpace(r.out)
	}
	open = incident("unassigned", "x", "not about payouts")
	if got := flush(); got != "flushed" {
		t.Errorf("%q", got)
	}
	open += "," + incident("fees", "wallet", "too dear for the hub")
	if got := flush(); !strings.Contains(got, "too dear for the hub") || strings.Contains(got, "not about") {
		t.Errorf("%q", got)
	}
}
