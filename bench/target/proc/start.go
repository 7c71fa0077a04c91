package proc

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

// Start starts a program that gets a signal when this process ends, however it does: one that is killed leaves nothing behind. The channel is closed
// when the program has ended and its pipes are read; how it ended, cmd.ProcessState says then. What the caller reads from it must not be
// cmd.StdoutPipe, which is closed with the program.
func Start(cmd *exec.Cmd, last syscall.Signal) (ended <-chan struct{}, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = last
	begun, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		// The signal comes when the thread ends that has started the program: it must live as long as this process. See PR_SET_PDEATHSIG(2const).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if begun <- err; err == nil {
			_ = cmd.Wait() // it is in ProcessState
		}
	}()
	if err := <-begun; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return gone, nil
}
