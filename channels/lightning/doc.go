// Package lightning is the hub's node: an lnd, over its gRPC. It makes and pays invoices, and has the wallet on-chain that
// deposits come into and batches are paid from. It alone imports lnd's packages, and speaks in the words of package channels.
//
// # Losing lnd
//
// Every call has a deadline, since lnd's own calls hang while its bitcoin node is away. What was asked for and not answered is
// channels.ErrDown: nobody knows whether it was done, until Track, Transaction or Leases say so. Streams (Settled, Moved,
// Backups) subscribe again by themselves, from where they were. The certificate and the macaroon are read again when they are
// used, so that renewed ones work without a restart.
//
// # Paying once
//
// A payment is its hash, and a batch is its signed transaction: Pay and Publish may be called with the same one any number of
// times, and pay once. So they are written down before the first call. Coins of a transaction that is signed but not published
// are leased to it, under a lock that the caller names; Fund releases what an earlier Fund of the same lock took, so that of
// one batch there is never more than one transaction, as long as the caller publishes only the one that it has written down.
//
// # Rights
//
// The client needs these rights and no others (Permissions lists them); it cannot open or close channels, make seeds, or give
// itself more rights. The operator makes the macaroon with
//
//	lncli bakemacaroon --save_to millrace.macaroon \
//	    uri:/lnrpc.Lightning/GetInfo \
//	    uri:/lnrpc.Lightning/AddInvoice \
//	    uri:/lnrpc.Lightning/LookupInvoice \
//	    uri:/lnrpc.Lightning/ListInvoices \
//	    uri:/lnrpc.Lightning/SubscribeInvoices \
//	    uri:/lnrpc.Lightning/ListPayments \
//	    uri:/lnrpc.Lightning/QueryRoutes \
//	    uri:/lnrpc.Lightning/WalletBalance \
//	    uri:/lnrpc.Lightning/ChannelBalance \
//	    uri:/lnrpc.Lightning/ListChannels \
//	    uri:/lnrpc.Lightning/PendingChannels \
//	    uri:/lnrpc.Lightning/ForwardingHistory \
//	    uri:/lnrpc.Lightning/GetTransactions \
//	    uri:/lnrpc.Lightning/SubscribeTransactions \
//	    uri:/lnrpc.Lightning/ExportAllChannelBackups \
//	    uri:/lnrpc.Lightning/VerifyChanBackup \
//	    uri:/lnrpc.Lightning/SubscribeChannelBackups \
//	    uri:/invoicesrpc.Invoices/CancelInvoice \
//	    uri:/routerrpc.Router/SendPaymentV2 \
//	    uri:/routerrpc.Router/TrackPaymentV2 \
//	    uri:/walletrpc.WalletKit/NextAddr \
//	    uri:/walletrpc.WalletKit/FundPsbt \
//	    uri:/walletrpc.WalletKit/FinalizePsbt \
//	    uri:/walletrpc.WalletKit/PublishTransaction \
//	    uri:/walletrpc.WalletKit/GetTransaction \
//	    uri:/walletrpc.WalletKit/ListLeases \
//	    uri:/walletrpc.WalletKit/ReleaseOutput \
//	    uri:/walletrpc.WalletKit/BumpFee \
//	    uri:/chainrpc.ChainKit/GetBlockHash
//
// lnd must be built with the tags chainrpc, invoicesrpc, routerrpc and walletrpc (released binaries are), and run with --accept-keysend
// where accounts are to be paid without an invoice.
package lightning
