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
//	rails.go       what the rails are made of, and what they need of a node, a wallet and the chain
//	step.go        the machine of one payout: step(state, event) -> (state, action). Pure
//	driver.go      carries out its actions, and takes up at a start what is open; book.go those on the ledger, pay.go those over
//	               Lightning, inside.go those on invoices of our own
//	withdraw.go    Quote, Withdraw, Wait, Payouts
//	batch.go       what a transaction that pays many is, and who pays what of its fee. Pure; batcher.go and publish.go carry it out
//	deposit.go     what comes in, credited once; invoice.go over Lightning, coin.go on-chain
//	incident.go    what an operator must look at, and operator.go what he can do
//	lightning/     the node: lnd's RPC, and the wallet that is in it
//	chain/         the chain: btcd's RPC, addresses, transactions, fees
package channels
