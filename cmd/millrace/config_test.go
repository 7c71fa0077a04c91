package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load is loadConfig with a file of the text (empty: none), variables and command-line arguments.
func load(t *testing.T, text string, env []string, args ...string) (config, error) {
	t.Helper()
	file := ""
	if text != "" {
		file = write(t, "millrace.toml", text)
	}
	c := defaultConfig()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags.Bool("json", false, "a flag that is not of the configuration")
	bindServeFlags(flags, &c)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return loadConfig(file, env, flags)
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfigDefault(t *testing.T) {
	got, err := loadConfig("", nil, nil)
	want := defaultConfig()
	want.Origin = "http://127.0.0.1:8402"
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// TestConfigNames: a field that can be set in one place can be set in all three, under the one name.
func TestConfigNames(t *testing.T) {
	var c config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	bindServeFlags(flags, &c)
	fields := 0
	for field := range reflect.TypeFor[config]().Fields() {
		fields++
		key := field.Tag.Get("toml")
		if want := strings.ReplaceAll(key, "_", "-"); key != "invite_codes" && key != "rates" && flags.Lookup(want) == nil {
			t.Errorf("%s: no flag --%s", field.Name, want)
		}
		if flat := strings.ReplaceAll(key, "_", ""); !strings.EqualFold(flat, field.Name) {
			t.Errorf("%s: TOML key %s", field.Name, key)
		}
	}
	n := 2 // invite_codes and rates have none
	flags.VisitAll(func(*pflag.Flag) { n++ })
	if n != fields {
		t.Errorf("%d flags for %d fields", n, fields)
	}
}

func TestConfigOrder(t *testing.T) {
	text := "listen = '127.0.0.1:1'\nmax_connections = 1\nrequest_timeout = '1s'\nlog_level = 'warn'\ninvite_codes = ['a']\nregistration = 'invite'\n"
	env := []string{"MILLRACE_MAX_CONNECTIONS=2", "MILLRACE_REQUEST_TIMEOUT=2s", "MILLRACE_INVITE_CODES=b,c", "PATH=/bin",
		"MILLRACE_HUB=http://x", "MILLRACE_TOKEN=t", "MILLRACE_TOKEN_FILE=f", "MILLRACE_DATA=elsewhere"}
	c, err := load(t, text, env, "--request-timeout=3s", "--json", "--dev", "--log-level=debug")
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Listen, want.Origin = "127.0.0.1:1", "http://127.0.0.1:1"
	want.MaxConnections, want.Data = 2, "elsewhere"
	want.RequestTimeout.Duration, want.Dev, want.LogLevel = 3*time.Second, true, slog.LevelDebug
	want.Registration, want.InviteCodes = "invite", []string{"b", "c"}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	// A flag that was not given does not put its default over the file's value; one that was given wins with it.
	if c, err = load(t, "max_queue_ops = 7", nil); err != nil || c.MaxQueueOps != 7 {
		t.Errorf("max_queue_ops: %d, %v", c.MaxQueueOps, err)
	}
	if c, err = load(t, "max_queue_ops = 7", nil, "--max-queue-ops=65536"); err != nil || c.MaxQueueOps != 65536 {
		t.Errorf("max_queue_ops: %d, %v", c.MaxQueueOps, err)
	}
}

// TestConfigRelays: a list is set as a whole by each source, and a flag's commas and repetitions are the same.
func TestConfigRelays(t *testing.T) {
	lnd := []string{"--lnd-address=x", "--lnd-tls-cert-file=x", "--lnd-macaroon-file=x", "--dev"}
	text, env := "nwc_relays = ['wss://a', 'wss://b']", []string{"MILLRACE_NWC_RELAYS=wss://c,wss://d"}
	for _, c := range []struct {
		env  []string
		args []string
		want []string
	}{
		{nil, nil, []string{"wss://a", "wss://b"}},
		{env, nil, []string{"wss://c", "wss://d"}},
		{env, []string{"--nwc-relays=wss://e,ws://127.0.0.1:80", "--nwc-relays=ws://[::1]:80/x?y"}, []string{"wss://e", "ws://127.0.0.1:80", "ws://[::1]:80/x?y"}},
	} {
		if got, err := load(t, text, c.env, append(c.args, lnd...)...); err != nil || !reflect.DeepEqual(got.NWCRelays, c.want) {
			t.Errorf("%v, %v: %v, %v", c.env, c.args, got.NWCRelays, err)
		}
	}
}

func TestConfigOrigin(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--listen=localhost:80", "http://localhost:80"},
		{"--listen=[::1]:80", "http://[::1]:80"},
		{"--tls-cert-file=c --tls-key-file=k", "https://127.0.0.1:8402"},
		{"--listen=127.0.0.1:0", ""}, // known once the hub listens
		{"--listen=:80 --origin=https://hub.example", "https://hub.example"},
	} {
		if got, err := load(t, "", nil, strings.Fields(c.args)...); err != nil || got.Origin != c.want {
			t.Errorf("%s: %q, %v; want %q", c.args, got.Origin, err, c.want)
		}
	}
}

func TestConfigInviteCodesFile(t *testing.T) {
	file := write(t, "codes", "# for friends\none\n\n  two \n")
	c, err := load(t, "registration = 'invite'", nil, "--invite-codes-file="+file)
	if err != nil || !reflect.DeepEqual(c.InviteCodes, []string{"one", "two"}) {
		t.Errorf("got %q, %v", c.InviteCodes, err)
	}
	empty := write(t, "codes", "# nobody yet\n")
	if _, err = load(t, "registration = 'invite'", nil, "--invite-codes-file="+empty); err == nil {
		t.Error("registration by invite without a code")
	}
}

// TestConfigKEKEnv: the variable that holds the key is no unknown setting, whatever it is called.
func TestConfigKEKEnv(t *testing.T) {
	env := []string{"MILLRACE_SECRET=00ff"}
	if _, err := load(t, "", env); err == nil {
		t.Error("MILLRACE_SECRET is not a setting")
	}
	if _, err := load(t, "kek_env = 'MILLRACE_SECRET'", env); err != nil {
		t.Error(err)
	}
	if _, err := load(t, "", env, "--kek-env=MILLRACE_SECRET"); err != nil {
		t.Error(err)
	}
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []struct {
		text string
		env  string
		args string
		want string // in the error
	}{
		{text: "\nlistne = 'x'", want: `millrace.toml:2: unknown key "listne"`},
		{text: "dev = true\n[hub]\nfee_ppm = 1", want: `millrace.toml:2: unknown key "hub`},
		{text: "fee_ppm = 1\nport = 2", want: `millrace.toml:2: unknown key "port"`},
		{text: "dev = true\nmax_connections = 'many'", want: "millrace.toml:2: max_connections: "},
		{text: "request_timeout = 10", want: `millrace.toml: "10" is not a duration`},
		{text: "request_timeout = '10 parsecs'", want: "millrace.toml:1: request_timeout: "},
		{text: "dev = true\ndev = false", want: "millrace.toml:2: "},
		{text: "dev = ", want: "millrace.toml:1: "},
		{text: "#" + strings.Repeat("x", maxConfigFile), want: "larger than 1048576 bytes"},

		{env: "MILLRACE_LISTNE=x", want: "unknown variable MILLRACE_LISTNE"},
		{env: "MILLRACE_=x", want: "unknown variable MILLRACE_"},
		{env: "MILLRACE_listen=x", want: "unknown variable MILLRACE_listen"},
		{env: "MILLRACE_DEV=perhaps", want: "MILLRACE_DEV: "},
		{env: "MILLRACE_LOG_LEVEL=loud", want: "MILLRACE_LOG_LEVEL: "},
		{env: "MILLRACE_LISTEN=", want: `listen: ""`},

		{args: "--data=", want: "data: empty"},
		{args: "--listen=8402", want: "listen: "},
		{args: "--listen=127.0.0.1:99999", want: "listen: "},
		{args: "--listen=0.0.0.0:8402", want: "origin: needed"},
		{args: "--listen=:8402", want: "origin: needed"},
		{args: "--listen=[::]:0", want: "origin: needed"},
		{args: "--origin=hub.example", want: "origin: "},
		{args: "--origin=https://hub.example/", want: "origin: "},
		{args: "--origin=https://u:p@hub.example", want: "origin: "},
		{args: "--origin=https://", want: "origin: "},
		{args: "--origin=ftp://hub.example", want: "origin: "},
		{args: "--admin-listen=0.0.0.0:6060", want: "admin_listen: "},
		{args: "--admin-listen=:6060", want: "admin_listen: "},
		{args: "--admin-listen=192.0.2.1:6060", want: "admin_listen: "},
		{args: "--admin-listen=localhost:6060", want: "admin_listen: "},
		{args: "--registration=friends", want: "registration: "},
		{args: "--registration=invite", want: "registration: invite needs"},
		{text: "invite_codes = ['a']", want: "invite_codes: only"},
		{text: "registration = 'invite'\ninvite_codes = ['']", want: "an empty code"},
		{text: "invite_codes = ['a']\ninvite_codes_file = 'f'", want: "invite_codes and invite_codes_file"},
		{args: "--invite-codes-file=/nonexistent", want: "invite_codes_file: "},
		{args: "--kek-file=a --kek-env=b", want: "set one or none"},
		{args: "--kek-credential=../x", want: "kek_credential: "},
		{args: "--max-connections=0", want: "max_connections: "},
		{args: "--max-queue-ops=-1", want: "max_queue_ops: "},
		{args: "--request-timeout=0s", want: "request_timeout: "},
		{args: "--shutdown-timeout=-1s", want: "shutdown_timeout: "},
		{args: "--snapshot-every-bytes=-1", want: "snapshot_every_bytes: "},
		{args: "--liabilities-every=-1s", want: "liabilities_every: "},
		{args: "--registration=closed --lndhub-partners=bluewallet", want: "lndhub_partners: "},
		{args: "--nwc-relays=wss://relay.example", want: "nwc_relays: only with lnd_address"},
		{args: "--nwc-relays=ws://127.0.0.1:80", want: `nwc_relays: "ws://127.0.0.1:80"`},
		{args: "--dev --nwc-relays=ws://relay.example", want: `nwc_relays: "ws://relay.example"`},
		{args: "--dev --nwc-relays=ws://localhost:80", want: `nwc_relays: "ws://localhost:80"`},
		{args: "--nwc-relays=wss://me:mine@relay.example", want: `nwc_relays: "wss://me:mine@relay.example"`},
		{args: "--nwc-relays=https://relay.example", want: `nwc_relays: "https://relay.example"`},
		{args: "--nwc-relays=wss://a,wss://b --nwc-relays=wss://c,wss://d,wss://e", want: "nwc_relays: 5: at most 4"},
		{args: "--log-format=xml", want: "log_format: "},
		{args: "--tls-cert-file=c", want: "tls_cert_file and tls_key_file"},
		{args: "--log-format=xml --max-connections=0", want: "max_connections: 0 is not positive\nlog_format: "},
	} {
		got, err := load(t, c.text, []string{c.env}, strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(got, config{}) {
			t.Errorf("%.60q %q %q: got %v; want %q", c.text, c.env, c.args, err, c.want)
		}
	}
	if _, err := loadConfig("/nonexistent/millrace.toml", nil, nil); err == nil {
		t.Error("a missing file is no configuration")
	}
}
