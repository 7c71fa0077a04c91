package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/millrace/millrace/bench/target/proc"
)

// process is a hub that serves in a process of its own.
type process struct {
	cmd    *exec.Cmd
	addr   string
	began  time.Time     // before the process was made
	took   time.Duration // from then until it said that it serves
	out    *os.File      // what it says
	orders io.Writer     // to a hub on a slow disk
	ended  <-chan struct{}
}

// anyPort is a free one, of loopback.
const anyPort = "127.0.0.1:0"

// newProcess starts a hub on a data folder at an address, and returns when it serves.
func newProcess(c *Config, dir, listen string) (*process, error) {
	p, err := launch(c, dir, listen)
	if err != nil {
		return nil, err
	}
	return p, p.await()
}

// launch starts one, which does not serve yet.
func launch(c *Config, dir, listen string) (*process, error) {
	args := []string{"serve", "--json", "--data", dir, "--listen", listen, "--log-level", "warn"}
	if c.SnapshotEvery != 0 {
		args = append(args, "--snapshot-every-bytes", strconv.FormatInt(c.SnapshotEvery, 10))
	}
	return startProcess(c, c.Command(args...))
}

// launchSlow starts one whose disk can be made slow: see ServeSlow.
func launchSlow(c *Config, dir, listen string) (*process, error) {
	cmd := c.Command("bench", "hub", "--data", dir, "--listen", listen)
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(c, cmd)
	if err == nil {
		p.orders = orders
	}
	return p, err
}

// startProcess starts a hub that ends with this process, however that ends.
func startProcess(c *Config, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd}
	p.cmd.Stderr = c.Progress
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the suite, which ends the load first
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting a hub: %w", err)
	}
	p.cmd.Stdout, p.out, p.began = in, out, time.Now()
	p.ended, err = proc.Start(p.cmd, syscall.SIGKILL) // how it ends is not asked: mostly it is killed
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a hub: %w", err), out.Close())
	}
	return p, nil
}

// await returns when it serves. One that does not is ended.
func (p *process) await() error {
	lines := bufio.NewReader(p.out)
	line, err := lines.ReadBytes('\n')
	p.took = time.Since(p.began)
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = p.out.Close() // it has been read to its end
	}()
	var said struct{ Listen string }
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("a hub that was started does not say where it is: %w", err), p.kill())
	}
	p.addr = said.Listen
	return nil
}

func (p *process) memory() (m memoryUse, err error) {
	err = m.read(strconv.Itoa(p.cmd.Process.Pid))
	return m, err
}

// stopping is how long a hub may take to end.
const stopping = 2 * time.Minute

// gone says whether it has ended.
func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends it as a crash does. It may be called again.
func (p *process) kill() error { return p.end(syscall.SIGKILL) }

// stop ends it gracefully. One that does not end is killed, which is an error.
func (p *process) stop() error { return p.end(syscall.SIGTERM) }

func (p *process) end(by syscall.Signal) error {
	if p.gone() {
		return nil
	}
	if err := p.cmd.Process.Signal(by); err != nil && !errors.Is(err, os.ErrProcessDone) { // it may have ended by itself
		return fmt.Errorf("ending a hub: %w", err)
	}
	patience := time.NewTimer(stopping)
	defer patience.Stop()
	select {
	case <-p.ended:
		return nil
	case <-patience.C:
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending a hub: %w", err)
	}
	<-p.ended
	return fmt.Errorf("a hub that was asked to end had not within %v, and was killed", stopping)
}
