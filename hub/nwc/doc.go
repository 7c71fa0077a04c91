// Package nwc is Nostr Wallet Connect (NIP-47): a wallet that is asked for payments and invoices through a relay, in encrypted events.
package nwc
