package lightning

import (
	"context"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
)

// Backup is the static channel backup of all Lightning channels: with it and the seed, the money in them can be got back from the
// other sides when the node's data are lost. It is encrypted with a key of the seed. One of no channels is not empty.
func (c *Client) Backup(ctx context.Context) ([]byte, error) {
	all, err := ask(ctx, c, "exporting the channel backup", c.lightning.ExportAllChannelBackups, &lnrpc.ChanBackupExportRequest{})
	if err != nil {
		return nil, err
	}
	return all.MultiChanBackup.GetMultiChanBackup(), nil
}

// VerifyBackup asks the node whether a backup is whole and its own, and says of which channels it is, by their funding outputs.
func (c *Client) VerifyBackup(ctx context.Context, backup []byte) ([]channels.Outpoint, error) {
	found, err := ask(ctx, c, "verifying a channel backup", c.lightning.VerifyChanBackup,
		&lnrpc.ChanBackupSnapshot{MultiChanBackup: &lnrpc.MultiChanBackup{MultiChanBackup: backup}})
	if err != nil {
		return nil, err
	}
	points := make([]channels.Outpoint, len(found.ChanPoints))
	for i, text := range found.ChanPoints {
		points[i] = outpoint(text)
	}
	return points, nil
}

// Backups calls f with the backup as it is now, and with each later one, until f fails or the context ends; it returns that
// error. It subscribes again by itself, and begins with the present one then.
func (c *Client) Backups(ctx context.Context, f func([]byte) error) error {
	const doing = "following the channel backup"
	return c.follow(ctx, doing, func(ctx context.Context, alive func()) error {
		s, err := c.lightning.SubscribeChannelBackups(ctx, &lnrpc.ChannelBackupSubscription{})
		if err == nil {
			var now []byte // what is made after subscribing is told; what was made before is here
			if now, err = c.Backup(ctx); err == nil {
				err = handOn(now, f)
			}
		}
		return drain(ctx, c, doing, alive, s, err, func(b *lnrpc.ChanBackupSnapshot) error {
			return handOn(b.MultiChanBackup.GetMultiChanBackup(), f)
		})
	})
}

func handOn(backup []byte, f func([]byte) error) error {
	if err := f(backup); err != nil {
		return stop{err}
	}
	return nil
}
