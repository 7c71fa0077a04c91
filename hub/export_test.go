package hub

// BlockWeight is what the sequencer takes for one block, for tests of its bound.
const BlockWeight = blockWeight

// Weight is what a batch counts for it.
func (b *Batch) Weight() int { return b.weight() }
