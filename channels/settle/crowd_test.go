package settle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// TestCrowd: an account has few imports open, all accounts together leave room, and what is sent again is answered all the same.
func TestCrowd(t *testing.T) {
	r := exchangeRig(t)
	must(t, r.SetRules(Rules{TwoOperators: 1}))
	send := func(no ledger.AccountNo, n int) (Import, error) {
		return r.send(CSV, fmt.Sprintf("to,amount_msat\na@b.c,%d\n", 5000+n), func(u *Upload) { u.Account = no })
	}
	for no := exchange; no < exchange+maxImports/maxOpenEach; no++ {
		r.world.credit(t, no, 10_000_000)
		for n := range maxOpenEach {
			_, err := send(no, n)
			must(t, err)
		}
		if in, err := send(no, maxOpenEach); !errors.Is(err, ErrTooManyRuns) || in.Accepted {
			t.Fatalf("one import too many of %s: %v, %+v", no, err, in)
		}
		if again, err := send(no, 0); err != nil || !again.Repeated {
			t.Fatalf("sent again: %v", err)
		}
	}
	r.world.credit(t, 60, 10_000_000)
	if _, err := send(60, 0); !errors.Is(err, ErrTooManyRuns) {
		t.Errorf("an import in a place that is kept: %v", err)
	}
	r.payee(61, 10_000_000, Payee{Lightning: "a@b.c"})
	r.start()
}

// TestSlowImport: while the nodes are asked about a file, runs are made. A file that is sent twice meanwhile is paid once.
func TestSlowImport(t *testing.T) {
	r := newRig(t)
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	slow := func(ctx context.Context) (Market, error) {
		if ctx.Value(asking{}) != nil {
			asked <- struct{}{}
			<-answer
		}
		return Market{Lightning: 1e12, LightningMost: 1e12, Coins: 1e12, Rate: 3290}, nil
	}
	d, err := Open(Config{Records: r.disk, Ledger: r.world, Network: testNet{}, Clock: r.world.now, Market: slow})
	must(t, err)
	r.Desk = d
	d.takeUp(r.world)
	t.Cleanup(d.Close)
	r.world.credit(t, exchange, 1_000_000_000)
	r.payee(61, 10_000_000, Payee{Lightning: "a@b.c"})
	var sending sync.WaitGroup
	var got [2]Import
	for i := range got {
		sending.Go(func() {
			u := Upload{Account: exchange, Format: CSV, Body: strings.NewReader("to,amount_msat\nx@b.c,5000\n")}
			var err error
			if got[i], err = r.Import(context.WithValue(t.Context(), asking{}, true), u); err != nil {
				t.Error(err)
			}
		})
	}
	<-asked
	<-asked
	r.start()
	close(answer)
	sending.Wait()
	if got[0].Repeated == got[1].Repeated || got[0].Run == nil || got[1].Run == nil || got[0].Run.ID != got[1].Run.ID {
		t.Errorf("%+v, %+v", got[0], got[1])
	}
	r.closed(got[0].Run.ID)
	if r.world.got("x@b.c") != 5000 {
		t.Errorf("it got %d", r.world.got("x@b.c"))
	}
}

type asking struct{}
