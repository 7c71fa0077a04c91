package report

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/generator"
)

// screen is a terminal of so many letters a line, as far as Live knows one.
type screen struct {
	wide  int
	lines []string // the last one has not ended
}

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	up := regexp.MustCompile(`^\x1b\[(\d+)A\r\x1b\[J`)
	for text != "" {
		if m := up.FindStringSubmatch(text); m != nil {
			var n int
			if _, err := fmt.Sscan(m[1], &n); err != nil {
				return 0, err
			}
			s.lines = append(s.lines[:len(s.lines)-1-n], "")
			text = text[len(m[0]):]
			continue
		}
		line, rest, ended := strings.Cut(text, "\n")
		if len(s.lines) == 0 {
			s.lines = []string{""}
		}
		for _, r := range line { // a long line takes several
			if last := &s.lines[len(s.lines)-1]; len([]rune(*last)) < s.wide {
				*last += string(r)
			} else {
				s.lines = append(s.lines, string(r))
			}
		}
		if ended {
			s.lines = append(s.lines, "")
		}
		text = rest
	}
	return len(p), nil
}

func TestLive(t *testing.T) {
	for _, wide := range []int{100, 31} {
		s := &screen{wide: wide}
		l := NewLive(s, testScenario(t), 4)
		l.width = func() int { return wide }
		say := func(text string) {
			if _, err := l.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		say("making accounts\n")
		l.Turn("millrace")
		l.Interval(generator.Interval{At: -1, Seconds: 1, Ops: 1, Errors: 5})
		l.Interval(generator.Interval{At: 5, Seconds: 1, Ops: 1234, P50: 1.5, P99: 22, Max: 33, Errors: 2, Refused: 3, Memory: 5e6})
		say("the hub ")
		say("says something\nand begins")
		l.Interval(generator.Interval{At: 10, Seconds: 2, Ops: 40_000, P50: 1.5, P99: 22, Max: 33, Errors: 1, Dropped: 1})
		got := strings.Join(s.lines, "\n")
		if wide == 100 {
			want := `making accounts
the hub says something
tips against millrace, run 1 of 4
[################--------------]  55 %   10s of 20s
   20.0 k ops/s   p50 1.50   p99 22   max 33 ms
refused 3   without an answer 3   dropped 1
cores: generator 0.00   target 0.00   target's memory 0 B
`
			if got != want {
				t.Errorf("on the screen:\n%s\nwant\n%s", got, want)
			}
		}
		if len(s.lines) != 8 {
			t.Errorf("%d letters wide: %d lines:\n%s", wide, len(s.lines), got)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(s.lines, "\n"); got != "making accounts\nthe hub says something\nand begins\n" {
			t.Errorf("left behind: %q", got)
		}
	}
}

// TestLiveLines holds that what is no terminal gets whole lines alone.
func TestLiveLines(t *testing.T) {
	var b strings.Builder
	l := NewLive(&b, testScenario(t), 1)
	l.Turn("millrace")
	fmt.Fprint(l, "half")
	l.Interval(generator.Interval{At: -0.5, Seconds: 1, Ops: 7})
	l.Interval(generator.Interval{At: 3, Seconds: 0.5, Ops: 7, Errors: 1})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := "halfwarm-up  generator 0.00, target 0.00 cores\n" +
		"    3 s          14 ops/s  p50     0.00  p99     0.00  max     0.00 ms  generator 0.00, target 0.00 cores  errors 1, refused 0, dropped 0\n"
	if b.String() != want {
		t.Errorf("%q\nwant\n%q", b.String(), want)
	}
}
