package generator

import (
	"syscall"
	"time"
)

// nap sleeps a short time exactly: some 0.1 ms too long. Go's own timers come up to a millisecond late on an idle processor, because
// epoll_wait takes whole milliseconds: at 20,000 requests a second their p99 was 1.1 ms, and 0.2 ms with this.
func nap(d time.Duration) {
	left := syscall.NsecToTimespec(d.Nanoseconds())
	_ = syscall.Nanosleep(&left, nil) // a signal may end it early: who asked looks again
}
