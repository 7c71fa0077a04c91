package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/millrace/millrace/deploy/regtest/process"
)

const (
	rpcUser     = "millrace"
	rpcPassword = "simnet" // guards coins that are worth nothing, on loopback
)

// The chain begins with three windows of blocks in which segwit and taproot become active, and some more.
const firstBlocks = 310

// ErrLost is of a folder whose chain is gone while the nodes' wallets are there: btcd was killed before it had written it.
var ErrLost = errors.New("the folder's chain is lost, since btcd was killed: remove the folder and start anew")

// Bitcoin is the chain: a btcd that makes blocks when it is asked to.
type Bitcoin struct {
	process *process.Process
	params  *chaincfg.Params
	key     *minerKey
	address string

	mu     sync.Mutex
	rpc    *rpc     // nil until btcd has made its certificate
	blocks [][]byte // in order, what a killed btcd may have lost; nil: nothing
	faucet int64    // coinbases of blocks below this height are spent
}

func newBitcoin(programs, dir string, p *ports) (*Bitcoin, error) {
	b := &Bitcoin{params: &chaincfg.SimNetParams, faucet: 1}
	key, err := newMinerKey(b.params)
	if err != nil {
		return nil, err
	}
	b.key = key
	if b.address, err = p.next(); err != nil {
		return nil, err
	}
	listen, err := p.next()
	if err != nil {
		return nil, err
	}
	b.process = &process.Process{Name: "btcd", Path: filepath.Join(programs, "btcd"), Dir: dir, Orphan: syscall.SIGTERM, Args: []string{
		"--configfile=" + filepath.Join(dir, "btcd.conf"), "--simnet", "--txindex",
		"--datadir=" + filepath.Join(dir, "data"), "--logdir=" + filepath.Join(dir, "logs"),
		"--rpcuser=" + rpcUser, "--rpcpass=" + rpcPassword, "--rpclisten=" + b.address,
		"--rpccert=" + filepath.Join(dir, "rpc.cert"), "--rpckey=" + filepath.Join(dir, "rpc.key"),
		"--listen=" + listen, "--miningaddr=" + b.key.address.EncodeAddress(),
		"--nobanning", "--nostalldetect", "--nodnsseed", "--rejectnonstd",
		"--rpcmaxclients=100", "--rpcmaxwebsockets=100", "--trickleinterval=100ms",
	}}
	return b, nil
}

// Address is where btcd's RPC is, over TLS, with User and Password.
func (b *Bitcoin) Address() string { return b.address }

// User of the RPC.
func (b *Bitcoin) User() string { return rpcUser }

// Password of the RPC.
func (b *Bitcoin) Password() string { return rpcPassword }

// PasswordFile holds the password.
func (b *Bitcoin) PasswordFile() string { return filepath.Join(b.process.Dir, "rpc.password") }

// CertFile is of the certificate of the RPC.
func (b *Bitcoin) CertFile() string { return filepath.Join(b.process.Dir, "rpc.cert") }

// Start starts btcd, and returns when it answers and has the chain that it had.
func (b *Bitcoin) Start(ctx context.Context) error {
	if err := b.process.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(b.PasswordFile(), []byte(rpcPassword+"\n"), 0o600); err != nil {
		return fmt.Errorf("btcd's password: %w", err)
	}
	err := b.process.Ready(ctx, func(ctx context.Context) (bool, error) {
		_, err := b.Height(ctx)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	return b.restore(ctx)
}

// Stop ends btcd in order, so that the chain is on its disk. Its mempool is always lost.
func (b *Bitcoin) Stop() error { return b.process.End(syscall.SIGTERM) }

// Kill ends btcd by SIGKILL. It writes blocks minutes later than it has them and would lose them. Others would get
// them from its peers; it has none, so they are read before and given back by Start.
func (b *Bitcoin) Kill(ctx context.Context) error {
	blocks, err := b.all(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.blocks = blocks
	b.mu.Unlock()
	return b.process.End(syscall.SIGKILL)
}

// Pause lets btcd hang: connections stay open, and nothing answers until Resume.
func (b *Bitcoin) Pause() error { return b.process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (b *Bitcoin) Resume() error { return b.process.Signal(syscall.SIGCONT) }

// begin mines what a chain needs before it can be used; a chain that is going on gets one block, so that its tip is recent.
func (b *Bitcoin) begin(ctx context.Context, used bool) error {
	height, err := b.Height(ctx)
	if err != nil {
		return err
	}
	if used && height < firstBlocks {
		return ErrLost
	}
	_, err = b.Mine(ctx, max(1, firstBlocks-int(height)))
	return err
}

// Call asks btcd anything. result is a pointer to what its answer is decoded into, or nil.
func (b *Bitcoin) Call(ctx context.Context, result any, method string, params ...any) error {
	b.mu.Lock()
	if b.rpc == nil {
		r, err := newRPC(b.address, rpcUser, rpcPassword, b.CertFile())
		if err != nil {
			b.mu.Unlock()
			return err
		}
		b.rpc = r
	}
	r := b.rpc
	b.mu.Unlock()
	return r.call(ctx, result, method, params...)
}

// Height of the newest block.
func (b *Bitcoin) Height(ctx context.Context) (height int64, err error) {
	err = b.Call(ctx, &height, "getblockcount")
	return height, err
}

// Hash of the block at a height, as text.
func (b *Bitcoin) Hash(ctx context.Context, height int64) (hash string, err error) {
	err = b.Call(ctx, &hash, "getblockhash", height)
	return hash, err
}

// Mempool is the ids of the transactions that are in no block yet.
func (b *Bitcoin) Mempool(ctx context.Context) (ids []string, err error) {
	err = b.Call(ctx, &ids, "getrawmempool")
	return ids, err
}

// Confirmations of a transaction: 0 in the mempool. An unknown one is an error.
func (b *Bitcoin) Confirmations(ctx context.Context, id string) (int64, error) {
	var tx struct {
		Confirmations int64 `json:"confirmations"`
	}
	if err := b.Call(ctx, &tx, "getrawtransaction", id, 1); err != nil {
		return 0, fmt.Errorf("transaction %s: %w", id, err)
	}
	return tx.Confirmations, nil
}
