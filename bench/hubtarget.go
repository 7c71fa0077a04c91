package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/target/proc"
	"github.com/millrace/millrace/bench/workload"
	"github.com/millrace/millrace/ledger"
)

// hubTarget is this program's hub, in a process of its own on a data folder of its own, spoken to over loopback.
type hubTarget struct {
	c    *Config
	plan *workload.Plan
	dir  string // the parent of the hub's data folder
	rig  *rig   // knows the folder; no hub is open in it while the process runs
	hubDoor

	mu      sync.Mutex // of what follows: faults come while somebody asks what the hub uses
	process *process
	before  time.Duration // CPU of the processes before this one
}

// hubDoor is where a hub is, and what a plan's numbers are called there: all that sessions need. It can be handed to generators elsewhere.
type hubDoor struct {
	Address  string             `json:"address"`
	Batches  bool               `json:"batches"` // a request holds more than one op
	Encoding scenario.Encoding  `json:"encoding"`
	Accounts []ledger.AccountNo `json:"accounts"`
	Channels []uint32           `json:"channels"`
	Works    []work             `json:"works"`
	Tokens   []string           `json:"tokens"` // by payer
}

// newHubTarget makes a data folder with the population of a plan, and starts a hub on it.
func newHubTarget(ctx context.Context, c *Config, plan *workload.Plan, dir string) (t *hubTarget, err error) {
	t = &hubTarget{c: c, plan: plan, dir: dir}
	t.Batches, t.Encoding = plan.Scenario.Request.Ops > 1, plan.Scenario.Request.Encoding
	if t.rig, err = newRig(ctx, c, dir); err != nil {
		return nil, err
	}
	rig := t.rig // where it fails, there is no target
	defer func() { err = errors.Join(err, rig.close()) }()
	if err := t.populate(ctx); err != nil {
		return nil, err
	}
	if err := t.rig.close(); err != nil {
		return nil, err
	}
	return t, t.Start()
}

// populate makes the accounts, channels and works of the plan, and a token for each payer.
func (t *hubTarget) populate(ctx context.Context) error {
	b, p := newBuilder(ctx, t.rig.submit), t.plan
	n := p.Scenario.Population
	var err error
	if t.Accounts, err = b.accounts(p.Accounts(), 0); err != nil {
		return err
	}
	payers := t.Accounts[:n.Payers]
	if n.Funds > 0 {
		if err := b.credit(payers, ledger.Msat(p.Available+p.ChannelFunds*uint64(p.PerPayer))); err != nil {
			return err
		}
	}
	channels, err := b.channels(n.Channels, ledger.Msat(p.ChannelFunds), func(i int) (payer, payee ledger.AccountNo) {
		return t.Accounts[p.Payer(i)], t.Accounts[p.Payee[i]]
	})
	if err != nil {
		return err
	}
	for _, made := range channels {
		t.Channels = append(t.Channels, made.channel)
	}
	if t.Works, err = newWorks(ctx, n.Works, t.rig, ledger.Msat(n.Price), func(i int) ledger.AccountNo { return t.Accounts[p.Seller(i)] }); err != nil {
		return err
	}
	t.Tokens, err = t.rig.tokens(payers)
	return err
}

// Name says which hub it is.
func (d *hubDoor) Name() string { return "millrace" }

// Connect makes a connection.
func (d *hubDoor) Connect(int) (generator.Session, error) {
	c, err := dial(d.Address)
	if err != nil {
		return nil, err
	}
	return &hubSession{hub: d, conn: c}, nil
}

// Kill ends the hub as a crash does.
func (t *hubTarget) Kill() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u, err := t.using(); err == nil {
		t.before = u.CPU
	}
	return t.process.kill()
}

// Died is how the hub ended, if it has.
func (t *hubTarget) Died() error {
	if !t.process.gone() {
		return nil
	}
	return fmt.Errorf("the hub has ended by itself: %v", t.process.cmd.ProcessState)
}

// Start starts it, or starts it again where it was.
func (t *hubTarget) Start() error {
	listen := cmp.Or(t.Address, t.c.HubAddress, anyPort)
	start := launch
	if slices.ContainsFunc(t.plan.Scenario.Faults, func(f scenario.Fault) bool { return f.Kind == scenario.SlowSync || f.Kind == scenario.StopDisk }) {
		start = launchSlow
	}
	p, err := start(t.c, t.rig.dir, listen)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.process = p // from now on, since what it uses until it serves is used
	t.mu.Unlock()
	if err := p.await(); err != nil {
		return err
	}
	if t.Address == "" { // later it is the same, and sessions read it
		t.Address = p.addr
	}
	return nil
}

// Freeze stops all its threads, or lets them go on.
func (t *hubTarget) Freeze(stopped bool) error {
	by := syscall.SIGCONT
	if stopped {
		by = syscall.SIGSTOP
	}
	if err := t.process.cmd.Process.Signal(by); err != nil {
		return fmt.Errorf("stopping a hub, or letting it go on: %w", err)
	}
	return nil
}

// Slow has each sync of the hub's disk take longer.
func (t *hubTarget) Slow(each time.Duration) error {
	if t.process.orders == nil {
		return generator.ErrNoFault
	}
	if _, err := fmt.Fprintln(t.process.orders, each); err != nil {
		return fmt.Errorf("making a hub's disk slow: %w", err)
	}
	return nil
}

// Using is what the hub's process uses. While it is down, it uses nothing beyond what it has used.
func (t *hubTarget) Using() (u generator.Using, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.using()
}

func (t *hubTarget) using() (u generator.Using, err error) {
	if !t.process.gone() {
		if u.CPU, u.Memory, err = proc.Family(t.process.cmd.Process.Pid); err != nil {
			return u, fmt.Errorf("reading what a hub uses: %w", err)
		}
	}
	u.CPU += t.before
	u.Disk, err = diskUsage(t.rig.dir)
	return u, err
}

// Books stops the hub, opens its folder as a start does, and reads everybody's balance.
func (t *hubTarget) Books(ctx context.Context) (*workload.Books, error) {
	if err := t.process.stop(); err != nil {
		return nil, err
	}
	return t.recovered(ctx)
}

// recovered are the books that a start would find.
func (t *hubTarget) recovered(ctx context.Context) (*workload.Books, error) {
	n := t.plan.Scenario.Population
	b := &workload.Books{Cut: uint64(ledger.FeeOf(ledger.Msat(n.Price), feePPM)), Restarted: true}
	var owners []ledger.Owned
	note := func(o ledger.Owned) { owners = append(owners, o) }
	if n.Works == 0 {
		note = nil
	}
	return b, t.rig.verifyOwned(ctx, note, func(s *ledger.State) error {
		for _, no := range t.Accounts {
			a, ok := s.Account(no)
			if !ok {
				return fmt.Errorf("account %v is not there any more", no)
			}
			b.Balances = append(b.Balances, a.Available)
		}
		for _, no := range t.Channels {
			c, ok := s.Channel(ledger.ChannelNo(no))
			if !ok {
				return fmt.Errorf("channel %v is not there any more", ledger.ChannelNo(no))
			}
			b.Totals = append(b.Totals, uint64(c.Total))
		}
		counts := s.Counts()
		b.Owned = int64(counts.Unlocks - counts.Contents) // a seller owns what is his
		house, ok := s.Account(ledger.Fees)
		if !ok {
			return errors.New("the house's account is not there any more")
		}
		b.Kept = house.Available
		return t.owners(b, s, owners)
	})
}

// owners adds who owns what, of the payers. Sellers own what is theirs.
func (t *hubTarget) owners(b *workload.Books, s *ledger.State, all []ledger.Owned) error {
	payers := make(map[ledger.AccountNo]int, t.plan.Scenario.Population.Payers)
	for i := range t.plan.Scenario.Population.Payers {
		payers[t.Accounts[i]] = i
	}
	works := make(map[ledger.ContentID]int, len(t.Works))
	for i := range t.Works {
		works[t.Works[i].Number] = i
	}
	b.Owners = make([]workload.Owner, 0, max(b.Owned, 0))
	for _, o := range all {
		payer, ok := payers[o.Account]
		if !ok {
			continue
		}
		id, ok := s.ContentID(o.Content)
		work, known := works[id]
		if !ok || !known {
			return fmt.Errorf("account %v owns content %d, which nobody has registered", o.Account, o.Content)
		}
		b.Owners = append(b.Owners, workload.Owner{Payer: payer, Work: work})
	}
	return nil
}

// Close ends the hub. Its folder is the caller's.
func (t *hubTarget) Close() error {
	if t.process == nil {
		return nil
	}
	return t.process.kill()
}

// sharedDoor is how a hub is told to agents.
type sharedDoor struct {
	Kind string  `json:"kind"` // of target
	Hub  hubDoor `json:"hub"`
}

// Share says where the hub is, and who may pay there.
func (d *hubDoor) Share() ([]byte, error) { return json.Marshal(sharedDoor{"millrace", *d}) }

// guest is a hub that another process has started.
type guest struct{ hubDoor }

// Join makes a target of what Share says, for an agent.
func Join(text []byte) (generator.Target, error) {
	var d sharedDoor
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTarget, err)
	}
	if d.Kind != "millrace" {
		return nil, fmt.Errorf("%w: %q", ErrTarget, d.Kind)
	}
	return &guest{d.Hub}, nil
}

// Books are for who has started the hub.
func (*guest) Books(context.Context) (*workload.Books, error) {
	return nil, errors.New("the books are with the coordinator")
}

// Close has nothing to end.
func (*guest) Close() error { return nil }
