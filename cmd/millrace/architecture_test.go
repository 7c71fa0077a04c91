package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The shape of the repository, as tables. The rules that read them are in architecture_rules_test.go; they look at
// every Go file outside testdata but the tests, whatever its build tags.

const module = "github.com/millrace/millrace"

// ladder says which of our packages each package may import. A package without a row is refused: adding one is a
// decision. A row that ends in /... is for the packages below it, too; those may import each other.
var ladder = []struct{ dir, imports string }{
	{"ledger", ""},
	{"ledger/ledgertest", "ledger"},
	{"ledger/store/...", "ledger ledger/tlog"},
	{"ledger/tlog", "ledger ledger/tlog/sha256x2"},
	{"ledger/tlog/sha256x2", ""},

	{"hub/seal", "ledger"},
	{"hub/media", "ledger hub/seal"},
	{"hub/token", "ledger"},
	{"hub/keyring", "ledger hub/seal"},
	{"hub/statement", "ledger"},
	{"hub/entry", "ledger"},
	{"hub/webhook", "ledger hub/entry channels/outbound"},
	{"hub", "ledger ledger/store ledger/store/index ledger/tlog hub/seal hub/keyring hub/token hub/currency"},
	{"hub/nwc", "ledger channels"},
	{"hub/currency", "ledger"},
	{"hub/rates", "hub/currency channels/outbound"},
	{"hub/api/...", "ledger ledger/tlog hub hub/seal hub/keyring hub/token hub/entry hub/statement hub/webhook hub/currency hub/rates " +
		"channels channels/settle channels/audit channels/lnurl hub/nwc"},
	{"hub/client", "ledger hub/seal hub/currency"},
	{"hub/ageplugin", "ledger hub/seal hub/token hub/client"},

	{"channels", "ledger"},
	{"channels/lightning", "ledger channels"},
	{"channels/chain", "ledger channels"},
	{"channels/settle", "ledger channels"},
	{"channels/audit", "ledger channels"},
	{"channels/lnurl", "ledger channels channels/outbound"},
	{"channels/outbound", ""},
	{"channels/voucher", "ledger"},
	{"deploy/regtest/...", ""},

	{"bench", "ledger ledger/store ledger/store/slow ledger/store/index ledger/store/records ledger/tlog hub hub/seal hub/keyring hub/token hub/client " +
		"channels channels/settle channels/chain channels/lightning channels/voucher deploy/regtest/network bench/scenario bench/workload bench/generator bench/plan bench/agent " +
		"bench/target/generic bench/target/postgres bench/target/sqlite bench/target/proc"},
	{"bench/agent", "bench/scenario bench/workload bench/generator"},
	{"bench/plan", ""},
	{"bench/scenario", ""},
	{"bench/workload", "bench/scenario"},
	{"bench/generator", "bench/scenario bench/workload"},
	{"bench/report", "bench/scenario bench/generator"},
	{"bench/target/...", "bench/scenario bench/workload bench/generator"},

	{"cmd/...", "*"},
}

// guarded says where alone, in which folders, a module (or a module whose path starts so) may be imported.
var guarded = []struct{ module, only string }{
	{"github.com/cockroachdb/pebble", "ledger/store/..."},
	{"github.com/valyala/fasthttp", "hub/api/..."},
	{"github.com/jackc/pgx", "bench/target/generic bench/target/postgres bench/target/sqlite"},
	{"modernc.org/sqlite", "bench/target/sqlite"},
	{"github.com/lightningnetwork/", "channels/lightning deploy/regtest/..."},
	{"github.com/btcsuite/btcd/rpcclient", "channels/chain deploy/regtest/..."},
	{"github.com/btcsuite/btcd/btcec", "bench channels/chain channels/lightning channels/voucher deploy/regtest/... hub/nwc"}, // Nostr signs as Bitcoin does: BIP 340
	// lnd's calls take its networks, transactions and PSBTs
	{"github.com/btcsuite/", "channels/chain channels/lightning deploy/regtest/..."},
}

// impure are the packages that the core must not import, nor any below them: time, randomness, I/O, locks.
var impure = []string{
	"context", "crypto/rand", "io/fs", "io/ioutil", "log", "math/rand", "net", "os", "path/filepath", "plugin", "runtime",
	"sync", "syscall", "testing", "time", "unique", "weak",
}

// The bounds of one thing that a reader has to take in.
const (
	maxFunctionLines    = 100
	maxFileLines        = 400
	maxInterfaceMethods = 4
)

// vagueFolders are names that say nothing about what is inside.
var vagueFolders = []string{"util", "utils", "common", "types", "pkg", "internal", "helpers", "misc"}

// constantValues are the values, beside tables, that may stand in a package variable: they never change.
const constantValues = `^((errors\.New|fmt\.Errorf|regexp\.MustCompile|crc32\.MakeTable|crc64\.MakeTable|` +
	`strings\.NewReplacer|sync\.OnceValue|template\.Must|prometheus\.NewDesc|netip\.MustParse\w+|\[\]byte)\(|` +
	`base(32|64)\.\w+|binary\.\w+Endian$)`

// rule is one law of the shape. Each comes with code that breaks it and code that does not: a rule that cannot fail
// is no rule.
type rule struct {
	name  string
	check func(*tree, *source) []finding
	bad   []sample
	good  []sample
}

type sample struct{ path, code string }

type finding struct {
	pos  token.Pos
	text string
}

// source is one file that is no test.
type source struct {
	dir  string // of the repository, with slashes
	file *ast.File
}

type tree struct {
	fset  *token.FileSet
	files []*source
}

func (t *tree) add(name string, code []byte) error {
	f, err := parser.ParseFile(t.fset, name, code, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &source{dir: path.Dir(name), file: f})
	return nil
}

func (t *tree) apply(r rule) (out []string) {
	for _, s := range t.files {
		for _, f := range r.check(t, s) {
			p := t.fset.Position(f.pos)
			out = append(out, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, f.text))
		}
	}
	return out
}

func TestArchitecture(t *testing.T) {
	code, err := readTree("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(code.files) == 0 {
		t.Fatal("no Go files found")
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range code.apply(r) {
				t.Error(f)
			}
		})
	}
}

func TestArchitectureRulesCanFail(t *testing.T) {
	for _, r := range rules() {
		if len(r.bad) == 0 || len(r.good) == 0 {
			t.Errorf("%s: needs code that breaks it and code that does not", r.name)
		}
		for _, s := range r.bad {
			if findings := one(t, s).apply(r); len(findings) == 0 {
				t.Errorf("%s: not found in %s:\n%.200s", r.name, s.path, s.code)
			}
		}
		for _, s := range r.good {
			if findings := one(t, s).apply(r); len(findings) != 0 {
				t.Errorf("%s: wrongly found:\n%s\n%.200s", r.name, strings.Join(findings, "\n"), s.code)
			}
		}
	}
}

func one(t *testing.T, s sample) *tree {
	t.Helper()
	code := &tree{fset: token.NewFileSet()}
	if err := code.add(s.path, []byte("package x\n"+s.code)); err != nil {
		t.Fatal(err)
	}
	return code
}

// readTree parses what go build ./... would look at, and what other build tags would add.
func readTree(root string) (*tree, error) {
	code := &tree{fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
			if rel != "." && (hidden || slices.Contains([]string{"testdata", "vendor", "bin", "data"}, d.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(d.Name(), ".") {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return code.add(filepath.ToSlash(rel), b)
	})
	return code, err
}
