package rates

import (
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	good := func() Config {
		return Config{Sources: []Source{{Name: "a", File: "x", Currencies: list(t, "EUR")}, {Name: "b", URL: "https://rates.example/{currency}", Currencies: list(t, "USD", "EUR")}}}
	}
	c := good()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Every != time.Minute || c.Valid != 30*time.Minute || c.Move != 50 || c.Jump != 2000 || c.Need != 1 || c.Logger == nil || c.Clock == nil || c.After == nil {
		t.Errorf("%+v", c)
	}
	if s := c.Sources[0]; s.Path != "{currency}" || s.Stale != 15*time.Minute || s.Timeout != 10*time.Second {
		t.Errorf("%+v", s)
	}
	for _, x := range []struct {
		want string // within the error; empty: it is good
		bend func(*Config)
	}{
		{"every: 1ms", func(c *Config) { c.Every = time.Millisecond }},
		{"every: 2h0m0s", func(c *Config) { c.Every, c.Valid = 2*time.Hour, 24*time.Hour }},
		{"valid: 1m0s", func(c *Config) { c.Valid = time.Minute }},
		{"valid: 1000h0m0s", func(c *Config) { c.Valid = 1000 * time.Hour }},
		{"jump: at most", func(c *Config) { c.Jump = 100_001 }},
		{"move: more than jump", func(c *Config) { c.Move = 2001 }},
		{"need: -1", func(c *Config) { c.Need = -1 }},
		{"need: 2 sources, and USD has 1", func(c *Config) { c.Need = 2 }},
		{"source: 0 of them", func(c *Config) { c.Sources = nil }},
		{"source: 17 of them", func(c *Config) { c.Sources = make([]Source, 17) }},
		{"source a: there are two", func(c *Config) { c.Sources[1].Name = "a" }},
		{"name: want", func(c *Config) { c.Sources[0].Name = "A b" }},
		{"file and url: set one", func(c *Config) { c.Sources[0].URL = "https://x.example" }},
		{"file and url: set one", func(c *Config) { c.Sources[0].File = "" }},
		{"currencies: 0 of them", func(c *Config) { c.Sources[0].Currencies = nil }},
		{"currencies: 33 of them", func(c *Config) { c.Sources[0].Currencies = list(t, strings.Fields(strings.Repeat("EUR ", 33))...) }},
		{"currencies: the same twice", func(c *Config) { c.Sources[0].Currencies = list(t, "EUR", "EUR") }},
		{"path: without {currency}", func(c *Config) { c.Sources[1].URL, c.Sources[1].Path = "https://x.example", "rate" }},
		{"", func(c *Config) { c.Sources[1].URL = "https://x.example" }},
		{"path and time_path: at most", func(c *Config) { c.Sources[0].Path = strings.Repeat("x", 257) }},
		{"stale: -1s", func(c *Config) { c.Sources[0].Stale = -time.Second }},
		{"timeout: 1m1s", func(c *Config) { c.Sources[0].Timeout = 61 * time.Second }},
		{"url: want https://", func(c *Config) { c.Sources[1].URL = "http://x.example/{currency}" }},
		{"", func(c *Config) { c.Sources[1].URL, c.Sources[1].Private = "http://10.0.0.1/{currency}", true }},
		{"", func(c *Config) { c.Sources[1].URL, c.Development = "http://10.0.0.1/{currency}", true }},
		{"url: the address is not one of the public internet", func(c *Config) { c.Sources[1].URL = "https://10.0.0.1/{currency}" }},
		{"url: want https://", func(c *Config) { c.Sources[1].URL, c.Sources[1].Private = "file:///etc/passwd", true }},
		{"url: want a host", func(c *Config) { c.Sources[1].URL = "https:///{currency}" }},
		{"url: want a host", func(c *Config) { c.Sources[1].URL = "https://SECRET:SECRET@x.example/{currency}" }},
		{"url: want at most", func(c *Config) { c.Sources[1].URL = "https://x.example/{currency}%zzSECRET" }},
		{"url: want at most", func(c *Config) { c.Sources[1].URL = "https://x.example/{currency}" + strings.Repeat("x", 1024) }},
	} {
		c := good()
		x.bend(&c)
		err := c.Validate()
		if (err == nil) != (x.want == "") || err != nil && (!strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%v; want %q", err, x.want)
		}
	}
}
