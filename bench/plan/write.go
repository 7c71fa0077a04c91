package plan

import (
	"fmt"
	"io"
	"strings"
)

// Write prints the plan, and the model with the figures in it.
func (p *Plan) Write(w io.Writer, m *Measured) error {
	n, k := p.Need, p.Model
	var b strings.Builder
	fmt.Fprintf(&b, "For %s payments a second at the peak (%s over the day), %s in requests of %d, %s accounts, %s channels:\n\n",
		number(n.Peak), number(n.Mean), n.Kind, n.Batch, number(float64(n.Accounts)), number(float64(n.Channels)))
	fmt.Fprintf(&b, "  cores    %.2f, of which a peak takes %.0f%%\n", p.Cores, 100*n.Use)
	fmt.Fprintf(&b, "  memory   %s\n", size(p.Memory))
	fmt.Fprintf(&b, "  disk     %s a day", size(p.DiskDay))
	if n.Days > 0 {
		fmt.Fprintf(&b, ", %s for %g days", size(p.Disk), n.Days)
	}
	fmt.Fprintf(&b, "; %s a second at the peak\n", size(n.Peak*k.Disk))
	fmt.Fprintf(&b, "\nThe model, from %s (%d cores):\n\n", m.Machine, m.Cores)
	fmt.Fprintf(&b, "  CPU of a payment = fixed/batch + each = %.3g/%d + %.3g = %.3g us\n", k.Fixed, n.Batch, k.Each, p.CPU)
	fmt.Fprintf(&b, "  cores            = peak * CPU / use = %s * %.3g us / %.2g = %.2f\n", number(n.Peak), p.CPU, n.Use, p.Cores)
	fmt.Fprintf(&b, "  memory           = base + accounts * each + channels * each = %s + %s * %.0f + %s * %.0f bytes\n",
		size(k.Base), number(float64(n.Accounts)), k.PerAccount, number(float64(n.Channels)), k.PerChannel)
	fmt.Fprintf(&b, "  disk             = mean * bytes * time = %s * %.1f bytes * 86400 s\n", number(n.Mean), k.Disk)
	fmt.Fprintf(&b, "\n  batch     us a payment, measured   by the model   bytes   payments/s   p99 ms\n")
	for _, q := range m.Payments[n.Kind] {
		fmt.Fprintf(&b, "  %-7d   %22.3f   %12.3f   %5.1f   %10s   %6.1f\n", q.Batch, q.CPU, k.Fixed/float64(q.Batch)+k.Each, q.Disk, number(q.Rate), q.P99)
	}
	for _, text := range p.Beyond {
		fmt.Fprintf(&b, "\nBeyond what was measured: %s.\n", text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3g M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3g k", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}

func size(bytes float64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if bytes >= u.of {
			return fmt.Sprintf("%.3g %s", bytes/u.of, u.name)
		}
	}
	return fmt.Sprintf("%.0f bytes", bytes)
}
