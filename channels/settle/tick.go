package settle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
)

// keepTime looks at the schedules once a minute, and now and then forgets what is old.
func (d *Desk) keepTime() {
	for {
		now := d.cfg.Clock()
		if err := d.onMinute(uint32(now.Unix() / 60)); err != nil {
			if d.ctx.Err() != nil {
				return
			}
			d.cfg.Logger.Warn("a settlement by schedule is put off", "err", err)
		}
		if now.Minute() == 0 {
			if err := d.forget(); err != nil && d.ctx.Err() == nil {
				d.cfg.Logger.Warn("old settlements are not forgotten yet", "err", err)
			}
		}
		select {
		case <-d.ctx.Done():
			return
		case <-d.cfg.After(now.Truncate(time.Minute).Add(time.Minute).Sub(now)):
		}
	}
}

// onMinute makes a run of those whose time has come since the schedules were last looked at. The minute is written with the run: so a
// payee whose time came while the hub was down, or could not ask its nodes, is paid once, when it can.
func (d *Desk) onMinute(minute uint32) error {
	d.mu.Lock()
	last := d.tick
	d.mu.Unlock()
	if minute <= last {
		return nil
	}
	row := channels.Row{Key: []byte(tickKey), Value: binary.BigEndian.AppendUint32(nil, minute)}
	if last == 0 {
		last = minute - 1
	}
	_, err := d.makeRun(d.ctx, Run{Cause: BySchedule}, Scope{Tick: true, After: last, Until: minute}, false, func(channels.ID) channels.Row { return row })
	if errors.Is(err, ErrNothingDue) {
		err = d.write(row)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tick = minute
	return nil
}

func (d *Desk) readTick() (uint32, error) {
	b, err := d.rec.Get([]byte(tickKey))
	if err != nil || b == nil {
		return 0, err
	}
	if len(b) != 4 {
		return 0, fmt.Errorf("the record %q has %d bytes", tickKey, len(b))
	}
	return binary.BigEndian.Uint32(b), nil
}

// forget deletes runs that were closed long ago, and what was counted on earlier days.
func (d *Desk) forget() error {
	for {
		more, err := d.gate.prune()
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if d.now() < uint64(d.cfg.Keep.Milliseconds()) {
		return nil
	}
	before := d.now() - uint64(d.cfg.Keep.Milliseconds())
	var from channels.ID // ids begin with the time: this is the first that is old enough
	binary.BigEndian.PutUint64(from[:], before<<16)
	for d.ctx.Err() == nil {
		var old []channels.ID
		var failed error
		err := d.rec.Scan([]byte(runKey), idKey(runKey, downwards(from)), func(key, value []byte) bool {
			var r Run
			if failed = decode(value, &r); failed != nil {
				return false
			}
			if r.State == Closed && r.Closed < before {
				old = append(old, r.ID)
			}
			return len(old) < 10
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		if len(old) == 0 {
			return nil
		}
		for _, id := range old {
			if err := d.deleteItems(id); err != nil {
				return err
			}
			if err := d.write(channels.Row{Key: idKey(runKey, downwards(id))}); err != nil {
				return err
			}
		}
	}
	return nil
}
