package api_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/hub"
)

func TestBackups(t *testing.T) {
	r := newRig(t)
	a, b := r.user(1000), r.user(0)
	a.pay(b, 1).want(200)
	post := func(token string) answer { return r.do(ask{method: "POST", path: "/v1/backups", token: token}) }
	post("").refused(401, "token_missing", "token")
	post(a.token).refused(403, "not_operator", "operator")
	first := post(r.operator).want(201).has(object{"through_block": r.metrics()["millrace_ledger_index"]})
	if _, err := os.Stat(filepath.Join(first.text("path"), "ledger")); err != nil {
		t.Error(err)
	}
	post(r.operator).refused(503, "backup_under_way", first.text("name")).has(object{"retryable": true})
	if _, err := os.Stat(filepath.Join(first.text("path"), "ledger")); err != nil {
		t.Errorf("the first went: %v", err)
	}
	drop := func(token, name string) answer {
		return r.do(ask{method: "DELETE", path: "/v1/backups/" + name, token: token})
	}
	drop(r.operator, first.text("name")).want(200)
	second := r.do(ask{method: "POST", path: "/v1/backups", token: r.operator, body: "{}"}).want(201)
	if _, err := os.Stat(first.text("path")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first is there still: %v", err)
	}
	drop(a.token, second.text("name")).refused(403, "not_operator", "operator")
	drop(r.operator, "..").want(200) // which is no backup, and so is not there
	if _, err := os.Stat(second.text("path")); err != nil {
		t.Error(err)
	}
	for range 2 {
		drop(r.operator, second.text("name")).want(200).has(object{"name": second.text("name")})
		if _, err := os.Stat(second.text("path")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it is there still: %v", err)
		}
	}
}

func TestNoBackups(t *testing.T) {
	r := setup{log: func(h *hub.Hub) hub.Log { return newGate().log(h) }}.rig(t)
	r.do(ask{method: "POST", path: "/v1/backups", token: r.operator}).refused(404, "route_unknown", "backups")
	r.do(ask{method: "DELETE", path: "/v1/backups/x", token: r.operator}).refused(404, "route_unknown", "backups")
}
