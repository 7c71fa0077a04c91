package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
)

// runScale measures a hub with a long log behind it, in turns with one that has a short one.
func runScale(ctx context.Context, c *Config, dir string) (res Result, err error) {
	large, err := openFolder(ctx, c, c.place(dir))
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, large.rig.close()) }()
	if err := large.grow(ctx, c, c.Entries); err != nil {
		return Result{}, err
	}
	var memory memoryUse
	if err := memory.read("self"); err != nil {
		return Result{}, err
	}
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	small, err := openFolder(ctx, c, filepath.Join(dir, "small"))
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, small.rig.close()) }()
	if err := small.grow(ctx, c, c.Base); err != nil {
		return Result{}, err
	}
	name := func(f *folder) string { return count(float64(f.entries())) + " entries" }
	own, limit := &trial{name: name(large), run: large.run}, &trial{name: name(small), run: small.run}
	if err := takeTurns(ctx, c, "scale", own, limit); err != nil {
		return Result{}, err
	}
	res = newResult(fmt.Sprintf("batch of %d", c.BatchOps), own, limit)
	res.add(memory.now, "MB", "memory with the generator, before the turns")
	res.add(memory.peak, "MB", "the most until then")
	res.add(float64(heap.HeapAlloc)/1e6, "MB", "Go's heap of it")
	var other Result
	return res, errors.Join(small.finish(ctx, c, &other), large.finish(ctx, c, &res))
}
