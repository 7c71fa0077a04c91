package settle

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Nodes are a Network and a Market out of the hub's nodes. What is nil is missing: nothing is paid over it.
type Nodes struct {
	Script  func(address string) ([]byte, error) // the public key script that an address stands for; channels.ErrNetwork
	Dust    func(script []byte) channels.Sat     // the least amount of an output
	Decode  func(text string) (channels.Invoice, error)
	Assets  func(context.Context) (channels.Assets, error)
	FeeRate func(ctx context.Context, blocks int) (channels.FeeRate, error)

	Target  int              // blocks within which a batch should be confirmed; zero: 6
	MaxRate channels.FeeRate // of a batch; zero: none
	CallFor time.Duration    // what a question may take; zero: 20 s
}

// maxOutput is what the largest script that anybody pays to takes in virtual bytes: P2TR and P2WSH have 43.
const maxOutput = 255

// Output implements Network.
func (n *Nodes) Output(address string) (Output, error) {
	if n.Script == nil || n.Dust == nil {
		return Output{}, channels.ErrNoRail
	}
	script, err := n.Script(address)
	if err != nil {
		return Output{}, err
	}
	size, dust := 8+1+len(script), n.Dust(script)
	if size > maxOutput || dust < 0 || dust > 1<<16-1 {
		return Output{}, fmt.Errorf("an output of %d bytes", size)
	}
	return Output{VSize: uint8(size), Dust: uint16(dust)}, nil
}

// Invoice implements Network.
func (n *Nodes) Invoice(text string) (channels.Invoice, error) {
	if n.Decode == nil {
		return channels.Invoice{}, channels.ErrNoRail
	}
	return n.Decode(text)
}

// Market asks the nodes.
func (n *Nodes) Market(ctx context.Context) (m Market, err error) {
	if n.Assets == nil {
		return m, nil
	}
	wait, target := n.CallFor, n.Target
	if wait == 0 {
		wait = 20 * time.Second
	}
	if target == 0 {
		target = 6
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	a, err := n.Assets(ctx)
	if err != nil {
		return m, fmt.Errorf("asking what the node has: %w", err)
	}
	m.Lightning, m.LightningMost = a.Local, a.Local
	if n.FeeRate == nil {
		return m, nil
	}
	if m.Rate, err = n.FeeRate(ctx, target); err != nil {
		return m, fmt.Errorf("asking for the fee rate: %w", err)
	}
	if n.MaxRate != 0 {
		m.Rate = min(m.Rate, n.MaxRate)
	}
	m.Coins = ledger.Msat(max(0, a.Confirmed-a.Reserved)) * satoshi
	return m, nil
}
