package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/workload"
)

// cut is what the ledger keeps of a work's price: one in a hundred.
func cut(price int64) uint64 { return uint64(price / 100) }

// errLate is what a worker gets that has not waited for its answer.
var errLate = errors.New("the answer came too late")

// session is a worker's.
type session struct {
	target *Target
	gone   chan struct{} // closed when nobody waits any more
	abort  sync.Once

	balance int64         // of the payer, in this transaction
	gains   map[int]int64 // by account, in this transaction
}

// Close has nothing to do.
func (s *session) Close() error { return nil }

// Abort ends the waiting for a turn. A transaction that has begun ends soon by itself.
func (s *session) Abort() { s.abort.Do(func() { close(s.gone) }) }

// Do decides a request in one transaction. It is not interrupted: who does not wait for it gets an error, and it may have been done.
func (s *session) Do(r *workload.Request, deadline time.Time) error {
	if r.Ops[0].Kind == workload.History {
		return s.history(r)
	}
	patience := time.NewTimer(time.Until(deadline))
	defer patience.Stop()
	select {
	case s.target.turn <- struct{}{}:
		defer func() { <-s.target.turn }()
	case <-s.gone:
		return fmt.Errorf("%w: others write", generator.ErrBusy)
	case <-patience.C:
		return fmt.Errorf("%w: others write", generator.ErrBusy)
	}
	c := &s.target.calls
	if _, err := c.begin.Exec(); err != nil {
		return fmt.Errorf("sqlite: beginning: %w", err)
	}
	err := s.all(r)
	if err == nil {
		_, err = c.commit.Exec()
	}
	if err != nil {
		_, undo := c.rollback.Exec()
		return fmt.Errorf("sqlite: %w", errors.Join(err, undo))
	}
	if time.Now().After(deadline) {
		return errLate
	}
	return nil
}

// all decides the ops in their order. Accounts are written at the end, each once.
func (s *session) all(r *workload.Request) error {
	c := &s.target.calls
	s.gains = make(map[int]int64)
	if err := c.balance.QueryRow(r.Payer).Scan(&s.balance); err != nil {
		return fmt.Errorf("reading a balance: %w", err)
	}
	before, now := s.balance, time.Now().UnixMicro()
	for i := range r.Ops {
		var err error
		switch op := &r.Ops[i]; op.Kind {
		case workload.Advance:
			err = s.advance(r, i, now)
		case workload.Transfer:
			err = s.transfer(r, i, now)
		case workload.Unlock:
			err = s.unlock(r, i, now)
		default:
			err = fmt.Errorf("an op of kind %d", op.Kind)
		}
		if err != nil {
			return err
		}
	}
	s.gains[r.Payer] += s.balance - before
	for account, gain := range s.gains {
		if gain == 0 {
			continue
		}
		done, err := c.add.Exec(gain, account)
		if err != nil {
			return fmt.Errorf("writing a balance: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("writing a balance: %d accounts have number %d: %w", n, account, err)
		}
	}
	return nil
}

func refuse(r *workload.Request, i int, word string) error {
	if r.Outcomes[i] = workload.Refused; r.Refusal == "" {
		r.Refusal = word
	}
	return nil
}

func (s *session) advance(r *workload.Request, i int, now int64) error {
	c, op := &s.target.calls, &r.Ops[i]
	var payee int
	var funds, total int64
	err := c.channel.QueryRow(op.Object, r.Payer).Scan(&payee, &funds, &total)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && int64(op.Amount) > funds:
		return refuse(r, i, "refused")
	case err != nil:
		return fmt.Errorf("reading a channel: %w", err)
	case int64(op.Amount) <= total:
		r.Outcomes[i] = workload.Repeated
		return nil
	}
	_, err1 := c.advance.Exec(int64(op.Amount), op.Object)
	_, err2 := c.advanced.Exec(r.Payer, op.Object, int64(op.Amount), now)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("writing a channel: %w", err)
	}
	s.gains[payee] += int64(op.Amount) - total
	r.Outcomes[i] = workload.Done
	return nil
}

func (s *session) transfer(r *workload.Request, i int, now int64) error {
	c, op := &s.target.calls, &r.Ops[i]
	var n int
	if err := c.paid.QueryRow(op.ID[:]).Scan(&n); err != nil {
		return fmt.Errorf("looking for a transfer: %w", err)
	}
	switch {
	case n > 0:
		r.Outcomes[i] = workload.Repeated
		return nil
	case s.balance < int64(op.Amount):
		return refuse(r, i, "insufficient_funds")
	}
	if _, err := c.pay.Exec(op.ID[:], r.Payer, op.Object, int64(op.Amount), now); err != nil {
		return fmt.Errorf("writing a transfer: %w", err)
	}
	s.balance -= int64(op.Amount)
	s.gains[int(op.Object)] += int64(op.Amount)
	r.Outcomes[i] = workload.Done
	return nil
}

func (s *session) unlock(r *workload.Request, i int, now int64) error {
	c, op := &s.target.calls, &r.Ops[i]
	var n, seller int
	var price int64
	var secret []byte
	err1 := c.work.QueryRow(op.Object).Scan(&seller, &price, &secret)
	err2 := c.owns.QueryRow(r.Payer, op.Object).Scan(&n)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("looking for a work: %w", err)
	}
	switch {
	case n > 0:
		r.Outcomes[i] = workload.Repeated
	case price > int64(op.Amount):
		return refuse(r, i, "refused")
	case s.balance < price:
		return refuse(r, i, "insufficient_funds")
	default:
		if _, err := c.own.Exec(r.Payer, op.Object, price, now); err != nil {
			return fmt.Errorf("writing who owns a work: %w", err)
		}
		s.balance -= price
		s.gains[seller] += price - int64(cut(price))
		r.Outcomes[i] = workload.Done
	}
	r.Secret = len(r.Ops) == 1 && bytes.Equal(secret, s.target.secrets[op.Object])
	return nil
}

// newest are those of what a payer has done.
const newest = `SELECT * FROM (SELECT at, 1, channel, total FROM advances WHERE payer = ? ORDER BY at DESC LIMIT 100)
UNION ALL SELECT * FROM (SELECT at, 2, payee, amount FROM transfers WHERE payer = ? ORDER BY at DESC LIMIT 100)
UNION ALL SELECT * FROM (SELECT at, 3, work, price FROM owned WHERE payer = ? ORDER BY at DESC LIMIT 100) ORDER BY 1 DESC LIMIT 100`

// history reads beside whoever writes.
func (s *session) history(r *workload.Request) error {
	rows, err := s.target.read.Query(newest, slices.Repeat([]any{r.Payer}, 3)...)
	if err != nil {
		return fmt.Errorf("sqlite: history: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line [4]int64
		if err := rows.Scan(&line[0], &line[1], &line[2], &line[3]); err != nil {
			return fmt.Errorf("sqlite: history: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("sqlite: history: %w", err)
	}
	r.Outcomes[0] = workload.Done
	return nil
}
