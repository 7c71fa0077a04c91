package voucher

import (
	"runtime"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/millrace/millrace/ledger"
)

// Verify says whether a voucher of the hub that has the origin was signed by the key in it. It takes some 100 µs.
func Verify(origin string, v *ledger.Voucher) bool {
	return verify(v.Key, digest(origin, v), &v.Signature)
}

func verify(key [32]byte, hash [32]byte, signature *[ledger.SignatureSize]byte) bool {
	var s btcec.ModNScalar
	if s.SetByteSlice(signature[32:]) { // BIP-340 wants it below the order; the library reduces it instead
		return false
	}
	parsed, err := schnorr.ParseSignature(signature[:])
	if err != nil {
		return false
	}
	// The library takes a point, of which it reads x alone, and lifts that to the curve again: lifting it here as well would
	// cost a tenth of the whole. A key that is on no point does not pass there.
	var x, y btcec.FieldVal
	if x.SetByteSlice(key[:]) {
		return false
	}
	return parsed.Verify(hash[:], btcec.NewPublicKey(&x, &y))
}

// chunk is how many vouchers a worker takes at a time: some milliseconds of work.
const chunk = 32

// VerifyAll sets ok[i] to what Verify says of the i-th voucher, on as many cores as there are and as the vouchers are worth.
func VerifyAll(origin string, vouchers []ledger.Voucher, ok []bool) {
	workers := min(runtime.GOMAXPROCS(0), (len(vouchers)+chunk-1)/chunk)
	if workers <= 1 {
		verifyEach(origin, vouchers, ok)
		return
	}
	chunks := make(chan int, (len(vouchers)+chunk-1)/chunk)
	for at := 0; at < len(vouchers); at += chunk {
		chunks <- at
	}
	close(chunks)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for at := range chunks {
				end := min(at+chunk, len(vouchers))
				verifyEach(origin, vouchers[at:end], ok[at:end])
			}
		})
	}
	all.Wait()
}

func verifyEach(origin string, vouchers []ledger.Voucher, ok []bool) {
	for i := range vouchers {
		ok[i] = Verify(origin, &vouchers[i])
	}
}

// Verifier verifies the vouchers of one hub, by its origin in its normal form.
type Verifier struct{ Origin string }

// KeyOK says whether vouchers can be signed for a key.
func (Verifier) KeyOK(key [32]byte) bool { return PublicKey(key).OK() }

// Verify is VerifyAll for the hub.
func (v Verifier) Verify(vouchers []ledger.Voucher, ok []bool) { VerifyAll(v.Origin, vouchers, ok) }
