package seal

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

const (
	chunkSize    = 64 << 10 // bytes of plaintext that age encrypts at once
	chunkTagSize = 16       // what that adds
)

// PlainSize is the length of the plaintext of a sealed work, in bytes, by that of the work and of its header. It is
// [ErrCorrupt] for a length that no sealed work has; whether the work is whole is for [Open] and [OpenAt] to find.
func PlainSize(h Header, size int64) (int64, error) {
	payload := size - int64(len(h.Raw)) - payloadNonceSize
	chunks := max(0, payload-1)/(chunkSize+chunkTagSize) + 1
	plain := payload - chunks*chunkTagSize
	if size < 0 || plain < 0 || max(0, plain-1)/chunkSize+1 != chunks {
		return 0, fmt.Errorf("%w: no sealed work has %d bytes", ErrCorrupt, size)
	}
	return plain, nil
}

// OpenAt is [Open] for parts of the sealed work in src, which has size bytes: what it returns reads the plaintext at any
// offset, seeks, and knows its length, which is authentic. A read decrypts the chunks of 64 KiB that it touches and no others, and
// what it returns is authentic; the last chunk is kept. Damage elsewhere is not found. ReadAt may be called by several
// goroutines if src's may. Errors of src are returned wrapped, and are never [ErrCorrupt].
func OpenAt(src io.ReaderAt, size int64, key FileKey) (*io.SectionReader, error) {
	in := sourceAt{src}
	raw, _, err := readRaw(io.NewSectionReader(in, 0, size)) // by this package's rules first, as in open
	if err == nil {
		_, err = parseStanzas(raw)
	}
	if err != nil {
		return nil, openAtError(err)
	}
	plain, n, err := age.DecryptReaderAt(in, size, age.NewInjectedFileKeyIdentity(key[:]))
	if err != nil {
		return nil, openAtError(err)
	}
	return io.NewSectionReader(plainAt{plain}, 0, n), nil
}

// openAtError sorts errors as [Open] does.
func openAtError(err error) error {
	var failed *sourceError
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.As(err, &failed):
		return fmt.Errorf("open: read sealed work: %w", failed.err)
	case errors.Is(err, ErrNotSealed), errors.Is(err, ErrHeader):
		return fmt.Errorf("open: %w", err)
	}
	return fmt.Errorf("open: %w: %w", ErrCorrupt, err)
}

// sourceAt marks the errors of a source, since age's errors do not tell a bad file from a bad disk. A source that ends too
// early has not failed: its data is truncated.
type sourceAt struct{ io.ReaderAt }

type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }

func (s sourceAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		err = &sourceError{err}
	}
	return n, err
}

// plainAt is the plaintext with this package's errors.
type plainAt struct{ io.ReaderAt }

func (p plainAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, off)
	return n, openAtError(err)
}
