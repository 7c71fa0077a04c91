package generic

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
)

// session is a worker's connection.
type session struct {
	target *Target
	client http.Client
	ctx    context.Context // of all its requests
	cancel context.CancelFunc
}

// Close hangs up.
func (s *session) Close() error {
	s.cancel()
	s.client.CloseIdleConnections()
	return nil
}

// Abort ends a request that is under way.
func (s *session) Abort() { s.cancel() }

// Do sends the ops of a request one after the other.
func (s *session) Do(r *workload.Request, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(s.ctx, deadline)
	defer cancel()
	for i := range r.Ops {
		if err := s.one(ctx, r, i); err != nil {
			return err
		}
	}
	return nil
}

// one sends an op, and judges it by the answer's status.
func (s *session) one(ctx context.Context, r *workload.Request, i int) error {
	h := s.target.about
	call, fill := s.describe(r, &r.Ops[i])
	status, body, err := s.ask(ctx, call.Method, fill.Replace(call.Path), call.Type, fill.Replace(call.Body), fill)
	if err != nil {
		return err
	}
	switch {
	case slices.Contains(h.Busy, status):
		return fmt.Errorf("%w: status %d: %.200s", generator.ErrBusy, status, body)
	case slices.Contains(h.Refused, status):
		if r.Outcomes[i] = workload.Refused; r.Refusal == "" {
			r.Refusal = "status " + strconv.Itoa(status)
		}
		return nil
	case slices.Contains(h.Repeated, status):
		r.Outcomes[i] = workload.Repeated
	case slices.Contains(h.Done, status):
		if r.Outcomes[i] = workload.Either; r.Ops[i].Kind == workload.History {
			r.Outcomes[i] = workload.Done
		}
	default:
		return fmt.Errorf("%w: status %d says neither that it was done nor that it was not: %.200s", generator.ErrAnswer, status, body)
	}
	if want := fill.Replace(call.Want); !strings.Contains(string(body), want) {
		return fmt.Errorf("%w: no %q in %.200q", generator.ErrAnswer, want, body)
	}
	r.Secret = r.Ops[i].Kind == workload.Unlock // it cannot be looked at
	return nil
}

// describe finds how an op is asked for, and what stands for the names in braces.
func (s *session) describe(r *workload.Request, op *workload.Op) (scenario.Call, *strings.Replacer) {
	h, p := s.target.about, s.target.plan
	var id [36]byte
	hex.Encode(id[0:8], op.ID[0:4])
	hex.Encode(id[9:13], op.ID[4:6])
	hex.Encode(id[14:18], op.ID[6:8])
	hex.Encode(id[19:23], op.ID[8:10])
	hex.Encode(id[24:36], op.ID[10:16])
	id[8], id[13], id[18], id[23] = '-', '-', '-', '-'
	from, object, to := s.target.account(r.Payer), strconv.Itoa(int(op.Object)), ""
	var call scenario.Call
	switch op.Kind {
	case workload.Transfer:
		call, to = h.Transfer, s.target.account(int(op.Object))
	case workload.Advance:
		call, to = h.Advance, s.target.account(int(p.Payee[op.Object]))
	case workload.Unlock:
		call, to = h.Unlock, s.target.account(p.Seller(int(op.Object)))
	default:
		call = h.History
	}
	return call, strings.NewReplacer("{id}", string(id[:]), "{from}", from, "{account}", from, "{to}", to, "{channel}", object, "{work}", object,
		"{amount}", strconv.FormatUint(op.Amount, 10))
}
