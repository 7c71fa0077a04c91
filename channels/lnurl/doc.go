// Package lnurl is the conventions by which wallets find out where to pay to and where to withdraw from: lightning addresses and LNURLs
// (https://github.com/lnurl/luds; a LUD is one of their documents). Payment URIs are read in channels/chain.
//
// # As a payer
//
// A Client resolves a lightning address or an LNURL to what it wants paid, and asks it for an invoice of an amount. Whom it calls is
// named by a stranger, and so is what they answer: every call is bounded and stays out of the hub's own network (channels/outbound),
// and every invoice is held against what was asked for. Addresses of our own host are told apart (Target.Name) and called never: a
// payment between two accounts of one hub stays inside.
//
// # As a payee
//
// Names are what accounts are called in lightning addresses, a Desk makes invoices for them (LUD-06, 12, 16, 21), and Links are LNURLs
// that money can be withdrawn by (LUD-03). They know nothing of HTTP: hub/api/lnurlp does.
//
// # Records
//
//	lnurl/secret                        32 bytes: what makes the URLs of LUD-21 unguessable
//	lnurl/name/<name>                   whose name it is, or was: a name never becomes somebody else's
//	lnurl/names/<account, 4 bytes>      the names of an account, the one in use first
//	lnurl/link/<id>                     a Link; ids are 32 hexadecimal digits
//	lnurl/links/<account, 4 bytes><id>  empty: the links of an account
package lnurl
