// Package check proves a data folder: it derives everything anew from the log, and compares it with what the index holds.
//
//	tables        the checksum of every block of every table of both databases
//	log           every block's frame and checksum, the hash chain, the watermark beside the log, and at the end double entry
//	journal       each entry, in order
//	blocks        each block's row, and the leaf of the transparency log in it
//	tree          each hash of the transparency log
//	state         each part of the checkpoint, when the replay is at its block
//	ids           what is remembered of ops, as sums over windows of entries: see sums
//	entitlements  who owns what, in the same way
//	histories     each account's and channel's entries, in the same way; what they add up to, against the balances
//
// The log is read once, through a fresh ledger, and each keyspace of the index once beside it. Only when sums differ the log is
// read again, to name the rows. Memory is that of the ledger's state: the ledger forgets ids and entitlements and asks the index,
// as a hub does. That is no circle: rows that made the replay go wrong would differ from what it remembers. Should it fail, it is
// tried again without the index.
package check

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/index"
)

// Config says what to check. Log must be set, and Found.
type Config struct {
	Log   *store.Store  // open, and not started. Run uses it up: it is only to be closed
	Index index.Options // Dir is empty when there is no index

	// Notary makes the leaf of a block: see index.Options. Without one, the tree's secret part in each leaf is taken as it stands.
	Notary func(*ledger.Record) []byte
	// Found is told of each finding, at most MaxFindings of a keyspace.
	Found func(Finding)
	// Progress is told once a second what is being done. May be nil.
	Progress func(Progress)
}

// MaxFindings bounds the findings of one keyspace that are told. All are counted.
const MaxFindings = 20

// Finding is one thing that is not as it should be.
type Finding struct {
	Space string `json:"keyspace"`            // see the package's comment
	First uint64 `json:"first_seq,omitempty"` // of the entries that it is about; zero: not known
	Last  uint64 `json:"last_seq,omitempty"`
	Key   string `json:"key,omitempty"` // what it is about: a file, an id, an account, or a key in hexadecimal digits
	What  string `json:"what"`
}

// String is one line.
func (f Finding) String() string {
	s := f.Space
	switch {
	case f.First != 0 && f.First == f.Last:
		s += fmt.Sprintf(": entry %d", f.First)
	case f.First != 0:
		s += fmt.Sprintf(": entries %d to %d", f.First, f.Last)
	}
	if f.Key != "" {
		s += ": " + f.Key
	}
	return s + ": " + f.What
}

// Progress is how far a check is.
type Progress struct {
	Doing    string
	Done, Of uint64 // tables, entries or rows; Of is zero when it is not known
}

// Report is what a check came to.
type Report struct {
	Blocks   uint64 `json:"blocks"`   // replayed
	Entries  uint64 `json:"entries"`  // replayed
	Compared uint64 `json:"compared"` // of these, those that the index has, too
	Findings uint64 `json:"findings"` // also those not told
}

// Clean says that nothing was found.
func (r *Report) Clean() bool { return r.Findings == 0 }

// checker is a check under way.
type checker struct {
	ctx    context.Context
	cfg    Config
	rows   *index.Rows // nil: there is no index, or none that can be read
	mark   index.Watermark
	report Report
	counts map[string]int
	said   map[Finding]bool // a second replay finds the same again
	told   time.Time
}

// Run checks. An error means that it could not be done; damage is none, but a finding.
func Run(ctx context.Context, cfg Config) (Report, error) {
	c := &checker{ctx: ctx, cfg: cfg, counts: make(map[string]int), said: make(map[Finding]bool), told: time.Now()}
	c.openIndex()
	err := c.run()
	if c.rows != nil {
		err = errors.Join(err, c.rows.Close())
	}
	return c.report, err
}

func (c *checker) openIndex() {
	if c.cfg.Index.Dir == "" {
		return
	}
	var err error
	if c.rows, err = index.OpenRows(c.cfg.Index); err != nil {
		c.damage("index", err)
		return
	}
	if c.mark, err = c.rows.Watermark(); err != nil {
		c.damage("index", err)
		err = c.rows.Close()
		c.rows = nil
		if err != nil {
			c.damage("index", err)
		}
	}
}

func (c *checker) run() error {
	if err := c.tables(); err != nil {
		return err
	}
	p, err := c.replay(c.rows != nil)
	if err != nil {
		return err
	}
	if err := c.name(p); err != nil {
		return err
	}
	if c.rows != nil {
		err := c.rows.Strays(func(key []byte) {
			c.found(Finding{Space: "index", Key: hex.EncodeToString(key), What: "the row belongs to no keyspace"})
		})
		if err != nil {
			c.damage("index", err)
		}
	}
	return nil
}

func (c *checker) tables() error {
	each := func(space string) func(string, error) error {
		done := uint64(0)
		return func(file string, damage error) error {
			if damage != nil {
				c.found(Finding{Space: space, Key: file, What: damage.Error()})
			}
			done++
			c.progress("checking tables of "+space, done, 0)
			return c.ctx.Err()
		}
	}
	if err := c.cfg.Log.Tables(c.ctx, each("log")); err != nil || c.rows == nil {
		return err
	}
	return c.rows.Tables(c.ctx, each("index"))
}

// found tells of a finding, once.
func (c *checker) found(f Finding) {
	if c.said[f] {
		return
	}
	c.report.Findings++
	if c.counts[f.Space]++; c.counts[f.Space] <= MaxFindings {
		c.said[f] = true
		c.cfg.Found(f)
	}
}

// damage is found for what cannot be read.
func (c *checker) damage(space string, err error) {
	c.found(Finding{Space: space, What: err.Error()})
}

func (c *checker) progress(doing string, done, of uint64) {
	if now := time.Now(); c.cfg.Progress != nil && now.Sub(c.told) >= time.Second {
		c.told = now
		c.cfg.Progress(Progress{doing, done, of})
	}
}
