package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The watermark is the name of the newest block that is durable, kept beside pebble. Pebble takes a damaged end of its
// write-ahead log for a write that a crash cut short, and drops it and all behind it without a word: the blocks there were
// acknowledged, and only the watermark still knows of them.
//
// It is two slots of a file, written in turn and in place, after the sync that made the block durable and before anybody hears
// of it, and not synced itself: a write into the page cache, which a killed process leaves behind. A power cut may bring back
// an older watermark, which claims less; one that claims what is not durable there never is. A slot:
//
//	+--------+-------+----------------+-----------+---------+
//	| magic  | index | crc of the     | zero      | crc     |
//	| 8 bytes| u64   | block's header | 40 bytes  | u32     |
//	+--------+-------+----------------+-----------+---------+
//
// little-endian; the last is CRC-32C of the 60 bytes before it. The slots are a sector apart, so that a torn write spoils one.
const (
	markName   = "WATERMARK"
	markMagic  = "MRWMARK1"
	markSlot   = 64
	markStride = 512
	markFile   = 2 * markStride
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mark is what a slot says. The zero value claims nothing.
type mark struct {
	index  uint64 // of a block that is durable
	header uint32 // CRC-32C of that block's header
}

// markOf names a block that has this index.
func markOf(index uint64, block []byte) mark {
	const header = 80 // which holds the checksum of all the rest, see ledger.Header
	return mark{index, crc32.Checksum(block[:min(len(block), header)], castagnoli)}
}

func (m mark) encode() [markSlot]byte {
	var b [markSlot]byte
	copy(b[:], markMagic)
	binary.LittleEndian.PutUint64(b[8:], m.index)
	binary.LittleEndian.PutUint32(b[16:], m.header)
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func decodeMark(b []byte) (mark, bool) {
	ok := string(b[:8]) == markMagic && binary.LittleEndian.Uint32(b[60:]) == crc32.Checksum(b[:60], castagnoli)
	return mark{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint32(b[16:])}, ok
}

// watermark is the open file. It belongs to whoever commits.
type watermark struct {
	file  vfs.File
	slot  int64 // offset of the slot to write next: not the newest
	found mark  // what it said when it was opened
	ailed bool  // a write has failed, and that was said
}

// makeMark writes a watermark.
func makeMark(fs vfs.FS, dir string, m mark) error {
	return writeFile(fs, dir, markName, func(w io.Writer) error {
		b, slot := make([]byte, markFile), m.encode()
		copy(b, slot[:])
		copy(b[markStride:], slot[:])
		_, err := w.Write(b)
		return err
	})
}

// openMark reads the newest slot. A folder from before there were watermarks, and one restored from a backup, gets one that
// claims nothing; made says so.
func openMark(fs vfs.FS, dir string) (w *watermark, made bool, err error) {
	path := fs.PathJoin(dir, markName)
	if _, err := fs.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := makeMark(fs, dir, mark{}); err != nil {
			return nil, false, err
		}
		made = true
	}
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, false, fmt.Errorf("opening the watermark: %w", err)
	}
	b := make([]byte, markFile)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, errors.Join(fmt.Errorf("reading the watermark: %w", err), f.Close())
	}
	first, ok := decodeMark(b)
	second, also := decodeMark(b[markStride:])
	w = &watermark{file: f}
	switch {
	case !ok && !also:
		err := fmt.Errorf("%w: %s is damaged, and without it a lost end of the log would not be found: if the log is known to be whole, move that file away", ErrCorrupt, path)
		return nil, false, errors.Join(err, f.Close())
	case !also || ok && first.index >= second.index:
		w.found, w.slot = first, markStride
	default:
		w.found = second
	}
	return w, made, nil
}

// checkMark opens the watermark, and refuses a log that lacks what it names.
func (s *Store) checkMark(last uint64) error {
	w, made, err := openMark(s.opts.FS, s.opts.Dir)
	if err != nil {
		return err
	}
	if made {
		s.opts.Logger.Warn("there was no watermark: whether the log ends where it did cannot be checked", "block", last)
	}
	if err := s.compareMark(w.found, last); err != nil {
		return errors.Join(err, w.file.Close())
	}
	s.mark = w
	return nil
}

func (s *Store) compareMark(m mark, last uint64) error {
	path := s.opts.FS.PathJoin(s.opts.Dir, markName)
	if m.index > last {
		return fmt.Errorf("%w: blocks %d to %d were made durable and are missing: the log ends at block %d, so the end of its write-ahead log was damaged or cut off after it was written. "+
			"Put back the folder from a backup or a copy that has them. To go on without them, which loses every payment in them, move %s away, and make the index again: millrace rebuild", ErrCorrupt, last+1, m.index, last, path)
	}
	if m.index == 0 {
		return nil
	}
	block, closer, err := s.db.Get(blockKey(m.index))
	if errors.Is(err, pebble.ErrNotFound) {
		return fmt.Errorf("%w: block %d is missing", ErrCorrupt, m.index)
	}
	if err != nil {
		return readError(m.index, err)
	}
	same := markOf(m.index, block) == m
	if err := closer.Close(); err != nil {
		return readError(m.index, err)
	}
	if !same {
		return fmt.Errorf("%w: block %d is not the one that was made durable under this number: ledger and %s belong to different folders or times", ErrCorrupt, m.index, path)
	}
	return nil
}

// set names the newest durable block. A watermark that cannot be written stays where it was: it claims less, and nothing is wrong.
func (w *watermark) set(s *Store, m mark) {
	b := m.encode()
	_, err := w.file.WriteAt(b[:], w.slot)
	if err == nil {
		w.slot = markStride - w.slot
	}
	if err != nil && !w.ailed {
		s.opts.Logger.Error("the watermark cannot be written", "block", m.index, "err", err)
	}
	w.ailed = err != nil
}

// close makes the watermark durable, as the log is by then.
func (w *watermark) close() error {
	if w == nil {
		return nil
	}
	return errors.Join(w.file.Sync(), w.file.Close())
}
