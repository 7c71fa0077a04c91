package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// input is the file that a verb reads, or standard input.
type input struct {
	io.Reader
	name string
	size int64    // -1: not known
	file *os.File // nil for standard input
	seek bool     // it can be read more than once
}

// openInput opens a file, or standard input for "-". An interrupt ends its reads.
func (a *app) openInput(ctx context.Context, name string) (*input, error) {
	if name == "-" {
		return &input{Reader: interruptible(ctx, a.in), name: "standard input", size: -1}, nil
	}
	f, err := within(ctx, func() (*os.File, error) { return os.Open(name) })
	if err != nil {
		return nil, usage("%w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	switch {
	case info.IsDir():
		return nil, errors.Join(usage("%s is a folder", name), f.Close())
	case info.Mode().IsRegular():
		return &input{Reader: f, name: name, size: info.Size(), file: f, seek: true}, nil
	}
	return &input{Reader: interruptible(ctx, f), name: name, size: -1, file: f}, nil
}

func (in *input) close() {
	if in.file != nil {
		in.file.Close()
	}
}

// rewind starts a file from its first byte.
func (in *input) rewind() error {
	_, err := in.file.Seek(0, io.SeekStart)
	return err
}

// is says whether the input is the very file that an output would replace.
func (in *input) is(path string) bool {
	if in.file == nil || path == "-" {
		return false
	}
	mine, err := in.file.Stat()
	if err != nil {
		return false
	}
	other, err := os.Stat(path)
	return err == nil && os.SameFile(mine, other)
}

// digest reads a whole file from its first byte.
func (in *input) digest(ctx context.Context, a *app, quiet bool) (sum [32]byte, size int64, err error) {
	if err := in.rewind(); err != nil {
		return sum, 0, err
	}
	h := sha256.New()
	size, err = io.Copy(h, a.watch(ctx, "checking", in.size, in, quiet))
	h.Sum(sum[:0])
	return sum, size, err
}

// within ends with the context also while f does not: opening a named pipe that nobody writes to takes for ever. The verb then
// ends, and the process with what f still holds.
func within[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := f()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// readStart reads the first bytes of a small file, which may be a pipe.
func readStart(ctx context.Context, name string, most int64) ([]byte, error) {
	return within(ctx, func() ([]byte, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, most))
	})
}

// interruptible reads from what may block for ever, such as a terminal, and gives up with the context.
func interruptible(ctx context.Context, src io.Reader) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, src)
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) }) // what the reader then gets
	return r
}

// progressFrom is the size from which progress is worth telling anybody but a person.
const progressFrom = 64 << 20

// watch is a reader that ends with the context and tells once a second how far it is: to a terminal, or about what is large.
func (a *app) watch(ctx context.Context, what string, total int64, r io.Reader, quiet bool) io.Reader {
	p := &progress{ctx: ctx, app: a, r: r, what: what, total: total, began: time.Now()}
	p.told = p.began
	p.silent = quiet || a.json || !(total > progressFrom || isTerminal(a.err))
	return p
}

type progress struct {
	ctx         context.Context
	app         *app
	r           io.Reader
	what        string
	done, total int64
	began, told time.Time
	silent      bool
}

func (p *progress) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.done += int64(n)
	if now := time.Now(); !p.silent && now.Sub(p.told) >= time.Second {
		p.told = now
		share := ""
		if p.total > 0 {
			share = fmt.Sprintf(" of %.1f MiB, %d %%", float64(p.total)/(1<<20), p.done*100/p.total)
		}
		p.app.note("%s: %.1f MiB%s, %.1f MB/s", p.what, float64(p.done)/(1<<20), share, float64(p.done)/1e6/now.Sub(p.began).Seconds())
	}
	return n, err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
