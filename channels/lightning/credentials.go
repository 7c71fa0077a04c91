package lightning

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc/credentials"
)

// certificate is the path of lnd's own certificate, and the only one that is trusted. lnd makes a new one when it expires, so it
// is read at each connection.
type certificate string

var errNoCertificate = errors.New("no certificate in it")

// ClientHandshake is of credentials.TransportCredentials.
func (c certificate) ClientHandshake(ctx context.Context, host string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	text, err := os.ReadFile(string(c))
	if err != nil {
		return nil, nil, fmt.Errorf("lnd's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("lnd's certificate: %s: %w", string(c), errNoCertificate)
	}
	return credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}).ClientHandshake(ctx, host, conn)
}

// ServerHandshake is of credentials.TransportCredentials.
func (c certificate) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.ErrUnsupported
}

// Info is of credentials.TransportCredentials.
func (c certificate) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone is of credentials.TransportCredentials.
func (c certificate) Clone() credentials.TransportCredentials { return c }

// OverrideServerName is of credentials.TransportCredentials.
func (c certificate) OverrideServerName(string) error { return errors.ErrUnsupported }

// macaroon is the path of the macaroon that goes with each call. It is read each time: some microseconds beside a call's
// milliseconds, so that one that was made anew is used at once.
type macaroon string

// maxMacaroon bounds a macaroon: one of all of lnd's rights has less than a KiB, and gRPC's headers take 8 KiB.
const maxMacaroon = 3 << 10

// GetRequestMetadata is of credentials.PerRPCCredentials.
func (m macaroon) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	secret, err := os.ReadFile(string(m))
	if err != nil {
		return nil, fmt.Errorf("lnd's macaroon: %w", err)
	}
	if len(secret) == 0 || len(secret) > maxMacaroon {
		return nil, fmt.Errorf("lnd's macaroon: %s has %d bytes", string(m), len(secret))
	}
	return map[string]string{"macaroon": hex.EncodeToString(secret)}, nil
}

// RequireTransportSecurity is of credentials.PerRPCCredentials.
func (m macaroon) RequireTransportSecurity() bool { return true }
