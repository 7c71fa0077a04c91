package ageplugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// ClaimFolder is where sealing by age leaves its claims, and where registering looks for them: MILLRACE_CLAIMS, or
// millrace/claims in the folder of the user's data (XDG). It need not exist.
func ClaimFolder(getenv func(string) string) (string, error) {
	if folder := getenv("MILLRACE_CLAIMS"); folder != "" {
		if !filepath.IsAbs(folder) {
			return "", errors.New("MILLRACE_CLAIMS: want an absolute path: age starts its plugins in a folder of its own")
		}
		return folder, nil
	}
	data := getenv("XDG_DATA_HOME") // which counts only if it is absolute: so the specification
	if !filepath.IsAbs(data) {
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", errors.New("where do claims go? Set MILLRACE_CLAIMS to a folder")
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "millrace", "claims"), nil
}

// ClaimPath is where a content's claim lies in a folder of claims.
func ClaimPath(folder string, id ledger.ContentID) string {
	return filepath.Join(folder, id.String()+".claim")
}

// keepClaim writes a claim for its owner only, and makes it durable: the sealed file can never be registered without it.
func keepClaim(folder string, c seal.Claim) (path string, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("folder of claims: %w", err)
	}
	path = ClaimPath(folder, c.Content)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("writing a claim: %w", err)
	}
	_, err = f.WriteString(c.Text())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("writing a claim: %w", err), os.Remove(path))
	}
	d, err := os.Open(folder)
	if err != nil {
		return "", fmt.Errorf("writing a claim: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return "", fmt.Errorf("writing a claim: %w", err)
	}
	return path, nil
}
