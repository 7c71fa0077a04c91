// Package postgres is a ledger in PostgreSQL, done as well as can be, to hold others against: see schema.sql.
//
// There are three ways to use it. [Batches] takes a whole request in one call of a function, which works set by set, and commits once; [Totals] is
// the same, but keeps of advances the channels' totals alone, and no line for each payment as a hub does; [Single] has a transaction
// for each payment, prepared, on connections of a pool, as many at once as pay off. All of them wait for fsync at each commit.
//
// It keeps less than a hub: no key of a payer is looked at, nothing is sealed or signed, and only what a payer has done is listed for him.
// Indexes that history reads alone need are there where a scenario reads history.
package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
)

//go:embed schema.sql
var ledger string

// How a ledger is used.
type Mode string

const (
	Batches Mode = "postgres"        // a request is one call and one commit
	Totals  Mode = "postgres-totals" // and advances leave no line
	Single  Mode = "postgres-single" // a payment is one call and one commit
)

// role is the user of the private cluster, and space the schema in which all lies.
const (
	role  = "bench"
	space = "millrace_bench"
)

// MaxConnections bounds those of the pool: more of them on a machine of few cores only wait for each other.
const MaxConnections = 32

// Config says which server to use, and how.
type Config struct {
	Plan *workload.Plan
	Mode Mode
	Dir  string // of a private cluster, which is made there
	// URL is a server that is there already, in libpq's form or as postgres://. Empty: a private one is started.
	URL      string
	Progress io.Writer // of what the server prints
}

// Target is a ledger in a server.
type Target struct {
	cfg     Config
	pool    *pgxpool.Pool
	version string
	secrets [][]byte    // of works
	alive   func() bool // whether the server still runs that we have started; nil: it is another's
}

// Started is one in a server that the suite has started: faults can happen to it, and what it uses is known.
type Started struct {
	*Target
	cluster *cluster
}

// New makes the ledger, with the population of the plan in it.
func New(ctx context.Context, cfg Config) (generator.Target, error) {
	if cfg.URL != "" {
		t, err := open(ctx, cfg, cfg.URL, nil)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	c, err := newCluster(cfg.Dir, cfg.Progress)
	if err != nil {
		return nil, err
	}
	t, err := open(ctx, cfg, c.url(), c.running)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return &Started{t, c}, nil
}

func open(ctx context.Context, cfg Config, url string, alive func() bool) (t *Target, err error) {
	t = &Target{cfg: cfg, alive: alive}
	conf, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL's URL: %w", err) // in which pgx leaves out the password
	}
	for name, value := range map[string]string{
		"search_path": space, "synchronous_commit": "on", "jit": "off", "plan_cache_mode": "force_generic_plan",
		// A set is joined with a table by looking up one key after the other, in the keys' order: locks are taken in it.
		"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_seqscan": "off",
	} {
		conf.ConnConfig.RuntimeParams[name] = value
	}
	conf.MaxConns = MaxConnections
	conf.MinConns = 0
	conf.AfterConnect = prepare
	conf.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	conf.ConnConfig.ConnectTimeout = 10 * time.Second
	if t.pool, err = pgxpool.NewWithConfig(ctx, conf); err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	pool := t.pool
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	plain := conf.ConnConfig.Copy()
	plain.RuntimeParams["enable_seqscan"] = "on"
	conn, err := t.await(ctx, plain)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if err := t.trust(ctx, conn); err != nil {
		return nil, err
	}
	return t, t.populate(ctx, conn)
}

// starting bounds the time until a server serves: it may have gigabytes of WAL to go through.
const starting = 5 * time.Minute

// await connects, to a server that we have started as soon as it lets us.
func (t *Target) await(ctx context.Context, conf *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		conn, err := pgx.ConnectConfig(ctx, conf)
		if err == nil {
			return conn, nil
		}
		if t.alive == nil && away(err) {
			return nil, fmt.Errorf("%w: %w", generator.ErrAway, err)
		}
		if t.alive == nil || !t.alive() || !transient(err) {
			return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
		case <-time.After(pause):
		}
	}
}

// trust refuses a server that forgets what it has acknowledged when the power fails.
func (t *Target) trust(ctx context.Context, conn *pgx.Conn) error {
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := conn.QueryRow(ctx, "SHOW "+name).Scan(&value); err != nil {
			return fmt.Errorf("asking PostgreSQL for %s: %w", name, err)
		}
		if value != "on" {
			return fmt.Errorf("PostgreSQL's %s is %s: it would be faster than it is, and forget what it has acknowledged", name, value)
		}
	}
	if err := conn.QueryRow(ctx, "SHOW server_version").Scan(&t.version); err != nil {
		return fmt.Errorf("asking PostgreSQL for its version: %w", err)
	}
	t.version, _, _ = strings.Cut(t.version, " ")
	return nil
}

// populate makes the tables and what the plan has in them.
func (t *Target) populate(ctx context.Context, conn *pgx.Conn) error {
	p := t.cfg.Plan
	n := p.Scenario.Population
	text := strings.ReplaceAll(ledger, "{{LINE}}", "")
	if t.cfg.Mode == Totals {
		text = strings.ReplaceAll(ledger, "{{LINE}}", "--")
	}
	if p.Scenario.Mix.History > 0 {
		text += "CREATE INDEX ON advances (payer, at); CREATE INDEX ON transfers (payer, at); CREATE INDEX ON owned (payer, at);"
	}
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+space); err != nil {
		return fmt.Errorf("making a schema of our own (DROP SCHEMA %s CASCADE, if an earlier run has left it): %w", space, err)
	}
	if _, err := conn.PgConn().Exec(ctx, text).ReadAll(); err != nil {
		return fmt.Errorf("making tables: %w", err)
	}
	random := rand.New(rand.NewPCG(p.Scenario.Seed, 1<<40))
	for range n.Works {
		t.secrets = append(t.secrets, fmt.Appendf(nil, "%016x%016x", random.Uint64(), random.Uint64()))
	}
	for _, fill := range []struct {
		table   string
		columns []string
		rows    int
		row     func(i int) []any
	}{
		{"accounts", []string{"id", "balance"}, p.Accounts(), func(i int) []any {
			if i < n.Payers {
				return []any{int32(i), int64(p.Available)}
			}
			return []any{int32(i), int64(0)}
		}},
		{"channels", []string{"id", "payer", "payee", "funds"}, n.Channels, func(i int) []any {
			return []any{int32(i), int32(p.Payer(i)), int32(p.Payee[i]), int64(p.ChannelFunds)}
		}},
		{"works", []string{"id", "seller", "price", "secret"}, n.Works, func(i int) []any {
			return []any{int32(i), int32(p.Seller(i)), int64(n.Price), t.secrets[i]}
		}},
	} {
		from := pgx.CopyFromSlice(fill.rows, func(i int) ([]any, error) { return fill.row(i), nil })
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{space, fill.table}, fill.columns, from); err != nil {
			return fmt.Errorf("filling the table of %s: %w", fill.table, err)
		}
		if _, err := conn.Exec(ctx, "VACUUM (ANALYZE, FREEZE) "+fill.table); err != nil {
			return fmt.Errorf("filling the table of %s: %w", fill.table, err)
		}
	}
	if t.cfg.URL == "" { // another's server may not let us
		if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
			return fmt.Errorf("a checkpoint before the load: %w", err)
		}
	}
	return nil
}

// Name says which server it is, and how it is used.
func (t *Target) Name() string {
	return string(t.cfg.Mode) + " " + t.version
}

// Books reads all balances.
func (t *Target) Books(ctx context.Context) (*workload.Books, error) {
	conf := t.pool.Config().ConnConfig.Copy()
	conf.RuntimeParams["enable_seqscan"] = "on"
	conn, err := t.await(ctx, conf)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	b := &workload.Books{Cut: t.cfg.Plan.Scenario.Population.Price / 100, Kept: -1} // the cut has no account here
	rows, err := conn.Query(ctx, "SELECT balance FROM accounts ORDER BY id")
	if err == nil {
		b.Balances, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return nil, fmt.Errorf("reading balances: %w", err)
	}
	if rows, err = conn.Query(ctx, "SELECT total FROM channels ORDER BY id"); err == nil {
		b.Totals, err = pgx.CollectRows(rows, pgx.RowTo[uint64])
	}
	if err != nil {
		return nil, fmt.Errorf("reading channels: %w", err)
	}
	if rows, err = conn.Query(ctx, "SELECT payer, work FROM owned"); err == nil {
		b.Owners, err = pgx.CollectRows(rows, pgx.RowToStructByPos[workload.Owner]) // which is not nil where nobody owns anything
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is owned: %w", err)
	}
	b.Owned = int64(len(b.Owners))
	return b, nil
}

// Close hangs up, and removes what was made in a server that was there already.
func (t *Target) Close() error {
	defer t.pool.Close()
	if t.cfg.URL == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, t.pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("removing %s from PostgreSQL: %w", space, err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "DROP SCHEMA "+space+" CASCADE"); err != nil {
		return fmt.Errorf("removing %s from PostgreSQL: %w", space, err)
	}
	return nil
}

// Kill ends the server as a crash of the machine does.
func (s *Started) Kill() error { return s.cluster.kill() }

// Start starts it again, and returns when it serves.
func (s *Started) Start() error {
	if err := s.cluster.start(); err != nil {
		return err
	}
	s.pool.Reset()
	conn, err := s.await(context.Background(), s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	return conn.Close(context.Background())
}

// Restart stops the server as its administrator would, and starts it again.
func (s *Started) Restart(context.Context) error {
	if err := s.cluster.stop(); err != nil {
		return err
	}
	return s.Start()
}

// Freeze stops all its processes, or lets them go on.
func (s *Started) Freeze(stopped bool) error { return s.cluster.freeze(stopped) }

// Slow is not there: PostgreSQL's disk is not in the suite's hands.
func (s *Started) Slow(time.Duration) error { return generator.ErrNoFault }

// Using is what its processes use.
func (s *Started) Using() (generator.Using, error) { return s.cluster.using() }

// Close ends it.
func (s *Started) Close() error {
	return errors.Join(s.cluster.close(), s.Target.Close())
}
