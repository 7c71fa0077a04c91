package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestEmptyFlags is about shell variables that are not set: the environment must not stand in for them.
func TestEmptyFlags(t *testing.T) {
	const work = "5f0c2a9be1d84477b6f3c0d1e2a39485"
	file := writeFile(t, filepath.Join(t.TempDir(), "f"), []byte("words"))
	env := []string{"MILLRACE_HUB=http://127.0.0.1:1", "MILLRACE_TOKEN=AgEI"}
	for flag, args := range map[string][]string{
		"token":      {"account", "show", "--token", ""},
		"token-file": {"account", "show", "--token-file="},
		"hub":        {"content", "show", "--hub", "", work},
		"save-token": {"account", "create", "--save-token", ""},
		"out":        {"open", "--max-msat", "1", "-o", "", file},
		"claim":      {"register", "--price-msat", "1", "--title", "T", "--claim", "", file},
	} {
		r := millrace(t, env, nil, args...)
		if r.code != exitUsage || !strings.Contains(r.err, "--"+flag+" is empty") || r.out != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"inspect", "--hub", "", file}, {"key", "show", "--hub", ""}, {"token", "restrict", "--token", ""}} {
		fails(t, exitUsage, "is empty", args...)
	}
}

func TestPasswordInHubURL(t *testing.T) {
	const hub = "http://user:hunter2@127.0.0.1:1"
	for _, args := range [][]string{{"account", "create", "--hub", hub}, {"key", "show", "--hub", hub}, {"account", "create"}} {
		for _, more := range []string{"--json=false", "--json"} {
			r := millrace(t, []string{"MILLRACE_HUB=" + hub}, nil, append(args, more)...)
			if r.code != exitUsage || strings.Contains(r.err+r.out, "hunter2") || !strings.Contains(r.err, "no user or password") {
				t.Errorf("%v: %+v", args, r)
			}
		}
	}
}
