//go:build !linux

package generator

import "time"

func nap(d time.Duration) { time.Sleep(d) }
