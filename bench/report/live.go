package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// Live shows a run while it goes on. In a terminal it is a few lines that are drawn anew; else it is a line for each interval. What others write
// to it appears above these lines. It is safe for use by several goroutines.
type Live struct {
	scenario *scenario.Scenario
	runs     int

	mu       sync.Mutex
	w        io.Writer
	width    func() int // of the terminal, in letters; nil: there is none
	run      int        // from 1 on
	target   string
	troubles          // of this run so far
	block    []string // what was drawn last
	held     []byte   // of a line that others have begun
}

// troubles are what did not go well, without the warm-up.
type troubles struct{ refused, errors, dropped uint64 }

// maxHeld bounds a line of others, in bytes: a longer one is broken.
const maxHeld = 16 << 10

// NewLive makes one for so many runs of a scenario.
func NewLive(w io.Writer, s *scenario.Scenario, runs int) *Live {
	l := &Live{w: w, scenario: s, runs: runs}
	if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		width := func() int {
			size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
			if err != nil {
				return 0
			}
			return int(size.Col)
		}
		if width() > 0 {
			l.width = width
		}
	}
	return l
}

// Turn says that a run of a target begins.
func (l *Live) Turn(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run++
	l.target, l.troubles = target, troubles{}
	if l.width != nil {
		l.draw([]string{l.head(), "making its accounts ..."})
	}
}

// Interval shows one that has ended.
func (l *Live) Interval(i generator.Interval) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i.Seconds < 0.1 && i.Ops+i.Errors+i.Refused+i.Dropped == 0 {
		return // what was left at the end
	}
	if l.width == nil {
		fmt.Fprintln(l.w, intervalLine(i))
		return
	}
	if !warming(&i) {
		l.refused, l.errors, l.dropped = l.refused+i.Refused, l.errors+i.Errors, l.dropped+i.Dropped
	}
	payments := "payments are not counted yet"
	if !warming(&i) {
		payments = fmt.Sprintf("%9s ops/s   p50 %s   p99 %s   max %s ms", short(rateOf(&i)), short(i.P50), short(i.P99), short(i.Max))
	}
	used := coresOf(&i)
	if i.Apart == generator.Measured {
		used = fmt.Sprintf("cores: generator %.2f   target %.2f   target's memory %s", i.CPU, i.System, bytesText(i.Memory))
	}
	l.draw([]string{
		l.head(), l.progress(&i), payments,
		fmt.Sprintf("refused %d   without an answer %d   dropped %d", l.refused, l.errors, l.dropped),
		used,
	})
}

// Write takes what others have to say.
func (l *Live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.width == nil {
		return l.w.Write(p)
	}
	l.held = append(l.held, p...)
	end := bytes.LastIndexByte(l.held, '\n') + 1
	if len(l.held)-end > maxHeld {
		l.held = append(l.held, '\n')
		end = len(l.held)
	}
	if end == 0 {
		return len(p), nil
	}
	block := l.block
	l.erase()
	_, err := l.w.Write(l.held[:end])
	l.held = append(l.held[:0], l.held[end:]...)
	l.draw(block)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close takes the lines away, and writes what others have begun.
func (l *Live) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	if len(l.held) == 0 {
		return nil
	}
	_, err := l.w.Write(append(l.held, '\n'))
	l.held = nil
	return err
}

func (l *Live) head() string {
	text := plain(l.scenario.Name) + " against " + plain(l.target)
	if l.runs > 1 {
		text += fmt.Sprintf(", run %d of %d", l.run, l.runs)
	}
	return text
}

// progress is a bar of the time.
func (l *Live) progress(i *generator.Interval) string {
	const wide = 30
	warm, length := l.scenario.Warmup.Seconds(), l.scenario.Length().Seconds()
	at := i.At
	part := min(max((at+warm)/max(warm+length, 1e-9), 0), 1)
	full := int(part * wide)
	bar := "[" + strings.Repeat("#", full) + strings.Repeat("-", wide-full) + "]"
	if warming(i) {
		return bar + " warm-up"
	}
	of := time.Duration(length * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s %3.0f %%   %v of %v", bar, 100*part, time.Duration(at*float64(time.Second)).Round(time.Second), of)
}

// draw puts lines in the place of those that were drawn last. Each fits into the terminal, whatever its width is now.
func (l *Live) draw(lines []string) {
	l.erase()
	if len(lines) == 0 {
		return
	}
	wide := max(l.width()-1, 1)
	var b strings.Builder
	for _, line := range lines {
		if utf8.RuneCountInString(line) > wide {
			line = string([]rune(line)[:wide])
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
	_, _ = io.WriteString(l.w, b.String()) // what cannot be shown is in the report
	l.block = lines
}

// erase takes the lines that were drawn last away: up by as many, and cleared from there to the end of the screen (ECMA-48: CUU, ED).
func (l *Live) erase() {
	if n := len(l.block); n > 0 {
		fmt.Fprintf(l.w, "\x1b[%dA\r\x1b[J", n)
	}
	l.block = nil
}

// coresOf is who has used how many cores in an interval.
func coresOf(i *generator.Interval) string {
	switch i.Apart {
	case generator.Within:
		return fmt.Sprintf("%.2f cores, generator and target in one process", i.CPU)
	case generator.Hidden:
		return fmt.Sprintf("generator %.2f cores, target not known", i.CPU)
	}
	return fmt.Sprintf("generator %.2f, target %.2f cores", i.CPU, i.System)
}

// intervalLine is an interval in a line.
func intervalLine(i generator.Interval) string {
	phase := fmt.Sprintf("%5.0f s", i.At)
	if warming(&i) {
		return "warm-up  " + coresOf(&i)
	}
	line := fmt.Sprintf("%s  %10.0f ops/s  p50 %8.2f  p99 %8.2f  max %8.2f ms  %s", phase, rateOf(&i), i.P50, i.P99, i.Max, coresOf(&i))
	if i.Errors+i.Refused+i.Dropped > 0 {
		line += fmt.Sprintf("  errors %d, refused %d, dropped %d", i.Errors, i.Refused, i.Dropped)
	}
	return line
}
