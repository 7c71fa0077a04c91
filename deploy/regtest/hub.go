package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/millrace/millrace/deploy/regtest/network"
	"github.com/millrace/millrace/deploy/regtest/process"
)

// hub is the Millrace hub beside the nodes. Its zero value is that there is none.
type hub struct {
	process  *process.Process
	program  string
	url      string
	operator string // the file with the operator's token
}

// rails are the flags of serve that attach the hub to its node. It is a development hub, whose operator makes money.
func rails(n *network.Network) []string {
	return []string{
		"--dev", "--network", "simnet",
		"--lnd-address", n.Hub.Address(), "--lnd-tls-cert-file", n.Hub.CertFile(), "--lnd-macaroon-file", n.Hub.MacaroonFile(),
		"--btcd-address", n.Chain.Address(), "--btcd-user", n.Chain.User(), "--btcd-password-file", n.Chain.PasswordFile(), "--btcd-cert-file", n.Chain.CertFile(),
		"--batch-every", "10s",
	}
}

func startHub(ctx context.Context, s settings, n *network.Network, say func(string)) (*hub, error) {
	if s.millrace == "" {
		return &hub{}, nil
	}
	say("starting the hub")
	dir := filepath.Join(s.dir, "millrace")
	data := filepath.Join(dir, "data")
	h := &hub{program: s.millrace, url: "http://" + s.listen, operator: filepath.Join(dir, "operator.token")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the hub's folder: %w", err)
	}
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		if err := h.do(ctx, "init", "--data", data); err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(h.operator); errors.Is(err, fs.ErrNotExist) {
		if err := h.do(ctx, "token", "operator", "--data", data, "--save-token", h.operator); err != nil {
			return nil, err
		}
	}
	args := append([]string{"serve", "--data", data, "--listen", s.listen}, rails(n)...)
	h.process = &process.Process{Name: "the hub", Path: s.millrace, Dir: dir, Args: args, Env: environment(), Orphan: syscall.SIGTERM}
	if err := h.process.Start(); err != nil {
		return nil, err
	}
	if err := h.process.Ready(ctx, h.ready); err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

// do runs the hub's program once.
func (h *hub) do(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, h.program, args...)
	cmd.Env = environment()
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("millrace %s: %w\n%s", args[0], err, text)
	}
	return nil
}

// environment is ours without the hub's settings, which are meant for another hub.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MILLRACE_") {
			env = append(env, v)
		}
	}
	return env
}

func (h *hub) ready(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/readyz", nil)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("readyz: %s", resp.Status)
	}
	return true, nil
}

func (h *hub) stop() error {
	if h.process == nil {
		return nil
	}
	return h.process.End(syscall.SIGTERM)
}

// ended never happens to a hub that there is not.
func (h *hub) ended() <-chan struct{} {
	if h.process == nil {
		return nil
	}
	return h.process.Ended()
}

func (h *hub) describe(row func(name, where, more string)) {
	if h.process != nil {
		row("millrace", strings.TrimPrefix(h.url, "http://"), "operator's token: "+shorten(h.operator))
	}
}

// tryOut are first commands with the hub.
func (h *hub) tryOut(w io.Writer) {
	if h.process == nil {
		return
	}
	program, token := shorten(h.program), shorten(filepath.Join(filepath.Dir(h.operator), "reader.token"))
	fmt.Fprintf(w, "an account of the hub:\n\n  export MILLRACE_HUB=%s\n", h.url)
	fmt.Fprintf(w, "  %s account create --save-token %s\n", program, token)
	fmt.Fprintf(w, "  %s fund --token-file %s --account @%s --amount-msat 1000000\n", program, shorten(h.operator), token)
	fmt.Fprintf(w, "  %s account show --token-file %s\n\n", program, token)
}
