// Package settle pays accounts what they have earned: net, by schedule or when an operator says so, and for exchanges by a file.
//
//	Payee    how an account wants to be paid: destinations, preferred rail, threshold, schedule
//	Plan     who is due now, how much, over which rail, and why others are not. Pure
//	Run      the payments of one plan, or of one file: approved, paused, resumed, reported together
//	Item     one payment of a run. Its machine is step, which is pure
//	Gate     caps: what leaves by payout, and by account and day; and what two operators must approve
//	Desk     all of it
//
// # How an item is paid once
//
// An item is handed to the rails as a payout whose id is made of the run, the item's number and the try; the rails know an id again
// (see package channels). Everything else is written first:
//
//	made      the items of a run, and then the run. Before the run itself is written, nothing of it is paid
//	begun     the item says which try it is in; then the payout is handed over, again after each start, until the rails have it
//	over      the rails say that it is done, or that it failed for ever, and the money is back. Only then is there another try, under another
//	          id, or the item is over
//	returned  the hub's part of the fee is a transfer, whose id is written with what the rails said
//
// While an account is in a run it is in no other. What the item pays, and where to, is what was approved: whoever changes settings
// meanwhile is not paid by that run.
package settle
