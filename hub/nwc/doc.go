// Package nwc is Nostr Wallet Connect (NIP-47): a wallet that is asked for payments and invoices through relays, in encrypted events.
//
// An account makes a connection for each application: a key of the service's own, derived from its secret, and one that the application
// gets in a URI. The hub's records have neither. What a connection may do, for how long, and how much it may spend in a day, a week, a month or a year stands in its
// record. Relays are the operator's choice; they see who talks, and when, but not what about.
//
// # A payment, once
//
//	see      an event is looked at once, and only if it was made within maxAge: what an older one asked for nobody expects any more
//	reserve  the payment's row is written, with its order and what it may cost at most, and with it what the connection has reserved
//	order    the wallet is given the order, under a key of the connection and the event: again, it is the same payment
//	settle   the row is written with what came of it, and with it what the connection has spent
//	answer   the response is sent, from the row
//
// Each row is durable before the next step. An event that comes again, from another relay or after a restart, finds the row. A row that is
// only reserved is ordered again, at a start and from time to time, until somebody knows. Rows are kept for keepRows, much longer than
// maxAge. A response that finds nobody is lost; the payment's notification may be, too: applications look up what they miss.
//
// # Records
//
//	nwc/connection/<id>                a Connection; ids are 16 hexadecimal digits
//	nwc/spent/<id><start, 8 bytes>     what it has spent and reserved in the period that began then, in milliseconds since 1970
//	nwc/payment/<id><event, 32 bytes>  a payment that it has asked for
package nwc
