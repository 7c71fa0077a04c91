package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

// TestStrangeAnswers is about what answers 2xx and is no hub.
func TestStrangeAnswers(t *testing.T) {
	dir := t.TempDir()
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
	defer server.Close()
	for _, body = range []string{`null`, `{}`, `{"account":"ag0g","number":16,"token":""}`, `{"account":"ag0g","number":16,"token":"AgEI"}`} {
		fails(t, exitInternal, "not an answer of a hub", "account", "create", "--hub", server.URL, "--save-token", filepath.Join(dir, "token"))
		onlyIn(t, dir)
		fails(t, exitInternal, "not an answer of a hub", "key", "show", "--hub", server.URL)
	}
}
