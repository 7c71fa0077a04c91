// Package proc says what processes use, as Linux tells in /proc: see proc(5).
package proc

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTicks is the unit of CPU times in /proc, in a second: USER_HZ, which is 100 on all of Linux's machines that Go runs on.
const clockTicks = 100

// stat is a line of /proc about a process.
type stat struct {
	state  byte
	parent int
	own    time.Duration // CPU, user and system
	reaped time.Duration // CPU of the children that have ended
}

func read(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, fmt.Errorf("reading about a process: %w", err)
	}
	// The fields behind the name, which stands in parentheses and may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return s, errors.New("reading about a process: /proc has changed")
	}
	s.state = fields[0][0]
	var n [5]int64
	for i, at := range [...]int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		if n[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return s, fmt.Errorf("reading about a process: %w", err)
		}
	}
	s.parent = int(n[0])
	s.own, s.reaped = time.Duration(n[1]+n[2])*time.Second/clockTicks, time.Duration(n[3]+n[4])*time.Second/clockTicks
	return s, nil
}

// Gone says whether a process has ended, be it that nobody has asked how.
func Gone(pid int) bool {
	s, err := read(pid)
	return err != nil || s.state == 'Z'
}

// Children are the processes that a process has made and that have not ended.
func Children(pid int) ([]int, error) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var found []int
	for _, d := range all {
		n, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if s, err := read(n); err == nil && s.parent == pid && s.state != 'Z' {
			found = append(found, n)
		}
	}
	return found, nil
}

// Family is the CPU of a process and its children, those that have ended and were waited for as well, and their memory in bytes: what each has for
// itself, and once what they share, as the one has it that has most of it.
func Family(pid int) (cpu time.Duration, memory int64, err error) {
	children, err := Children(pid)
	if err != nil {
		return 0, 0, err
	}
	first, err := read(pid)
	if err != nil {
		return 0, 0, err
	}
	cpu = first.own + first.reaped
	var shared int64
	for _, n := range append(children, pid) {
		if s, err := read(n); err == nil && n != pid {
			cpu += s.own + s.reaped
		}
		own, others, err := resident(n)
		if err != nil {
			continue // it has just ended
		}
		memory += own
		shared = max(shared, others)
	}
	return cpu, memory + shared, nil
}

// resident is what a process has in memory: for itself, and files and shared memory.
func resident(pid int) (own, shared int64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory of a process: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		to := map[string]*int64{"RssAnon": &own, "RssFile": &shared, "RssShmem": &shared}[name]
		if to == nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading the memory of a process: %q: %w", lines.Text(), err)
		}
		*to += n * 1024
	}
	return own, shared, nil
}

// Disk is what a folder takes on its disk, as du counts it. Files that vanish meanwhile count as gone.
func Disk(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				if s, ok := info.Sys().(*syscall.Stat_t); ok {
					bytes += s.Blocks * 512
				}
			}
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes, err
}
