package voucher

import (
	"encoding/csv"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/millrace/millrace/ledger"
)

const testOrigin = "https://hub.example"

// TestBIP340: the vectors of the BIP for messages of 32 bytes, which all of ours are, with the library as this package calls it.
func TestBIP340(t *testing.T) {
	f, err := os.Open("testdata/bip340.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 16 {
		t.Fatal(len(rows), err)
	}
	for _, row := range rows[1:] {
		secret, public, random, message, signature := unhex(t, row[1]), unhex(t, row[2]), unhex(t, row[3]), unhex(t, row[4]), unhex(t, row[5])
		if len(message) != 32 {
			continue
		}
		if got := verify([32]byte(public), [32]byte(message), (*[64]byte)(signature)); got != (row[6] == "TRUE") {
			t.Errorf("vector %s: %v (%s)", row[0], got, row[7])
		}
		if len(secret) == 0 {
			continue
		}
		k, err := privateKey(secret)
		if err != nil || k.Public() != PublicKey(public) {
			t.Errorf("vector %s: key %s, %v", row[0], k.Public(), err)
			continue
		}
		s, err := schnorr.Sign(k.key, message, schnorr.CustomNonce([32]byte(random)))
		if err != nil || hex.EncodeToString(s.Serialize()) != hex.EncodeToString(signature) {
			t.Errorf("vector %s: signs otherwise, %v", row[0], err)
		}
	}
}

// TestVectors pins what is signed: computed by the reference code of BIP-340 from the description in the package comment.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		secret, origin                string
		channel                       ledger.ChannelNo
		total                         ledger.Msat
		public, hash, signature, text string
	}{
		{"0000000000000000000000000000000000000000000000000000000000000003", "https://hub.example", 1, 1, "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
			"f973680e6f7f8d656e15908ba5c449d4ad46e7e27bd24bccbc98a4ec627f36d2",
			"ede64bbfd4ff85c147166158435fa92a7133239b75337a1327ee2cdc5fc8b65885ebec52bdea54fb3d40a0c22c80abff81774317ef7026254416e020b318b55d",
			`{"hub":"https://hub.example","channel":"c101","total_msat":1,"signature":"ede64bbfd4ff85c147166158435fa92a7133239b75337a1327ee2cdc5fc8b65885ebec52bdea54fb3d40a0c22c80abff81774317ef7026254416e020b318b55d"}`},
		{"b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef", "http://127.0.0.1:8420", 4294967295, 2100000000000000000, "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
			"e91c72ae5c6f83309c8589a41fc508b548e7dd1e68f786b2aaf9b2533ca5daf3",
			"49e76e99147872955419ccfc16a82e8b97d703e6d414dcb23f3c4b778afee52a040fbb5e6089a7af3344ef9d4cd4ddb8d8bdfaf5a93e0fdc1f45dbb54cda1c54",
			`{"hub":"http://127.0.0.1:8420","channel":"c3zzzzzz3b","total_msat":2100000000000000000,"signature":"49e76e99147872955419ccfc16a82e8b97d703e6d414dcb23f3c4b778afee52a040fbb5e6089a7af3344ef9d4cd4ddb8d8bdfaf5a93e0fdc1f45dbb54cda1c54"}`},
		{"0000000000000000000000000000000000000000000000000000000000000101", "https://a", 48, 123456789, "90a80db6eb294b9eab0b4e8ddfa3efe7263458ce2d07566df4e6c58868feef23",
			"52574e25da5dddb7b3b60c41c113446f622b7bc6ddc85e1c582600e1f91617fc",
			"b1afd733c139e66f318697d6db28d1b4588f3992ad4167cdb3ae316124b288105f134f16f031e29bf8ce62ae1293bd4ea67f251744553692cf7e6cb0074faf80",
			`{"hub":"https://a","channel":"c1g1g","total_msat":123456789,"signature":"b1afd733c139e66f318697d6db28d1b4588f3992ad4167cdb3ae316124b288105f134f16f031e29bf8ce62ae1293bd4ea67f251744553692cf7e6cb0074faf80"}`},
	} {
		k, err := ParsePrivateKey(c.secret)
		if err != nil || k.Public().String() != c.public {
			t.Fatalf("key %s: %v", k.Public(), err)
		}
		v, err := k.Sign(c.origin, c.channel, c.total)
		if err != nil {
			t.Fatal(err)
		}
		if hash := digest(c.origin, &v); hex.EncodeToString(hash[:]) != c.hash {
			t.Errorf("hash %x, want %s", hash, c.hash)
		}
		if got := hex.EncodeToString(v.Signature[:]); got != c.signature || !Verify(c.origin, &v) {
			t.Errorf("signature %s, want %s", got, c.signature)
		}
		if got := Format(c.origin, &v); got != c.text {
			t.Errorf("text %s, want %s", got, c.text)
		}
	}
}

func sample(t testing.TB) (PrivateKey, ledger.Voucher) {
	t.Helper()
	k := NewKey()
	v, err := k.Sign(testOrigin, 7, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return k, v
}

// TestVerify: whatever is another than what was signed does not pass.
func TestVerify(t *testing.T) {
	k, good := sample(t)
	if !Verify(testOrigin, &good) {
		t.Fatal("a good voucher does not pass")
	}
	for what, bend := range map[string]func(*ledger.Voucher){
		"another channel": func(v *ledger.Voucher) { v.Channel++ },
		"a higher total":  func(v *ledger.Voucher) { v.Total++ },
		"another key":     func(v *ledger.Voucher) { v.Key = NewKey().Public() },
		"no key":          func(v *ledger.Voucher) { v.Key = [32]byte{} },
		"a key too large": func(v *ledger.Voucher) { v.Key = [32]byte(unhex(t, strings.Repeat("ff", 32))) },
		"no signature":    func(v *ledger.Voucher) { v.Signature = [64]byte{} },
		"a large r":       func(v *ledger.Voucher) { copy(v.Signature[:32], unhex(t, strings.Repeat("ff", 32))) },
		"a large s":       func(v *ledger.Voucher) { copy(v.Signature[32:], unhex(t, strings.Repeat("ff", 32))) },
	} {
		v := good
		if bend(&v); Verify(testOrigin, &v) {
			t.Errorf("%s: passes", what)
		}
	}
	for _, origin := range []string{"https://hub.example:8443", "http://hub.example", "https://hub.exampl", ""} {
		if Verify(origin, &good) {
			t.Errorf("a voucher for %s passes at %q", testOrigin, origin)
		}
	}
	for bit := range 8 * len(good.Signature) {
		v := good
		if v.Signature[bit/8] ^= 1 << (bit % 8); Verify(testOrigin, &v) {
			t.Errorf("a signature with bit %d bent passes", bit)
		}
	}
	if !strings.Contains(k.String(), k.Public().String()) || strings.Contains(k.String(), k.Secret()) {
		t.Error("a private key prints")
	}
}

// TestLargeS: the library's parser reduces an s of the order or more, which would give a voucher several signatures.
func TestLargeS(t *testing.T) {
	order := unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	_, v := sample(t)
	copy(v.Signature[32:], order)
	if _, err := schnorr.ParseSignature(v.Signature[:]); err != nil {
		t.Skipf("the library refuses it by now: %v", err)
	}
	if Verify(testOrigin, &v) {
		t.Error("an s of the order passes")
	}
}

func TestVerifyAll(t *testing.T) {
	k, _ := sample(t)
	for _, n := range []int{0, 1, chunk, chunk + 1, 3*chunk + 5} {
		vouchers, ok := make([]ledger.Voucher, n), make([]bool, n)
		for i := range vouchers {
			v, err := k.Sign(testOrigin, ledger.ChannelNo(i+1), 5)
			if err != nil {
				t.Fatal(err)
			}
			if i%7 == 3 {
				v.Total = 6
			}
			vouchers[i], ok[i] = v, i%7 == 3
		}
		Verifier{testOrigin}.Verify(vouchers, ok)
		for i := range ok {
			if ok[i] != (i%7 != 3) {
				t.Errorf("voucher %d of %d: %v", i, n, ok[i])
			}
		}
	}
}

func TestKeys(t *testing.T) {
	k := NewKey()
	again, err := ParsePrivateKey(k.Secret())
	if err != nil || again.Public() != k.Public() {
		t.Error(err)
	}
	if p, err := ParsePublicKey(k.Public().String()); err != nil || p != k.Public() {
		t.Error(err)
	}
	order := "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	if _, err := ParsePrivateKey(order); !errors.Is(err, ErrKey) {
		t.Errorf("a private key of the order: %v", err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 64), strings.Repeat("f", 64), strings.Repeat("g", 64), strings.ToUpper(order)} {
		if _, err := ParsePrivateKey(bad); !errors.Is(err, ErrKey) {
			t.Errorf("private key %q: %v", bad, err)
		}
		if _, err := ParsePublicKey(bad); !errors.Is(err, ErrKey) {
			t.Errorf("public key %q: %v", bad, err)
		}
	}
	if !(Verifier{}).KeyOK(k.Public()) || (Verifier{}).KeyOK([32]byte{}) {
		t.Error("KeyOK")
	}
}

func TestParse(t *testing.T) {
	_, v := sample(t)
	line := Format(testOrigin, &v)
	v.Key = [32]byte{}
	if origin, got, err := Parse([]byte(" " + strings.ReplaceAll(line, ",", ",\n  ") + "\n")); err != nil || origin != testOrigin || got != v {
		t.Errorf("%s at %q: %v", line, origin, err)
	}
	signature := hex.EncodeToString(v.Signature[:])
	for _, bad := range []string{
		"", "{}", "[]", "null", line + line, line[:len(line)-1], strings.Replace(line, "1000", "0", 1), strings.Replace(line, "1000", "-1", 1),
		strings.Replace(line, "1000", "1e3", 1), strings.Replace(line, "1000", "2100000000000000001", 1), strings.Replace(line, "1000", `"1000"`, 1),
		strings.Replace(line, "total_msat", "Total_msat", 1), strings.Replace(line, "{", `{"hub":"x",`, 1), strings.Replace(line, "{", `{"more":1,`, 1),
		strings.Replace(line, signature, signature[2:], 1), strings.Replace(line, signature, strings.ToUpper(signature), 1),
		strings.Replace(line, v.Channel.String(), "c7", 1), strings.Replace(line, testOrigin, strings.Repeat("x", maxOrigin+1), 1),
		line + strings.Repeat(" ", MaxText),
	} {
		if _, _, err := Parse([]byte(bad)); !errors.Is(err, ErrVoucher) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	_, v := sample(f)
	f.Add([]byte(Format(testOrigin, &v)))
	f.Add([]byte(`{"hub":"\u0078","channel":"c","total_msat":1.0,"signature":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		origin, v, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrVoucher) {
				t.Fatal(err)
			}
			return
		}
		if o, again, err := Parse([]byte(Format(origin, &v))); err != nil || o != origin || again != v {
			t.Fatalf("%q: reads back as %q, %v", b, Format(o, &again), err)
		}
	})
}

// FuzzVerify: no bytes crash it, and none pass but what was signed.
func FuzzVerify(f *testing.F) {
	k, v := sample(f)
	f.Add(v.Signature[:], v.Key[:], uint32(v.Channel), uint64(v.Total))
	f.Fuzz(func(t *testing.T, signature, key []byte, channel uint32, total uint64) {
		got := ledger.Voucher{Channel: ledger.ChannelNo(channel), Total: ledger.Msat(total)}
		copy(got.Signature[:], signature)
		copy(got.Key[:], key)
		if ok := Verify(testOrigin, &got); got.Key == k.Public() && ok != (got == v) {
			t.Fatalf("%+v: %v", got, ok)
		}
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// BenchmarkVerify is a voucher's whole verification, and BenchmarkSchnorr the library's alone, of a parsed key and signature.
func BenchmarkVerify(b *testing.B) {
	_, v := sample(b)
	for b.Loop() {
		if !Verify(testOrigin, &v) {
			b.Fatal("does not pass")
		}
	}
}

func BenchmarkSchnorr(b *testing.B) {
	_, v := sample(b)
	key, err := schnorr.ParsePubKey(v.Key[:])
	if err != nil {
		b.Fatal(err)
	}
	signature, err := schnorr.ParseSignature(v.Signature[:])
	if err != nil {
		b.Fatal(err)
	}
	hash := digest(testOrigin, &v)
	for b.Loop() {
		if !signature.Verify(hash[:], key) {
			b.Fatal("does not pass")
		}
	}
}
