// Package scenario reads the files that say what load a payment system is put under: who pays whom, how often, in what requests, what
// goes wrong meanwhile, and what has to hold. A dozen come with the program (see files/); they are TOML, and every key is a field
// of [Scenario] or below it. A key that is not is refused.
package scenario

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds a scenario's file: more than a person would write.
const maxFile = 256 << 10

// ErrScenario is returned, wrapped, for a scenario that cannot be run. What is wrong stands behind it, with the key.
var ErrScenario = errors.New("scenario")

// Scenario is a load. What is left out has the value that [Default] gives.
type Scenario struct {
	Name  string `toml:"-"`     // of the file, without .toml
	About string `toml:"about"` // a line that says what it is like
	Seed  uint64 `toml:"seed"`  // of all that is drawn: the same scenario draws the same requests again

	Warmup   Duration `toml:"warmup"`   // before what is measured; the load is that of the beginning
	Duration Duration `toml:"duration"` // of what is measured; with stages theirs together, and not given
	Workers  int      `toml:"workers"`  // connections; each sends for payers of its own

	Population Population `toml:"population"`
	Skew       Skew       `toml:"skew"`
	Mix        Mix        `toml:"mix"`
	Request    Request    `toml:"request"`
	Arrival    Arrival    `toml:"arrival"`
	Retry      Retry      `toml:"retry"`
	HTTP       *HTTP      `toml:"http"` // of the target of that name alone
	Faults     []Fault    `toml:"faults"`

	Thresholds []Threshold `toml:"thresholds"` // what must hold at the end, or the exit code says that it did not
}

// Population is what there is before the first request.
type Population struct {
	Payers   int    `toml:"payers"`   // accounts that pay
	Payees   int    `toml:"payees"`   // accounts that are paid
	Channels int    `toml:"channels"` // payment channels, shared out among the payers in turn; a multiple of payers, or none
	Works    int    `toml:"works"`    // contents on sale, shared out among the payees in turn
	Funds    uint64 `toml:"funds_msat"`
	Price    uint64 `toml:"price_msat"` // of a work
}

// Skew is how uneven choices are.
type Skew struct {
	Payers Choice `toml:"payers"` // of each worker's own
	Payees Choice `toml:"payees"`
	Works  Choice `toml:"works"`
	// HotShare of a hundred transfers and new channels go to the HotPayees first payees, whatever Payees says.
	HotPayees int `toml:"hot_payees"`
	HotShare  int `toml:"hot_share"`
}

// Mix is how many of each kind there are among all ops: shares, whatever their sum.
type Mix struct {
	Advance  int `toml:"advance"`  // moves a channel's total on
	Transfer int `toml:"transfer"` // pays an account
	Unlock   int `toml:"unlock"`   // buys a work, or asks again for what is owned already
	History  int `toml:"history"`  // reads the newest entries of an account: a request of its own, never in a batch
}

// Request is what one request holds.
type Request struct {
	Ops      int      `toml:"ops"`      // of a batch; 1: each op is a request of its own
	Encoding Encoding `toml:"encoding"` // of a batch
	Least    uint64   `toml:"least_msat"`
	Most     uint64   `toml:"most_msat"` // of an advance or a transfer, drawn evenly from Least on
}

// Encoding is how a batch is written, by targets that know more than one way.
type Encoding string

const (
	Binary Encoding = "binary"
	Lines  Encoding = "ndjson"
	JSON   Encoding = "json"
)

// Arrival is when requests are sent.
type Arrival struct {
	// Loop is closed, where a worker sends its next request when it has the answer to its last and has thought for Think; or open, where
	// requests are due at the rate of the stages whether or not those before them were answered.
	Loop   Loop     `toml:"loop"`
	Think  Duration `toml:"think"`
	Stages []Stage  `toml:"stages"`
	// Random draws the gaps of an open loop from an exponential distribution, as if many people came each by himself; else they are even.
	Random bool `toml:"random"`
	// Patience is how late an open loop may send a request. One that is later is dropped, and counted as such.
	Patience Duration `toml:"patience"`
}

// Loop is closed or open.
type Loop string

const (
	Closed Loop = "closed"
	Open   Loop = "open"
)

// Stage is a part of an open loop: from Rate to To requests a second, evenly. A step is a stage without To behind another, a burst a short one.
type Stage struct {
	Rate float64  `toml:"rate"`
	To   *float64 `toml:"to"` // left out: as Rate
	For  Duration `toml:"for"`
}

// End is the rate at a stage's end.
func (s Stage) End() float64 {
	if s.To == nil {
		return s.Rate
	}
	return *s.To
}

// Retry is what happens to a request that was not answered, or that the target had no room for. It is sent again as it was.
type Retry struct {
	Attempts int      `toml:"attempts"` // at most so many in all
	Backoff  Duration `toml:"backoff"`  // before the second, twice as long before each one after
	Timeout  Duration `toml:"timeout"`  // of one attempt
}

// Duration is a time.Duration that TOML spells as a string such as "10s".
type Duration struct{ time.Duration }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as \"10s\"", b)
	}
	d.Duration = v
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Default is the scenario that a file without a key means.
func Default() Scenario {
	return Scenario{
		Seed: 1, Warmup: Duration{2 * time.Second}, Duration: Duration{10 * time.Second}, Workers: 4,
		Population: Population{Payers: 10_000, Payees: 1_000, Funds: 1_000_000_000_000, Price: 1_000},
		Request:    Request{Ops: 1, Encoding: Binary, Least: 1, Most: 1},
		Arrival:    Arrival{Loop: Closed, Patience: Duration{5 * time.Second}},
		Retry:      Retry{Attempts: 5, Backoff: Duration{50 * time.Millisecond}, Timeout: Duration{10 * time.Second}},
	}
}

//go:embed files/*.toml
var shipped embed.FS

// Shipped are the names of the scenarios that come with the program, in order.
func Shipped() []string {
	found, err := fs.Glob(shipped, "files/*.toml")
	if err != nil {
		return nil // the pattern is the embedded one
	}
	names := make([]string, 0, len(found))
	for _, file := range found {
		names = append(names, strings.TrimSuffix(path.Base(file), ".toml"))
	}
	return names
}

// Load reads a scenario: a shipped one by its name, or a file.
func Load(name string) (*Scenario, error) {
	if slices.Contains(Shipped(), name) {
		f, err := shipped.Open("files/" + name + ".toml")
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrScenario, err)
		}
		defer f.Close()
		return read(f, name)
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "./") {
		return nil, fmt.Errorf("%w: no %q comes with the program: there are %s; a file of that name is not here either",
			ErrScenario, name, strings.Join(Shipped(), ", "))
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	defer f.Close()
	return read(f, strings.TrimSuffix(path.Base(name), ".toml"))
}

func read(r io.Reader, name string) (*Scenario, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w %s: more than %d bytes", ErrScenario, name, maxFile)
	}
	return Parse(text, name)
}

// Parse reads a scenario's text, and validates it.
func Parse(text []byte, name string) (*Scenario, error) {
	s := Default()
	s.Name = name
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrScenario, name, explain(err))
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// TOML writes a scenario with all its keys, those that were left out with the values that they have. Parse reads it.
func (s *Scenario) TOML() ([]byte, error) { return toml.Marshal(s) }

// explain names the line, and all keys that are not known.
func explain(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		var all []string
		for _, e := range strict.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Sprintf("line %d: no key %q", line, strings.Join(e.Key(), ".")))
		}
		return errors.New(strings.Join(all, "; "))
	}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, column := at.Position()
		return fmt.Errorf("line %d, column %d: %w", line, column, err)
	}
	return err
}
