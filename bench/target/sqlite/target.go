// Package sqlite is a ledger in SQLite, in this process, to hold others against: a file with a write-ahead log that is synced at each
// commit (synchronous=FULL), and a request in one transaction, whatever it holds. SQLite has one writer at a time: workers take turns.
//
// There is no server between: what SQLite uses of the processor is in the generator's share, and it cannot be killed by itself.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"runtime/debug"

	_ "modernc.org/sqlite" // the driver

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
)

//go:embed schema.sql
var ledger string

// readers bounds the connections that read histories, beside the one that writes.
const readers = 8

// Target is a ledger in a file.
type Target struct {
	plan    *workload.Plan
	file    string
	write   *sql.DB
	read    *sql.DB
	version string
	secrets [][]byte // of works

	// turn has one place: who is in it writes, with the statements that follow.
	turn  chan struct{}
	calls statements
}

// statements are those of the one connection that writes.
type statements struct {
	begin, commit, rollback    *sql.Stmt
	balance, add               *sql.Stmt
	channel, advance, advanced *sql.Stmt
	pay, paid, work, owns, own *sql.Stmt
}

// New makes the ledger in a folder, with the population of the plan in it.
func New(ctx context.Context, plan *workload.Plan, dir string) (t *Target, err error) {
	t = &Target{plan: plan, turn: make(chan struct{}, 1), file: filepath.Join(dir, "sqlite.db")}
	if err := t.open(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	if err := t.populate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %w", err), t.Close())
	}
	return t, nil
}

// open opens the file, which is made if it is not there.
func (t *Target) open() (err error) {
	q := url.Values{"_pragma": {
		"journal_mode(wal)", "synchronous(full)", "busy_timeout(10000)", "cache_size(-262144)", "mmap_size(1073741824)", "temp_store(memory)",
		"wal_autocheckpoint(8000)", // pages: more than the pages of a few large batches, less than makes readers slow
	}}
	name := (&url.URL{Scheme: "file", Opaque: t.file, RawQuery: q.Encode()}).String()
	for _, db := range []struct {
		to   **sql.DB
		most int
	}{{&t.write, 1}, {&t.read, readers}} {
		if *db.to, err = sql.Open("sqlite", name); err != nil {
			return fmt.Errorf("sqlite: %w", err)
		}
		(*db.to).SetMaxOpenConns(db.most)
		(*db.to).SetMaxIdleConns(db.most)
	}
	return nil
}

func (t *Target) populate(ctx context.Context) error {
	p := t.plan
	n := p.Scenario.Population
	for _, want := range []struct{ pragma, value string }{{"journal_mode", "wal"}, {"synchronous", "2"}} { // 2: full
		var got string
		if err := t.write.QueryRowContext(ctx, "PRAGMA "+want.pragma).Scan(&got); err != nil || got != want.value {
			return fmt.Errorf("%s is %q, not %q: %w", want.pragma, got, want.value, err)
		}
	}
	if err := t.write.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&t.version); err != nil {
		return err
	}
	text := ledger
	if p.Scenario.Mix.History > 0 {
		text += "CREATE INDEX advances_by ON advances (payer, at); CREATE INDEX transfers_by ON transfers (payer, at); CREATE INDEX owned_by ON owned (payer, at);"
	}
	if _, err := t.write.ExecContext(ctx, text); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(p.Scenario.Seed, 1<<40))
	for range n.Works {
		t.secrets = append(t.secrets, fmt.Appendf(nil, "%016x%016x", random.Uint64(), random.Uint64()))
	}
	tx, err := t.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := t.fill(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if _, err := t.write.ExecContext(ctx, "ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	return t.prepare(ctx)
}

// fill writes the population.
func (t *Target) fill(ctx context.Context, tx *sql.Tx) error {
	p := t.plan
	n := p.Scenario.Population
	for _, table := range []struct {
		insert string
		rows   int
		row    func(i int) []any
	}{
		{"INSERT INTO accounts VALUES (?, ?)", p.Accounts(), func(i int) []any {
			if i < n.Payers {
				return []any{i, int64(p.Available)}
			}
			return []any{i, 0}
		}},
		{"INSERT INTO channels (id, payer, payee, funds) VALUES (?, ?, ?, ?)", n.Channels, func(i int) []any {
			return []any{i, p.Payer(i), int64(p.Payee[i]), int64(p.ChannelFunds)}
		}},
		{"INSERT INTO works VALUES (?, ?, ?, ?)", n.Works, func(i int) []any {
			return []any{i, p.Seller(i), int64(n.Price), t.secrets[i]}
		}},
	} {
		insert, err := tx.PrepareContext(ctx, table.insert)
		if err != nil {
			return err
		}
		for i := range table.rows {
			if _, err := insert.ExecContext(ctx, table.row(i)...); err != nil {
				return errors.Join(err, insert.Close())
			}
		}
		if err := insert.Close(); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the statements. The connection that they are of stays open as long as the ledger.
func (t *Target) prepare(ctx context.Context) (err error) {
	c := &t.calls
	for _, s := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&c.begin, "BEGIN IMMEDIATE"}, {&c.commit, "COMMIT"}, {&c.rollback, "ROLLBACK"},
		{&c.balance, "SELECT balance FROM accounts WHERE id = ?"},
		{&c.add, "UPDATE accounts SET balance = balance + ? WHERE id = ?"},
		{&c.channel, "SELECT payee, funds, total FROM channels WHERE id = ? AND payer = ?"},
		{&c.advance, "UPDATE channels SET total = ? WHERE id = ?"},
		{&c.advanced, "INSERT INTO advances VALUES (?, ?, ?, ?)"},
		{&c.pay, "INSERT INTO transfers VALUES (?, ?, ?, ?, ?)"},
		{&c.paid, "SELECT count(*) FROM transfers WHERE id = ?"},
		{&c.work, "SELECT seller, price, secret FROM works WHERE id = ?"},
		{&c.owns, "SELECT count(*) FROM owned WHERE payer = ? AND work = ?"},
		{&c.own, "INSERT INTO owned VALUES (?, ?, ?, ?)"},
	} {
		if *s.to, err = t.write.PrepareContext(ctx, s.text); err != nil {
			return fmt.Errorf("%s: %w", s.text, err)
		}
	}
	return nil
}

// Name says which SQLite it is, and whose translation of it: modernc's is SQLite's C in Go, and slower than the C.
func (t *Target) Name() string { return "sqlite " + t.version + " (" + translation() + ", pure Go)" }

// module is the driver's.
const module = "modernc.org/sqlite"

// translation is the driver's module, with its version where the program knows it.
func translation() string {
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, m := range b.Deps {
			if m.Path == module {
				return module + " " + m.Version
			}
		}
	}
	return module
}

// Traits says that there is no server between.
func (t *Target) Traits() generator.Traits { return generator.Traits{Inside: true} }

// Connect makes a session, which has no connection of its own.
func (t *Target) Connect(int) (generator.Session, error) {
	return &session{target: t, gone: make(chan struct{})}, nil
}

// Books reads all balances.
func (t *Target) Books(ctx context.Context) (*workload.Books, error) {
	b := &workload.Books{Cut: cut(int64(t.plan.Scenario.Population.Price)), Kept: -1, Owners: []workload.Owner{}} // the cut has no account here
	if err := column(ctx, t.read, "SELECT balance FROM accounts ORDER BY id", &b.Balances); err != nil {
		return nil, fmt.Errorf("reading balances: %w", err)
	}
	if err := column(ctx, t.read, "SELECT total FROM channels ORDER BY id", &b.Totals); err != nil {
		return nil, fmt.Errorf("reading channels: %w", err)
	}
	rows, err := t.read.QueryContext(ctx, "SELECT payer, work FROM owned")
	if err != nil {
		return nil, fmt.Errorf("reading what is owned: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var o workload.Owner
		if err := rows.Scan(&o.Payer, &o.Work); err != nil {
			return nil, fmt.Errorf("reading what is owned: %w", err)
		}
		b.Owners = append(b.Owners, o)
	}
	b.Owned = int64(len(b.Owners))
	return b, rows.Err()
}

// Restart closes the file and opens it again. Nobody uses it meanwhile, and nobody pays afterwards: the statements are gone.
func (t *Target) Restart(context.Context) error {
	return errors.Join(t.Close(), t.open())
}

func column[N int64 | uint64](ctx context.Context, db *sql.DB, text string, to *[]N) error {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n N
		if err := rows.Scan(&n); err != nil {
			return err
		}
		*to = append(*to, n)
	}
	return rows.Err()
}

// Close closes the file, which is the caller's.
func (t *Target) Close() error {
	var errs []error
	for _, db := range []*sql.DB{t.read, t.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
