package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/channels/outbound"
)

const (
	sendTimeout = 15 * time.Second // from dialling to the end of the answer; the specification says 15 to 30 s
	dialTimeout = 5 * time.Second
	maxAnswer   = 4 << 10 // bytes that are read of an answer, which says nothing but its status
	maxHeader   = 16 << 10
	maxError    = 200 // bytes of an error that is kept
	idleTimeout = time.Minute
)

// retries is when an attempt follows one that failed: the schedule that the specification recommends.
var retries = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// jitter is a wait give or take a tenth, so that what failed together does not come again together.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5) }

// newClient bounds the calls: a delivery goes to the address that was checked, or nowhere.
func newClient(development bool) *http.Client {
	return outbound.NewClient(outbound.Limits{
		Dial: dialTimeout, Whole: sendTimeout, MaxHeader: maxHeader, MaxIdle: maxEndpoints, Idle: idleTimeout,
	}, development)
}

// failure is why a delivery did not arrive.
type failure struct {
	text  string
	gone  bool          // the receiver wants no more, ever
	after time.Duration // what the receiver asks to wait
}

// send makes one attempt. The failure is nil if the delivery has arrived.
func (d *Dispatcher) send(ctx context.Context, target, id string, secrets []secret, body []byte) *failure {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return &failure{text: "the URL cannot be called"}
	}
	now := d.cfg.Clock()
	req.Header = http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {"Millrace-Webhook/1"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {strconv.FormatUint(now/1000, 10)},
		"Webhook-Signature": {signatures(live(secrets, now), id, now/1000, body)},
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return &failure{text: reason(err)}
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // for the connection's next use; the status is all that counts
	_ = resp.Body.Close()
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	f := &failure{text: fmt.Sprintf("answered %d", resp.StatusCode), gone: resp.StatusCode == http.StatusGone}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		f.after = min(time.Duration(seconds)*time.Second, retries[len(retries)-1])
	}
	return f
}

// reason is an error without the URL, which can hold a secret of the receiver's.
func reason(err error) string {
	var outer *url.Error
	if errors.Is(err, outbound.ErrTarget) {
		return outbound.ErrTarget.Error()
	}
	if name := (*net.DNSError)(nil); errors.As(err, &name) { // it says which servers were asked
		return "the host's name cannot be resolved"
	}
	if errors.As(err, &outer) {
		if outer.Timeout() {
			return fmt.Sprintf("no answer within %v", sendTimeout)
		}
		err = outer.Err
	}
	text := strings.ToValidUTF8(err.Error(), "\ufffd")
	return text[:min(len(text), maxError)]
}
