package api

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// bounded lets in as many connections at a time as it may, and tells further ones so as the API tells it. fasthttp's own
// answer to them is plain text without Retry-After.
type bounded struct {
	net.Listener
	open func() int32 // connections being served
	most int
	tls  bool // a handshake comes first, so one too many is only closed
}

// spareWorkers are fasthttp's beyond MaxConnections: a worker is free again only some moments after its connection ended.
const spareWorkers = 64

func (b bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		switch {
		case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE):
			time.Sleep(outOfFiles) // fasthttp would take it for the end
		case err != nil || int(b.open()) < b.most:
			return c, err
		case b.tls:
			_ = c.Close()
		default:
			refuse(c)
		}
	}
}

// outOfFiles is how long no connection is accepted when the process has no file descriptor left for one.
const outOfFiles = 50 * time.Millisecond

// refuse never waits: the few bytes have room in a new connection's buffer.
func refuse(c net.Conn) {
	defer c.Close()
	var ctx fasthttp.RequestCtx
	p := problem{status: 503, code: "connections_full", retryable: true, detail: "the hub has as many connections as it takes: try again in a moment"}
	p.write(&ctx)
	ctx.SetConnectionClose()
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = ctx.Response.WriteTo(c)
}
