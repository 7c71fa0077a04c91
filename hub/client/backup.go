package client

import (
	"context"
	"net/url"
)

// Backup is a copy of a hub's data, on the hub's machine.
type Backup struct {
	Name         string `json:"name"`
	Path         string `json:"path"`
	ThroughBlock uint64 `json:"through_block"` // every block up to it is there
}

// Backup has the hub make a copy of its data beside it, or refuses while an earlier one is not
// dropped. The token is the operator's.
func (c *Client) Backup(ctx context.Context) (Backup, error) {
	return ask(ctx, c, call{method: "POST", path: "/v1/backups"}, func(a Backup) checks {
		return checks{"name": a.Name != "", "path": a.Path != ""}
	})
}

// DropBackup removes it.
func (c *Client) DropBackup(ctx context.Context, name string) error {
	_, err := ask(ctx, c, call{method: "DELETE", path: "/v1/backups/" + url.PathEscape(name)}, func(a struct {
		Name string `json:"name"`
	}) checks {
		return checks{"name": a.Name == name}
	})
	return err
}
