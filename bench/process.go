package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// process is a hub that serves in a process of its own.
type process struct {
	cmd    *exec.Cmd
	addr   string
	took   time.Duration // from before the process was made until it said that it serves
	orders io.Writer     // to a hub on a slow disk
	ended  chan struct{}
	gone   bool // ended was waited for
}

// anyPort is a free one, of loopback.
const anyPort = "127.0.0.1:0"

// newProcess starts a hub on a data folder at an address, and returns when it serves.
func newProcess(c *Config, dir, listen string) (*process, error) {
	args := []string{"serve", "--json", "--data", dir, "--listen", listen, "--log-level", "warn"}
	if c.SnapshotEvery != 0 {
		args = append(args, "--snapshot-every-bytes", strconv.FormatInt(c.SnapshotEvery, 10))
	}
	return startProcess(c, c.Command(args...))
}

// newSlowProcess starts one whose disk can be made slow: see ServeSlow.
func newSlowProcess(c *Config, dir, listen string) (*process, error) {
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

func startProcess(c *Config, cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	p.cmd.Stderr = c.Progress
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the suite, which ends the load first
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a hub: %w", err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadBytes('\n')
	p.took = time.Since(began)
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = p.cmd.Wait() // how it ended is not asked: mostly it was killed
		close(p.ended)
	}()
	var said struct{ Listen string }
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a hub that was started does not say where it is: %w", err), p.kill())
	}
	p.addr = said.Listen
	return p, nil
}

func (p *process) memory() (m memoryUse, err error) {
	err = m.read(strconv.Itoa(p.cmd.Process.Pid))
	return m, err
}

// kill ends it as a crash does. It may be called again.
func (p *process) kill() error { return p.end(syscall.SIGKILL) }

// stop ends it gracefully.
func (p *process) stop() error { return p.end(syscall.SIGTERM) }

func (p *process) end(by syscall.Signal) error {
	if p.gone {
		return nil
	}
	if err := p.cmd.Process.Signal(by); err != nil {
		return fmt.Errorf("ending a hub: %w", err)
	}
	<-p.ended
	p.gone = true
	return nil
}
