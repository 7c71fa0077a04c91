// Package space keeps a log alive on a disk that fills up. A Guard watches the room that is left, and says Full while there is
// still a reserve, so that new blocks are refused and those on their way become durable. Should the disk be full all the same,
// because others write to it, a ballast makes room:
//
//	what cannot be written      what happens                                                        files.go
//	WAL, MANIFEST               the BALLAST files are removed, and the write is tried once more
//	a table                     pebble throws it away and tries again; the guard makes it wait for room between two tries
//
// Everything recovers by itself when there is room again: the reserve and half as much, so that it does not flutter.
package space

import (
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// checkBytes is how much may be written between two looks at the disk.
	checkBytes = 16 << 20
	// DefaultReserve is four times that: a block is written to the log, into a table, and again by a compaction and the index.
	DefaultReserve = 4 * checkBytes
	// reserveShare bounds the reserve where none is given: a tenth of the file system.
	reserveShare = 10
	// maxBallast holds all blocks that can be on their way, 16 of at most 1 MiB; a ballast is at most a quarter of the reserve.
	maxBallast   = 16 << 20
	ballastShare = 4
	ballastName  = "BALLAST"
)

// Config says what is watched. FS, Dirs and Logger must be set.
type Config struct {
	FS   vfs.FS
	Dirs []string // folders that are written to; each may lie on a disk of its own, and gets a ballast
	// Reserve is how many bytes must be left for the guard to let new blocks in; 0: 64 MiB, but at most a tenth of the disk.
	Reserve int64
	Every   time.Duration // between two looks at the disk; 0: 100 ms
	Logger  *slog.Logger
}

// Guard watches the room on the disks of a data folder. Its methods may be called by any goroutine.
type Guard struct {
	cfg  Config
	full atomic.Bool
	live atomic.Bool  // Watch was called
	free atomic.Int64 // on the disk that has the least; -1: not known
	sum  atomic.Int64 // bytes written since the last look

	mu    sync.Mutex // held while a ballast is written: no one who writes blocks may wait for it
	disks []disk
	spent bool          // the disk was full, not only low
	room  chan struct{} // closed when spent ends
	since time.Time     // of spent

	wake  chan struct{} // holds a token when the disks are to be looked at now
	stop  chan struct{}
	ended sync.WaitGroup
}

type disk struct {
	dir     string
	ballast bool // it lies there, whole
}

// New looks at the disks once. Watch goes on with it.
func New(cfg Config) *Guard {
	if cfg.Every == 0 {
		cfg.Every = 100 * time.Millisecond
	}
	g := &Guard{cfg: cfg, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	for _, dir := range cfg.Dirs {
		d := disk{dir: dir}
		info, err := cfg.FS.Stat(g.ballast(d))
		d.ballast = err == nil && info.Size() > 0
		g.disks = append(g.disks, d)
	}
	g.look(false)
	return g
}

// Full says that new blocks are not to be taken.
func (g *Guard) Full() bool { return g.full.Load() }

// Free is how many bytes are left on the disk that has the least, or -1 if that is not known.
func (g *Guard) Free() int64 { return g.free.Load() }

// Wrote tells of bytes that were written: the disk is looked at again after every 16 MiB.
func (g *Guard) Wrote(n int) {
	if g.sum.Add(int64(n)) >= checkBytes {
		g.sum.Store(0)
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
}

// Watch begins to look at the disk by itself, until Close. From here on a table that does not fit waits for room.
func (g *Guard) Watch() {
	g.live.Store(true)
	g.ended.Go(func() {
		g.look(true)
		tick := time.NewTicker(g.cfg.Every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				g.look(true)
			case <-g.wake:
				g.look(true)
			case <-g.stop:
				return
			}
		}
	})
}

// Watching says whether what fails for want of room will be tried again.
func (g *Guard) Watching() bool { return g.live.Load() }

// Close ends Watch. It may be called once.
func (g *Guard) Close() {
	close(g.stop)
	g.ended.Wait()
}

// look asks the disks for their room, and decides. The ballast is put back where there is room for it, if asked for.
func (g *Guard) look(ballast bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	low, known, least := false, false, int64(math.MaxInt64)
	for i := range g.disks {
		d := &g.disks[i]
		use, err := g.cfg.FS.GetDiskUsage(d.dir)
		if err != nil {
			continue
		}
		known = true
		reserve := g.reserve(use)
		size, enough := min(maxBallast, reserve/ballastShare), reserve+reserve/2
		free := int64(min(use.AvailBytes, math.MaxInt64))
		if ballast && !d.ballast && free >= enough+size && g.fill(d, size) == nil {
			free -= size
		}
		least = min(least, free)
		if free < reserve || g.full.Load() && (free < enough || !d.ballast && free < enough+size) {
			low = true
		}
	}
	if !known { // and then only a write that fails tells
		least, low = -1, g.spent && time.Since(g.since) < retryAfter
	}
	g.free.Store(least)
	g.decide(low)
}

func (g *Guard) reserve(use vfs.DiskUsage) int64 {
	if g.cfg.Reserve > 0 {
		return g.cfg.Reserve
	}
	return min(DefaultReserve, int64(min(use.TotalBytes, math.MaxInt64)/reserveShare))
}

// decide is called under mu.
func (g *Guard) decide(low bool) {
	if g.full.Swap(low) != low {
		if low {
			g.cfg.Logger.Error("the disk is full: no payments are taken until there is room; reads go on", "free_bytes", g.free.Load())
		} else {
			g.cfg.Logger.Info("there is room on the disk again: payments are taken", "free_bytes", g.free.Load())
		}
	}
	if !low && g.spent {
		g.spent = false
		close(g.room)
	}
}

// ranOut is told that a write found no room.
func (g *Guard) ranOut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exhaust()
}

func (g *Guard) exhaust() {
	if !g.spent {
		g.spent, g.room, g.since = true, make(chan struct{}), time.Now()
	}
	g.decide(true)
}

// drop makes room for what must not fail.
func (g *Guard) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exhaust()
	for i := range g.disks {
		d := &g.disks[i]
		if !d.ballast {
			continue
		}
		if err := g.cfg.FS.Remove(g.ballast(*d)); err != nil {
			g.cfg.Logger.Error("the ballast cannot be removed", "folder", d.dir, "err", err)
			continue
		}
		g.cfg.Logger.Warn("the disk was full, and the ballast was removed to make room for the log", "folder", d.dir)
		d.ballast = false
	}
}

// fill makes the ballast: room that the file system sets aside for it, or zeros where it cannot, and behind that a line for
// whoever finds it, which also says that it is whole.
func (g *Guard) fill(d *disk, size int64) error {
	f, err := g.cfg.FS.Create(g.ballast(*d), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: 1 << 20}) // so that the log's syncs do not wait for zeros
	if err = f.Preallocate(0, size); err != nil && !IsFull(err) {
		err = zeros(f, size)
	}
	if err == nil {
		_, err = f.Write([]byte("Millrace removes this file when the disk is full, to make room for the ledger's log.\n"))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, g.cfg.FS.Remove(g.ballast(*d)))
	}
	d.ballast = true
	return nil
}

func zeros(f vfs.File, size int64) error {
	for ; size > 0; size -= 1 << 20 {
		if _, err := f.Write(make([]byte, min(size, 1<<20))); err != nil {
			return err
		}
	}
	return f.Sync()
}

func (g *Guard) ballast(d disk) string { return g.cfg.FS.PathJoin(d.dir, ballastName) }

// IsFull says whether an error is for want of room, and so may go away when somebody makes some.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
