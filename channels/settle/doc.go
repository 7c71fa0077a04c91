// Package settle pays accounts what they have earned: net, by schedule or when an operator says so, and for exchanges by a file.
//
//	Payee    how an account wants to be paid: destinations, preferred rail, threshold, schedule
//	Plan     who is due now, how much, over which rail, and why others are not. Pure
//	Gate     caps: what leaves by payout, and by account and day
package settle
