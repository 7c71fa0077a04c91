//go:build !linux

package process

import "syscall"

// attributes are a node's. Only Linux ends it with the process that started it.
func attributes(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
