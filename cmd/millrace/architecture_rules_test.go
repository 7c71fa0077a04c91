package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func rules() []rule {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	ours := func(dir string) string { return fmt.Sprintf("import _ %q", module+"/"+dir) }
	return []rule{{
		name:  "ladder",
		check: checkLadder,
		bad: []sample{
			{"ledger/x.go", ours("hub")}, {"ledger/x.go", ours("ledger/store")}, {"ledger/store/x.go", ours("hub")},
			{"hub/x.go", ours("hub/api")}, {"hub/seal/x.go", ours("hub/token")}, {"hub/client/x.go", ours("hub")},
			{"hub/api/x.go", ours("bench")}, {"hub/api/v1/x.go", ours("ledger/store")}, {"bench/x.go", ours("hub/api")},
			{"channels/chain/x.go", ours("channels/lightning")}, {"hub/nobody/x.go", ""}, {"surprise/x.go", ""},
			{"hub/x.go", ours("cmd/millrace")}, {"x.go", ""},
		},
		good: []sample{
			{"hub/x.go", ours("ledger")}, {"hub/api/x.go", ours("hub/api/contract")}, {"cmd/millrace/x.go", ours("bench")},
			{"hub/api/contract/x.go", ours("hub")}, {"ledger/x.go", `import "errors"`},
		},
	}, {
		name:  "guarded modules",
		check: checkGuarded,
		bad: []sample{
			{"hub/x.go", `import "github.com/cockroachdb/pebble/v2"`}, {"bench/x.go", `import "github.com/valyala/fasthttp"`},
			{"hub/api/x.go", `import "github.com/cockroachdb/pebble/v2/vfs"`},
			{"channels/x.go", `import "github.com/lightningnetwork/lnd/lnrpc"`},
			{"channels/lightning/x.go", `import "github.com/btcsuite/btcd/rpcclient"`},
			{"cmd/millrace/x.go", `import "github.com/valyala/fasthttp"`},
			{"hub/nwc/x.go", `import "github.com/btcsuite/btcd/wire"`}, {"hub/api/x.go", `import "github.com/btcsuite/btcd/btcec/v2"`},
			{"channels/settle/x.go", `import "github.com/btcsuite/btcd/wire"`},
		},
		good: []sample{
			{"channels/lightning/x.go", `import "github.com/btcsuite/btcd/wire"`},
			{"ledger/store/x.go", `import "github.com/cockroachdb/pebble/v2/vfs"`},
			{"hub/nwc/x.go", `import "github.com/btcsuite/btcd/btcec/v2/schnorr"`},
			{"hub/api/x.go", `import "github.com/valyala/fasthttp"`}, {"hub/api/v1/x.go", `import "github.com/valyala/fasthttp"`},
			{"channels/lightning/x.go", `import "github.com/lightningnetwork/lnd/lnrpc"`},
			{"deploy/regtest/network/x.go", `import "github.com/lightningnetwork/lnd/lnrpc"`},
		},
	}, {
		name:  "pure core",
		check: checkPure,
		bad: []sample{
			{"ledger/x.go", `import "time"`}, {"ledger/x.go", `import "os"`}, {"ledger/x.go", `import "sync/atomic"`},
			{"ledger/x.go", `import "math/rand/v2"`}, {"ledger/x.go", `import "crypto/rand"`}, {"ledger/x.go", `import "net/http"`},
			{"ledger/x.go", `import "log/slog"`}, {"ledger/x.go", `import "context"`},
			{"ledger/x.go", `import "github.com/cespare/xxhash/v2"`}, {"ledger/x.go", "func f() { go f() }"},
			{"ledger/x.go", "func f(c chan int) {}"}, {"ledger/x.go", "func f() { select {} }"},
		},
		good: []sample{
			{"ledger/x.go", `import ("errors"; "math/bits"; "io"; "encoding/binary")`},
			{"hub/x.go", "import \"time\"\nfunc f() { go f() }"}, {"ledger/store/x.go", `import "os"`},
		},
	}, {
		name:  "function length",
		check: checkFunctionLength,
		bad: []sample{
			{"hub/x.go", "func f() {" + lines(maxFunctionLines) + "}"},
			{"hub/x.go", "func g() { _ = func() {" + lines(maxFunctionLines) + "} }"},
		},
		good: []sample{{"hub/x.go", "func f() {" + lines(maxFunctionLines-1) + "}"}},
	}, {
		name:  "file length",
		check: checkFileLength,
		bad:   []sample{{"hub/x.go", lines(maxFileLines)}, {"cmd/millrace/x.go", lines(maxFileLines) + "var x = 1"}},
		good:  []sample{{"hub/x.go", lines(maxFileLines - 2)}},
	}, {
		name:  "package variables",
		check: checkVariables,
		bad: []sample{
			{"hub/x.go", "var n int"}, {"hub/x.go", "var n = 1"}, {"hub/x.go", "var m = map[string]int{}"},
			{"hub/x.go", "var m = make(map[string]int)"}, {"hub/x.go", "import \"sync\"\nvar mu sync.Mutex"},
			{"hub/x.go", "var p = &T{1}\ntype T struct{ n int }"}, {"hub/x.go", "var s []int"},
			{"hub/x.go", "import \"net/http\"\nvar c = http.DefaultClient"}, {"hub/x.go", "var a, b = []int{1}, 2"},
			{"hub/x.go", "var (\n\tok = []int{1}\n\tnot = false\n)"},
		},
		good: []sample{
			{"hub/x.go", "import \"errors\"\nvar ErrX = errors.New(\"x\")"}, {"hub/x.go", "var t = [...]string{\"a\"}"},
			{"hub/x.go", "var t = map[string]int{\"a\": 1}"}, {"hub/x.go", "import \"regexp\"\nvar r = regexp.MustCompile(`x`)"},
			{"hub/x.go", "import \"hash/crc32\"\nvar c = crc32.MakeTable(1)"}, {"hub/x.go", "var _ I = T{}"},
			{"hub/x.go", "import \"sync\"\nvar f = sync.OnceValue(g)\nfunc g() bool { return true }"},
			{"hub/x.go", "import _ \"embed\"\n//go:embed x.yaml\nvar x []byte"}, {"hub/x.go", "func f() { var n int; _ = n }"},
			{"hub/x.go", "import \"encoding/base64\"\nvar s, u = base64.StdEncoding.Strict(), base64.URLEncoding"},
		},
	}, {
		name:  "no init",
		check: checkInit,
		bad:   []sample{{"hub/x.go", "func init() {}"}},
		good:  []sample{{"hub/x.go", "type T struct{}\nfunc (T) init() {}"}},
	}, {
		name:  "folder names",
		check: checkFolders,
		bad:   []sample{{"hub/util/x.go", ""}, {"internal/ledger/x.go", ""}, {"cmd/common/x.go", ""}, {"ledger/types/x.go", ""}},
		good:  []sample{{"hub/seal/x.go", ""}},
	}, {
		name:  "narrow interfaces",
		check: checkInterfaces,
		bad: []sample{
			{"hub/x.go", "type I interface { A(); B(); C(); D(); E() }"},
			{"hub/x.go", "type I interface { A(); B(); J }\ntype J interface { C(); D(); E() }"},
			{"hub/x.go", "import \"io\"\ntype I interface { A(); B(); C(); D(); io.Reader }"},
			{"hub/x.go", "func f(x interface { A(); B(); C(); D(); E() }) {}"},
		},
		good: []sample{
			{"hub/x.go", "type I interface { A(); B(); C(); D() }"}, {"hub/x.go", "type I interface { ~string | ~[]byte }"},
			{"hub/x.go", "type I interface { A(); B(); J }\ntype J interface { C(); D() }"},
		},
	}}
}

func checkLadder(_ *tree, s *source) (out []finding) {
	allowed, ok := "", false
	row := s.dir
	for _, l := range ladder {
		if covers(l.dir, s.dir) {
			allowed, row, ok = l.imports, l.dir, true
		}
	}
	if !ok {
		return []finding{{s.file.Name.Pos(), fmt.Sprintf("package %s has no row in the ladder", s.dir)}}
	}
	for _, i := range s.file.Imports {
		dir, our := strings.CutPrefix(importPath(i), module+"/")
		if our && allowed != "*" && !slices.Contains(strings.Fields(allowed), dir) && !(strings.HasSuffix(row, "/...") && covers(row, dir)) {
			out = append(out, finding{i.Pos(), fmt.Sprintf("%s must not import %s", s.dir, dir)})
		}
	}
	return out
}

// covers says whether a row of a table is about a folder.
func covers(row, dir string) bool {
	base, below := strings.CutSuffix(row, "/...")
	return dir == base || below && strings.HasPrefix(dir, base+"/")
}

func checkGuarded(_ *tree, s *source) (out []finding) {
	for _, i := range s.file.Imports {
		longest := -1
		for n, g := range guarded {
			if strings.HasPrefix(importPath(i), g.module) && (longest < 0 || len(g.module) > len(guarded[longest].module)) {
				longest = n
			}
		}
		if longest < 0 {
			continue
		}
		if g := guarded[longest]; !slices.ContainsFunc(strings.Fields(g.only), func(row string) bool { return covers(row, s.dir) }) {
			out = append(out, finding{i.Pos(), fmt.Sprintf("only %s imports %s", g.only, g.module)})
		}
	}
	return out
}

func checkPure(_ *tree, s *source) (out []finding) {
	if s.dir != "ledger" {
		return nil
	}
	for _, i := range s.file.Imports {
		p := importPath(i)
		first, _, _ := strings.Cut(p, "/")
		if strings.Contains(first, ".") || slices.ContainsFunc(impure, func(bad string) bool { return covers(bad+"/...", p) }) {
			out = append(out, finding{i.Pos(), fmt.Sprintf("the core must not import %s", p)})
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType, *ast.SendStmt:
			out = append(out, finding{n.Pos(), "the core has no goroutines and no Go channels"})
		}
		return true
	})
	return out
}

func checkFunctionLength(t *tree, s *source) (out []finding) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			if lines := t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1; lines > maxFunctionLines {
				out = append(out, finding{n.Pos(), fmt.Sprintf("a function of %d lines, at most %d", lines, maxFunctionLines)})
			}
		}
		return true
	})
	return out
}

func checkFileLength(t *tree, s *source) []finding {
	f := t.fset.File(s.file.Pos())
	lines := f.LineCount()
	if f.Size() > 0 && f.Position(f.Pos(f.Size())).Column == 1 {
		lines-- // after the last line break comes no line
	}
	if lines > maxFileLines && !ast.IsGenerated(s.file) {
		return []finding{{s.file.Name.Pos(), fmt.Sprintf("a file of %d lines, at most %d", lines, maxFileLines)}}
	}
	return nil
}

func checkVariables(t *tree, s *source) (out []finding) {
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			if v := spec.(*ast.ValueSpec); !isConstant(t, v) && !isEmbedded(g.Doc) && !isEmbedded(v.Doc) {
				out = append(out, finding{v.Pos(), fmt.Sprintf("package variable %s: only errors, tables and the like", v.Names[0].Name)})
			}
		}
	}
	return out
}

// isConstant says whether what a declaration sets can be taken for a constant: nobody would think of changing it.
func isConstant(t *tree, v *ast.ValueSpec) bool {
	if !slices.ContainsFunc(v.Names, func(n *ast.Ident) bool { return n.Name != "_" }) {
		return true // an assertion that a type implements an interface
	}
	for _, value := range v.Values {
		switch e := value.(type) {
		case *ast.CompositeLit:
			switch e.Type.(type) {
			case *ast.ArrayType, *ast.MapType:
				if len(e.Elts) > 0 {
					continue
				}
			}
		case *ast.CallExpr, *ast.SelectorExpr:
			if regexp.MustCompile(constantValues).MatchString(text(t, e)) {
				continue
			}
		}
		return false
	}
	return len(v.Values) > 0
}

func isEmbedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func checkInit(_ *tree, s *source) (out []finding) {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			out = append(out, finding{f.Pos(), "func init runs when nobody asked for it"})
		}
	}
	return out
}

func checkFolders(_ *tree, s *source) []finding {
	for part := range strings.SplitSeq(s.dir, "/") {
		if slices.Contains(vagueFolders, part) {
			return []finding{{s.file.Name.Pos(), fmt.Sprintf("a folder %q says nothing", part)}}
		}
	}
	return nil
}

func checkInterfaces(t *tree, s *source) (out []finding) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok {
			if m := t.methods(s.dir, i, 0); m > maxInterfaceMethods {
				out = append(out, finding{i.Pos(), fmt.Sprintf("an interface of %d methods, at most %d", m, maxInterfaceMethods)})
			}
		}
		return true
	})
	return out
}

// methods counts the methods of an interface. One that is embedded from the same package is counted out, one of
// another package counts as one method; terms of a type set count as none.
func (t *tree) methods(dir string, i *ast.InterfaceType, depth int) (n int) {
	for _, f := range i.Methods.List {
		switch e := f.Type.(type) {
		case *ast.FuncType:
			n += len(f.Names)
		case *ast.Ident:
			if embedded := t.interfaceNamed(dir, e.Name); embedded != nil && depth < 8 {
				n += t.methods(dir, embedded, depth+1)
			} else if e.Name == "error" {
				n++
			}
		case *ast.SelectorExpr:
			n++
		}
	}
	return n
}

func (t *tree) interfaceNamed(dir, name string) (found *ast.InterfaceType) {
	for _, s := range t.files {
		if s.dir != dir {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
				found, _ = spec.Type.(*ast.InterfaceType)
			}
			return found == nil
		})
	}
	return found
}

func importPath(i *ast.ImportSpec) string {
	p, err := strconv.Unquote(i.Path.Value)
	if err != nil {
		return i.Path.Value
	}
	return p
}

func text(t *tree, n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, t.fset, n); err != nil {
		return ""
	}
	return b.String()
}
