package network

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/millrace/millrace/deploy/regtest/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
)

const (
	askMost     = 2 * time.Second // for one question while a node starts
	messageMost = 64 << 20        // bytes of an answer: lists of many payments
)

// Lightning is a node: an lnd with a wallet.
type Lightning struct {
	Name string

	process *process.Process
	chain   *Bitcoin
	address string // of gRPC
	listen  string // for peers

	mu   sync.Mutex
	conn *grpc.ClientConn // nil until lnd has made its certificate and macaroon
	key  string           // the node's public key, in hex
}

func newLightning(name, programs, dir string, chain *Bitcoin, p *ports) (*Lightning, error) {
	address, err := p.next()
	if err != nil {
		return nil, err
	}
	listen, err := p.next()
	if err != nil {
		return nil, err
	}
	l := &Lightning{Name: name, chain: chain, address: address, listen: listen}
	l.process = &process.Process{Name: "lnd " + name, Path: filepath.Join(programs, "lnd"), Dir: dir, Orphan: syscall.SIGKILL, Args: []string{
		"--lnddir=" + dir, "--alias=" + name, "--rpclisten=" + address, "--norest", "--listen=" + listen, "--externalip=" + listen,
		"--bitcoin.simnet", "--bitcoin.node=btcd", "--btcd.rpchost=" + chain.Address(),
		"--btcd.rpcuser=" + chain.User(), "--btcd.rpcpass=" + chain.Password(), "--btcd.rpccert=" + chain.CertFile(),
		"--noseedbackup", "--nobootstrap", "--logging.file.disable", "--accept-keysend", "--keep-failed-payment-attempts",
		"--bitcoin.defaultchanconfs=1", "--bitcoin.timelockdelta=40", "--protocol.wumbo-channels", "--maxpendingchannels=10",
		// Faster than it would be among strangers.
		"--trickledelay=50", "--gossip.sub-batch-delay=5ms", "--db.batch-commit-interval=10ms", "--minbackoff=200ms", "--maxbackoff=1s",
	}}
	return l, nil
}

// Address is where lnd's gRPC is, over TLS with CertFile and MacaroonFile.
func (l *Lightning) Address() string { return l.address }

// CertFile is of the certificate of lnd's RPC.
func (l *Lightning) CertFile() string { return filepath.Join(l.process.Dir, "tls.cert") }

// MacaroonFile is of the macaroon that may do everything.
func (l *Lightning) MacaroonFile() string {
	return filepath.Join(l.process.Dir, "data", "chain", "bitcoin", "simnet", "admin.macaroon")
}

// Key is the node's public key, in hex.
func (l *Lightning) Key() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.key
}

// URI is how other nodes connect to it.
func (l *Lightning) URI() string { return l.Key() + "@" + l.listen }

// Conn is a connection with the right to do everything. It is good as long as the network, over restarts of the node.
func (l *Lightning) Conn() grpc.ClientConnInterface {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// RPC is lnd's main service, over Conn.
func (l *Lightning) RPC() lnrpc.LightningClient { return lnrpc.NewLightningClient(l.Conn()) }

// Start starts lnd, and returns when it answers and knows the chain. Whether its channels work is another question: Network.Ready.
func (l *Lightning) Start(ctx context.Context) error {
	if err := l.process.Start(); err != nil {
		return err
	}
	return l.process.Ready(ctx, l.answers)
}

// Stop ends lnd in order.
func (l *Lightning) Stop() error { return l.process.End(syscall.SIGTERM) }

// Kill ends lnd by SIGKILL.
func (l *Lightning) Kill() error { return l.process.End(syscall.SIGKILL) }

// Pause lets lnd hang: connections stay open, and nothing answers until Resume.
func (l *Lightning) Pause() error { return l.process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (l *Lightning) Resume() error { return l.process.Signal(syscall.SIGCONT) }

func (l *Lightning) close() error {
	end := l.Stop
	if !l.chain.process.Runs() {
		end = l.Kill // without its chain lnd does not end in order
	}
	err := end()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		err = errors.Join(err, l.conn.Close())
		l.conn = nil
	}
	return err
}

func (l *Lightning) answers(ctx context.Context) (bool, error) {
	if err := l.connect(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, askMost)
	defer cancel()
	info, err := l.RPC().GetInfo(ctx, &lnrpc.GetInfoRequest{})
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	l.key = info.IdentityPubkey
	l.mu.Unlock()
	if !info.SyncedToChain {
		return false, fmt.Errorf("at block %d, not in step with the chain", info.BlockHeight)
	}
	return true, nil
}

// connect makes the connection, once, when the files for it are there.
func (l *Lightning) connect() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		return nil
	}
	secret, err := os.ReadFile(l.MacaroonFile())
	if err == nil && len(secret) == 0 {
		err = fmt.Errorf("%s is not written yet", l.MacaroonFile())
	}
	if err != nil {
		return err
	}
	tls, err := credentials.NewClientTLSFromFile(l.CertFile(), "")
	if err != nil {
		return err
	}
	quick := grpc.ConnectParams{MinConnectTimeout: askMost, Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond}}
	l.conn, err = grpc.NewClient(l.address, grpc.WithTransportCredentials(tls), grpc.WithPerRPCCredentials(macaroon(hex.EncodeToString(secret))),
		grpc.WithConnectParams(quick), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageMost)))
	return err
}

// macaroon, in hex, goes with every call.
type macaroon string

// GetRequestMetadata is of credentials.PerRPCCredentials.
func (m macaroon) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": string(m)}, nil
}

// RequireTransportSecurity is of credentials.PerRPCCredentials.
func (m macaroon) RequireTransportSecurity() bool { return true }
