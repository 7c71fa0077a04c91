package postgres

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/target/proc"
)

// ErrMissing means that PostgreSQL is not installed here.
var ErrMissing = errors.New("PostgreSQL is not installed: apt-get install postgresql-15 (or make deps-postgres)")

// settings are those of the private cluster, as one would tune PostgreSQL for such a load, with nothing taken from its durability: fsync,
// full_page_writes and synchronous_commit are on. Checkpoints are so far apart that none falls into a short load, the WAL of a single server is
// as terse as it can be, and full pages in it are compressed. No plan is compiled (jit), since all are small.
const settings = `
listen_addresses = ''
max_connections = 200
fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = minimal
max_wal_senders = 0
wal_compression = lz4
wal_buffers = 64MB
max_wal_size = 8GB
min_wal_size = 2GB
checkpoint_timeout = 30min
checkpoint_completion_target = 0.9
maintenance_work_mem = 256MB
work_mem = 32MB
effective_io_concurrency = 200
random_page_cost = 1.1
jit = off
autovacuum_naptime = 15s
autovacuum_vacuum_cost_delay = 2ms
huge_pages = try
log_min_messages = panic
unix_socket_permissions = 0700
`

// sharedBuffers are a quarter of the machine's memory, and a gigabyte at most: more than the population of a scenario takes.
func sharedBuffers() string {
	megabytes := int64(1024)
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err == nil {
		megabytes = min(megabytes, max(int64(info.Totalram)*int64(info.Unit)/4/(1<<20), 32))
	}
	return fmt.Sprintf("shared_buffers = %dMB\n", megabytes)
}

// owner is the user that PostgreSQL runs as, which does not run as root.
type owner struct {
	credential *syscall.Credential // nil: as this process
	uid, gid   int
}

func newOwner() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{uid: -1, gid: -1}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return owner{}, fmt.Errorf("looking up %s: %w", name, err)
		}
		return owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, int(uid), int(gid)}, nil
	}
	return owner{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// cluster is a PostgreSQL server of our own, in a folder of its own, that nobody else can speak to.
type cluster struct {
	bin    string // the folder of its programs
	data   string
	socket string // the folder of its socket, which has to have a short name
	owner  owner
	out    io.Writer

	mu    sync.Mutex
	pid   int             // of its first process; 0: it does not run
	ended <-chan struct{} // closed when that process has
	spent time.Duration   // CPU of the processes before
}

// programs finds the newest PostgreSQL: where Debian puts it, or in the PATH.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", fmt.Errorf("looking for PostgreSQL: %w", err)
	}
	if len(found) > 0 {
		version := func(p string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p)))) // what is no number is old
			return n
		}
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	return "", ErrMissing
}

// newCluster makes one in a folder, and starts it.
func newCluster(dir string, out io.Writer) (c *cluster, err error) {
	c = &cluster{data: filepath.Join(dir, "postgres"), out: out}
	if c.bin, err = programs(); err != nil {
		return nil, err
	}
	if c.owner, err = newOwner(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
			c = nil
		}
	}()
	if c.socket, err = os.MkdirTemp("", "mr-pg-"); err != nil { // a socket's path has 107 bytes at most
		return c, fmt.Errorf("making a folder for PostgreSQL's socket: %w", err)
	}
	if err := os.Mkdir(c.data, 0o700); err != nil {
		return c, fmt.Errorf("making PostgreSQL's folder: %w", err)
	}
	if c.owner.credential != nil {
		if err := errors.Join(os.Chown(c.data, c.owner.uid, c.owner.gid), os.Chown(c.socket, c.owner.uid, c.owner.gid), os.Chmod(dir, 0o711)); err != nil { // it has to get there
			return c, fmt.Errorf("giving PostgreSQL its folder: %w", err)
		}
	}
	init := c.command("initdb", "--pgdata", c.data, "--username", role, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--wal-segsize", "64")
	if text, err := init.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(text)), "\n") // the last says what is wrong
		return c, fmt.Errorf("initdb, as the user that PostgreSQL runs as, who has to be able to get to %s: %w: %.500s", c.data, err, lines[len(lines)-1])
	}
	f, err := os.OpenFile(filepath.Join(c.data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return c, fmt.Errorf("PostgreSQL's settings: %w", err)
	}
	_, err = f.WriteString(settings + sharedBuffers() + "unix_socket_directories = '" + c.socket + "'\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return c, fmt.Errorf("PostgreSQL's settings: %w", err)
	}
	return c, c.start()
}

// command is one of PostgreSQL's programs, as the user that it runs as. If this process ends, however it does, it ends as well.
func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = "/"
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "MILLRACE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner.credential, Setpgid: true}
	return cmd
}

// url is where it is, in libpq's form.
func (c *cluster) url() string { return "host=" + c.socket + " user=" + role + " database=postgres" }

// start starts the server. It may take some time yet until it serves.
func (c *cluster) start() error {
	cmd := c.command("postgres", "-D", c.data)
	cmd.Stdout, cmd.Stderr = c.out, c.out
	ended, err := proc.Start(cmd, syscall.SIGINT) // how it ends is not asked: it may be killed
	if err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid, c.ended = cmd.Process.Pid, ended
	return nil
}

// process is its first one; 0: it does not run, or has ended.
func (c *cluster) process() (pid int, spent time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pid == 0 {
		return 0, c.spent
	}
	select {
	case <-c.ended:
		return 0, c.spent
	default:
		return c.pid, c.spent
	}
}

func (c *cluster) running() bool {
	pid, _ := c.process()
	return pid != 0
}

// stopping bounds how long an orderly end may take: it writes out all that has changed.
const stopping = 5 * time.Minute

// killed is how long killed processes may take to be gone: they may be writing to a slow disk.
const killed = time.Minute

// kill ends all its processes as a crash of the machine does: nothing is left that could still commit.
func (c *cluster) kill() error {
	pid, spent := c.process()
	if pid == 0 {
		return nil
	}
	if cpu, _, err := proc.Family(pid); err == nil {
		spent += cpu
	}
	_ = syscall.Kill(pid, syscall.SIGSTOP) // so that it makes no more children; it may have ended
	children, err := proc.Children(pid)
	if err != nil {
		return err
	}
	for _, n := range append(slices.Clone(children), pid) {
		_ = syscall.Kill(n, syscall.SIGKILL) // it may have ended
	}
	<-c.ended
	c.mu.Lock()
	c.pid, c.spent = 0, spent
	c.mu.Unlock()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if !slices.ContainsFunc(children, func(n int) bool { return !proc.Gone(n) }) {
			return nil
		}
		if time.Since(began) > killed {
			return fmt.Errorf("PostgreSQL's processes %v do not end", children)
		}
	}
}

// stop ends it as its administrator would who does not wait for those that are connected ("fast": see pg_ctl).
func (c *cluster) stop() error {
	pid, _ := c.process()
	if pid == 0 {
		return errors.New("PostgreSQL does not run")
	}
	cpu, _, err := proc.Family(pid)
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGINT)
	}
	if err != nil {
		return fmt.Errorf("stopping PostgreSQL: %w", err)
	}
	select {
	case <-c.ended:
	case <-time.After(stopping):
		return fmt.Errorf("PostgreSQL does not end within %v", stopping)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid, c.spent = 0, c.spent+cpu
	return nil
}

// freeze stops all its processes, or lets them go on.
func (c *cluster) freeze(stopped bool) error {
	pid, _ := c.process()
	if pid == 0 {
		return errors.New("PostgreSQL does not run")
	}
	by := syscall.SIGCONT
	if stopped {
		by = syscall.SIGSTOP
	}
	if err := syscall.Kill(pid, by); err != nil {
		return fmt.Errorf("stopping PostgreSQL, or letting it go on: %w", err)
	}
	children, err := proc.Children(pid)
	if err != nil {
		return err
	}
	for _, n := range children {
		_ = syscall.Kill(n, by) // it may have ended
	}
	return nil
}

func (c *cluster) using() (u generator.Using, err error) {
	pid, spent := c.process()
	if pid != 0 { // else it is down, and uses nothing beyond what it has used
		if u.CPU, u.Memory, err = proc.Family(pid); err != nil {
			return u, err
		}
	}
	u.CPU += spent
	u.Disk, err = proc.Disk(c.data)
	return u, err
}

// close ends it and removes the folder of its socket. Its data is the caller's. Nobody needs what it holds: it is killed.
func (c *cluster) close() error {
	err := c.kill()
	if c.socket != "" {
		err = errors.Join(err, os.RemoveAll(c.socket))
	}
	return err
}
