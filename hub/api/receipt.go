package api

import (
	"errors"
	"strconv"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger/tlog"
)

// How long the transparency log may be cached, by whoever stands between: tiles that are full never change.
const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheMinute  = "public, max-age=60"
	cacheNot     = "no-cache"
)

// getLogKey is all that it takes to verify checkpoints, receipts and proofs of liabilities.
func (c *call) getLogKey() *problem {
	c.begin("log_key")
	c.quote(c.hub.LogKey())
	c.next("url")
	c.quote(c.hub.Origin() + hub.LogPath)
	c.end()
	return c.answer(200)
}

func (c *call) getCheckpoint() *problem {
	signed, err := c.hub.Checkpoint()
	if err != nil {
		return c.failed(err)
	}
	return c.text(200, signed, cacheNot)
}

// getTile serves the paths of tlog-tiles, which have as many segments as the log is long.
func (c *call) getTile() *problem {
	data, full, err := c.hub.Tile("tile/" + string(c.name))
	if errors.Is(err, tlog.ErrNoTile) {
		return &problem{status: 404, code: "tile_unknown", detail: "the log has no such tile, or not yet"}
	}
	if err != nil {
		return c.failed(err)
	}
	cache := cacheMinute
	if full {
		cache = cacheForever
	}
	c.ctx.SetContentType("application/octet-stream")
	c.ctx.Response.Header.Set("Cache-Control", cache)
	c.ctx.Response.SetBodyRaw(data)
	return nil
}

func (c *call) getReceipt() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	seq, err := strconv.ParseUint(string(c.second), 10, 64)
	if err != nil || strconv.FormatUint(seq, 10) != string(c.second) {
		return malformed("the seq in the path: want a whole number")
	}
	receipt, err := c.hub.Receipt(no, seq)
	switch {
	case errors.Is(err, hub.ErrNoEntry):
		return &problem{status: 404, code: "entry_unknown", detail: "the account has no entry of that seq"}
	case errors.Is(err, hub.ErrNotSigned):
		return &problem{status: 503, code: "not_signed", retryable: true, detail: "the entry is not in a checkpoint yet: ask again in a moment"}
	case err != nil:
		return c.failed(err)
	}
	return c.text(200, receipt, cacheNot)
}

func (c *call) getLiability() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	proof, err := c.hub.LiabilityProof(no)
	if err != nil {
		return c.noEpoch(err)
	}
	return c.text(200, proof, cacheNot)
}

func (c *call) getLiabilities() *problem {
	signed, err := c.hub.Liabilities()
	if err != nil {
		return c.noEpoch(err)
	}
	return c.text(200, signed, cacheNot)
}

// makeLiabilities makes a new epoch, which takes its time with many accounts.
func (c *call) makeLiabilities() *problem {
	if _, err := c.hub.MakeLiabilities(); err != nil {
		return c.noEpoch(err)
	}
	signed, err := c.hub.Liabilities()
	if err != nil {
		return c.noEpoch(err)
	}
	return c.text(201, signed, cacheNot)
}

func (c *call) noEpoch(err error) *problem {
	switch {
	case errors.Is(err, hub.ErrNoEpoch), errors.Is(err, hub.ErrEpochs):
		return &problem{status: 404, code: "epoch_unknown", detail: err.Error()}
	case errors.Is(err, hub.ErrNotInEpoch):
		return &problem{status: 404, code: "account_not_in_epoch", detail: err.Error() + ", or does not exist"}
	}
	return c.failed(err)
}

// text answers with what is text for people and programs alike.
func (c *call) text(status int, body []byte, cache string) *problem {
	c.ctx.SetStatusCode(status)
	c.ctx.SetContentType("text/plain; charset=utf-8")
	c.ctx.Response.Header.Set("Cache-Control", cache)
	c.ctx.Response.SetBody(body)
	return nil
}
