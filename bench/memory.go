package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// memoryUse is what a process has in memory, in megabytes.
type memoryUse struct {
	now, peak float64
}

// read asks Linux about a process, by its id or "self".
func (m *memoryUse) read(process string) error {
	f, err := os.Open(filepath.Join("/proc", process, "status"))
	if err != nil {
		return fmt.Errorf("reading the memory of a process: %w", err)
	}
	defer f.Close()
	*m = memoryUse{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		to := map[string]*float64{"VmRSS": &m.now, "VmHWM": &m.peak}[name]
		if to == nil {
			continue
		}
		if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%f kB", to); err != nil {
			return fmt.Errorf("reading the memory of a process: %q: %w", lines.Text(), err)
		}
		*to *= 1024 / 1e6
	}
	if m.now == 0 && lines.Err() == nil {
		return errors.New("the process has ended")
	}
	return lines.Err()
}
