package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Config is what a package is made of.
type Config struct {
	Key      seal.PublicKey   // the hub's
	Origin   string           // the hub's
	Content  ledger.ContentID // what the work is to be sold as
	Dir      string           // an empty folder, which becomes the package
	Temp     string           // a folder of nobody else's for plain segments, which are removed as they are encrypted
	Source   Source
	Mode     fs.FileMode // of the files
	Progress Progress    // nil: nobody is told
}

// Pack makes a package, durable when it returns. After an error the folder is not a package, and the caller's to discard.
func Pack(ctx context.Context, cfg Config) (seal.Sealed, *Manifest, error) {
	if cfg.Progress == nil {
		cfg.Progress = func(string, int64, int64) {}
	}
	origin, err := seal.ParseOrigin(cfg.Origin)
	if err != nil {
		return seal.Sealed{}, nil, err
	}
	cfg.Origin = origin
	m := &Manifest{Format: format, Kind: cfg.Source.kind, Hub: cfg.Origin, Content: cfg.Content.String(), Unit: cfg.Source.unit}
	var work bytes.Buffer // as long as the manifest, which is in memory
	sealed, err := seal.SealUnits(&work, cfg.Key, cfg.Origin, cfg.Content, func(key seal.FileKey) ([]byte, uint32, error) {
		return cfg.encrypt(ctx, m, key)
	})
	if err != nil {
		return seal.Sealed{}, nil, err
	}
	if err := errors.Join(cfg.write(WorkFile, work.Bytes()), syncFolder(cfg.Dir)); err != nil {
		return seal.Sealed{}, nil, err
	}
	return sealed, m, nil
}

// encrypt writes everything but the work itself, and returns the manifest.
func (cfg *Config) encrypt(ctx context.Context, m *Manifest, file seal.FileKey) ([]byte, uint32, error) {
	err := cfg.Source.pieces(ctx, cfg.Temp, cfg.Progress, func(p piece) error {
		i := len(m.Chunks)
		if i == MaxChunks {
			return fmt.Errorf("more than %d chunks: make the units larger", MaxChunks)
		}
		sealed, err := m.encrypt(i, p.unit, file.Unit(p.unit), p.plain)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(sealed)
		m.Chunks = append(m.Chunks, Chunk{Unit: p.unit, Size: int64(len(sealed)), SHA256: hex.EncodeToString(sum[:]),
			PlainSize: int64(len(p.plain)), Micros: p.micros, Name: p.name})
		m.Units = p.unit + 1
		return cfg.write(m.File(i), sealed)
	})
	if err != nil {
		return nil, 0, err
	}
	if err := m.validate(); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	manifest, err := m.encode()
	if err == nil && len(manifest) > MaxManifest {
		err = fmt.Errorf("the manifest has more than %d bytes: make the chunks larger", MaxManifest)
	}
	if err == nil {
		err = cfg.write(ManifestFile, manifest)
	}
	if err == nil && m.Kind == HLS {
		err = cfg.write(PlaylistFile, m.playlist(file))
	}
	return manifest, m.Units, err
}

// write makes a file of the package.
func (cfg *Config) write(name string, data []byte) error {
	f, err := os.OpenFile(filepath.Join(cfg.Dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, cfg.Mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
