package index

import "fmt"

// Copy makes a consistent copy of what is durable in another folder of the same disk, which it makes. Tables are linked, so that
// it takes no time and little room.
func (x *Index) Copy(dir string) error {
	x.mu.Lock()
	if x.closing {
		x.mu.Unlock()
		return ErrClosed
	}
	x.done.Add(1) // Close waits
	x.mu.Unlock()
	defer x.done.Done()
	if err := x.db.Checkpoint(dir); err != nil {
		return fmt.Errorf("copying the index: %w", err)
	}
	return nil
}
