package network_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/millrace/millrace/deploy/regtest/network"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// TestProxy: a node that counts lines is asked for more.
func TestProxy(t *testing.T) {
	node, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	asked := make(chan string, 10)
	go func() {
		for {
			c, err := node.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					asked <- s.Text()
					fmt.Fprintln(c, "done", s.Text())
				}
			}()
		}
	}()
	p, err := network.NewProxy(node.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", p.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c, bufio.NewReader(c)
	}
	answer := func(r *bufio.Reader) string { s, _ := r.ReadString('\n'); return s }

	c, r := dial()
	fmt.Fprintln(c, "one")
	if got := answer(r); got != "done one\n" {
		t.Errorf("%q", got)
	}
	p.Hold()
	fmt.Fprintln(c, "two")
	<-asked
	if got := <-asked; got != "two" {
		t.Errorf("the node was asked %q", got)
	}
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got := answer(r); got != "" {
		t.Errorf("held, and answered: %q", got)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	p.Let()
	if got := answer(r); got != "done two\n" {
		t.Errorf("%q", got)
	}
	p.Hold()
	fmt.Fprintln(c, "three")
	<-asked
	p.Cut()
	if got := answer(r); got != "" {
		t.Errorf("cut, and answered: %q", got)
	}
	p.Let()
	c, r = dial()
	fmt.Fprintln(c, "four")
	if got := answer(r); got != "done four\n" {
		t.Errorf("%q", got)
	}
}

// TestRegtestProxy: a payment arrives whose payer never hears of it.
func TestRegtestProxy(t *testing.T) {
	n, ctx := shared.Get(t), within(t)
	p, err := network.NewProxy(n.Hub.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn, as := connect(t, ctx, p.Address(), n.Hub)
	if _, err := lnrpc.NewLightningClient(conn).GetInfo(as, &lnrpc.GetInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	preimage, hash := secret(t)
	invoice, err := n.Publisher.Hold(ctx, hash, 3000)
	if err != nil {
		t.Fatal(err)
	}
	p.Hold()
	stream, err := routerrpc.NewRouterClient(conn).SendPaymentV2(as, &routerrpc.SendPaymentRequest{PaymentRequest: invoice, TimeoutSeconds: 60})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Publisher.Held(ctx, hash); err != nil {
		t.Fatal(err)
	}
	if err := n.Publisher.Settle(ctx, preimage); err != nil {
		t.Fatal(err)
	}
	if paid, err := n.Hub.Track(ctx, hash); err != nil || paid.Amount != 3000 {
		t.Errorf("paid %+v, %v", paid, err)
	}
	p.Cut()
	if got, err := stream.Recv(); err == nil {
		t.Errorf("heard %v", got)
	}
}

func connect(t *testing.T, ctx context.Context, address string, l *network.Lightning) (*grpc.ClientConn, context.Context) {
	t.Helper()
	pem, err := os.ReadFile(l.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	macaroon, err := os.ReadFile(l.MacaroonFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, metadata.AppendToOutgoingContext(ctx, "macaroon", hex.EncodeToString(macaroon))
}
