package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestResumeSays: whoever resumes payouts is told when something else stops them still.
func TestResumeSays(t *testing.T) {
	s := newHub(t) // for its operator's token
	stopped := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/resume"):
			io.WriteString(w, `{"paused":false}`)
		case stopped == "":
			w.WriteHeader(http.StatusNotFound)
		default:
			io.WriteString(w, `{"time":1,"full":true,"steady":true,"height":5,"held_msat":5,"backing_msat":5,"due_msat":5,"ratio_permille":1000,"difference_msat":0,"mismatches":[],"more":0,"warnings":[],"stopped":"`+stopped+`"}`)
		}
	}))
	defer server.Close()
	resume := func() string {
		t.Helper()
		r := millrace(t, nil, nil, "payouts", "resume", "--hub", server.URL, "--token-file", s.operator)
		if r.code != 0 {
			t.Fatalf("exit %d: %s", r.code, r.err)
		}
		return strings.TrimSpace(r.out)
	}
	if got := resume(); got != "payouts go on" {
		t.Errorf("%q", got)
	}
	stopped = "the books do not agree"
	if got := resume(); strings.Contains(got, "go on") || !strings.Contains(got, stopped) {
		t.Errorf("%q", got)
	}
}
