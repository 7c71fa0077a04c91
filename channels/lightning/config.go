package lightning

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultLease   = 365 * 24 * time.Hour
	maxLease       = 10 * 365 * 24 * time.Hour
)

// Config says which lnd.
type Config struct {
	Address     string // host:port of its gRPC, such as 127.0.0.1:10009
	Certificate string // path of its tls.cert
	Macaroon    string // path of a macaroon with the rights of the package's comment
	Network     string // mainnet, testnet, testnet4, signet, regtest or simnet: no call is made to a node of another one
	Node        string // its public key in hex; no call is made to another node. Empty: any. The ledger's books are about one node
	Taproot     bool   // addresses and change are P2TR; otherwise P2WPKH, which every wallet can pay

	Timeout time.Duration // for one call; zero: 30 seconds. Pay and Track have times of their own
	Lease   time.Duration // for which coins of an unpublished transaction are set aside; zero: a year
	Logger  *slog.Logger  // nil: none
}

// Validate says what is wrong with a Config, without looking at files or the node.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return fmt.Errorf("lnd's address %q: %w", c.Address, err)
	}
	if c.Certificate == "" || c.Macaroon == "" {
		return errors.New("lnd: the path of its certificate or of its macaroon is missing")
	}
	if _, ok := networks[c.Network]; !ok {
		return fmt.Errorf("lnd: there is no network %q", c.Network)
	}
	if key, err := hex.DecodeString(c.Node); c.Node != "" && (err != nil || len(key) != keySize) {
		return fmt.Errorf("lnd: the node's key %q is not %d bytes in hex", c.Node, keySize)
	}
	if c.Timeout < 0 || c.Lease < 0 || c.Lease > maxLease {
		return fmt.Errorf("lnd: a timeout of %v or a lease of %v", c.Timeout, c.Lease)
	}
	return nil
}

func (c *Config) withDefaults() Config {
	d := *c
	if d.Timeout == 0 {
		d.Timeout = defaultTimeout
	}
	if d.Lease == 0 {
		d.Lease = defaultLease
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}
