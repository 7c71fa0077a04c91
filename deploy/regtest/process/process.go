// Package process starts a program in a folder, waits until it answers, and ends it in order or by force, again and again. It
// never outlives who started it, where the system can do that (Linux).
package process

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
	endMost  = 30 * time.Second // for a program to end when it is told to
	tailMost = 4096             // bytes of a program's log in an error
	poll     = 20 * time.Millisecond
)

// What is wrong with a program, for errors.Is.
var (
	ErrDown   = errors.New("it does not run")
	ErrNotYet = errors.New("not yet")
)

// Process is a program that runs or does not. What it prints is added to output.log in its folder. Its methods may be called by any goroutine.
type Process struct {
	Name   string // in errors
	Path   string // of the program
	Dir    string // its working folder, which is made
	Args   []string
	Env    []string       // as of os.Environ; nil: ours
	Orphan syscall.Signal // what it gets when we die, however that is

	mu   sync.Mutex
	cmd  *exec.Cmd     // nil: does not run
	done chan struct{} // closed when cmd has ended
}

// Start starts the program, and does not wait for anything.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs() {
		return fmt.Errorf("%s runs already", p.Name)
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	defer log.Close() // the program has its own
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.Dir, p.Env, log, log
	cmd.SysProcAttr = attributes(p.Orphan)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	p.cmd, p.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}(p.done)
	return nil
}

// Signal does nothing to a program that does not run.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("telling %s: %w", p.Name, err)
	}
	return nil
}

// End ends the program by a signal, and returns when it is gone. One that does not go within half a minute is killed, which is an error.
func (p *Process) End(s syscall.Signal) error {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	err := errors.Join(p.Signal(s), p.Signal(syscall.SIGCONT)) // a paused one would not hear the first
	select {
	case <-done:
	case <-time.After(endMost):
		err = errors.Join(err, fmt.Errorf("%s did not end within %v: killed", p.Name, endMost), p.Signal(syscall.SIGKILL))
		<-done
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == cmd {
		p.cmd = nil
	}
	return err
}

// Runs says whether the program was started and has not ended.
func (p *Process) Runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs()
}

func (p *Process) runs() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Ended is closed when the program that was started last has ended; nil when none was.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Ready waits until the program answers. That it ends meanwhile is an error, with the end of its log.
func (p *Process) Ready(ctx context.Context, answers func(context.Context) (bool, error)) error {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return fmt.Errorf("%s: %w", p.Name, ErrDown)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-done:
			cancel(fmt.Errorf("%s ended (%v):\n%s", p.Name, cmd.ProcessState, p.tail()))
		case <-ctx.Done():
		}
	}()
	if err := Until(ctx, p.Name+" answers", answers); err != nil {
		if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
			return cause
		}
		return fmt.Errorf("%w\n%s", err, p.tail())
	}
	return nil
}

func (p *Process) log() string { return filepath.Join(p.Dir, "output.log") }

// tail is the end of the log.
func (p *Process) tail() string {
	f, err := os.Open(p.log())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailMost {
		_, _ = f.Seek(-tailMost, io.SeekEnd) // without it, it is the beginning
	}
	b, err := io.ReadAll(io.LimitReader(f, tailMost))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

// Until waits for a condition, as long as the context lasts. What it says last is in the error.
func Until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	last := ErrNotYet
	for {
		ok, err := done(ctx)
		if ok {
			return nil
		}
		if ctx.Err() == nil && err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w (%w)", what, ctx.Err(), last)
		case <-tick.C:
		}
	}
}
