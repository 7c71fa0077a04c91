package seal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// MaxHeader bounds a header in bytes. Ours is about 300 bytes (1,800 with the hybrid KEM); the rest is room for stanzas
// of the creator's own, some hundreds of them.
const MaxHeader = 64 << 10

const (
	intro  = "age-encryption.org/v1\n"
	footer = "---" // only the MAC line can begin so: stanzas begin with "->", and their bodies have no '-'
)

var (
	// ErrNotSealed means that the data is not a binary age file at all (an armored one is not, either).
	ErrNotSealed = errors.New("not a sealed work: no age header")
	// ErrNoStanza means that it is an age file, but was not sealed to any Millrace hub.
	ErrNoStanza = errors.New("not a sealed work: no " + StanzaType + " stanza")
	// ErrHeader means that the header is malformed, cut off, larger than MaxHeader, or names more than one content.
	ErrHeader = errors.New("bad header of a sealed work")
)

// Header is the parsed header of a sealed work. Nothing in it is authenticated before [PrivateKey.OpenHeader] has
// succeeded: until then it is what someone claims.
type Header struct {
	Raw []byte // exactly as read, from the first byte to the newline of the MAC line
	Stanza
	Units Units // of a metered work
}

// SHA256 is the digest of Raw, for naming a header without keeping it.
func (h Header) SHA256() [32]byte { return sha256.Sum256(h.Raw) }

// ReadHeader reads the header of the sealed work in src. The reader that it returns yields the whole file again, header
// included, and takes the place of src, from which more than the header may have been read.
func ReadHeader(src io.Reader) (Header, io.Reader, error) {
	raw, rest, err := readRaw(src)
	if err != nil {
		return Header{}, nil, fmt.Errorf("read header: %w", err)
	}
	h, err := parse(raw)
	if err != nil {
		return Header{}, nil, fmt.Errorf("read header: %w", err)
	}
	return h, joinHeader(raw, rest), nil
}

// ParseHeader parses a detached header: from the first byte to the newline of the MAC line, and nothing after it. It
// keeps no reference to raw, and its errors quote little of it, so both may come from anyone.
func ParseHeader(raw []byte) (Header, error) {
	if len(raw) > MaxHeader {
		return Header{}, fmt.Errorf("parse header: %w: larger than %d bytes", ErrHeader, MaxHeader)
	}
	if !bytes.HasPrefix(raw, []byte(intro)) {
		return Header{}, fmt.Errorf("parse header: %w", ErrNotSealed)
	}
	h, err := parse(bytes.Clone(raw))
	if err != nil {
		return Header{}, fmt.Errorf("parse header: %w", err)
	}
	return h, nil
}

func joinHeader(raw []byte, rest io.Reader) io.Reader {
	return io.MultiReader(bytes.NewReader(raw), rest)
}

// readRaw cuts the header off src without judging it, in bounded memory.
func readRaw(src io.Reader) (raw []byte, rest io.Reader, err error) {
	r := bufio.NewReader(src)
	for start := 0; ; start = len(raw) {
		if raw, err = appendLine(raw, r); err != nil {
			return nil, nil, err
		}
		if start == 0 && string(raw) != intro {
			return nil, nil, ErrNotSealed
		}
		if bytes.HasPrefix(raw[start:], []byte(footer)) {
			return raw, r, nil
		}
	}
}

// appendLine appends the next line, its newline included, to raw.
func appendLine(raw []byte, r *bufio.Reader) ([]byte, error) {
	limit := MaxHeader
	if len(raw) == 0 {
		limit = len(intro) // no need to gather the first line of a file that is none of ours
	}
	for {
		part, err := r.ReadSlice('\n')
		raw = append(raw, part[:min(len(part), limit+1-len(raw))]...)
		switch {
		case len(raw) > limit && limit == len(intro):
			return nil, ErrNotSealed
		case len(raw) > limit:
			return nil, fmt.Errorf("%w: larger than %d bytes", ErrHeader, MaxHeader)
		case err == nil:
			return raw, nil
		case err == io.EOF && len(raw) < len(intro):
			return nil, ErrNotSealed
		case err == io.EOF:
			return nil, fmt.Errorf("%w: cut off after %d bytes", ErrHeader, len(raw))
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

// parse takes over raw, which has passed the bounds.
func parse(raw []byte) (Header, error) {
	stanzas, err := parseStanzas(raw)
	if err != nil {
		return Header{}, err
	}
	s, err := FindStanza(stanzas)
	if err != nil {
		return Header{}, err
	}
	units, err := findUnits(stanzas)
	if err != nil {
		return Header{}, err
	}
	return Header{Raw: raw, Stanza: s, Units: units}, nil
}

// parseStanzas leaves parsing to age: a second parser of our own could be made to read a header differently from the one
// that later checks its MAC. age does not export the stanzas but shows them to every identity. It computes the MAC over
// the header as it writes it itself, hence the check that this is raw, byte for byte, with nothing after it.
func parseStanzas(raw []byte) ([]*age.Stanza, error) {
	canonical, err := age.ExtractHeader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: %.120q", ErrHeader, err.Error())
	}
	if !bytes.Equal(canonical, raw) {
		return nil, fmt.Errorf("%w: not as age would write it", ErrHeader)
	}
	var c collector
	if _, err := age.DecryptHeader(raw, &c); !errors.Is(err, errCollected) {
		return nil, fmt.Errorf("%w: %.120q", ErrHeader, err.Error())
	}
	return c.stanzas, nil
}

// collector is an age identity that takes the stanzas and opens none.
type collector struct{ stanzas []*age.Stanza }

var errCollected = errors.New("stanzas collected")

func (c *collector) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	c.stanzas = stanzas
	return nil, errCollected
}
