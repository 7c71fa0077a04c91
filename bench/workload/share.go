package workload

import (
	"bytes"
	"encoding/gob"
	"fmt"
)

// share is the tally of some workers: of their payers in order, and what these have paid to each payee.
type share struct {
	Spent        []int64
	Acked        []uint64
	Owned        []uint64
	Income, Sold []int64
}

// each calls f for each payer of the workers whose number leaves part when divided by parts.
func (p *Plan) each(part, parts int, f func(payer int)) {
	for payer := range p.Scenario.Population.Payers {
		if payer%p.Scenario.Workers%parts == part {
			f(payer)
		}
	}
}

// Export is the tally of the workers whose number leaves part when divided by parts, for a plan of the same scenario elsewhere.
func (p *Plan) Export(part, parts int) ([]byte, error) {
	var s share
	p.each(part, parts, func(payer int) {
		s.Spent = append(s.Spent, p.spent[payer])
		for k := range p.PerPayer {
			s.Acked = append(s.Acked, p.acked[payer+k*p.Scenario.Population.Payers])
		}
		s.Owned = append(s.Owned, p.owned[payer*p.stride:(payer+1)*p.stride]...)
	})
	for i := range p.income {
		s.Income = append(s.Income, p.income[i].Load())
		s.Sold = append(s.Sold, p.sold[i].Load())
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(&s); err != nil {
		return nil, fmt.Errorf("writing a tally: %w", err)
	}
	return b.Bytes(), nil
}

// Import adds what Export wrote elsewhere.
func (p *Plan) Import(part, parts int, text []byte) error {
	var s share
	if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&s); err != nil {
		return fmt.Errorf("reading a tally: %w", err)
	}
	payers := 0
	p.each(part, parts, func(int) { payers++ })
	if len(s.Spent) != payers || len(s.Acked) != payers*p.PerPayer || len(s.Owned) != payers*p.stride || len(s.Income) != len(p.income) || len(s.Sold) != len(p.sold) {
		return fmt.Errorf("reading a tally: it is of another scenario")
	}
	at := 0
	p.each(part, parts, func(payer int) {
		p.spent[payer] = s.Spent[at]
		for k := range p.PerPayer {
			p.acked[payer+k*p.Scenario.Population.Payers] = s.Acked[at*p.PerPayer+k]
		}
		copy(p.owned[payer*p.stride:(payer+1)*p.stride], s.Owned[at*p.stride:])
		at++
	})
	for i := range p.income {
		p.income[i].Add(s.Income[i])
		p.sold[i].Add(s.Sold[i])
	}
	return nil
}
