package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/deploy/regtest/process"
)

// stopMost is for how long stop waits: each node has half a minute.
const stopMost = 2 * time.Minute

// readyLine ends what a background run tells the start that waits for it.
const readyLine = "ready"

// lock is the file whose lock a run has as long as it lives, and that says its process id.
func (s settings) lock() string { return filepath.Join(s.dir, "lock") }

// summary is the file with what start printed.
func (s settings) summary() string { return filepath.Join(s.dir, "summary.txt") }

// log is the file with what a background run prints.
func (s settings) log() string { return filepath.Join(s.dir, "output.log") }

// errRuns says who has the lock.
type errRuns struct{ pid int }

func (e errRuns) Error() string {
	return fmt.Sprintf("it runs already, as process %d: make regtest-stop ends it", e.pid)
}

// take locks the folder for this process. The file is to be kept open.
func take(s settings) (*os.File, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder: %w", err)
	}
	f, err := os.OpenFile(s.lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking %s: %w", s.lock(), err)
		}
		b, err := io.ReadAll(io.LimitReader(f, 32))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.lock(), err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.lock(), err)
		}
		return nil, errRuns{pid}
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing %s: %w", s.lock(), err), f.Close())
	}
	return f, nil
}

// start runs this program again with run, apart from the terminal, and prints what it says until it is ready.
func start(ctx context.Context, s settings, args []string) error {
	if err := s.built(); err != nil {
		return err
	}
	held, err := take(s)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return errors.Join(fmt.Errorf("the log: %w", err), held.Close())
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return errors.Join(fmt.Errorf("the log: %w", err), held.Close())
	}
	self, err := os.Executable()
	if err != nil {
		return errors.Join(fmt.Errorf("this program: %w", err), held.Close())
	}
	if err := held.Close(); err != nil { // the run takes it
		return err
	}
	cmd := exec.Command(self, append([]string{"run"}, args...)...)
	cmd.Stderr, cmd.SysProcAttr = log, &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting in the background: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting in the background: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == readyLine {
			return cmd.Process.Release()
		}
		fmt.Println(lines.Text())
	}
	if err := cmd.Wait(); err == nil {
		return errors.New("ended before it was ready")
	}
	return fmt.Errorf("it did not start; %s says:\n%s", s.log(), tail(s.log(), before))
}

// stop ends a run, and returns when all of it is gone.
func stop(ctx context.Context, s settings) error {
	if _, err := os.Stat(s.lock()); err != nil {
		fmt.Println("nothing runs in", shorten(s.dir))
		return nil
	}
	var runs errRuns
	f, err := take(s)
	if err == nil {
		fmt.Println("nothing runs in", shorten(s.dir))
		return f.Close()
	}
	if !errors.As(err, &runs) {
		return err
	}
	if err := syscall.Kill(runs.pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("ending process %d: %w", runs.pid, err)
	}
	for _, last := range []bool{false, true} {
		if err := free(ctx, s); err == nil {
			fmt.Println("stopped; make regtest goes on with", shorten(s.dir))
			return nil
		} else if last || ctx.Err() != nil {
			return fmt.Errorf("process %d has not ended: %w", runs.pid, err)
		}
		fmt.Println("it does not end: killed, and the nodes with it")
		if err := syscall.Kill(runs.pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing process %d: %w", runs.pid, err)
		}
	}
	return nil
}

// free waits until nobody has the lock.
func free(ctx context.Context, s settings) error {
	ctx, cancel := context.WithTimeout(ctx, stopMost)
	defer cancel()
	return process.Until(ctx, "the folder is free", func(context.Context) (bool, error) {
		f, err := take(s)
		if err != nil {
			return false, err
		}
		return true, f.Close()
	})
}

func show(s settings) error {
	f, err := take(s)
	if err == nil {
		return errors.Join(fmt.Errorf("nothing runs in %s: make regtest starts it", s.dir), f.Close())
	}
	text, err := os.ReadFile(s.summary())
	if err != nil {
		return fmt.Errorf("it is starting: %w", err)
	}
	_, err = os.Stdout.Write(text)
	return err
}

// tail is the end of a file, and no more than what was written from a place on.
func tail(file string, from int64) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(int(from), len(b)-4096):]))
}
