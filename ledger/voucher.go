package ledger

// SignatureSize is that of a voucher's signature in bytes (BIP-340).
const SignatureSize = 64

// Voucher is what the payer of a channel signs instead of advancing it himself: the total that is paid through it. What exactly
// is signed, and whether it was, package channels/voucher knows: the ledger never looks into a signature.
type Voucher struct {
	Channel   ChannelNo
	Total     Msat
	Key       [32]byte // by which it must be signed: the x coordinate of a point of secp256k1
	Signature [SignatureSize]byte
}
