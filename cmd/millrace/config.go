package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/nwc"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"
)

// config is what `millrace serve` is told. Every field but the table of rates has one name in four places: the TOML key (max_connections),
// the environment variable (MILLRACE_MAX_CONNECTIONS), the flag (--max-connections) and the default in defaultConfig,
// which is the weakest; a flag is the strongest.
type config struct {
	// Data is the folder that `millrace init` made; serve never makes one. Empty is refused.
	Data string `toml:"data"`
	// Listen is the host:port of the API. Empty is refused; port 0 takes a free one.
	Listen string `toml:"listen"`
	// AdminListen is the host:port of pprof, on loopback only. Empty: off.
	AdminListen string `toml:"admin_listen"`
	// Origin is the URL that sealed files carry, without a path. Empty: http:// (with TLS https://) and Listen. It
	// stays empty when Listen has port 0: then it is known once the hub listens, see originOf.
	Origin string `toml:"origin"`
	// Dev lets the operator make money out of nothing. False: only deposits bring money in.
	Dev bool `toml:"dev"`
	// Registration is who may create an account: open (anyone), invite (with a code) or closed (the operator alone).
	// Empty is refused.
	Registration string `toml:"registration"`
	// InviteCodes are the codes of registration "invite". No flag sets them: `ps` shows flags. Empty: none.
	InviteCodes []string `toml:"invite_codes"`
	// InviteCodesFile holds them instead, one a line; empty lines and lines that start with # are skipped. Empty: none.
	InviteCodesFile string `toml:"invite_codes_file"`
	// KEKFile is the file of the key that the hub's private keys are encrypted under. Empty, as all three: DATA/hub.kek.
	KEKFile string `toml:"kek_file"`
	// KEKEnv is the name of an environment variable with that key instead. Empty: none.
	KEKEnv string `toml:"kek_env"`
	// KEKCredential is the name of a systemd credential with that key instead. Empty: none.
	KEKCredential string `toml:"kek_credential"`
	// MaxConnections bounds the open connections of the API. Zero is refused.
	MaxConnections int `toml:"max_connections"`
	// MaxStreams bounds the event streams and statements that are open, of which one account has at most 16. A quarter, at most 16, is the
	// operator's alone. Zero is refused.
	MaxStreams int `toml:"max_streams"`
	// MaxQueueOps bounds the ops that wait for a block; the next one is told that the hub is overloaded. Zero is refused.
	MaxQueueOps int `toml:"max_queue_ops"`
	// RequestTimeout bounds reading, serving and writing one request. Zero is refused.
	RequestTimeout duration `toml:"request_timeout"`
	// ShutdownTimeout bounds a graceful stop; after it the hub exits and recovers on the next start. Zero is refused.
	ShutdownTimeout duration `toml:"shutdown_timeout"`
	// SnapshotEveryBytes is how many bytes of log make a snapshot worth writing. Zero: only a graceful stop writes one.
	SnapshotEveryBytes int64 `toml:"snapshot_every_bytes"`
	// LiabilitiesEvery is the time between two proofs of liabilities. Zero: only when the operator asks for one.
	LiabilitiesEvery duration `toml:"liabilities_every"`
	// DiskReserveBytes must be left on the disk for payments to be taken. Zero: 64 MiB, but at most a tenth of the disk.
	DiskReserveBytes int64 `toml:"disk_reserve_bytes"`
	// WALDir is a folder for pebble's write-ahead log, best on a disk of its own. Empty: within Data.
	WALDir string `toml:"wal_dir"`
	// Network is the one that the nodes are on: mainnet, testnet, testnet4, signet, regtest or simnet.
	Network string `toml:"network"`
	// LndAddress is the host:port of lnd's gRPC. Empty: the hub has no node, and money moves inside only.
	LndAddress string `toml:"lnd_address"`
	// LndTLSCertFile and LndMacaroonFile are lnd's tls.cert, and a macaroon with the rights that channels/lightning names.
	LndTLSCertFile  string `toml:"lnd_tls_cert_file"`
	LndMacaroonFile string `toml:"lnd_macaroon_file"`
	// BtcdAddress is the host:port of btcd's RPC, with lnd_address. Empty: nothing goes on-chain.
	BtcdAddress string `toml:"btcd_address"`
	// BtcdUser and BtcdPasswordFile are those of its RPC; rpclimituser will do.
	BtcdUser         string `toml:"btcd_user"`
	BtcdPasswordFile string `toml:"btcd_password_file"`
	// BtcdCertFile is its rpc.cert. Empty: one that the machine trusts.
	BtcdCertFile string `toml:"btcd_cert_file"`
	// BatchEvery is the time between two on-chain batches. Zero is refused.
	BatchEvery duration `toml:"batch_every"`
	// LndHubPartners are those whose wallets may open accounts by LndHub, with commas between them; BlueWallet's and Zeus' is bluewallet.
	// Empty: none, and an account's holder makes logins (millrace login create). Refused where registration is closed.
	LndHubPartners string `toml:"lndhub_partners"`
	// NWCRelays are the relays, wss://, by which applications reach accounts (Nostr Wallet Connect): at most 4, only with lnd_address. In
	// development ws:// to a loopback address will do. Empty: there are no connections.
	NWCRelays []string `toml:"nwc_relays"`
	// Rates says how the hub learns what a unit of a currency costs. It is a table in the file alone.
	Rates ratesConfig `toml:"rates"`
	// LogLevel is the least level that is logged: debug, info, warn or error. Its zero value is info.
	LogLevel slog.Level `toml:"log_level"`
	// LogFormat is text or json. Empty is refused.
	LogFormat string `toml:"log_format"`
	// TLSCertFile and TLSKeyFile are PEM files. Both empty: plain HTTP, for loopback or behind a proxy.
	TLSCertFile string `toml:"tls_cert_file"`
	TLSKeyFile  string `toml:"tls_key_file"`
}

// duration is a time.Duration that TOML spells as a string such as "10s".
type duration struct{ time.Duration }

// UnmarshalText reads what time.ParseDuration reads.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"10s\"", b)
	}
	d.Duration = v
	return nil
}

// maxConfigFile bounds the configuration file and the invite codes file: more than a person would write.
const maxConfigFile = 1 << 20

func defaultConfig() config {
	return config{
		Data:               "data",
		Listen:             "127.0.0.1:8402",
		Registration:       "open",
		MaxConnections:     1024,
		MaxStreams:         256,
		MaxQueueOps:        65536,
		RequestTimeout:     duration{10 * time.Second},
		ShutdownTimeout:    duration{30 * time.Second},
		SnapshotEveryBytes: 256 << 20,
		LiabilitiesEvery:   duration{24 * time.Hour},
		Network:            "mainnet",
		BatchEvery:         duration{10 * time.Minute},
		LogFormat:          "text",
	}
}

// bindServeFlags defines a flag per field; the values that c has are the defaults.
func bindServeFlags(fs *pflag.FlagSet, c *config) {
	fs.StringVar(&c.Data, "data", c.Data, "data folder, made by millrace init")
	fs.StringVar(&c.Listen, "listen", c.Listen, "host:port of the API")
	fs.StringVar(&c.AdminListen, "admin-listen", c.AdminListen, "loopback host:port of pprof (empty: off)")
	fs.StringVar(&c.Origin, "origin", c.Origin, "URL that sealed files carry (empty: from --listen)")
	fs.BoolVar(&c.Dev, "dev", c.Dev, "development: the operator may make money")
	fs.StringVar(&c.Registration, "registration", c.Registration, "who may create accounts: open, invite or closed")
	fs.StringVar(&c.InviteCodesFile, "invite-codes-file", c.InviteCodesFile, "file of invite codes, one a line")
	fs.StringVar(&c.KEKFile, "kek-file", c.KEKFile, "file of the key over the hub's keys (default DATA/hub.kek)")
	fs.StringVar(&c.KEKEnv, "kek-env", c.KEKEnv, "name of an environment variable with that key instead")
	fs.StringVar(&c.KEKCredential, "kek-credential", c.KEKCredential, "name of a systemd credential with that key instead")
	fs.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "open connections of the API")
	fs.IntVar(&c.MaxStreams, "max-streams", c.MaxStreams, "open event streams and statements")
	fs.IntVar(&c.MaxQueueOps, "max-queue-ops", c.MaxQueueOps, "ops that wait for a block before the hub says overloaded")
	fs.DurationVar(&c.RequestTimeout.Duration, "request-timeout", c.RequestTimeout.Duration, "time for one request")
	fs.DurationVar(&c.ShutdownTimeout.Duration, "shutdown-timeout", c.ShutdownTimeout.Duration, "time for a graceful stop")
	fs.Int64Var(&c.SnapshotEveryBytes, "snapshot-every-bytes", c.SnapshotEveryBytes, "bytes of log between snapshots (0: only at stop)")
	fs.DurationVar(&c.LiabilitiesEvery.Duration, "liabilities-every", c.LiabilitiesEvery.Duration, "time between proofs of liabilities (0: when the operator asks)")
	fs.Int64Var(&c.DiskReserveBytes, "disk-reserve-bytes", c.DiskReserveBytes, "bytes of the disk to leave free (0: 64 MiB, at most a tenth)")
	fs.StringVar(&c.WALDir, "wal-dir", c.WALDir, "folder of the write-ahead log, the same as was given to init (empty: within --data)")
	fs.StringVar(&c.Network, "network", c.Network, "of the nodes: mainnet, testnet, testnet4, signet, regtest or simnet")
	fs.StringVar(&c.LndAddress, "lnd-address", c.LndAddress, "host:port of lnd's gRPC (empty: no node)")
	fs.StringVar(&c.LndTLSCertFile, "lnd-tls-cert-file", c.LndTLSCertFile, "lnd's tls.cert")
	fs.StringVar(&c.LndMacaroonFile, "lnd-macaroon-file", c.LndMacaroonFile, "macaroon for lnd")
	fs.StringVar(&c.BtcdAddress, "btcd-address", c.BtcdAddress, "host:port of btcd's RPC (empty: nothing goes on-chain)")
	fs.StringVar(&c.BtcdUser, "btcd-user", c.BtcdUser, "user of btcd's RPC")
	fs.StringVar(&c.BtcdPasswordFile, "btcd-password-file", c.BtcdPasswordFile, "file with the password of btcd's RPC")
	fs.StringVar(&c.BtcdCertFile, "btcd-cert-file", c.BtcdCertFile, "btcd's rpc.cert (empty: one that the machine trusts)")
	fs.DurationVar(&c.BatchEvery.Duration, "batch-every", c.BatchEvery.Duration, "time between two on-chain batches")
	fs.StringVar(&c.LndHubPartners, "lndhub-partners", c.LndHubPartners, "whose wallets may open accounts by LndHub: ids with commas between them (empty: nobody's)")
	fs.StringSliceVar(&c.NWCRelays, "nwc-relays", c.NWCRelays, "wss:// URLs of the relays for Nostr Wallet Connect, with commas or again (empty: none)")
	fs.TextVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	fs.StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json")
	fs.StringVar(&c.TLSCertFile, "tls-cert-file", c.TLSCertFile, "PEM certificate chain (with --tls-key-file)")
	fs.StringVar(&c.TLSKeyFile, "tls-key-file", c.TLSKeyFile, "PEM private key (with --tls-cert-file)")
}

// clientVariables are the MILLRACE_ variables of the other verbs and of age-plugin-millrace. Any other one that serve does not know is refused: a
// misspelt setting must not be ignored.
var clientVariables = []string{"MILLRACE_HUB", "MILLRACE_TOKEN", "MILLRACE_TOKEN_FILE", "MILLRACE_MAX_MSAT", "MILLRACE_CLAIMS"}

// loadConfig puts the sources together, weakest first: defaults, the file (empty: none), the environment as of
// os.Environ, and those flags of bindServeFlags that were given. Other flags in the set are none of its business.
func loadConfig(file string, env []string, flags *pflag.FlagSet) (config, error) {
	c := defaultConfig()
	if err := c.readFile(file); err != nil {
		return config{}, err
	}
	// A flag set of our own, bound to c, sets a field by its name whatever the source.
	own := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	bindServeFlags(own, &c)
	unknown, errs := c.readEnv(own, env)
	if flags != nil {
		flags.Visit(func(f *pflag.Flag) {
			if mine := own.Lookup(f.Name); mine != nil && f.Name != "invite-codes" {
				errs = append(errs, copyFlag(mine, f))
			}
		})
	}
	for _, name := range unknown {
		if name != c.KEKEnv { // which may well start with MILLRACE_, and is a key, not a setting
			errs = append(errs, fmt.Errorf("environment: unknown variable %s", name))
		}
	}
	errs = append(errs, c.readInviteCodes())
	if err := errors.Join(errs...); err != nil {
		return config{}, err
	}
	if host, port, err := splitAddress(c.Listen); err == nil && port != 0 && !isAny(host) && c.Origin == "" {
		c.Origin = c.originOf(c.Listen)
	}
	if err := c.validate(); err != nil {
		return config{}, err
	}
	return c, nil
}

// copyFlag sets a flag to another's value. A list's own text is not what it is set by.
func copyFlag(to, from *pflag.Flag) error {
	if list, ok := from.Value.(pflag.SliceValue); ok {
		if mine, ok := to.Value.(pflag.SliceValue); ok {
			return mine.Replace(list.GetSlice())
		}
	}
	return to.Value.Set(from.Value.String())
}

// originOf is the origin of a hub that listens on an address and was told none.
func (c *config) originOf(address string) string {
	if c.TLSCertFile != "" {
		return "https://" + address
	}
	return "http://" + address
}

// readFile decodes the TOML file over what c has. An unknown key is refused with its place.
func (c *config) readFile(file string) error {
	if file == "" {
		return nil
	}
	b, err := readSmall(file)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	err = toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(c)
	var unknown *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		var all []error
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			all = append(all, fmt.Errorf("%s:%d: unknown key %q", file, line, strings.Join(e.Key(), ".")))
		}
		return errors.Join(all...)
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		return fmt.Errorf("%s:%d: %s: %w", file, line, strings.Join(wrong.Key(), "."), err)
	case err != nil:
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readEnv sets the fields that MILLRACE_ variables name, and returns the names that are none.
func (c *config) readEnv(own *pflag.FlagSet, env []string) (unknown []string, errs []error) {
	own.StringSliceVar(&c.InviteCodes, "invite-codes", c.InviteCodes, "") // a variable, separated by commas, but no flag
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		rest, ours := strings.CutPrefix(name, "MILLRACE_")
		if !ours || slices.Contains(clientVariables, name) {
			continue
		}
		f := own.Lookup(strings.ToLower(strings.ReplaceAll(rest, "_", "-")))
		if f == nil || rest != strings.ToUpper(rest) {
			unknown = append(unknown, name)
		} else if err := f.Value.Set(value); err != nil {
			errs = append(errs, fmt.Errorf("environment: %s: %w", name, err))
		}
	}
	return unknown, errs
}

func (c *config) readInviteCodes() error {
	if c.InviteCodesFile == "" {
		return nil
	}
	if len(c.InviteCodes) > 0 {
		return errors.New("invite_codes and invite_codes_file: set one")
	}
	b, err := readSmall(c.InviteCodesFile)
	if err != nil {
		return fmt.Errorf("invite_codes_file: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			c.InviteCodes = append(c.InviteCodes, line)
		}
	}
	return nil
}

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err == nil && len(b) > maxConfigFile {
		err = fmt.Errorf("%s: larger than %d bytes", file, maxConfigFile)
	}
	return b, err
}

// validate says everything that is wrong at once, by the TOML names.
func (c *config) validate() error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(c.Data == "", "data: empty; name the folder that millrace init made")
	host, _, err := splitAddress(c.Listen)
	refuse(err != nil, "listen: %q is not host:port", c.Listen)
	refuse(err == nil && isAny(host) && c.Origin == "", "origin: needed, because %q is no address that a reader can reach", c.Listen)
	refuse(c.Origin != "" && !isOrigin(c.Origin), "origin: %q is not http:// or https:// and a host, without a path", c.Origin)
	refuse(c.AdminListen != "" && !isLoopback(c.AdminListen), "admin_listen: %q is not a loopback address with a port", c.AdminListen)
	refuse(!slices.Contains([]string{"open", "invite", "closed"}, c.Registration),
		"registration: %q is not open, invite or closed", c.Registration)
	refuse(c.Registration == "invite" && len(c.InviteCodes) == 0, "registration: invite needs invite_codes or invite_codes_file")
	refuse(c.Registration != "invite" && len(c.InviteCodes) > 0, "invite_codes: only with registration invite")
	refuse(slices.Contains(c.InviteCodes, ""), "invite_codes: an empty code")
	keks := 0
	for _, s := range []string{c.KEKFile, c.KEKEnv, c.KEKCredential} {
		if s != "" {
			keks++
		}
	}
	refuse(keks > 1, "kek_file, kek_env and kek_credential: set one or none")
	refuse(c.KEKCredential != "" && c.KEKCredential != filepath.Base(c.KEKCredential), "kek_credential: %q is not a name", c.KEKCredential)
	refuse(c.MaxConnections < 1, "max_connections: %d is not positive", c.MaxConnections)
	refuse(c.MaxStreams < 1, "max_streams: %d is not positive", c.MaxStreams)
	refuse(c.MaxQueueOps < 1, "max_queue_ops: %d is not positive", c.MaxQueueOps)
	refuse(c.RequestTimeout.Duration <= 0, "request_timeout: %v is not positive", c.RequestTimeout)
	refuse(c.ShutdownTimeout.Duration <= 0, "shutdown_timeout: %v is not positive", c.ShutdownTimeout)
	refuse(c.DiskReserveBytes < 0, "disk_reserve_bytes: %d is negative", c.DiskReserveBytes)
	refuse(c.SnapshotEveryBytes < 0, "snapshot_every_bytes: %d is negative", c.SnapshotEveryBytes)
	refuse(c.LiabilitiesEvery.Duration < 0, "liabilities_every: %v is negative", c.LiabilitiesEvery)
	refuse(c.LndAddress != "" && (c.LndTLSCertFile == "" || c.LndMacaroonFile == ""), "lnd_address: needs lnd_tls_cert_file and lnd_macaroon_file")
	refuse(c.BtcdAddress != "" && c.LndAddress == "", "btcd_address: only with lnd_address, whose wallet pays on-chain")
	refuse(c.BtcdAddress != "" && (c.BtcdUser == "" || c.BtcdPasswordFile == ""), "btcd_address: needs btcd_user and btcd_password_file")
	refuse(c.BatchEvery.Duration <= 0, "batch_every: %v is not positive", c.BatchEvery)
	refuse(c.LndHubPartners != "" && c.Registration == "closed", "lndhub_partners: registration is closed")
	refuse(len(c.NWCRelays) > 0 && c.LndAddress == "", "nwc_relays: only with lnd_address")
	refuse(len(c.NWCRelays) > nwc.MaxRelays, "nwc_relays: %d: at most %d", len(c.NWCRelays), nwc.MaxRelays)
	for _, r := range c.NWCRelays {
		refuse(!isRelay(r, c.Dev), "nwc_relays: %q is not wss:// and a host", r)
	}
	refuse(c.LogFormat != "text" && c.LogFormat != "json", "log_format: %q is not text or json", c.LogFormat)
	refuse((c.TLSCertFile == "") != (c.TLSKeyFile == ""), "tls_cert_file and tls_key_file: set both or none")
	return errors.Join(append(errs, c.Rates.validate(c.Dev))...)
}

func splitAddress(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err
}

// isAny says whether a host means every address of this machine.
func isAny(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && s == u.Scheme+"://"+u.Host
}

// isLoopback wants an address, not a name: what a name means can change.
func isLoopback(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().Unmap().IsLoopback()
}
