// Package channels moves money between the ledger and the world: deposits in, withdrawals and net settlement out, over
// Lightning or on-chain. Nobody is paid twice and nothing is lost, whatever crashes when.
//
// # How a payout stays one
//
//	hold      the record of the payout, with the id of its hold, is written; then the money is set aside in the ledger
//	name      what will be sent gets its identity, and that is written: a payment hash, or a whole signed transaction
//	send      only then is it handed to the node; sending the same identity again is the same payment
//	learn     done, failed, or unknown: what is unknown stays held, and is asked about until the node says what happened
//	capture   done: the held money leaves the ledger. Failed: it goes back to whoever it is from
//
// Each step is a write to the rails' own records (Records), which is durable when it returns, or an op of the ledger whose id
// was written before. So after a crash at any point the next start finds out how far it came by doing the last step again.
//
// # Who does what
//
//	step.go           the machine of one payout: step(state, event) -> (state, actions). Pure
//	driver.go         carries out its actions, and takes up at a start what is open
//	deposit.go        what comes in: an invoice or address each, credited once
//	channels/lightning   the node: lnd's RPC, and the wallet that is in it
//	channels/chain       the chain: btcd's RPC, addresses, transactions, fees
package channels
