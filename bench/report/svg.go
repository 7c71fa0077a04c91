package report

import (
	"bytes"
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"
)

//go:embed plot.css
var plotStyle string

// A chart's measures, in the units of its view box. A letter is about 0.56 of its size wide.
const (
	chartWide = 470
	chartHigh = 284
	left      = 50
	top       = 46
	bottom    = 42
	right     = 16
	letter    = 0.56 * 13.5 // the letters are 11.5, and 13.5 on small screens
)

// chart is a plot with two axes.
type chart struct {
	id     string // unique in a page; letters, digits and hyphens
	title  string
	about  string // for those who do not see it
	x, y   axis
	series []series
	bands  []band
	bars   bool // the series is a histogram: each point is a bar's left end
}

// series is a line of a chart. A point that is not a number interrupts it. What it is called stands at its end, behind a mark of its own form.
type series struct {
	name   string
	x, y   []float64
	style  int
	faint  bool // another round of the same: thin, and without a name
	filled bool // down to the axis
}

// band is a part of the x axis, of a fault or of the warm-up.
type band struct {
	from, to float64
	name     string
	quiet    bool // the warm-up
}

// styles are how many lines are told apart: by colour, dashes and marks.
const styles = 6

type canvas struct {
	bytes.Buffer
	c     *chart
	right float64 // edge of what is plotted
	top   float64 // its other edge
}

func (p *canvas) put(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *canvas) px(v float64) float64 { return left + p.c.x.place(v)*(p.right-left) }
func (p *canvas) py(v float64) float64 {
	return chartHigh - bottom - p.c.y.place(v)*(chartHigh-bottom-p.top)
}

// escape makes text of others safe in XML; what no XML may hold becomes U+FFFD.
func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

// write draws it. Alone it is a file of its own, with its style; else it is a part of a page that has the style.
func (c *chart) write(w io.Writer, alone bool) error {
	p := &canvas{c: c, right: chartWide - right, top: top}
	if len(c.bands) > 0 {
		p.top += 14 // for their names
	}
	names := 0
	for _, s := range c.series {
		if !s.faint {
			names = max(names, utf8.RuneCountInString(shorten(s.name)))
		}
	}
	if named := len(c.series) > 1; named {
		p.right -= 14 + letter*float64(names)
	}
	p.put(`<svg class="plot" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d"`, chartWide, chartHigh, c.id, c.id)
	if alone {
		p.put(` xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"`, chartWide*3/2, chartHigh*3/2)
	}
	p.put(">\n<title id=\"%s-t\">%s</title><desc id=\"%s-d\">%s</desc>\n", c.id, escape(c.title), c.id, escape(c.about))
	if alone {
		p.put("<style>%s</style>\n<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", plotStyle, chartWide, chartHigh)
	}
	p.put(`<text class="title" x="8" y="17">%s</text><text class="unit" x="8" y="33">%s</text>`+"\n", escape(c.title), escape(c.y.label))
	p.axes()
	p.bands()
	if c.bars {
		p.histogram()
	} else {
		p.lines()
	}
	p.put("</svg>\n")
	_, err := w.Write(p.Bytes())
	return err
}

func (p *canvas) axes() {
	c := p.c
	p.put(`<g class="grid">`)
	for _, t := range c.y.ticks {
		p.put(`<path d="M%d %.1fH%.1f"/>`, left, p.py(t.at), p.right)
	}
	p.put("</g>\n<g class=\"axis\">")
	for _, t := range c.y.ticks {
		p.put(`<text class="y" x="%d" y="%.1f">%s</text>`, left-6, p.py(t.at)+4, escape(t.text))
	}
	until := math.Inf(-1)
	for _, t := range c.x.ticks {
		x, half := p.px(t.at), letter*float64(utf8.RuneCountInString(t.text))/2
		p.put(`<path d="M%.1f %dv4"/>`, x, chartHigh-bottom)
		if x-half > until+6 && x+half < chartWide {
			p.put(`<text x="%.1f" y="%d">%s</text>`, x, chartHigh-bottom+16, escape(t.text))
			until = x + half
		}
	}
	p.put(`<path d="M%d %dH%.1f"/><text x="%.1f" y="%d">%s</text></g>`+"\n", left, chartHigh-bottom, p.right, (left+p.right)/2, chartHigh-8, escape(c.x.label))
}

// bands are drawn behind the lines; a name that would lie over another is left out, for the band beside it has the same mostly.
func (p *canvas) bands() {
	until := math.Inf(-1)
	for _, b := range p.c.bands {
		class := "fault"
		if b.quiet {
			class = "quiet"
		}
		from, to := p.px(b.from), p.px(b.to)
		p.put(`<g class="%s"><title>%s</title><path d="M%.1f %dV%.0fH%.1fV%dZ"/>`, class, escape(b.name), from, chartHigh-bottom, p.top-4, max(to, from+1.5), chartHigh-bottom)
		wide := letter * float64(utf8.RuneCountInString(b.name))
		x := from + 2
		if x+wide > chartWide-4 {
			x = chartWide - 4 - wide
		}
		if x > until {
			p.put(`<text x="%.1f" y="%.0f">%s</text>`, x, p.top-8, escape(b.name))
			until = x + wide + 4
		}
		p.put("</g>\n")
	}
}

func (p *canvas) lines() {
	type end struct {
		y float64
		s *series
	}
	var ends []end
	// What is faint lies below.
	for _, faint := range [...]bool{true, false} {
		for i := range p.c.series {
			s := &p.c.series[i]
			if s.faint != faint {
				continue
			}
			last := p.line(s)
			if !faint && !math.IsNaN(last) && len(p.c.series) > 1 {
				ends = append(ends, end{last, s})
			}
		}
	}
	// Names are moved apart, from the top down, and back up where there is no room below.
	slices.SortStableFunc(ends, func(a, b end) int { return int(math.Copysign(1, a.y-b.y)) })
	at := make([]float64, len(ends))
	for i, e := range ends {
		at[i] = e.y
		if i > 0 {
			at[i] = max(at[i], at[i-1]+14)
		}
	}
	for i, floor := len(at)-1, float64(chartHigh-bottom); i >= 0; i-- {
		at[i] = min(at[i], floor)
		floor = at[i] - 14
	}
	for i, e := range ends {
		p.put(`<g class="s%d"><path class="mark" d="%s"/><text x="%.1f" y="%.1f">%s</text></g>`+"\n", e.s.style%styles, mark(e.s.style, p.right+8, at[i]), p.right+15, at[i]+4, escape(shorten(e.s.name)))
	}
}

// line draws one, and returns the height at which it ends; not a number: it has no points.
func (p *canvas) line(s *series) (last float64) {
	last = math.NaN()
	class := fmt.Sprintf("s%d", s.style%styles)
	if s.faint {
		class += " faint"
	}
	var path, area bytes.Buffer
	begun, from := false, 0.0
	shut := func(x float64) {
		if begun && s.filled {
			fmt.Fprintf(&area, "V%dH%.1fZ", chartHigh-bottom, from)
		}
		begun = false
	}
	for i := range s.x {
		if !finite(s.y[i]) || !finite(s.x[i]) || p.c.y.log && s.y[i] <= 0 {
			shut(0)
			continue
		}
		x, y := p.px(s.x[i]), p.py(s.y[i])
		step := 'L'
		if !begun {
			step, from = 'M', x
		}
		alone := !begun && (i+1 == len(s.x) || !finite(s.y[i+1]))
		fmt.Fprintf(&path, "%c%.1f %.1f", step, x, y)
		fmt.Fprintf(&area, "%c%.1f %.1f", step, x, y)
		if alone {
			path.WriteString("h0.1") // a point, which round ends make a dot of
		}
		begun, last = true, y
	}
	shut(0)
	if s.filled && !s.faint {
		p.put(`<path class="area %s" d="%s"/>`+"\n", class, area.Bytes())
	}
	p.put(`<path class="line %s" d="%s"/>`+"\n", class, path.Bytes())
	return last
}

// histogram draws the only series as bars, each from its x to the next one's. The last point has only the end.
func (p *canvas) histogram() {
	s := &p.c.series[0]
	p.put(`<g class="bars s%d">`, s.style%styles)
	for i := range len(s.x) - 1 {
		if s.y[i] <= 0 {
			continue
		}
		from, to, y := p.px(s.x[i]), p.px(s.x[i+1]), min(p.py(s.y[i]), chartHigh-bottom-0.7)
		p.put(`<path d="M%.1f %dV%.1fH%.1fV%dZ"/>`, from+0.4, chartHigh-bottom, y, max(to-0.4, from+1), chartHigh-bottom)
	}
	p.put("</g>\n")
}

// mark is the form of a line's mark around a place: a disc, a square, a triangle, a diamond, a cross, a triangle upside down.
func mark(style int, x, y float64) string {
	switch style % styles {
	case 1:
		return fmt.Sprintf("M%.1f %.1fh7v7h-7Z", x-3.5, y-3.5)
	case 2:
		return fmt.Sprintf("M%.1f %.1fl4.3 7.6h-8.6Z", x, y-4.4)
	case 3:
		return fmt.Sprintf("M%.1f %.1fl4.6 4.6l-4.6 4.6l-4.6 -4.6Z", x, y-4.6)
	case 4:
		return fmt.Sprintf("M%.1f %.1fh2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8v-2.4h2.8Z", x-1.2, y-4)
	case 5:
		return fmt.Sprintf("M%.1f %.1fl4.3 -7.6h-8.6Z", x, y+4.4)
	}
	return fmt.Sprintf("M%.1f %.1fa3.8 3.8 0 1 0 7.6 0a3.8 3.8 0 1 0 -7.6 0Z", x-3.8, y)
}

// shorten makes a name fit beside a chart.
func shorten(name string) string {
	const most = 18
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}
