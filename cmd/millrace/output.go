package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// output is a file that appears whole or not at all: it is written under another name beside its place, and moves there
// when it is complete and durable. The place "-" is standard output, which cannot be taken back.
type output struct {
	io.Writer
	path  string
	force bool
	file  *os.File    // nil: standard output, or closed
	temp  string      // empty: nothing to discard
	mode  fs.FileMode // that it has in its place; until then it is its owner's alone
}

// newOutput opens an output file. What stands in the way is found now, not after the work.
func newOutput(path string, force bool, mode fs.FileMode) (*output, error) {
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, usage("%s is a folder", path)
	case err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
		return nil, usage("%s is not a regular file; -o - writes to standard output", path)
	case err == nil && !force:
		return nil, usage("%s exists already", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, usage("%w", err)
	}
	if mode, err = allowed(path, mode); err != nil {
		return nil, err
	}
	f, err := besides(path, 0o600)
	if err != nil {
		return nil, err
	}
	return &output{Writer: f, path: path, force: force, file: f, temp: f.Name(), mode: mode}, nil
}

// allowed is what the process's mask and the folder leave of a mode, which an empty file shows: who can open a file while
// it is written would see a plaintext that is never finished.
func allowed(path string, mode fs.FileMode) (fs.FileMode, error) {
	if mode == 0o600 {
		return mode, nil
	}
	f, err := besides(path, mode)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return 0, err
	}
	return info.Mode().Perm(), nil
}

// besides makes a new file in the folder of another, so that it can take its place in one step.
func besides(path string, mode fs.FileMode) (*os.File, error) {
	var random [6]byte
	_, _ = rand.Read(random[:]) // it never fails: the runtime ends the process first
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".millrace-"+hex.EncodeToString(random[:]))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, usage("cannot write to the folder of %s: %w", path, err)
	}
	return f, err
}

// openOutput is newOutput, or standard output for "-".
func (a *app) openOutput(path string, force bool) (*output, error) {
	if path == "-" {
		if a.json {
			return nil, usage("-o - and --json both want standard output")
		}
		return &output{Writer: a.out}, nil
	}
	return newOutput(path, force, 0o666)
}

func (o *output) stdout() bool { return o.path == "" }

// flush makes what was written durable.
func (o *output) flush() error {
	if o.file == nil {
		return nil
	}
	err := errors.Join(o.file.Sync(), o.file.Close())
	o.file = nil
	return err
}

// commit moves what was written to its place. On an error it is still where o.temp says.
func (o *output) commit() error {
	if err := o.flush(); err != nil || o.stdout() {
		return err
	}
	if o.mode != 0o600 {
		if err := os.Chmod(o.temp, o.mode); err != nil {
			return err
		}
	}
	if !o.force {
		// A link, unlike a rename, does not replace what has come to stand there meanwhile.
		switch err := os.Link(o.temp, o.path); {
		case err == nil:
			err = os.Remove(o.temp)
			o.temp = ""
			return errors.Join(err, syncFolder(o.path))
		case errors.Is(err, fs.ErrExist):
			return usage("%s exists already", o.path)
		} // this file system has no links
		if _, err := os.Lstat(o.path); err == nil {
			return usage("%s exists already", o.path)
		}
	}
	if err := os.Rename(o.temp, o.path); err != nil {
		return err
	}
	o.temp = ""
	return syncFolder(o.path)
}

// finish writes a text and commits.
func (o *output) finish(text string) error {
	if _, err := io.WriteString(o, text); err != nil {
		return err
	}
	return o.commit()
}

// discard removes what was not committed. It may be nil.
func (o *output) discard() {
	if o == nil {
		return
	}
	if o.file != nil {
		o.file.Close()
	}
	if o.temp != "" {
		os.Remove(o.temp)
	}
}

func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// replaceFile writes a small secret in the place of whatever stands there, for its owner only.
func replaceFile(path, text string) error {
	o, err := newOutput(path, true, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer o.discard()
	return o.finish(text)
}
