package lightning

import "slices"

// permissions are the calls that the client makes: see the package's comment.
var permissions = []string{
	"/lnrpc.Lightning/GetInfo",
	"/lnrpc.Lightning/AddInvoice",
	"/lnrpc.Lightning/LookupInvoice",
	"/lnrpc.Lightning/ListInvoices",
	"/lnrpc.Lightning/SubscribeInvoices",
	"/lnrpc.Lightning/ListPayments",
	"/lnrpc.Lightning/QueryRoutes",
	"/lnrpc.Lightning/WalletBalance",
	"/lnrpc.Lightning/ChannelBalance",
	"/lnrpc.Lightning/ListChannels",
	"/lnrpc.Lightning/PendingChannels",
	"/lnrpc.Lightning/ForwardingHistory",
	"/lnrpc.Lightning/GetTransactions",
	"/lnrpc.Lightning/SubscribeTransactions",
	"/lnrpc.Lightning/ExportAllChannelBackups",
	"/lnrpc.Lightning/VerifyChanBackup",
	"/lnrpc.Lightning/SubscribeChannelBackups",
	"/invoicesrpc.Invoices/CancelInvoice",
	"/routerrpc.Router/SendPaymentV2",
	"/routerrpc.Router/TrackPaymentV2",
	"/walletrpc.WalletKit/NextAddr",
	"/walletrpc.WalletKit/FundPsbt",
	"/walletrpc.WalletKit/FinalizePsbt",
	"/walletrpc.WalletKit/PublishTransaction",
	"/walletrpc.WalletKit/GetTransaction",
	"/walletrpc.WalletKit/ListLeases",
	"/walletrpc.WalletKit/ReleaseOutput",
	"/walletrpc.WalletKit/BumpFee",
	"/chainrpc.ChainKit/GetBlockHash",
}

// Permissions are the URIs that the client's macaroon must allow, each for `lncli bakemacaroon uri:...`. It calls no others.
func Permissions() []string { return slices.Clone(permissions) }
