package media

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// ErrNoFFmpeg means that ffmpeg or ffprobe is not installed.
var ErrNoFFmpeg = errors.New("cutting a film or a song takes ffmpeg and ffprobe, which are not installed (Debian: apt install ffmpeg)")

// ErrMedia means that a file is no film or song that ffmpeg can cut.
var ErrMedia = errors.New("not a film or a song that can be cut")

// Film is what a file of sound or pictures is made of.
type Film struct {
	path     string
	video    string // the codec; empty: a song
	pixels   string // of the video
	audio    string // empty: a silent film
	Duration int64  // microseconds
}

// Probe asks ffprobe what a file is.
func Probe(ctx context.Context, path string) (Film, error) {
	for _, program := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(program); err != nil {
			return Film{}, ErrNoFFmpeg
		}
	}
	out, err := quietly(exec.CommandContext(ctx, "ffprobe", "-v", "error", "-protocol_whitelist", "file", "-of", "json", "-show_entries",
		"format=duration:stream=codec_type,codec_name,pix_fmt:stream_disposition=attached_pic", "-i", "file:"+path))
	if err != nil {
		return Film{}, fmt.Errorf("%s: %w: %w", path, ErrMedia, err)
	}
	var said struct {
		Streams []struct {
			Type        string `json:"codec_type"`
			Codec       string `json:"codec_name"`
			Pixels      string `json:"pix_fmt"`
			Disposition struct {
				Cover int `json:"attached_pic"`
			} `json:"disposition"`
		} `json:"streams"`
		Format struct {
			Duration string `json:"duration"`
		} `json:"format"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return Film{}, fmt.Errorf("%s: ffprobe: %w", path, err)
	}
	f := Film{path: path}
	for _, s := range said.Streams {
		switch {
		case s.Type == "video" && s.Disposition.Cover == 0 && f.video == "":
			f.video, f.pixels = s.Codec, s.Pixels
		case s.Type == "audio" && f.audio == "":
			f.audio = s.Codec
		}
	}
	f.Duration, err = parseMicros(said.Format.Duration)
	if f.video == "" && f.audio == "" || err != nil || f.Duration == 0 {
		return Film{}, fmt.Errorf("%s: %w: it has no pictures and no sound, or no length", path, ErrMedia)
	}
	return f, nil
}

// codecs are ffmpeg's arguments for what players of HLS understand: H.264, AAC and MP3 stay as they are, anything else is
// made anew. anew does so with the pictures in any case, and then puts a key frame at every segment's start.
func (f *Film) codecs(anew bool, segment int64) []string {
	var args []string
	if f.video != "" {
		args = append(args, "-map", "0:V:0")
		if f.copies(anew) {
			args = append(args, "-c:v", "copy")
		} else {
			args = append(args, "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2",
				"-sc_threshold", "0", "-force_key_frames", "expr:gte(t,n_forced*"+seconds(segment)+")")
		}
	}
	if f.audio != "" {
		args = append(args, "-map", "0:a:0", "-c:a")
		if slices.Contains([]string{"aac", "mp3"}, f.audio) {
			args = append(args, "copy")
		} else {
			args = append(args, "aac")
		}
	}
	return args
}

func (f *Film) copies(anew bool) bool { return !anew && f.video == "h264" && f.pixels == "yuv420p" }

// seconds writes microseconds as ffmpeg reads them.
func seconds(micros int64) string { return fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6) }

// quietly runs a program and returns what it writes. An error has the end of what it complained of.
func quietly(cmd *exec.Cmd) ([]byte, error) {
	var out, complaint tail
	out.most, complaint.most = 1<<20, 1000
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	return out.Bytes(), said(err, &complaint)
}

// said adds a program's complaint to its error.
func said(err error, complaint *tail) error {
	if text := strings.TrimSpace(complaint.String()); err != nil && text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// tail keeps the last bytes that are written to it.
type tail struct {
	bytes.Buffer
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	n, err := t.Buffer.Write(p)
	t.Next(max(0, t.Len()-t.most))
	return n, err
}
