package report

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// Machine is what a run was made on, and with. What cannot be found out is empty.
type Machine struct {
	Millrace string `json:"millrace"` // version
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Kernel   string `json:"kernel"`
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"` // that may be used
	Memory   int64  `json:"memory_bytes"`
	Files    string `json:"filesystem"` // of the folder that targets are started in
}

// ThisMachine looks at the machine that this process runs on. The folder is where targets keep their data; empty: the temporary one.
func ThisMachine(dir string) Machine {
	if dir == "" {
		dir = os.TempDir()
	}
	m := Machine{
		Go: runtime.Version(), OS: runtime.GOOS, CPUs: runtime.NumCPU(),
		CPU:    lineOf("/proc/cpuinfo", "model name", ":"),
		Memory: kilobytes(lineOf("/proc/meminfo", "MemTotal", ":")),
		Files:  filesystem(dir),
	}
	if name := strings.Trim(lineOf("/etc/os-release", "PRETTY_NAME", "="), `"`); name != "" {
		m.OS = name
	}
	if m.CPU == "" {
		m.CPU = runtime.GOARCH
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(kernel))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		m.Millrace = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				m.Commit = s.Value + m.Commit
			case s.Key == "vcs.modified" && s.Value == "true":
				m.Commit += ", changed"
			}
		}
	}
	return m
}

// lineOf is what stands behind a word and a mark in the first such line of a file; empty: there is none.
func lineOf(path, word, mark string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), mark); ok && strings.TrimSpace(key) == word {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kilobytes reads "24689520 kB", in bytes.
func kilobytes(text string) int64 {
	number, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// filesystem says on what a folder lies, after the device's number in the table of mounts: see proc_pid_mountinfo(5). Where several mounts have
// that number, it is the one whose path is the longest beginning of the folder's.
func filesystem(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	found, longest := "", -1
	for lines := bufio.NewScanner(f); lines.Scan(); {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		at, what := strings.Fields(before), strings.Fields(after)
		if !ok || len(at) < 6 || len(what) < 1 {
			continue
		}
		if point := at[4]; len(point) >= longest && (point == "/" || dir == point || strings.HasPrefix(dir, point+"/")) {
			found, longest = what[0]+" ("+at[5]+")", len(point)
		}
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err == nil && found != "" {
		found += ", " + bytesText(int64(s.Blocks)*int64(s.Bsize))
	}
	return found
}

// facts are what is known of a machine, in order.
func (m *Machine) facts() (all []struct{ Name, Value string }) {
	for _, f := range []struct{ Name, Value string }{
		{"Millrace", m.Millrace}, {"Commit", m.Commit}, {"Go", m.Go}, {"System", m.OS}, {"Kernel", m.Kernel}, {"CPU", m.CPU},
		{"CPUs", strconv.Itoa(m.CPUs)}, {"Memory", bytesText(m.Memory)}, {"File system of the data", m.Files},
	} {
		if f.Value != "" {
			all = append(all, f)
		}
	}
	return all
}

// line is a machine in one.
func (m *Machine) line() string {
	return fmt.Sprintf("%d × %s, %s of memory, %s, %s, kernel %s; millrace %s, %s", m.CPUs, m.CPU, bytesText(m.Memory), m.Files, m.OS, m.Kernel, m.Millrace, m.Go)
}
