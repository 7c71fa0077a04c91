package webhook

import "time"

const (
	MaxParked   = maxParked
	MaxAccounts = maxAccounts
)

var Retries = retries[:]

// SetTimeout makes a slow receiver a matter of milliseconds. It must be called before Start.
func (d *Dispatcher) SetTimeout(t time.Duration) { d.client.Timeout = t }
