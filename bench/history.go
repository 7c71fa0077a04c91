package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// pageLines is how many entries a page of history has.
const pageLines = 100

// runHistory measures pages of history while payments are made: the newest of an account that is part of every fourth payment,
// pages from anywhere in its history, the newest of a channel, and the only one of an account that has been idle.
func runHistory(ctx context.Context, c *Config, dir string) (res Result, err error) {
	k, err := openReadCase(ctx, c, "history", dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	hot := k.payers[0]
	list := fmt.Sprintf("/v1/accounts/%v/entries?limit=%d", hot, pageLines)
	newest := get(list, k.tokens[hot])
	cold := get(fmt.Sprintf("/v1/accounts/%v/entries?limit=%d", k.cold, pageLines), k.tokens[k.cold])
	err = errors.Join(
		k.add("newest page of a hot account", func() ([]byte, error) { return newest, nil }, lines(pageLines)),
		k.add("page from anywhere in its history", func() ([]byte, error) {
			at := k.began.Add(rand.N(k.ended.Sub(k.began))).Add(time.Millisecond)
			return get(fmt.Sprintf("%s&until=%d", list, at.UnixMilli()), k.tokens[hot]), nil
		}, lines(1)),
		k.add("page of a cold account", func() ([]byte, error) { return cold, nil }, lines(1)),
	)
	if err != nil {
		return Result{}, err
	}
	return k.measure(ctx)
}

// lines checks that a page has some entries at least.
func lines(least int) func(body []byte) error {
	return func(body []byte) error {
		if n := bytes.Count(body, []byte(`"seq":`)); n < least || n > pageLines {
			return fmt.Errorf("a page of %d entries: %.300q", n, body)
		}
		return nil
	}
}
