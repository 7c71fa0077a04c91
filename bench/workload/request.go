package workload

// Kind is what an op does.
type Kind uint8

const (
	Advance  Kind = iota + 1 // moves a channel's total to Amount
	Transfer                 // pays Amount to an account, once for each ID
	Unlock                   // buys a work, or gets again what the payer owns, for Amount at most
	History                  // reads the newest entries of the payer
)

// Op is one thing that is asked for, by the numbers of the plan.
type Op struct {
	Kind   Kind
	Object uint32 // a channel, an account that is paid, or a work
	Amount uint64 // msat
	ID     [16]byte
}

// Outcome is what became of an op.
type Outcome uint8

const (
	Unknown  Outcome = iota // nobody has said
	Done                    // it was carried out
	Repeated                // it was carried out before, and nothing has happened now
	Either                  // one of the two: the answer does not tell which
	Refused                 // it never will be
)

// Request is what is sent at once: ops of one payer. A target fills in what was answered.
type Request struct {
	Payer    int
	Ops      []Op
	Outcomes []Outcome // as long as Ops
	Secret   bool      // of a request that is one unlock: the answer had the work's secret, the right one. Batches bring none
	Refusal  string    // the word for why the first op that was refused was
	Repeats  int       // how many of the Either were repeats

	attempts int  // that were begun
	settled  bool // it is in the tally
}

// reset makes it a request that nobody has answered.
func (r *Request) reset(payer int) {
	r.Payer, r.Ops, r.Outcomes, r.Secret, r.Refusal, r.Repeats, r.attempts, r.settled = payer, r.Ops[:0], r.Outcomes[:0], false, "", 0, 0, false
}

// Forget takes back what an attempt has filled in, before the next.
func (r *Request) Forget() {
	clear(r.Outcomes)
	r.Secret, r.Refusal, r.Repeats = false, "", 0
	r.attempts++
}
