package process

import "syscall"

// attributes are a node's: it gets a signal when the process that started it dies, however that dies, and none of those that a
// terminal sends to it.
func attributes(orphan syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: orphan, Setpgid: true}
}
