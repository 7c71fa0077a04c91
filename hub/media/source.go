package media

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// piece is one plain chunk.
type piece struct {
	unit   uint32
	name   string
	micros int64
	plain  []byte // valid until the next piece
}

// Source is where the plain chunks of a package come from: [Film.Source], [Rows] or [Folder].
type Source struct {
	kind string
	unit string // what a unit is, for people
	// pieces yields the chunks in order; their units begin at 0 and leave none out. It may keep files in temp.
	pieces func(ctx context.Context, temp string, told Progress, yield func(piece) error) error
}

// Progress is told how much of a step is done. It may be told often.
type Progress func(step string, done, total int64)

// The bounds of a unit of time.
const (
	MinUnit = time.Second
	MaxUnit = time.Hour
)

// Source cuts the film into units of a length from MinUnit to MaxUnit. With anew the pictures are encoded anew, so that every
// unit begins with a key frame and has its exact length; otherwise H.264 is cut where it has key frames.
func (f Film) Source(unit time.Duration, anew bool) (Source, error) {
	if unit < MinUnit || unit > MaxUnit {
		return Source{}, fmt.Errorf("a unit of %v: want %v to %v", unit, MinUnit, MaxUnit)
	}
	pieces := func(ctx context.Context, temp string, told Progress, yield func(piece) error) error {
		all, err := f.cut(ctx, temp, unit, anew, func(done int64) { told("cutting", min(done, f.Duration), f.Duration) })
		if err != nil {
			return err
		}
		assign(all, unit.Microseconds())
		for i, s := range all {
			path := filepath.Join(temp, filepath.Base(s.file))
			plain, err := readChunk(path)
			if err != nil {
				return err
			}
			if err := yield(piece{unit: s.unit, micros: s.micros, plain: plain}); err != nil {
				return err
			}
			if err := os.Remove(path); err != nil { // so that plain and encrypted segments do not both take up room
				return err
			}
			told("encrypting", int64(i+1), int64(len(all)))
		}
		return nil
	}
	return Source{HLS, unit.String(), pieces}, nil
}

// Rows sells the lines of a text, some to a unit: NDJSON, CSV. A unit is one chunk.
func Rows(r io.Reader, each int) (Source, error) {
	if each < 1 {
		return Source{}, errors.New("a unit has at least one row")
	}
	pieces := func(ctx context.Context, _ string, told Progress, yield func(piece) error) error {
		lines := bufio.NewReaderSize(r, 64<<10)
		var plain []byte
		for unit, ended := uint32(0), false; !ended; unit++ {
			plain = plain[:0]
			for n := 0; n < each && !ended; {
				part, err := lines.ReadSlice('\n')
				plain = append(plain, part...)
				switch {
				case len(plain) > MaxChunk:
					return fmt.Errorf("unit %d: more than %d bytes", unit, MaxChunk)
				case err == nil:
					n++
				case errors.Is(err, io.EOF):
					ended = true
				case !errors.Is(err, bufio.ErrBufferFull):
					return err
				}
			}
			switch {
			case len(plain) == 0 && unit == 0:
				return errors.New("it is empty")
			case len(plain) == 0:
				return nil
			}
			if err := errors.Join(ctx.Err(), yield(piece{unit: unit, plain: plain})); err != nil {
				return err
			}
			told("encrypting", int64(unit+1), 0)
		}
		return nil
	}
	return Source{Chunks, count(each, "row"), pieces}, nil
}

// Folder sells the files of a folder in the order of their names, some to a unit: the pages of a book, the articles of a paper.
// Each file is a chunk. Files whose names begin with a dot are left out.
func Folder(dir string, each int) (Source, error) {
	if each < 1 {
		return Source{}, errors.New("a unit has at least one file")
	}
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return Source{}, err
	}
	var names []string
	for _, e := range entries {
		switch {
		case e.Name()[0] == '.':
		case !e.Type().IsRegular():
			return Source{}, fmt.Errorf("%s is not a regular file: a folder of chunks has nothing else", filepath.Join(dir, e.Name()))
		case !nameOK(e.Name()):
			return Source{}, fmt.Errorf("%q: a chunk's name has at most %d bytes of UTF-8 without control characters", e.Name(), MaxName)
		default:
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 || len(names) > MaxChunks {
		return Source{}, fmt.Errorf("%s has %d files: want 1 to %d", dir, len(names), MaxChunks)
	}
	pieces := func(ctx context.Context, _ string, told Progress, yield func(piece) error) error {
		for i, name := range names {
			plain, err := readChunk(filepath.Join(dir, name))
			if err == nil {
				err = errors.Join(ctx.Err(), yield(piece{unit: uint32(i / each), name: name, plain: plain}))
			}
			if err != nil {
				return err
			}
			told("encrypting", int64(i+1), int64(len(names)))
		}
		return nil
	}
	return Source{Chunks, count(each, "file"), pieces}, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func readChunk(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxChunk+1))
	if err == nil && len(b) > MaxChunk {
		err = fmt.Errorf("%s: more than %d bytes", path, MaxChunk)
	}
	return b, err
}
