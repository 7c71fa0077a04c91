package lightning

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
)

// stop is an error of who follows a stream, which ends it.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// errAgain ends a stream that is to be subscribed to again at once.
var errAgain = errors.New("subscribing again")

// follow subscribes until its caller has enough (a stop) or the context ends. A stream that breaks is subscribed to again,
// later each time; one that brought something, at once.
func (c *Client) follow(ctx context.Context, doing string, subscribe func(ctx context.Context, alive func()) error) error {
	delay, lost := firstDelay, false
	alive := func() {
		delay = firstDelay
		if lost {
			lost = false
			c.cfg.Logger.Info("lnd is back", "doing", doing)
		}
	}
	for {
		err := c.recognize(ctx)
		if err == nil {
			once, cancel := untimed(ctx)
			err = subscribe(once, alive)
			cancel()
		}
		var s stop
		switch {
		case errors.As(err, &s):
			return s.error
		case ctx.Err() != nil:
			return fmt.Errorf("lnd: %s: %w", doing, context.Cause(ctx))
		case errors.Is(err, errAgain):
			continue
		case !lost:
			lost = true
			c.cfg.Logger.Warn("lnd is lost", "doing", doing, "err", err)
		}
		if err := wait(ctx, delay); err != nil {
			return fmt.Errorf("lnd: %s: %w", doing, err)
		}
		delay = min(time.Duration(float64(delay)*delayGrowth), longestDelay)
	}
}

// drain hands on what comes out of a stream. It never returns nil: a stream that ends is a node that ends.
func drain[Message any](ctx context.Context, c *Client, doing string, alive func(), s grpc.ServerStreamingClient[Message], err error,
	f func(*Message) error) error {
	for err == nil {
		var m *Message
		if m, err = s.Recv(); err == nil {
			alive()
			err = f(m)
		}
	}
	var own stop
	if errors.As(err, &own) || errors.Is(err, errAgain) {
		return err
	}
	if errors.Is(err, io.EOF) {
		c.known.Store(false)
		return fmt.Errorf("lnd: %s: it ended the stream", doing)
	}
	return c.failed(ctx, doing, err)
}

// untimed ends with a context, but does not have its deadline, which would go to lnd with the call: lnd would end it, too, and
// sometimes a moment earlier, which looks like a loss.
func untimed(ctx context.Context) (context.Context, context.CancelFunc) {
	open, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return open, func() { stop(); cancel() }
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
