package media

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// maxSegment is how long a segment may be: what players like. A unit that is longer has several.
const maxSegment = 6 * time.Second

// cut has ffmpeg cut a film into plain segments in a folder, and tells how far it is, in microseconds of the film.
func (f *Film) cut(ctx context.Context, dir string, unit time.Duration, anew bool, told func(done int64)) ([]segment, error) {
	each := unit.Microseconds()
	each /= (each + maxSegment.Microseconds() - 1) / maxSegment.Microseconds()
	playlist := filepath.Join(dir, "plain.m3u8")
	args := []string{"-hide_banner", "-loglevel", "error", "-nostdin", "-nostats", "-progress", "pipe:1", "-protocol_whitelist", "file",
		"-i", "file:" + f.path, "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"}
	args = append(args, f.codecs(anew, each)...)
	args = append(args, "-f", "hls", "-hls_time", seconds(each), "-hls_list_size", "0", "-hls_playlist_type", "vod",
		"-hls_segment_filename", filepath.Join(dir, "%05d.ts"), playlist)
	if err := ffmpeg(ctx, args, told); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", f.path, ErrMedia, err)
	}
	text, err := os.ReadFile(playlist)
	if err != nil {
		return nil, err
	}
	return readPlaylist(text)
}

// ffmpeg runs ffmpeg, and tells what it says of its progress.
func ffmpeg(ctx context.Context, args []string, told func(micros int64)) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	complaint := tail{most: 1000}
	cmd.Stderr = &complaint
	progress, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(progress)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "out_time_us="); ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
				told(n)
			}
		}
	}
	_, drained := io.Copy(io.Discard, progress) // a line too long for the scanner must not stop ffmpeg
	err = errors.Join(lines.Err(), drained, said(cmd.Wait(), &complaint))
	if ctx.Err() != nil {
		return ctx.Err() // it was killed for that
	}
	return err
}
