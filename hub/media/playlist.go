package media

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/hub/seal"
)

// segment is a plain segment as the cutter leaves it.
type segment struct {
	file   string // its name in the cutter's folder
	micros int64  // how long it is, in microseconds
	unit   uint32
}

// readPlaylist reads the playlist of the cutter: segments with their durations, and its end.
func readPlaylist(text []byte) ([]segment, error) {
	var all []segment
	var micros int64
	ended := false
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#EXTINF:"):
			number, _, _ := strings.Cut(strings.TrimPrefix(line, "#EXTINF:"), ",")
			var err error
			if micros, err = parseMicros(number); err != nil {
				return nil, fmt.Errorf("playlist: %q: %w", line, err)
			}
		case line == "#EXT-X-ENDLIST":
			ended = true
		case line == "" || strings.HasPrefix(line, "#"):
		default:
			all = append(all, segment{file: line, micros: micros})
		}
	}
	switch {
	case lines.Err() != nil:
		return nil, fmt.Errorf("playlist: %w", lines.Err())
	case !ended || len(all) == 0:
		return nil, errors.New("playlist: it has no segments, or no end")
	case len(all) > MaxChunks: // with which no sum of lengths overflows
		return nil, fmt.Errorf("%d segments: at most %d", len(all), MaxChunks)
	}
	return all, nil
}

// parseMicros reads seconds as a decimal number, in microseconds. A year is enough for anybody.
func parseMicros(s string) (int64, error) {
	whole, part, _ := strings.Cut(s, ".")
	part = (part + "000000")[:6]
	n, err := strconv.ParseUint(whole, 10, 32)
	if err != nil || n > 366*24*3600 {
		return 0, fmt.Errorf("%.40q is no number of seconds", s)
	}
	m, err := strconv.ParseUint(part, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.40q is no number of seconds", s)
	}
	return int64(n)*1e6 + int64(m), nil
}

// assign gives each segment to the unit in whose time its middle lies. Where the film has so few key frames that no segment
// is of a unit's time, the next unit takes its number: a viewer then gets more than a unit's time for one price, never less
// money's worth.
func assign(all []segment, unit int64) (units uint32) {
	start, last := int64(0), int64(-1)
	for i := range all {
		at := (start + all[i].micros/2) / unit
		if at != last {
			units, last = units+1, at
		}
		all[i].unit = units - 1
		start += all[i].micros
	}
	return units
}

// KeyPath is where the hub sells the key of a unit, below its origin.
func KeyPath(content string, unit uint32) string {
	return fmt.Sprintf("/v1/contents/%s/units/%d/key", content, unit)
}

// playlist is the package's own. Each segment has a tag with its key, since each has an IV of its own; the URI changes with
// the unit, so that a player asks once for each.
func (m *Manifest) playlist(file seal.FileKey) []byte {
	longest := int64(0)
	for _, c := range m.Chunks {
		longest = max(longest, (c.Micros+500_000)/1_000_000)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n", max(longest, 1))
	for i, c := range m.Chunks {
		iv := SegmentIV(file.Unit(c.Unit), i)
		fmt.Fprintf(&b, "#EXT-X-KEY:METHOD=AES-128,URI=\"%s%s\",IV=0x%x\n", m.Hub, KeyPath(m.Content, c.Unit), iv)
		fmt.Fprintf(&b, "#EXTINF:%d.%06d,\n%s\n", c.Micros/1e6, c.Micros%1e6, m.File(i))
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.Bytes()
}
