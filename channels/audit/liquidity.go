package audit

import (
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Liquidity is what could be moved now, if routes and fees allow. In msat, on-chain in satoshis.
type Liquidity struct {
	Send     ledger.Msat  `json:"send"`     // over Lightning, by all channels together
	Largest  ledger.Msat  `json:"largest"`  // by one of them: a payment of one part
	Receive  ledger.Msat  `json:"receive"`  // over Lightning
	Coins    channels.Sat `json:"coins"`    // on-chain: confirmed, not set aside, and not in reserve
	Coming   channels.Sat `json:"coming"`   // on-chain, and not confirmed
	Leased   channels.Sat `json:"leased"`   // set aside for transactions that are not published
	Reserved channels.Sat `json:"reserved"` // for the fees of channels that close
	Active   int          `json:"active"`   // channels whose peer is there
	Inactive int          `json:"inactive"` // what these hold can neither be sent nor received
}

// Thresholds are what less is warned of. Zero: nothing is.
type Thresholds struct {
	Send    ledger.Msat
	Receive ledger.Msat
	Coins   channels.Sat
}

// liquidity says what can be moved. Each side of a channel keeps a hundredth of it as a reserve (BOLT 2: what lnd asks for).
func liquidity(a channels.Assets, lines []channels.Line) (l Liquidity) {
	const reserve = 100
	for _, line := range lines {
		if line.Stage != channels.LineOpen {
			continue
		}
		if !line.Active {
			l.Inactive++
			continue
		}
		l.Active++
		kept := line.Capacity / reserve
		send := ledger.Msat(max(0, line.Local-kept)) * msatPerSat
		l.Send += send
		l.Largest = max(l.Largest, send)
		l.Receive += ledger.Msat(max(0, line.Remote-kept)) * msatPerSat
	}
	l.Coins, l.Coming, l.Leased, l.Reserved = max(0, a.Confirmed-a.Reserved), a.Unconfirmed, a.Leased, a.Reserved
	return l
}

// warnings are about what is below a threshold.
func (l *Liquidity) warnings(t Thresholds) (all []string) {
	if l.Send < t.Send {
		all = append(all, fmt.Sprintf("only %d msat can be sent over Lightning: less than %d", l.Send, t.Send))
	}
	if l.Receive < t.Receive {
		all = append(all, fmt.Sprintf("only %d msat can be received over Lightning: less than %d", l.Receive, t.Receive))
	}
	if l.Coins < t.Coins {
		all = append(all, fmt.Sprintf("only %d sat can be paid on-chain: less than %d", l.Coins, t.Coins))
	}
	if l.Inactive > 0 {
		all = append(all, fmt.Sprintf("%d Lightning channels are not usable: their peers are away", l.Inactive))
	}
	return all
}
