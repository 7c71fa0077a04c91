package audit

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
)

// The audit's own records:
//
//	audit/state        state
//	audit/report       the last Report
//	audit/open/ name   item: what is not settled between two books yet
//	audit/adjust/ id   Adjustment
const (
	keyState  = "audit/state"
	keyReport = "audit/report"
	keyOpen   = "audit/open/"
	keyAdjust = "audit/adjust/"
)

// state is how far the audit has come, and what it has added up till there. What lies behind is not read again but by a full run.
type state struct {
	Opened  time.Time `json:"opened,omitzero"` // zero: never
	Opening opening   `json:"opening"`

	Receipt   uint64    `json:"receipt"`  // settle index up to which it has looked at what the node was paid
	Payment   uint64    `json:"payment"`  // index up to which it has looked at what the node paid; none up to it is pending
	Height    int64     `json:"height"`   // from which on it looks at the wallet's transactions again
	Forwards  time.Time `json:"forwards"` // up to which it has added up what was earned
	Lightning int64     `json:"lightning"`
	Chain     int64     `json:"chain"`
	Costs     int64     `json:"costs"`
	Earned    int64     `json:"earned"`

	Full    time.Time `json:"full,omitzero"` // of the last full run
	Stopped string    `json:"stopped,omitempty"`
	Deep    bool      `json:"deep,omitempty"`   // what stopped payouts is seen by full runs alone
	Raised  []string  `json:"raised,omitempty"` // subjects of incidents that are open
}

// opening is what there was when the books were opened: what is older is nobody's business.
type opening struct {
	Receipt   uint64          `json:"receipt"`
	Payment   uint64          `json:"payment"`
	Height    int64           `json:"height"`            // of the newest block
	Pending   []channels.Hash `json:"pending,omitempty"` // transactions of the wallet that were in no block
	Seq       uint64          `json:"seq"`               // of the ledger's newest entry about money outside
	Lightning int64           `json:"lightning"`         // what was owed, by rail
	Chain     int64           `json:"chain"`
	Capital   int64           `json:"capital"` // what the node held, without what was owed
}

// name is what an item is known by. A payment to oneself has two of the same hash.
type name struct {
	Kind Kind          `json:"kind"`
	Hash channels.Hash `json:"hash"`
}

func (n name) key() []byte { return append([]byte(keyOpen+string(n.Kind)+"/"), n.Hash[:]...) }

// item is what the node has booked and is not at its end: a receipt or payment that is not credited, not captured, or known to nobody; a
// transaction of the wallet that nothing explains.
type item struct {
	name
	Amount  int64     `json:"amount"` // msat
	Fee     int64     `json:"fee,omitempty"`
	Counted bool      `json:"counted"` // in the state's sums: the records know it
	Since   time.Time `json:"since"`   // when it was first looked at
}

// effect is by how much it changed what the node holds.
func (i *item) effect() int64 {
	if i.Kind == KindPayment {
		return -i.Amount - i.Fee
	}
	return i.Amount
}

// maxOpen bounds the items that are looked at by each run.
const maxOpen = 100_000

// load reads what the audit remembers.
func (a *Auditor) load() error {
	if err := a.read(keyState, &a.state); err != nil {
		return err
	}
	var last Report
	if err := a.read(keyReport, &last); err != nil {
		return err
	}
	if !last.Time.IsZero() {
		a.last = &last
	}
	return a.loadAdjustments()
}

func (a *Auditor) read(key string, into any) error {
	text, err := a.cfg.Store.Get([]byte(key))
	if err == nil && text != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	return nil
}

// items reads what is open.
func (a *Auditor) items() (open map[name]*item, err error) {
	open = make(map[name]*item)
	var failed error
	err = a.cfg.Store.Scan([]byte(keyOpen), nil, func(_, text []byte) bool {
		i := new(item)
		failed = json.Unmarshal(text, i)
		open[i.name] = i
		return failed == nil
	})
	if failed != nil {
		err = failed
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is open: %w", err)
	}
	return open, nil
}

// row is a record as JSON.
func row(key []byte, value any) (channels.Row, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return channels.Row{}, fmt.Errorf("writing %q: %w", key, err)
	}
	return channels.Row{Key: key, Value: text}, nil
}
