package hub

// BlockWeight is what the sequencer takes for one block, for tests of its bound.
const BlockWeight = blockWeight

// BlocksInFlight is how many blocks the log gets before the first has been applied.
const BlocksInFlight = blocksInFlight

// Weight is what a batch counts for it.
func (b *Batch) Weight() int { return b.weight() }
