package chain_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/chain"
)

// script is a btcd that answers what a test wants: a line of result or error for each method.
type script map[string]string

func (s script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
		http.Error(w, "401 Unauthorized.", http.StatusUnauthorized)
		return
	}
	var q struct {
		ID     json.RawMessage   `json:"id"`
		Method string            `json:"method"`
		Params []json.RawMessage `json:"params"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, ok := s[q.Method]
	if len(q.Params) > 0 {
		if special, there := s[q.Method+" "+strings.Trim(string(q.Params[0]), `"`)]; there {
			answer, ok = special, true
		}
	}
	switch {
	case answer == "hang":
		<-r.Context().Done()
	case !ok:
		fmt.Fprintf(w, `{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":%s}`, q.ID)
	case strings.HasPrefix(answer, "-"):
		code, text, _ := strings.Cut(answer, " ")
		fmt.Fprintf(w, `{"result":null,"error":{"code":%s,"message":%q},"id":%s}`, code, text, q.ID)
	case strings.HasPrefix(answer, "!"):
		w.Write([]byte(answer[1:])) //nolint:errcheck // the client notices
	default:
		fmt.Fprintf(w, `{"result":%s,"error":null,"id":%s}`, answer, q.ID)
	}
}

func fake(t *testing.T, s script) (*chain.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	c, err := chain.New(chain.Config{Network: simnet(t), Address: server.Listener.Addr().String(), User: "u", Password: "p", Cert: cert,
		Timeout: 10 * time.Second, Fallback: 7000, Floor: 1500, Ceiling: 90_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, server
}

// TestPublishRefused: what btcd says of a transaction, and what that means.
func TestPublishRefused(t *testing.T) {
	w := newWallet(t, "client")
	tx := w.batch([]chain.Spend{chain.P2TR}, 1, -1, 0, 1000)
	id, parent := tx.ID.TxID(), tx.Inputs[0].Tx.TxID()
	unknown := "-5 No information available about transaction"
	orphan := "-25 TX rejected: orphan transaction " + id + " references outputs of unknown or fully-spent transaction " + parent
	for _, tt := range []struct {
		name   string
		answer string
		more   script
		want   error
	}{
		{"taken", fmt.Sprintf("%q", id), nil, nil},
		{"in the mempool", "-26 TX rejected: already have transaction in mempool " + id, nil, nil},
		{"in the chain", "-27 TX rejected: transaction already exists in blockchain", nil, nil},
		{"low rate", "-26 TX rejected: " + id + ": replacement transaction has an insufficient fee rate: needs more than 1, has 1", nil, channels.ErrFee},
		{"low fee", "-26 TX rejected: " + id + ": replacement transaction has an insufficient absolute fee: needs 2, has 1", nil, channels.ErrFee},
		{"below the relay fee", "-26 TX rejected: transaction " + id + " has 1 fees which is under the required amount of 2", nil, channels.ErrFee},
		{"free", "-26 TX rejected: transaction " + id + " has insufficient priority (1 <= 2)", nil, channels.ErrFee},
		{"rate limiter", "-26 TX rejected: transaction " + id + " has been rejected by the rate limiter due to low fees", nil, channels.ErrFee},
		{"dust", "-26 TX rejected: transaction output 0: payment is dust: 1", nil, channels.ErrDust},
		{"spent in the mempool", "-26 TX rejected: output already spent in mempool: output=x, tx=y", script{"getrawtransaction": unknown}, channels.ErrConflict},
		{"evicts too many", "-26 TX rejected: replacement transaction evicts more transactions than permitted", script{"getrawtransaction": unknown}, channels.ErrConflict},
		{"spent in the chain", orphan, script{"getrawtransaction " + id: unknown, "getrawtransaction " + parent: "{}", "gettxout": "null"}, channels.ErrConflict},
		{"no parent", orphan, script{"getrawtransaction": unknown, "gettxout": "null"}, channels.ErrNoTransaction},
		{"the parent came meanwhile", orphan, script{"getrawtransaction": unknown, "gettxout": `{"value":1}`}, channels.ErrDown},
		{"long ago", orphan, script{"getrawtransaction": "{}"}, nil},
		{"too large", "-26 TX rejected: weight of transaction is larger than max allowed: 400001 > 400000", nil, channels.ErrRefused},
		{"bad signature", "-26 TX rejected: failed to validate input", nil, channels.ErrRefused},
		{"broken", "-22 TX decode failed: EOF", nil, channels.ErrRefused},
		{"internal", "-32603 disk on fire", nil, channels.ErrDown},
		{"nonsense", "!<html>", nil, channels.ErrDown},
		{"nothing", "!", nil, channels.ErrDown},
		{"somebody else's answer", `!{"result":"x","error":null,"id":0}`, nil, channels.ErrDown},
		{"endless", "!" + strings.Repeat(" ", 17<<20), nil, channels.ErrDown},
	} {
		s := script{"sendrawtransaction " + hex.EncodeToString(tx.Raw): tt.answer}
		for k, v := range tt.more {
			s[k] = v
		}
		c, _ := fake(t, s)
		err := c.Publish(t.Context(), tx.Raw)
		if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, other := range []error{channels.ErrConflict, channels.ErrFee, channels.ErrDust, channels.ErrNoTransaction, channels.ErrRefused, channels.ErrDown} {
			if other != tt.want && errors.Is(err, other) {
				t.Errorf("%s is also %v", tt.name, other)
			}
		}
	}
	c, _ := fake(t, nil)
	if err := c.Publish(t.Context(), tx.Raw[1:]); !errors.Is(err, channels.ErrRefused) {
		t.Errorf("no transaction: %v", err)
	}
}

// TestDown: a btcd that is not there, hangs, or is another's, and deadlines.
func TestDown(t *testing.T) {
	c, server := fake(t, script{"getbestblockhash": "hang"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Tip(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, channels.ErrDown) {
		t.Errorf("our own deadline: %v", err)
	}
	server.CloseClientConnections()
	server.Close()
	if _, err := c.Tip(t.Context()); !errors.Is(err, channels.ErrDown) {
		t.Errorf("closed: %v", err)
	}
	_, server = fake(t, nil)
	cfg := chain.Config{Network: simnet(t), Address: server.Listener.Addr().String(), User: "u", Password: "wrong and secret", Timeout: time.Second,
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	c, err := chain.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tip(t.Context()); !errors.Is(err, channels.ErrDown) || strings.Contains(err.Error(), "secret") {
		t.Errorf("wrong password: %v", err)
	}
	cfg.Cert = nil
	if c, err = chain.New(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tip(t.Context()); !errors.Is(err, channels.ErrDown) {
		t.Errorf("a certificate that nobody trusts: %v", err)
	}
	for _, change := range []func(*chain.Config){
		func(c *chain.Config) { c.Network = chain.Network{} }, func(c *chain.Config) { c.Address = "localhost" },
		func(c *chain.Config) { c.Cert = []byte("none") }, func(c *chain.Config) { c.Floor, c.Ceiling = 2000, 1999 },
	} {
		bad := cfg
		change(&bad)
		if _, err := chain.New(bad); err == nil {
			t.Errorf("no error with %+v", bad)
		}
	}
}

func TestFeeRate(t *testing.T) {
	for _, tt := range []struct {
		answer string
		want   channels.FeeRate
	}{
		{"0.00012345", 12345}, {"0.00001", 1500}, {"0.5", 90_000}, {"1e300", 90_000},
		{"-1 not enough blocks have been observed", 7000}, {"0", 7000}, {"-32603 Fee estimation disabled", 7000},
	} {
		c, _ := fake(t, script{"estimatefee": tt.answer})
		if got, err := c.FeeRate(t.Context(), 6); err != nil || got != tt.want {
			t.Errorf("%s: %d, %v", tt.answer, got, err)
		}
	}
	c, _ := fake(t, script{"estimatefee": "!"})
	if got, err := c.FeeRate(t.Context(), 6); !errors.Is(err, channels.ErrDown) {
		t.Errorf("down: %d, %v", got, err)
	}
}

// TestCheck: another network, and a btcd without an index, are found out.
func TestCheck(t *testing.T) {
	genesis := func(name string) string {
		n := named(t, name)
		return fmt.Sprintf("%q", n.Genesis().TxID())
	}
	unknown := "-5 No information available about transaction 00"
	for _, tt := range []struct {
		name string
		s    script
		want error
	}{
		{"right", script{"getblockhash": genesis("simnet"), "getrawtransaction": unknown}, nil},
		{"mainnet", script{"getblockhash": genesis("mainnet"), "getrawtransaction": unknown}, channels.ErrNetwork},
		{"no index", script{"getblockhash": genesis("simnet"),
			"getrawtransaction": "-5 The transaction index must be enabled to query the blockchain (specify --txindex)"}, channels.ErrDown},
		{"down", nil, nil},
	} {
		c, server := fake(t, tt.s)
		if tt.name == "down" {
			server.Close()
			tt.want = channels.ErrDown
		}
		if err := c.Check(t.Context()); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestPlaceWhileItMoves: a block that is no more when it is asked about is asked for again.
func TestPlaceWhileItMoves(t *testing.T) {
	id := strings.Repeat("0", 63) + "1"
	c, _ := fake(t, script{"getrawtransaction": fmt.Sprintf(`{"blockhash":%q}`, id), "getblockheader": "-32603 Failed to obtain block height"})
	if _, err := c.Place(t.Context(), channels.Hash{1}); !errors.Is(err, channels.ErrDown) {
		t.Errorf("always another block: %v", err)
	}
	c, _ = fake(t, script{"getrawtransaction": fmt.Sprintf(`{"blockhash":%q}`, id), "getblockheader": `{"confirmations":3,"height":7}`})
	p, err := c.Place(t.Context(), channels.Hash{1})
	if err != nil || p.Confirmations != 3 || p.Height != 7 || p.Block.TxID() != id {
		t.Errorf("%+v, %v", p, err)
	}
}
