package webhook

import (
	"net/netip"
	"time"
)

const (
	MaxParked   = maxParked
	MaxAccounts = maxAccounts
)

var Retries = retries[:]

func Public(ip netip.Addr) bool { return public(ip) }

// SetTimeout makes a slow receiver a matter of milliseconds. It must be called before Start.
func (d *Dispatcher) SetTimeout(t time.Duration) { d.client.Timeout = t }
