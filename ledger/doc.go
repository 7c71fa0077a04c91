// Package ledger is the pure core of Millrace: who holds how much, which channels, holds and contents there are, and what
// every op does to them. It has no clock, randomness, I/O, goroutines or locks; time comes in as an argument. The whole
// state is a function of the blocks that were applied to it:
//
//	Op      what somebody asks for: a fixed-size value without pointers
//	Block   the ops of one group commit, encoded, with their time
//	State   Check says what an op would meet now; Apply does what a durable block says
//	Applied what Apply (or, for a repeat, Check) found: the only value that lets a secret go
//
// # Rules
//
// Double entry: the sum over all accounts, the external ones included, is zero after every entry. Amounts are unsigned, at
// most MaxMsat, and nothing but an external account goes below zero. Apply depends on the state and the block alone: the
// same ops in the same order at the same times give the same entries, the same state and the same head, however they are
// cut into blocks and whatever restarts lie between.
//
// # Concurrency
//
// A State is not locked. Apply must be alone; Check and the other readers may run at the same time as each other.
package ledger
