package webhook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/hub/webhook"
)

// TestNodeVerifies: the specification's own package for Node takes a delivery as it is, and not a changed one.
func TestNodeVerifies(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node on this machine")
	}
	folder := filepath.Join("testdata", "npm")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "standardwebhooks")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the npm package standardwebhooks is not installed: make deps does it")
	}
	r, to := newRig(t), newReceiver(t)
	r.stop()
	config := r.config(true)
	config.Clock = func() uint64 { return uint64(time.Now().UnixMilli()) } // the package refuses old deliveries
	if r.Dispatcher, err = webhook.New(config); err != nil {
		t.Fatal(err)
	}
	r.Start()
	t.Cleanup(func() { _ = r.Close() })
	id, old := r.add(alice, to.URL)
	_, secret, err := r.Rotate(alice, id)
	if err != nil {
		t.Fatal(err)
	}
	r.history.pay(alice, 3)
	eventually(t, "a delivery", func() bool { return len(to.got()) > 0 })
	g := to.got()[0]
	verify := func(secret string, body []byte) (string, error) {
		header := make(map[string]string)
		for name := range g.header {
			header[strings.ToLower(name)] = g.header.Get(name)
		}
		text, err := json.Marshal(map[string]any{"secret": secret, "headers": header, "body": string(body)})
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		cmd := exec.CommandContext(t.Context(), node, "verify.mjs")
		cmd.Dir, cmd.Stdin, cmd.Stderr = folder, bytes.NewReader(text), &said
		out, err := cmd.Output()
		return string(out) + said.String(), err
	}
	for _, s := range []string{secret, old} {
		out, err := verify(s, g.body)
		var d delivered
		if err != nil || json.Unmarshal([]byte(out), &d) != nil || len(d.Data.Entries) != len(g.Data.Entries) {
			t.Errorf("%v: %s", err, out)
		}
	}
	if out, err := verify(secret, append(bytes.Clone(g.body), ' ')); err == nil || !strings.Contains(out, "WebhookVerificationError") {
		t.Errorf("a changed body: %v: %s", err, out)
	}
}
