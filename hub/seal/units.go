package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"filippo.io/age"

	"github.com/millrace/millrace/ledger"
)

// UnitsType is the type of the stanza by which the header of a metered work names its manifest:
//
//	-> millrace.dev/units/v1 <number of units> <sha-256 of the manifest, hex>
//
// The stanza carries no key, and age programs pass over it. The header's MAC covers it, and the header's digest is
// registered, so that whoever holds a manifest can tell whether it is the registered one without any key.
const UnitsType = "millrace.dev/units/v1"

// MaxUnits bounds the units of one work: 15 days of film at ten seconds each.
const MaxUnits = 1 << 17

// Units is what a header says of a metered work. The zero value is that of a work that is sold whole.
type Units struct {
	Count    uint32   // 1 to MaxUnits
	Manifest [32]byte // SHA-256 of the manifest, which is also the work's payload
}

// SealUnits seals a metered work: prepare is given the new file key, encrypts the units under keys derived from it, and
// returns the manifest, which becomes the payload, and how many units there are. The rest is as in [Seal].
func SealUnits(dst io.Writer, key PublicKey, origin string, id ledger.ContentID, prepare func(FileKey) (manifest []byte, units uint32, err error)) (Sealed, error) {
	recipient, err := NewRecipient(key, origin, id)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal: %w", err)
	}
	recipient.prepare = prepare
	return sealTo(dst, recipient, func() io.Reader { return bytes.NewReader(recipient.manifest) })
}

// bind makes the stanza that names the manifest.
func (r *Recipient) bind(key FileKey) (*age.Stanza, error) {
	manifest, units, err := r.prepare(key)
	if err != nil {
		return nil, err
	}
	if units == 0 || units > MaxUnits {
		return nil, fmt.Errorf("a metered work has 1 to %d units, not %d", MaxUnits, units)
	}
	r.manifest = manifest
	return Units{units, sha256.Sum256(manifest)}.age(), nil
}

func (u Units) age() *age.Stanza {
	return &age.Stanza{Type: UnitsType, Args: []string{strconv.FormatUint(uint64(u.Count), 10), hex.EncodeToString(u.Manifest[:])}}
}

// findUnits reads what a header says of units: nothing, or one stanza in its one form.
func findUnits(stanzas []*age.Stanza) (Units, error) {
	var found Units
	for _, s := range stanzas {
		if s.Type != UnitsType {
			continue
		}
		bad := fmt.Errorf("%w: %s stanza: want one, with the number of units and a digest", ErrHeader, UnitsType)
		if found.Count != 0 || len(s.Args) != 2 || len(s.Body) != 0 {
			return Units{}, bad
		}
		n, err := strconv.ParseUint(s.Args[0], 10, 32)
		sum, wrong := hex.DecodeString(s.Args[1])
		if err != nil || wrong != nil || n == 0 || n > MaxUnits || len(sum) != len(found.Manifest) {
			return Units{}, bad
		}
		found = Units{uint32(n), [32]byte(sum)}
		if a := found.age(); a.Args[0] != s.Args[0] || a.Args[1] != s.Args[1] {
			return Units{}, bad
		}
	}
	return found, nil
}
