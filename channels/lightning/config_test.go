package lightning_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels/lightning"
)

func TestConfig(t *testing.T) {
	good := lightning.Config{Address: "127.0.0.1:10009", Certificate: "tls.cert", Macaroon: "millrace.macaroon", Network: "mainnet"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		part   string
		change func(*lightning.Config)
	}{
		{"address", func(c *lightning.Config) { c.Address = "127.0.0.1" }},
		{"certificate", func(c *lightning.Config) { c.Certificate = "" }},
		{"macaroon", func(c *lightning.Config) { c.Macaroon = "" }},
		{"network", func(c *lightning.Config) { c.Network = "bitcoin" }},
		{"key", func(c *lightning.Config) { c.Node = "02ab" }},
		{"timeout", func(c *lightning.Config) { c.Timeout = -1 }},
		{"lease", func(c *lightning.Config) { c.Lease = 100 * 365 * 24 * time.Hour }},
	} {
		bad := good
		c.change(&bad)
		if _, err := lightning.New(bad); err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v", c.part, err)
		}
	}
}

// TestPermissions: the macaroon that the package's comment has the operator bake allows what the code calls, and no more.
func TestPermissions(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile(`uri:(\S+)`).FindAllStringSubmatch(string(doc), -1) {
		documented = append(documented, m[1])
	}
	if !slices.Equal(documented, lightning.Permissions()) {
		t.Errorf("the comment has %v", documented)
	}

	services := map[string]string{
		"lightning": "/lnrpc.Lightning/", "router": "/routerrpc.Router/", "invoices": "/invoicesrpc.Invoices/", "wallet": "/walletrpc.WalletKit/",
		"chain": "/chainrpc.ChainKit/",
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bc\.(lightning|router|invoices|wallet|chain)\.(\w+)`).FindAllStringSubmatch(string(code), -1) {
			called[services[m[1]]+m[2]] = true
		}
	}
	for _, p := range lightning.Permissions() {
		if !called[p] {
			t.Errorf("%s is allowed and not called", p)
		}
		delete(called, p)
	}
	for p := range called {
		t.Errorf("%s is called and not allowed", p)
	}
}
