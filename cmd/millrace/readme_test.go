package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme runs the README's transcript as it is written, in a shell, against a hub in a process of its own.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```console\n")
	transcript, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("the README has no transcript")
	}
	work := t.TempDir()
	program := filepath.Join(work, "bin", "millrace")
	if err := os.Mkdir(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nBE_MILLRACE=1 exec '" + os.Args[0] + "' \"$@\"\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(work, "README.md"), readme)
	data := filepath.Join(work, "data")
	if r := millrace(t, nil, nil, "init", "--data", data); r.code != 0 {
		t.Fatalf("init: %+v", r)
	}
	url, _ := process(t, data)

	steps := strings.Split(transcript, "$ ")[1:]
	if len(steps) < 10 {
		t.Fatalf("%d steps", len(steps))
	}
	for _, step := range steps {
		command, want, _ := strings.Cut(step, "\n")
		sh := exec.Command("sh", "-c", command)
		sh.Dir = work
		sh.Env = append(os.Environ(), "MILLRACE_HUB="+url, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
		got, err := sh.CombinedOutput()
		if err != nil {
			t.Fatalf("$ %s\n%s%v", command, got, err)
		}
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want), regexp.QuoteMeta("..."), `\S+`) + "$"
		if !regexp.MustCompile(pattern).Match(got) {
			t.Fatalf("$ %s\ngot:\n%swant:\n%s", command, got, want)
		}
	}
}
