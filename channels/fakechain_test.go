package channels

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// transaction is one of the fake chain's.
type transaction struct {
	Inputs  []Outpoint
	Outs    []Output
	Fee     Sat
	Salt    int
	id      Hash
	foreign bool // the wallet did not make it
}

// blockchain is a wallet and the chain it is on. Blocks are lists of transactions; a coin is spent once.
type blockchain struct {
	mu        sync.Mutex
	coins     map[Outpoint]Sat
	leased    map[Outpoint]Hash
	mempool   []*transaction
	blocks    [][]*transaction
	arrived   chan struct{} // closed when something changes
	rate      FeeRate
	down      bool
	addresses int
	salt      int
	published int
	fundErr   func(outs []Output) error // nil: none
	unheard   int                       // calls to Fund that do what they are asked, and no answer comes
	deaf      bool                      // Publish does what it is asked, and no answer comes
	signed    map[string]*transaction
	reserved  Sat
	gone      map[Outpoint]bool // coins whose transaction is not in the chain any more
	floor     Sat               // no transaction of a lower fee is taken
	inputs    Sat               // what the inputs of a transaction cost
	funded    int
	asked     int
	known     map[Hash]*transaction // that others made
	mute      map[Hash]bool         // a question about these is an error
}

func newBlockchain() *blockchain {
	return &blockchain{coins: make(map[Outpoint]Sat), leased: make(map[Outpoint]Hash), arrived: make(chan struct{}), rate: 10_000,
		signed: make(map[string]*transaction), known: make(map[Hash]*transaction)}
}

func (c *blockchain) give(amounts ...Sat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range amounts {
		c.salt++
		c.coins[Outpoint{sha256.Sum256(fmt.Append(nil, "coinbase ", c.salt)), 0}] = a
	}
}

func (t *transaction) seal() ([]byte, Hash) {
	raw, _ := json.Marshal(t)
	t.id = sha256.Sum256(raw)
	return raw, t.id
}

// spent says which transaction spends a coin: in a block or in the mempool.
func (c *blockchain) spent(coin Outpoint) (by *transaction, deep bool) {
	for _, b := range c.blocks {
		for _, t := range b {
			if slices.Contains(t.Inputs, coin) {
				return t, true
			}
		}
	}
	for _, t := range c.mempool {
		if slices.Contains(t.Inputs, coin) {
			return t, false
		}
	}
	return nil, false
}

func (c *blockchain) Fund(ctx context.Context, lock Hash, outs []Output, rate FeeRate) (Signed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return Signed{}, ErrDown
	}
	if c.fundErr != nil {
		if err := c.fundErr(outs); err != nil {
			return Signed{}, err
		}
	}
	var need, have Sat
	weight := int64(overheadWeight)
	for _, o := range outs {
		need += o.Amount
		weight += outputWeight(o.Script)
	}
	fee := Sat(feeOf(weight, rate)/msatPerSat) + c.inputs
	c.funded++
	t := &transaction{Outs: slices.Clone(outs), Fee: fee}
	for coin, amount := range c.coins {
		if by, _ := c.spent(coin); have >= need+fee || by != nil || c.leased[coin] != (Hash{}) {
			continue
		}
		have += amount
		t.Inputs = append(t.Inputs, coin)
	}
	if have < need+fee {
		return Signed{}, ErrFunds
	}
	for coin, l := range c.leased {
		if l == lock {
			delete(c.leased, coin)
		}
	}
	for _, coin := range t.Inputs {
		c.leased[coin] = lock
	}
	c.salt++
	t.Salt = c.salt
	t.Outs = append(t.Outs, Output{Script: []byte("change"), Amount: have - need - fee})
	raw, id := t.seal()
	c.signed[string(raw)] = t
	if c.unheard > 0 {
		c.unheard--
		return Signed{}, ErrDown
	}
	return Signed{ID: id, Raw: raw, PSBT: raw, Inputs: t.Inputs, Fee: fee, VSize: weight / 4, Change: len(outs)}, nil
}

// Replace is what channels/chain does with a PSBT.
func (c *blockchain) Replace(old Signed, rate FeeRate) (Signed, error) {
	var t transaction
	if err := json.Unmarshal(old.PSBT, &t); err != nil {
		return Signed{}, err
	}
	fee := Sat(old.VSize * int64(rate) / 1000)
	if fee <= t.Fee {
		return Signed{}, ErrFee
	}
	change := &t.Outs[len(t.Outs)-1]
	if change.Amount < fee-t.Fee+330 {
		return Signed{}, ErrFunds
	}
	change.Amount -= fee - t.Fee
	t.Fee = fee
	raw, _ := json.Marshal(&t)
	return Signed{PSBT: raw, Inputs: old.Inputs, Fee: fee, VSize: old.VSize, Change: old.Change}, nil
}

func (c *blockchain) Sign(_ context.Context, psbt []byte) (Signed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := new(transaction)
	if err := json.Unmarshal(psbt, t); err != nil {
		return Signed{}, err
	}
	raw, id := t.seal()
	c.signed[string(raw)] = t
	return Signed{ID: id, Raw: raw}, nil
}

func (c *blockchain) Release(_ context.Context, lock Hash, _ []Outpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return ErrDown
	}
	for coin, l := range c.leased {
		if l == lock {
			delete(c.leased, coin)
		}
	}
	return nil
}

func (c *blockchain) Publish(_ context.Context, raw []byte, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return ErrDown
	}
	t := c.signed[string(raw)]
	if t == nil {
		return fmt.Errorf("%w: not signed", ErrRefused)
	}
	if t.Fee < c.floor {
		return ErrFee
	}
	if err := c.accept(t); err != nil {
		return err
	}
	c.published++
	if c.deaf {
		return ErrDown
	}
	return nil
}

// accept takes a transaction into the mempool: it may replace others that pay less for all of its coins.
func (c *blockchain) accept(t *transaction) error {
	for _, coin := range t.Inputs {
		by, deep := c.spent(coin)
		switch {
		case c.gone[coin]:
			return ErrConflict
		case by == nil:
		case by.id == t.id:
			return nil
		case deep || by.Fee >= t.Fee:
			return ErrConflict
		}
	}
	c.mempool = slices.DeleteFunc(c.mempool, func(o *transaction) bool {
		return slices.ContainsFunc(o.Inputs, func(coin Outpoint) bool { return slices.Contains(t.Inputs, coin) })
	})
	c.mempool = append(c.mempool, t)
	c.changed()
	return nil
}

func (c *blockchain) changed() {
	close(c.arrived)
	c.arrived = make(chan struct{})
}

// mine puts the mempool, or what only accepts of it, into a block, and some empty ones behind.
func (c *blockchain) mine(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		c.blocks = append(c.blocks, c.mempool)
		c.mempool = nil
	}
	c.changed()
}

// undo takes blocks off the chain. What was in them is in the mempool again, or gone.
func (c *blockchain) undo(n int, gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks[len(c.blocks)-n:] {
		if !gone {
			c.mempool = append(c.mempool, b...)
		}
	}
	c.blocks = c.blocks[:len(c.blocks)-n]
	c.changed()
}

// pay is somebody who pays addresses of ours.
func (c *blockchain) pay(outs ...Output) *transaction {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.salt++
	t := &transaction{Outs: outs, Salt: c.salt, foreign: true, Fee: 1000}
	t.Inputs = []Outpoint{{sha256.Sum256(fmt.Append(nil, "foreign ", c.salt)), 0}}
	t.seal()
	c.known[t.id] = t
	c.mempool = append(c.mempool, t)
	c.changed()
	return t
}

func (c *blockchain) Assets(context.Context) (a Assets, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return a, ErrDown
	}
	for coin, amount := range c.coins {
		if by, _ := c.spent(coin); by == nil && c.leased[coin] == (Hash{}) {
			a.Confirmed += amount
		}
	}
	a.Reserved = c.reserved
	return a, nil
}

func (c *blockchain) Address(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return "", ErrDown
	}
	c.addresses++
	return fmt.Sprintf("addrours%d", c.addresses), nil
}

func (c *blockchain) Coins(_ context.Context, _ int64, f func(Coin) error) error {
	c.mu.Lock()
	var coins []Coin
	add := func(txs []*transaction, p Place) {
		for _, t := range txs {
			for i, o := range t.Outs {
				if t.foreign {
					coins = append(coins, Coin{Outpoint{t.id, uint32(i)}, string(o.Script), o.Amount, p})
				}
			}
		}
	}
	for i, b := range c.blocks {
		add(b, Place{Confirmations: int64(len(c.blocks) - i), Height: int64(i + 1)})
	}
	add(c.mempool, Place{})
	c.mu.Unlock()
	for _, coin := range coins {
		if err := f(coin); err != nil {
			return err
		}
	}
	return nil
}

func (c *blockchain) Spender(_ context.Context, coin Outpoint, _ int64) (Hash, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	by, _ := c.spent(coin)
	switch {
	case c.gone[coin]:
		return Hash{}, false, ErrNoTransaction
	case by == nil:
		return Hash{}, false, nil
	}
	return by.id, true, nil
}

func (c *blockchain) Moved(ctx context.Context, f func(Hash) error) error {
	for {
		c.mu.Lock()
		more := c.arrived
		c.mu.Unlock()
		if err := f(Hash{}); err != nil {
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *blockchain) Place(_ context.Context, id Hash) (Place, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return Place{}, ErrDown
	}
	if c.mute[id] {
		return Place{}, errors.New("something about this transaction is odd")
	}
	for i, b := range c.blocks {
		for _, t := range b {
			if t.id == id {
				return Place{Confirmations: int64(len(c.blocks) - i), Height: int64(i + 1)}, nil
			}
		}
	}
	for _, t := range c.mempool {
		if t.id == id {
			return Place{}, nil
		}
	}
	return Place{}, ErrNoTransaction
}

func (c *blockchain) FeeRate(context.Context, int) (FeeRate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return 0, ErrDown
	}
	return c.rate, nil
}

// paidTo is what an address got in blocks, and in how many outputs.
func (c *blockchain) paidTo(script []byte) (total Sat, times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks {
		for _, t := range b {
			for _, o := range t.Outs {
				if string(o.Script) == string(script) {
					total, times = total+o.Amount, times+1
				}
			}
		}
	}
	return total, times
}

var errBad = errors.New("a bad output")
