package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millrace/millrace/ledger/store/slow"
)

// ServeSlow runs a hub on a data folder that the suite has made, on a disk that is as slow as the orders say: each line is a duration by
// which every sync takes longer from then on, "-1ns" for no sync to end until the next line. It says where it is as millrace serve does, and ends
// with the context or with the orders, which come from the process that started it.
func ServeSlow(ctx context.Context, cfg Config, dir, listen string, orders io.Reader, out io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	disk := &slow.Disk{}
	r, err := openSlowRig(ctx, &cfg, dir, disk)
	if err != nil {
		return err
	}
	addr, stop, err := cfg.Serve(r.hub, listen)
	if err != nil {
		return errors.Join(err, r.close())
	}
	go func() {
		defer cancel()
		for lines := bufio.NewScanner(orders); lines.Scan(); {
			each, err := time.ParseDuration(lines.Text())
			if err != nil {
				return
			}
			disk.Slow(each)
		}
	}()
	if err := json.NewEncoder(out).Encode(map[string]string{"listen": addr}); err != nil {
		return errors.Join(fmt.Errorf("saying where the hub is: %w", err), stop(), r.close())
	}
	for tick := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil && r.fatal.Load() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C: // a hub that cannot go on says so there
		}
	}
	disk.Slow(0)
	return errors.Join(stop(), r.close())
}
