package api

import "errors"

// ErrBackupUnderWay is returned, wrapped, by Backups while an earlier copy may still be read. The text names it.
var ErrBackupUnderWay = errors.New("another backup is under way")

// Backups makes copies of the hub's data beside it, for whoever can read them there; the log's store does.
type Backups interface {
	// Backup makes one that holds every block up to through, and says where it lies on the hub's machine; ErrBackupUnderWay.
	Backup() (name, path string, through uint64, err error)
	// DropBackup removes one; it is no error if it is gone.
	DropBackup(name string) error
}

// createBackup copies nothing itself: it makes links in the data folder, which the caller carries away and then deletes.
func (c *call) createBackup() *problem {
	o := c.body(true)
	if p := o.end(); p != nil {
		return p
	}
	if c.server.cfg.Backups == nil {
		return noBackups()
	}
	name, path, through, err := c.server.cfg.Backups.Backup()
	if errors.Is(err, ErrBackupUnderWay) {
		return &problem{status: 503, code: "backup_under_way", retryable: true, detail: err.Error() + ": try again when it is deleted; one that nobody deletes is replaced after an hour"}
	}
	if err != nil {
		return c.failed(err)
	}
	c.begin("name")
	c.quote(name)
	c.next("path")
	c.quote(path)
	c.next("through_block")
	c.uint(through)
	c.end()
	return c.answer(201)
}

func (c *call) deleteBackup() *problem {
	if c.server.cfg.Backups == nil {
		return noBackups()
	}
	if err := c.server.cfg.Backups.DropBackup(string(c.name)); err != nil {
		return c.failed(err)
	}
	c.begin("name")
	c.quote(string(c.name))
	c.end()
	return c.answer(200)
}

func noBackups() *problem {
	return &problem{status: 404, code: "route_unknown", detail: "this hub makes no backups"}
}
