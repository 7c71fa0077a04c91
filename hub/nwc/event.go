package nwc

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kinds of events (NIP-47).
const (
	kindInfo         = 13194 // what a wallet can do; replaceable
	kindRequest      = 23194
	kindResponse     = 23195
	kindNotifyLegacy = 23196 // in NIP-04
	kindNotify       = 23197 // in NIP-44
)

// The bounds of an event. NIP-47 asks relays for at least 64 KiB.
const (
	maxEvent   = 96 << 10 // bytes of JSON
	maxContent = 64 << 10
	maxTags    = 32
)

// errEvent is what an event that is none ends with.
var errEvent = errors.New("not an event")

// eventID is the hash of an event, which names it.
type eventID [32]byte

func (id eventID) String() string { return publicKey(id).String() }

// MarshalText writes an id in hex.
func (id eventID) MarshalText() ([]byte, error) { return publicKey(id).MarshalText() }

// UnmarshalText reads what MarshalText writes.
func (id *eventID) UnmarshalText(text []byte) error { return decodeHex(id[:], text) }

// signature is a BIP 340 signature in hex.
type signature [64]byte

// MarshalText writes a signature in hex.
func (s signature) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", s[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (s *signature) UnmarshalText(text []byte) error { return decodeHex(s[:], text) }

// event is what passes through relays (NIP-01).
type event struct {
	ID      eventID    `json:"id"`
	Key     publicKey  `json:"pubkey"`
	Made    int64      `json:"created_at"` // seconds since 1970
	Kind    int        `json:"kind"`
	Tags    [][]string `json:"tags"`
	Content string     `json:"content"`
	Sig     signature  `json:"sig"`
}

// newEvent signs an event.
func newEvent(k privateKey, kind int, at time.Time, content string, tags ...[]string) (*event, error) {
	if tags == nil {
		tags = [][]string{}
	}
	e := &event{Key: k.public(), Made: at.Unix(), Kind: kind, Tags: tags, Content: content}
	e.ID = e.hash()
	sig, err := k.sign(e.ID)
	e.Sig = sig
	return e, err
}

// parseEvent reads an event. Whose it is verify says.
func parseEvent(text []byte) (*event, error) {
	if len(text) > maxEvent {
		return nil, fmt.Errorf("%w: more than %d bytes", errEvent, maxEvent)
	}
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errEvent, err)
	}
	switch {
	case len(e.Content) > maxContent || len(e.Tags) > maxTags || !utf8.ValidString(e.Content):
		return nil, fmt.Errorf("%w: its content or tags are out of bounds", errEvent)
	}
	return &e, nil
}

// verify says whether an event was signed, as it is, by the key that it names.
func (e *event) verify() error {
	switch {
	case e.ID != e.hash():
		return fmt.Errorf("%w: its id is not its hash", errEvent)
	case !e.Key.verify(e.ID, e.Sig):
		return fmt.Errorf("%w: its signature is not its key's", errEvent)
	}
	return nil
}

// tag is the first value of the first tag of a name.
func (e *event) tag(name string) (value string, ok bool) {
	for _, t := range e.Tags {
		if len(t) >= 2 && t[0] == name {
			return t[1], true
		}
	}
	return "", false
}

// hash is over the event as NIP-01 writes it down, so that all come to the same one.
func (e *event) hash() eventID {
	var b strings.Builder
	b.WriteString(`[0,"` + e.Key.String() + `",` + strconv.FormatInt(e.Made, 10) + "," + strconv.Itoa(e.Kind) + ",[")
	for i, t := range e.Tags {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('[')
		for j, s := range t {
			if j > 0 {
				b.WriteByte(',')
			}
			quote(&b, s)
		}
		b.WriteByte(']')
	}
	b.WriteString("],")
	quote(&b, e.Content)
	b.WriteByte(']')
	return sha256.Sum256([]byte(b.String()))
}

// quote escapes what NIP-01 says, as JavaScript does other control characters, and nothing else: not what encoding/json escapes for HTML.
func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		default:
			if c < ' ' {
				fmt.Fprintf(b, `\u%04x`, c)
				continue
			}
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
