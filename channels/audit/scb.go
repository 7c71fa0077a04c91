package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Backups tells of a node's static channel backups.
type Backups interface {
	// Backups calls f with the backup as it is now, and with each later one, until f fails or the context ends.
	Backups(ctx context.Context, f func([]byte) error) error
}

// Keeper keeps the node's static channel backup in a folder of the hub's data, from where the hub's own backup carries it away. With it,
// and with the node's seed, the money in Lightning channels can be asked back when the node's disk is lost.
//
// A node that was made anew from its seed has a backup of no channels, which must not take the place of the one that is needed then. So
// the last maxKept that were different are kept:
//
//	channels-00000012-8d969eef.backup    a number that grows, and the beginning of its SHA-256
type Keeper struct {
	Dir    string // made when it is missing
	Node   Backups
	Logger *slog.Logger // nil: nowhere
}

const (
	maxKept   = 20
	maxBackup = 64 << 20 // bytes: some 100,000 channels
	scbPrefix = "channels-"
	scbSuffix = ".backup"
	unnamed   = ".new-*"
)

// Run writes each backup as it comes, until the context ends; it returns its error, or that of the disk.
func (k *Keeper) Run(ctx context.Context) error {
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return fmt.Errorf("the folder of channel backups: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(k.Dir, unnamed)) // by a crash
	if err != nil {
		return fmt.Errorf("the folder of channel backups: %w", err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("the folder of channel backups: %w", err)
		}
	}
	return k.Node.Backups(ctx, func(backup []byte) error {
		if err := k.keep(backup); err != nil {
			return fmt.Errorf("keeping a channel backup: %w", err)
		}
		return nil
	})
}

// Newest is the file of the newest backup. The error of a folder without any is fs.ErrNotExist.
func (k *Keeper) Newest() (path string, err error) {
	names, err := k.names()
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no channel backup in %s: %w", k.Dir, fs.ErrNotExist)
	}
	if err != nil {
		return "", err
	}
	return filepath.Join(k.Dir, names[len(names)-1]), nil
}

// names are the files of backups, the oldest first.
func (k *Keeper) names() (names []string, err error) {
	list, err := os.ReadDir(k.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the channel backups: %w", err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), scbPrefix) && strings.HasSuffix(e.Name(), scbSuffix) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// keep writes a backup that is not the newest one already, and then removes the oldest beyond maxKept.
func (k *Keeper) keep(backup []byte) error {
	if len(backup) == 0 || len(backup) > maxBackup {
		return fmt.Errorf("a backup of %d bytes: it has 1 to %d", len(backup), maxBackup)
	}
	names, err := k.names()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(backup)
	mark := "-" + hex.EncodeToString(sum[:4]) + scbSuffix
	number := 0
	if len(names) > 0 {
		newest := names[len(names)-1]
		if strings.HasSuffix(newest, mark) {
			return nil
		}
		if _, err := fmt.Sscanf(newest, scbPrefix+"%08d-", &number); err != nil {
			return fmt.Errorf("%s is no name of a channel backup: %w", newest, err)
		}
	}
	name := fmt.Sprintf(scbPrefix+"%08d%s", number+1, mark)
	if err := writeFile(filepath.Join(k.Dir, name), backup); err != nil {
		return err
	}
	if k.Logger != nil {
		k.Logger.Info("channel backup kept", "file", name, "bytes", len(backup))
	}
	for _, old := range names[:max(0, len(names)+1-maxKept)] {
		if err := os.Remove(filepath.Join(k.Dir, old)); err != nil {
			return err
		}
	}
	return nil
}

// writeFile makes a file that is there as a whole after a crash, or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), unnamed) // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
