package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/backup"
	"github.com/millrace/millrace/ledger/store/records"
)

// What lies in a data folder beside the log and its index, of the rails.
const (
	railsName    = "rails"        // their records
	channelsName = "lnd-channels" // lnd's static channel backups, newest last
	nodeName     = "lnd.node"     // the key of the node that the books are about
)

// copyBooks makes a copy of the log, of the index over it, and of what the rails know: in the data folder, and of one moment for both.
//
// The rails write down what they are about to ask of the ledger, ask, and then write down what came of it. So the copies fit together in
// one order only: no record is written from before the rails' copy until the ledger's is made. Then
//
//	what the copied ledger did for the rails is in the copied records, as asked at least: the last was asked by a record that was written
//	before. A hold, or a credit under an id, that no record knows cannot be; it would be held for ever, or be credited once more
//	what the copied records say was done is in the copied ledger: it was durable there before it was written here. A record whose hold the
//	ledger does not know cannot be; the number would be given to another hold, which the payout would then capture
//
// That is what a crash leaves, and is taken up as after one, but for what was sent later: see channels.MarkRestored. The rails wait
// meanwhile, for as long as it takes to link the tables; payments inside do not. rails may be nil: there are none.
func copyBooks(st *store.Store, index store.Copier, data string, rails *records.Records) (name, path string, through uint64, err error) {
	if rails == nil {
		return st.Backup(index)
	}
	err = rails.Still(func() (err error) {
		if name, path, through, err = st.Backup(index); err != nil {
			return err
		}
		err = rails.Copy(filepath.Join(path, railsName))
		if err == nil {
			err = linkChannels(data, path)
		}
		if err != nil {
			err = errors.Join(fmt.Errorf("making a backup: %w", err), st.DropBackup(name))
		}
		return err
	})
	return name, path, through, err
}

// linkChannels adds lnd's channel backups. Of old ones some may be removed meanwhile, never the newest.
func linkChannels(data, path string) error {
	from, to := filepath.Join(data, channelsName), filepath.Join(path, channelsName)
	files, err := filepath.Glob(filepath.Join(from, "channels-*.backup"))
	if err != nil || len(files) == 0 {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Link(file, filepath.Join(to, filepath.Base(file))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// restoreRails reads the rails' records of a backup, every one of them, and has the hub that starts on them send nothing at first. A hub
// that never met a node has sent nothing.
func (a *app) restoreRails(m backup.Manifest, data string) (err error) {
	_, missing := os.Stat(filepath.Join(data, nodeName))
	if !m.Has(railsName) {
		if missing == nil {
			a.note("the rails' records are not in backup %s: a hub whose ledger knows of money outside does not start without them", m.Name)
		}
		return nil
	}
	rails, err := records.Open(records.Options{Dir: filepath.Join(data, railsName), Logger: a.progressLog()})
	if err != nil {
		return ofData(err)
	}
	defer func() { err = ofData(errors.Join(err, rails.Close())) }()
	if err := rails.Scan(nil, nil, func(_, _ []byte) bool { return true }); err != nil || missing != nil {
		return err
	}
	now := time.Now()
	// The links first: a folder that is marked has none that is open. Until Adopt, which comes after both, no hub starts on it.
	if err := errors.Join(lnurl.ExpireLinks(rails, now), channels.MarkRestored(rails, now, m.Name)); err != nil {
		return err
	}
	a.note("the hub starts with its payouts paused, since some may have been sent after the backup was made: see millrace restore --help")
	return nil
}
