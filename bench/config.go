package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/millrace/millrace/hub"
)

// Config says what to measure and how large. The zero value of a field is what is written behind it.
type Config struct {
	Dir    string        // where the temporary data folders are made; empty: os.TempDir()
	Cases  []string      // names of cases; empty: the usual ones
	Rounds int           // of each case; 0: 5
	Round  time.Duration // of a case in one round; its limits take a half each, and both sides of settling twice as long; 0: 4 s

	Accounts      int   // of core, durable, scale, startup, checkpoint and settling, and as many channels; of netting; 0: 1,048,576
	Clients       int   // of durable; 0: 6
	Channels      int   // of the HTTP batches, rounded up to whole batches; 0: 100,000
	BatchOps      int   // ops of a batch; 0: hub.MaxBatchOps
	LineOps       int   // ops of a batch in NDJSON; 0: 1,000
	BatchConns    int   // connections that send batches; 0: 4
	Conns         int   // connections that send single payments; 0: 256
	Payers        int   // accounts that pay on each of these; 0: 16
	Contents      int   // on sale; 0: 1,000
	Payees        int   // of payouts-chain and settling; 0: 10,000
	Payouts       int   // of payouts-lightning in a round; 0: 500
	Repeats       int   // in a hundred unlocks, those of what is owned; 0: none
	SnapshotEvery int64 // bytes of blocks between two checkpoints; 0: as the store does

	// Keep is a folder for what the long cases but sustained make: taken up as it is if there is one, which may be a
	// hub's folder already with a log of some length, and left behind. Empty: a temporary one.
	Keep    string
	Entries uint64 // of the log of these cases but checkpoint, at least; 0: 20,000,000
	Base    uint64 // of the log that scale is compared with; 0: 10,000,000

	// Serve answers the API for a hub at an address.
	Serve func(h *hub.Hub, listen string) (addr string, stop func() error, err error)
	// ServeNoop is the same server with a handler that does nothing.
	ServeNoop func() (addr string, stop func() error, err error)

	Pace int // payments a second beside the readers of history and receipt, at most; 0: as many as go

	// Command is millrace itself, to be run with arguments in a process of its own.
	Command func(args ...string) *exec.Cmd

	// Agents are the URLs of those that make a scenario's load, and AgentSecret what they know the coordinator by. None: this process makes it.
	Agents      []string
	AgentSecret string
	// AgentsLate is how much later than it was told one of these may begin. 0: generator.MaxLate.
	AgentsLate time.Duration
	// Version is this program's: the agents' has to be the same.
	Version string
	// HubAddress is the host:port that a hub of a scenario listens at, and where agents find it. Empty: a free port of loopback.
	HubAddress string

	Operator string // token of the operator of a hub that is there already: a secret

	Progress io.Writer // nil: nowhere
	// Turn is told before a target's load of a scenario. May be nil.
	Turn func(target string)
	// Around is called before each round of a case itself, and what it returns after it: for profiles. May be nil.
	Around func() (after func())
}

// Quick is a smaller measurement: less than a minute, and less exact.
func Quick() Config {
	return Config{Rounds: 3, Round: 1200 * time.Millisecond, Accounts: 100_000, Contents: 250,
		Payees: 2000, Payouts: 100, Entries: 3_000_000, Base: 1_500_000}
}

// setDefaults fills in what is zero.
func (c *Config) setDefaults() {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	set(&c.Rounds, 5)
	set(&c.Accounts, 1<<20)
	set(&c.Clients, 6)
	set(&c.Channels, 100_000)
	set(&c.BatchOps, hub.MaxBatchOps)
	set(&c.LineOps, 1000)
	set(&c.BatchConns, 4)
	set(&c.Conns, 256)
	set(&c.Payers, 16)
	set(&c.Contents, 1000)
	set(&c.Payees, 10_000)
	set(&c.Payouts, 500)
	if c.Entries == 0 {
		c.Entries = 20_000_000
	}
	if c.Base == 0 {
		c.Base = 10_000_000
	}
	if c.Round == 0 {
		c.Round = 4 * time.Second
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Around == nil {
		c.Around = func() func() { return func() {} }
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	if len(c.Cases) == 0 {
		c.Cases, _ = Names()
	}
}

// Validate fills in what is zero, and names what is wrong.
func (c *Config) Validate() error {
	c.setDefaults()
	for _, n := range []int{c.Rounds, c.Accounts, c.Clients, c.Channels, c.BatchOps, c.LineOps, c.BatchConns, c.Conns, c.Payers, c.Contents, c.Payees,
		c.Payouts, c.Pace} {
		if n < 0 {
			return fmt.Errorf("bench: a number is negative: %d", n)
		}
	}
	switch {
	case c.Round < 0:
		return fmt.Errorf("bench: a round of %v", c.Round)
	case c.BatchOps > hub.MaxBatchOps || c.LineOps > hub.MaxBatchOps:
		return fmt.Errorf("bench: batches of %d and %d ops: at most %d", c.BatchOps, c.LineOps, hub.MaxBatchOps)
	case c.Clients*c.BatchOps > hub.DefaultMaxQueueOps || c.BatchConns*max(c.BatchOps, c.LineOps) > hub.DefaultMaxQueueOps:
		return fmt.Errorf("bench: more ops at once than the hub's queue of %d takes", hub.DefaultMaxQueueOps)
	case c.Repeats < 0 || c.Repeats > 100:
		return fmt.Errorf("bench: %d repeats in a hundred", c.Repeats)
	}
	for _, name := range c.Cases {
		i := slices.IndexFunc(cases[:], func(k benchCase) bool { return k.name == name })
		if i < 0 {
			usual, long := Names()
			return fmt.Errorf("bench: no case %q: want one of %q", name, slices.Concat(usual, long))
		}
		if cases[i].http && (c.Serve == nil || c.ServeNoop == nil) {
			return fmt.Errorf("bench: %s needs a server", name)
		}
		switch {
		case name == "startup" && c.Command == nil:
			return errors.New("bench: startup needs a command to run")
		case name == "scale" && c.Base >= c.Entries:
			return fmt.Errorf("bench: a log of %d entries is to be compared with one of %d", c.Entries, c.Base)
		}
	}
	return nil
}
