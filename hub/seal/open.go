package seal

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// ErrCorrupt is what [Open] returns, wrapped, when the file is not what was sealed under the key: a flipped byte, a
// missing or surplus end, or simply another file's key, which cannot be told from a changed header.
var ErrCorrupt = errors.New("sealed work is corrupt, or the key is not its own")

// Open decrypts the sealed work in src to dst with its released file key. It streams chunk by chunk, so what dst has
// got when an error comes is authentic as far as it goes but incomplete: the caller's to discard. Errors of src and dst
// themselves are returned wrapped, and are never [ErrCorrupt].
func Open(dst io.Writer, src io.Reader, key FileKey) error {
	in, out := &failureReader{r: src}, &failureWriter{w: dst}
	err := open(out, in, key)
	switch {
	case err == nil:
		return nil
	case out.err != nil:
		return fmt.Errorf("open: write plaintext: %w", out.err)
	case in.err != nil:
		return fmt.Errorf("open: read sealed work: %w", in.err)
	case errors.Is(err, ErrNotSealed), errors.Is(err, ErrHeader):
		return fmt.Errorf("open: %w", err)
	}
	return fmt.Errorf("open: %w: %w", ErrCorrupt, err)
}

// open reads the header by this package's rules first: age itself would gather up to 2 MiB of it.
func open(dst io.Writer, src io.Reader, key FileKey) error {
	raw, rest, err := readRaw(src)
	if err != nil {
		return err
	}
	if _, err := parseStanzas(raw); err != nil {
		return err
	}
	plain, err := age.Decrypt(joinHeader(raw, rest), age.NewInjectedFileKeyIdentity(key[:]))
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, plain)
	return err
}

// failureReader remembers why its source failed, since age's errors do not tell a bad file from a bad disk.
// A source that ends too early has not failed: its data is truncated.
type failureReader struct {
	r   io.Reader
	err error
}

func (f *failureReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		f.err = err
	}
	return n, err
}

// failureWriter remembers why its destination failed, for the same reason.
type failureWriter struct {
	w   io.Writer
	err error
}

func (f *failureWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		f.err = err
	}
	return n, err
}
