package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
)

// calls are the statements that each connection has prepared, by their names.
var calls = map[string]string{
	"advance":    "SELECT advance($1, $2, $3)",
	"transfer":   "SELECT transfer($1, $2, $3, $4)",
	"unlock":     "SELECT outcome, key FROM unlock($1, $2, $3)",
	"batch":      "SELECT went, fresh, bought FROM batch($1, $2, $3, $4, $5, $6, $7, $8)",
	"one_by_one": "SELECT one_by_one($1, $2, $3, $4, $5)",
	"history":    "SELECT moment, what, object, amount FROM history($1)",
}

func prepare(ctx context.Context, conn *pgx.Conn) error {
	for name, text := range calls {
		if _, err := conn.PgConn().Prepare(ctx, name, text, nil); err != nil {
			return fmt.Errorf("preparing %s: %w", name, err)
		}
	}
	return nil
}

// oneByOne is what the function of batches raises where something has to be refused.
const oneByOne = "MR001"

// What the functions say became of an op.
const (
	done     = 1
	repeated = 2
	poor     = 3
	refused  = 4
)

// all has the binary form for each parameter, or column.
var all = []int16{1}

// maxLanes bounds the connections that one worker uses at once for a batch of single payments.
const maxLanes = 16

// session is a worker's, who takes connections from the pool.
type session struct {
	target *Target
	ctx    context.Context // of all that is asked
	cancel context.CancelFunc
	values [8][]byte  // of a batch, written over by the next
	mu     sync.Mutex // held while a refusal is noted, which lanes may do at once
}

// Connect asks whether anybody is there.
func (t *Target) Connect(int) (generator.Session, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := t.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	c.Release()
	s := &session{target: t}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Close leaves the connections to the pool, whose they are.
func (s *session) Close() error {
	s.cancel()
	return nil
}

// Abort ends what is under way.
func (s *session) Abort() { s.cancel() }

// Do sends a request as the target's mode says.
func (s *session) Do(r *workload.Request, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(s.ctx, deadline)
	defer cancel()
	var err error
	switch {
	case len(r.Ops) == 1:
		err = s.single(ctx, r, 0)
	case s.target.cfg.Mode == Single:
		err = s.lanes(ctx, r)
	default:
		err = s.batch(ctx, r)
	}
	return explain(err)
}

// explain says which errors mean that nothing was done.
func explain(err error) error {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		switch p.Code {
		case "40P01", "40001", "53300", "57P03", "55P03": // deadlock, serialization, too many connections, it is starting, lock timeout
			return fmt.Errorf("%w: %w", generator.ErrBusy, err)
		}
	}
	return err
}

// transient says whether an error means that a server is on its way.
func transient(err error) bool {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code == "57P03"
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, fs.ErrNotExist)
}

// away says whether an error means that no server is there, or that it does not let anybody in yet.
func away(err error) bool {
	var n net.Error
	return errors.As(err, &n) || transient(err)
}

// call runs a prepared statement on a connection of the pool, and hands on the rows, whose bytes are valid meanwhile.
func (s *session) call(ctx context.Context, name string, values [][]byte, row func(columns [][]byte) error) error {
	c, err := s.target.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("a connection to PostgreSQL: %w", err)
	}
	defer c.Release()
	rows := c.Conn().PgConn().ExecPrepared(ctx, name, values, all, all)
	var bad error
	for rows.NextRow() {
		if err := row(rows.Values()); err != nil && bad == nil {
			bad = err
		}
	}
	if _, err := rows.Close(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return bad
}

// single sends one op of a request in a transaction of its own.
func (s *session) single(ctx context.Context, r *workload.Request, i int) error {
	op, who := &r.Ops[i], int4(uint32(r.Payer))
	if op.Kind == workload.History {
		if err := s.call(ctx, "history", [][]byte{who}, func([][]byte) error { return nil }); err != nil {
			return err
		}
		r.Outcomes[i] = workload.Done
		return nil
	}
	name, values := "advance", [][]byte{who, int4(op.Object), int8s(op.Amount)}
	switch op.Kind {
	case workload.Transfer:
		name, values = "transfer", append(values, op.ID[:])
	case workload.Unlock:
		name = "unlock"
	}
	answered := false
	err := s.call(ctx, name, values, func(columns [][]byte) error {
		if len(columns[0]) != 2 {
			return fmt.Errorf("%w: an outcome of %d bytes", generator.ErrAnswer, len(columns[0]))
		}
		if op.Kind == workload.Unlock && len(r.Ops) == 1 {
			r.Secret = bytes.Equal(columns[1], s.target.secrets[op.Object])
		}
		answered = true
		return s.judge(r, i, binary.BigEndian.Uint16(columns[0]))
	})
	if err == nil && !answered {
		return fmt.Errorf("%w: none to %s", generator.ErrAnswer, name)
	}
	return err
}

// judge notes an outcome as the functions number them.
func (s *session) judge(r *workload.Request, i int, outcome uint16) error {
	word := ""
	switch outcome {
	case done:
		r.Outcomes[i] = workload.Done
		return nil
	case repeated:
		r.Outcomes[i] = workload.Repeated
		return nil
	case poor:
		word = "insufficient_funds"
	case refused:
		word = "refused"
	default:
		return fmt.Errorf("%w: outcome %d", generator.ErrAnswer, outcome)
	}
	r.Outcomes[i] = workload.Refused
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Refusal == "" {
		r.Refusal = word
	}
	return nil
}

// lanes sends the ops of a request each in a transaction of its own, several at once: those of one object one after the other.
func (s *session) lanes(ctx context.Context, r *workload.Request) error {
	n := min(max(MaxConnections/s.target.cfg.Plan.Scenario.Workers, 1), maxLanes)
	errs := make([]error, n)
	var wait sync.WaitGroup
	for lane := range n {
		wait.Go(func() {
			for i := range r.Ops {
				if int(r.Ops[i].Object)%n != lane {
					continue
				}
				if errs[lane] = s.single(ctx, r, i); errs[lane] != nil {
					return
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// batch sends all ops in one call.
func (s *session) batch(ctx context.Context, r *workload.Request) error {
	var n [5]int // by kind
	least := ^uint64(0) >> 1
	for i := range r.Ops {
		n[r.Ops[i].Kind]++
		if r.Ops[i].Kind == workload.Unlock {
			least = min(least, r.Ops[i].Amount)
		}
	}
	v := &s.values
	advances, transfers, works := n[workload.Advance], n[workload.Transfer], n[workload.Unlock]
	v[0] = binary.BigEndian.AppendUint32(v[0][:0], uint32(r.Payer))
	v[1], v[2] = array(v[1], oidInt4, advances), array(v[2], oidInt8, advances)
	v[3], v[4], v[5] = array(v[3], oidUUID, transfers), array(v[4], oidInt4, transfers), array(v[5], oidInt8, transfers)
	v[6] = array(v[6], oidInt4, works)
	v[7] = binary.BigEndian.AppendUint64(v[7][:0], least)
	for i := range r.Ops {
		switch op := &r.Ops[i]; op.Kind {
		case workload.Advance:
			v[1], v[2] = appendInt4(v[1], op.Object), appendInt8(v[2], op.Amount)
		case workload.Transfer:
			v[3], v[4], v[5] = appendUUID(v[3], op.ID), appendInt4(v[4], op.Object), appendInt8(v[5], op.Amount)
		case workload.Unlock:
			v[6] = appendInt4(v[6], op.Object)
		}
	}
	answered := false
	err := s.call(ctx, "batch", v[:], func(columns [][]byte) error {
		answered = true
		return sets(r, columns)
	})
	var p *pgconn.PgError
	switch {
	case errors.As(err, &p) && p.Code == oneByOne:
		return s.each(ctx, r)
	case err == nil && !answered:
		return fmt.Errorf("%w: none to a batch", generator.ErrAnswer)
	}
	return err
}

// sets reads which of each kind were done now, where those were not all.
func sets(r *workload.Request, columns [][]byte) error {
	var now [3]map[[16]byte]bool // by column
	for k, size := range [...]int{4, 16, 4} {
		if columns[k] == nil {
			continue
		}
		now[k] = make(map[[16]byte]bool)
		if err := elements(columns[k], size, func(element []byte) error {
			var key [16]byte
			copy(key[:], element)
			now[k][key] = true
			return nil
		}); err != nil {
			return err
		}
	}
	for i := range r.Ops {
		op := &r.Ops[i]
		var key [16]byte
		binary.BigEndian.PutUint32(key[:], op.Object)
		var set map[[16]byte]bool
		switch op.Kind {
		case workload.Advance:
			set = now[0]
		case workload.Transfer:
			set, key = now[1], op.ID
		case workload.Unlock:
			set = now[2]
		}
		r.Outcomes[i] = workload.Done
		if set != nil && !set[key] {
			r.Outcomes[i] = workload.Repeated
		} else if op.Kind == workload.Unlock {
			delete(set, key) // once more in this batch is a repeat
		}
	}
	return nil
}

// each sends all ops in one call that decides them one after the other.
func (s *session) each(ctx context.Context, r *workload.Request) error {
	n := len(r.Ops)
	values := [][]byte{int4(uint32(r.Payer)), array(nil, oidInt2, n), array(nil, oidInt4, n), array(nil, oidInt8, n), array(nil, oidUUID, n)}
	for i := range r.Ops {
		op := &r.Ops[i]
		values[1], values[2] = appendInt2(values[1], uint16(op.Kind)), appendInt4(values[2], op.Object)
		values[3], values[4] = appendInt8(values[3], op.Amount), appendUUID(values[4], op.ID)
	}
	at := 0
	err := s.call(ctx, "one_by_one", values, func(columns [][]byte) error {
		return elements(columns[0], 2, func(element []byte) error {
			if at == n {
				return fmt.Errorf("%w: more outcomes than ops", generator.ErrAnswer)
			}
			at++
			return s.judge(r, at-1, binary.BigEndian.Uint16(element))
		})
	})
	if err == nil && at != n {
		return fmt.Errorf("%w: %d outcomes of %d ops", generator.ErrAnswer, at, n)
	}
	return err
}
