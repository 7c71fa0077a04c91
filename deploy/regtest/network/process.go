package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	stopMost = 30 * time.Second // for a node to end when it is told to
	tailMost = 4096             // bytes of a node's log in an error
)

var errDown = errors.New("the node does not run")

// process is a node's program, started and ended again and again. What it prints goes to output.log in its folder.
type process struct {
	name, path, dir string
	args            []string
	orphan          syscall.Signal // what it gets when we die

	mu   sync.Mutex
	cmd  *exec.Cmd     // nil: does not run
	done chan struct{} // closed when cmd has ended
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("%s runs already", p.name)
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	defer log.Close() // the program has its own
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.SysProcAttr = attributes(p.orphan)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		cmd.Wait() //nolint:errcheck // how it ended is in its log
		close(done)
	}(p.done)
	return nil
}

// signal does nothing to a program that does not run.
func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("telling %s: %w", p.name, err)
	}
	return nil
}

// end ends the program by a signal, and returns when it is gone.
func (p *process) end(s syscall.Signal) error {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	err := errors.Join(p.signal(s), p.signal(syscall.SIGCONT)) // a paused one would not hear the first
	select {
	case <-done:
	case <-time.After(stopMost):
		err = errors.Join(err, fmt.Errorf("%s did not end within %v: killed", p.name, stopMost), p.signal(syscall.SIGKILL))
		<-done
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = nil
	return err
}

// ready waits until the program answers. That it ends meanwhile is an error, with the end of its log.
func (p *process) ready(ctx context.Context, answers func(context.Context) (bool, error)) error {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return fmt.Errorf("%s: %w", p.name, errDown)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-done:
			cancel(fmt.Errorf("%s ended (%v):\n%s", p.name, cmd.ProcessState, p.tail()))
		case <-ctx.Done():
		}
	}()
	if err := until(ctx, p.name+" answers", answers); err != nil {
		if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
			return cause
		}
		return fmt.Errorf("%w\n%s", err, p.tail())
	}
	return nil
}

func (p *process) log() string { return filepath.Join(p.dir, "output.log") }

// tail is the end of the log.
func (p *process) tail() string {
	f, err := os.Open(p.log())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailMost {
		f.Seek(-tailMost, io.SeekEnd) //nolint:errcheck // then it is the beginning
	}
	b, err := io.ReadAll(io.LimitReader(f, tailMost))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
