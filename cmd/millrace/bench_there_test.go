package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/scenario"
)

// TestBenchThere holds that a hub that is there already is loaded through its API, as often as one likes, and that its books are read there.
func TestBenchThere(t *testing.T) {
	s := newHub(t)
	operator, err := readToken(t.Context(), s.operator)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ops, history int }{{1, 1}, {50, 0}} {
		text := bounded(fmt.Sprintf(everything, "1s", c.history, c.ops, scenario.Binary), "300ms")
		scene, err := scenario.Parse([]byte(text), "test")
		if err != nil {
			t.Fatal(err)
		}
		cfg := bench.Config{Dir: t.TempDir(), Serve: serveBench, ServeNoop: serveNoop, Command: itself, Operator: operator}
		r, err := bench.RunScenario(t.Context(), cfg, scene, "millrace="+s.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Passed() || r.Counts.Ops == 0 || r.Counts.Refused > 0 || !strings.HasPrefix(r.Target, "millrace at 127.0.0.1:") {
			t.Errorf("%s: %+v %+v %v %v", r.Target, r.Verdict, r.Counts, r.Refusals, r.Errors)
		}
	}
}

// TestBenchThereRefused holds that hubs that cannot be loaded are not.
func TestBenchThereRefused(t *testing.T) {
	s := newHub(t)
	for want, args := range map[string][]string{
		"needs the operator's token": {"--target", "millrace=" + s.url},
		"no TLS":                     {"--target", "millrace=https://hub.example", "--operator-token-file", s.operator},
		"no URL behind it":           {"--target", "millrace="},
		"is started by the suite":    {"--target", "sqlite=/tmp/x"},
		"has no [http]":              {"--target", "http"},
		"stages of an open loop":     {"--duration", "3s"},
		"token file":                 {"--target", "millrace=" + s.url, "--operator-token-file", "/nowhere"},
	} {
		scene := "tips"
		if want == "stages of an open loop" {
			scene = "bursts"
		}
		all := append([]string{"bench", "run", scene}, args...)
		fails(t, exitUsage, want, all...)
	}
}
