// Package chain is the Bitcoin chain as the rails need it: addresses and what they are on the chain, the weight of transactions and
// their fees, replacements that pay more, payment URIs, and a client of btcd, which publishes transactions and says where they are.
//
// What is in network.go, dust.go, weight.go, transaction.go, replace.go and uri.go is pure. Client asks a btcd that keeps an index
// of transactions (--txindex), over TLS.
//
// Rates are in satoshis per 1,000 virtual bytes, as everywhere in channels.
package chain
