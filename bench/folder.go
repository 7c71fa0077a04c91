package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/ledger"
)

// folder is a hub with a crowd, whose log can be made as long as one likes, and which can be taken up again.
type folder struct {
	rig     *rig
	clients clients
	before  uint64 // the clients' tally when the folder was opened
}

// openFolder takes up the hub in a folder, or makes one.
func openFolder(ctx context.Context, c *Config, dir string) (f *folder, err error) {
	f = &folder{}
	var channels []payment
	var totals map[uint32]ledger.Msat
	_, missing := os.Stat(filepath.Join(dir, "data", "FORMAT"))
	if missing == nil {
		fmt.Fprintf(c.Progress, "opening %s\n", dir)
		if f.rig, err = openRig(ctx, c, dir); err != nil {
			return nil, err
		}
		channels, totals = f.rig.channels()
	} else {
		fmt.Fprintf(c.Progress, "making a hub with %s accounts and channels\n", count(float64(c.Accounts)))
		if f.rig, err = newRig(ctx, c, dir); err != nil {
			return nil, err
		}
		if channels, err = newBuilder(ctx, f.rig.submit).crowd(c.Accounts); err == nil {
			err = f.rig.restart(ctx)
		}
	}
	var parts []*advances
	if err == nil {
		parts, err = divide(channels, c.Clients, c.BatchOps)
	}
	if err == nil {
		err = f.settle(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, f.rig.close())
	}
	for _, p := range parts {
		p.resume(totals)
		f.clients = append(f.clients, &client{advances: p})
	}
	f.before = f.clients.tally()
	return f, nil
}

// settle notes where the log ends, and counts what is paid from there on.
func (f *folder) settle(ctx context.Context) error {
	if err := f.rig.catchUp(ctx); err != nil {
		return err
	}
	_, f.rig.seq = f.rig.index.Watermark()
	f.before = f.clients.tally()
	return nil
}

// channels are those that are open in a hub, in random order, and what was paid through each.
func (r *rig) channels() ([]payment, map[uint32]ledger.Msat) {
	var all []payment
	totals := make(map[uint32]ledger.Msat)
	for no := ledger.ChannelNo(1); ; no++ {
		c, ok := r.hub.Channel(no)
		if !ok {
			break
		}
		if c.Status == ledger.Open {
			all = append(all, payment{c.Payer, uint32(no)})
			totals[uint32(no)] = c.Total
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, totals
}

// resume goes on from what was paid before.
func (a *advances) resume(totals map[uint32]ledger.Msat) {
	for i := range a.ops {
		a.ops[i].Amount = totals[a.ops[i].Target]
		a.total += uint64(a.ops[i].Amount)
	}
}

// paid is how many payments were made since the folder was settled, and entries the length of its log.
func (f *folder) paid() uint64    { return f.clients.tally() - f.before }
func (f *folder) entries() uint64 { return f.rig.seq + f.paid() }

// grow pays until the log has some length, as fast as that goes.
func (f *folder) grow(ctx context.Context, c *Config, entries uint64) error {
	began, first, told := time.Now(), f.entries(), time.Now()
	for d := 20 * time.Millisecond; f.entries() < entries; {
		s, err := f.clients.run(ctx, f.rig.hub, d)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		left := float64(entries-min(entries, f.entries())) / max(s.rate(), 1)
		d = time.Duration(min(left, 1) * float64(time.Second))
		if time.Since(told) > 5*time.Second || f.entries() >= entries {
			told = time.Now()
			fmt.Fprintf(c.Progress, "a log of %s entries; %s a second so far\n",
				count(float64(f.entries())), count(float64(f.entries()-first)/time.Since(began).Seconds()))
		}
	}
	return nil
}

// finish verifies the folder, and adds what all that was ever paid takes on the disk.
func (f *folder) finish(ctx context.Context, c *Config, res *Result) error {
	fmt.Fprintf(c.Progress, "verifying a log of %s entries\n", count(float64(f.entries())))
	if err := f.rig.finish(ctx, f.paid(), res, f.clients.check); err != nil {
		return err
	}
	res.add(float64(f.entries()), "", "entries")
	all := int64(0)
	for _, name := range [...]string{"ledger", "index"} {
		used, err := diskUsage(filepath.Join(f.rig.dir, name))
		if err != nil {
			return err
		}
		all += used
		res.add(float64(used)/float64(f.entries()), "bytes", "disk of %s for each entry", name)
	}
	res.add(float64(all)/float64(f.entries()), "bytes", "disk for each entry")
	return nil
}

// place is where a case that can be taken up again has its folder.
func (c *Config) place(dir string) string {
	if c.Keep != "" {
		return c.Keep
	}
	return dir
}

// run pays for some time, and counts the time that all that follows the log takes to catch up.
func (f *folder) run(ctx context.Context, d time.Duration) (sample, error) {
	began := time.Now()
	s, err := f.clients.run(ctx, f.rig.hub, d)
	if err == nil {
		err = f.rig.catchUp(ctx)
	}
	s.took = time.Since(began)
	return s, err
}
