// Package keyring keeps the hub's private keys: encrypted on disk, ready in memory.
//
// A ring holds a master secret and a list of sealing keys, numbered from 1. The newest is active: new works are sealed to
// it. Older ones stay for ever, so that what was sealed to them still opens. Its file, integers little endian:
//
//	+----------+---------+------+-------+--------+--------------------------------+---------+
//	| MILLRING | version | salt | nonce | length | AES-256-GCM ciphertext and tag | SHA-256 |
//	|    8     |  4 (1)  |  32  |  12   |   4    |             length             |   32    |
//	+----------+---------+------+-------+--------+--------------------------------+---------+
//	 \________________ additional data _________/
//
//	plaintext: | master 32 | count 4 | count times: | number 4 | created 8 | seed 32 | |
//
// The key is HKDF-SHA256(KEK, salt, "millrace.dev/keyring/v1 file"); salt and nonce are fresh in every save. The SHA-256 of
// all before it tells a damaged file from a wrong KEK; it protects nothing.
package keyring

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/hub/seal"
)

var (
	// ErrUnknownKey means that the ring has no key of that id or number.
	ErrUnknownKey = errors.New("no such sealing key in the ring")
	// ErrFull means that the ring has MaxKeys keys.
	ErrFull = errors.New("keyring is full")
	// ErrChanged means that the file is no longer what this ring last read or wrote: someone else rotated it, and
	// saving would lose his key. Open it again.
	ErrChanged = errors.New("keyring file was changed by someone else")
)

// What is derived from the master secret, each for one use: it never changes in the life of a ring, and a ring made before
// there was a use has its secret all the same.
const (
	tokenInfo       = "millrace.dev/keyring/v1 token root"
	logKeyInfo      = "millrace.dev/keyring/v1 log key"
	logSaltInfo     = "millrace.dev/keyring/v1 log salts"
	liabilitiesInfo = "millrace.dev/keyring/v1 liability salts"
	keysendInfo     = "millrace.dev/keyring/v1 keysend preimages"
	connectInfo     = "millrace.dev/keyring/v1 wallet connect keys"
)

// Ring is an open ring. It is safe for concurrent use: readers take no lock and see either all or nothing of a rotation.
// It is never printed.
type Ring struct {
	path    string
	kek     KEK
	derived derived
	replace func(path string, data []byte) error // replaceFile, but in tests of failing disks

	scratches sync.Pool // of *scratch, for Unwrap

	rotating sync.Mutex             // held for the whole of Rotate; guards the two below
	stored   contents               // what the file holds
	digest   [32]byte               // of the file as last read or written
	keys     atomic.Pointer[keySet] // what readers use, replaced whole when its key is durable
}

// keySet is immutable once it is published.
type keySet struct {
	list []ringKey // the key of number n is list[n-1]; never empty
	byID map[string]int
}

// Key describes a sealing key.
type Key struct {
	Number  uint32
	Created time.Time
	Public  seal.PublicKey
}

// Create makes a ring with one key at path, encrypted under kek. It never overwrites.
func Create(path string, kek KEK, now time.Time) (*Ring, error) {
	c := contents{master: newSecret(), keys: []storedKey{{now.Unix(), newSecret()}}}
	data, err := c.save(kek)
	if err != nil {
		return nil, fmt.Errorf("create keyring: %w", err)
	}
	r, err := newRing(path, kek, c, data)
	if err != nil {
		return nil, fmt.Errorf("create keyring: %w", err)
	}
	if err := createFile(path, data); err != nil {
		return nil, fmt.Errorf("create keyring: %w", err)
	}
	return r, nil
}

// Open reads the ring at path.
func Open(path string, kek KEK) (*Ring, error) {
	data, err := readFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	c, err := decode(data, kek)
	if err != nil {
		return nil, fmt.Errorf("open keyring %s: %w", path, err)
	}
	r, err := newRing(path, kek, c, data)
	if err != nil {
		return nil, fmt.Errorf("open keyring %s: %w", path, err)
	}
	return r, nil
}

func newRing(path string, kek KEK, c contents, data []byte) (*Ring, error) {
	d, err := derive(c.master)
	if err != nil {
		return nil, err
	}
	set, err := newKeySet(c)
	if err != nil {
		return nil, err
	}
	r := &Ring{path: path, kek: kek, derived: d, replace: replaceFile, stored: c, digest: sha256.Sum256(data)}
	r.scratches.New = func() any { return new(scratch) }
	r.keys.Store(set)
	return r, nil
}

// Rotate adds a key and makes it the active one. It returns when the key is durable; after an error the ring is as it was,
// and nobody has seen the key, whichever of the two the disk has kept.
func (r *Ring) Rotate(now time.Time) error {
	r.rotating.Lock()
	defer r.rotating.Unlock()
	if len(r.stored.keys) >= MaxKeys {
		return fmt.Errorf("rotate keyring: %w: it has %d keys", ErrFull, MaxKeys)
	}
	onDisk, err := readFile(r.path, maxFile)
	if err != nil {
		return fmt.Errorf("rotate keyring: %w", err)
	}
	if sha256.Sum256(onDisk) != r.digest {
		return fmt.Errorf("rotate keyring %s: %w", r.path, ErrChanged)
	}
	next := contents{master: r.stored.master, keys: append(slices.Clone(r.stored.keys), storedKey{now.Unix(), newSecret()})}
	set, err := newKeySet(next)
	if err != nil {
		return fmt.Errorf("rotate keyring: %w", err)
	}
	data, err := next.save(r.kek)
	if err != nil {
		return fmt.Errorf("rotate keyring: %w", err)
	}
	if err := r.replace(r.path, data); err != nil {
		return fmt.Errorf("rotate keyring: %w", err)
	}
	r.stored, r.digest = next, sha256.Sum256(data)
	r.keys.Store(set)
	return nil
}

func (r *Ring) set() *keySet { return r.keys.Load() }

// Public is the active key: what creators seal to.
func (r *Ring) Public() seal.PublicKey {
	list := r.set().list
	return list[len(list)-1].private.Public()
}

// Publics are all keys that works may be sealed to, oldest first; the last is active.
func (r *Ring) Publics() []seal.PublicKey {
	var all []seal.PublicKey
	for _, k := range r.set().list {
		all = append(all, k.private.Public())
	}
	return all
}

// Keys lists all keys with their numbers, oldest first; the last is active.
func (r *Ring) Keys() []Key {
	var all []Key
	for i, k := range r.set().list {
		all = append(all, Key{Number: uint32(i + 1), Created: time.Unix(k.created, 0).UTC(), Public: k.private.Public()})
	}
	return all
}

// OpenHeader takes the file key out of a sealed work's header with whichever key it was sealed to.
func (r *Ring) OpenHeader(h seal.Header) (seal.FileKey, error) {
	set := r.set()
	i, ok := set.byID[h.KeyID]
	if !ok {
		return seal.FileKey{}, fmt.Errorf("%w: %.16q", ErrUnknownKey, h.KeyID)
	}
	return set.list[i].private.OpenHeader(h)
}

// TokenRoot is the root of the hub's access tokens.
func (r *Ring) TokenRoot() [32]byte { return r.derived.tokenRoot }

// LogKey is the seed of the Ed25519 key that signs the transparency log's checkpoints.
func (r *Ring) LogKey() [32]byte { return r.derived.logKey }

// LogSalts is the secret behind the salts of the transparency log's entries, and LiabilitySalts that behind those of the
// proofs of liabilities. Who has them can look for accounts in what is published.
func (r *Ring) LogSalts() [32]byte       { return r.derived.logSalts }
func (r *Ring) LiabilitySalts() [32]byte { return r.derived.liabilities }

// KeysendSecret is what the preimages of the hub's own keysends are made of: a payout has the same one however often it is sent.
func (r *Ring) KeysendSecret() [32]byte { return r.derived.keysend }

// ConnectSecret is what the hub's own keys of Nostr Wallet Connect are made of, one for each connection: applications know the hub by them.
func (r *Ring) ConnectSecret() [32]byte { return r.derived.connect }

// derived is what a master secret gives.
type derived struct{ tokenRoot, logKey, logSalts, liabilities, keysend, connect [32]byte }

func derive(master [secretSize]byte) (d derived, err error) {
	for _, use := range []struct {
		info string
		key  *[32]byte
	}{
		{tokenInfo, &d.tokenRoot}, {logKeyInfo, &d.logKey}, {logSaltInfo, &d.logSalts}, {liabilitiesInfo, &d.liabilities},
		{keysendInfo, &d.keysend}, {connectInfo, &d.connect},
	} {
		key, err := hkdf.Key(sha256.New, master[:], nil, use.info, 32)
		if err != nil {
			return derived{}, fmt.Errorf("derive %s: %w", use.info, err)
		}
		copy(use.key[:], key)
	}
	return d, nil
}

func (c contents) save(kek KEK) ([]byte, error) {
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // it never fails: the runtime ends the process first
	return c.encode(kek, newSecret(), nonce)
}

func newSecret() (s [secretSize]byte) {
	_, _ = rand.Read(s[:])
	return s
}

const ringRedacted = "keyring.Ring(secret)"

// String, Format and LogValue keep the keys out of logs whatever verb or handler meets the ring.
func (r *Ring) String() string             { return ringRedacted }
func (r *Ring) Format(f fmt.State, _ rune) { fmt.Fprint(f, ringRedacted) }
func (r *Ring) LogValue() slog.Value       { return slog.StringValue(ringRedacted) }
