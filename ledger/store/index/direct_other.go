//go:build !linux

package index

import "github.com/cockroachdb/pebble/v2/vfs"

func setDirect(vfs.File, bool) bool { return false }

func refusesDirect(error) bool { return false }
