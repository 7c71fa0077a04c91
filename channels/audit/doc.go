// Package audit compares three books that know of the same money: the node's own (what it holds, was paid, paid and moved on-chain), the
// rails' records (deposits, payouts, batches) and the ledger (what is owed). Where they do not agree, or less is held than is owed, it
// stops payouts and raises an incident. Nothing else is ever stopped by it: payments and the release of keys go on.
//
// # What is compared
//
//	item by item   each invoice and keysend that the node was paid is a deposit; each payment that it made is a payout, with the fee;
//	               each transaction of its wallet is a deposit, a batch, the opening or closing of a channel, or was explained by the
//	               operator. Each run looks at what is new since the last one. A full run looks at everything, and at the reverse: what
//	               the ledger credited or let go is in the records, and what is in the records is in the node's books
//	in total       what the node holds is what is owed, and what is on its way, and what the operator put in (see sheet); to the msat
//	ratio          what is held, to what is owed, is not below a floor
//
// The books are not read at one moment. An item that only one of them has is looked at again, for some time where it may be late; totals
// count only when nothing moved while they were read, and a difference only when it is still there some time later. On a hub where
// something moves all the time only items and the ratio are compared.
//
// # What the operator does
//
// The books are opened once: what the node holds then is the operator's capital. Whatever he does with the node behind the hub's back
// (coins taken out, a payment by lncli, what the closing of a channel cost) is a mismatch, until he writes it down, with a reason:
// Adjust. Coins that come in and that nothing explains are his to explain as well, but stop nothing: anybody can send them. The fees of opening channels are found by themselves, and what the node earns by forwarding.
//
// # Files
//
//	sheet.go, compare.go, movement.go, liquidity.go   what is pure
//	check.go                                          one run: receipts.go, payments.go, wallet.go; full.go the full one
//	gate.go                                           what is stopped, and why; run.go the schedule
//	state.go, adjust.go                               what is remembered
//	scb.go                                            the node's channel backup, kept with the hub's data
package audit
