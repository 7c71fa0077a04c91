package plan

import (
	"fmt"
	"io"
	"strings"
)

// Write prints the plan, and the model with the figures in it.
func (p *Plan) Write(w io.Writer, m *Measured) error {
	n, k := p.Need, &p.Model
	mark := func(beyond bool) string {
		if beyond {
			return "   (extrapolated: see below)"
		}
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "For %s payments a second at the peak (%s over the day), %s in requests of %d, %s accounts, %s channels:\n\n",
		number(n.Peak), number(n.Mean), n.Kind, n.Batch, number(float64(n.Accounts)), number(float64(n.Channels)))
	fmt.Fprintf(&b, "  cores    %d: the peak keeps %.2f busy, and is to take %.0f%% at most%s\n", p.Cores, p.Load, 100*n.Use, mark(p.BeyondCPU))
	fmt.Fprintf(&b, "  memory   %s for the hub at the peak%s\n", size(p.Memory), mark(p.BeyondMemory))
	fmt.Fprintf(&b, "  disk     %s a day, %s a year", size(p.DiskDay), size(365*p.DiskDay))
	if n.Days > 0 {
		fmt.Fprintf(&b, "; %s for %g days with all accounts and channels", size(p.Disk), n.Days)
	}
	fmt.Fprintf(&b, "%s\n", mark(p.BeyondDisk || p.BeyondPopulations && n.Days > 0))
	fmt.Fprintf(&b, "  syncs    %s a second at most, each some %.2g ms here: a commit takes all that waits, so they bound the latency and not the rate\n", number(p.Syncs), k.Sync)
	fmt.Fprintf(&b, "\nThe model, from %s (%d cores), and how far it lies beside what was measured:\n\n", m.Machine, m.Cores)
	fmt.Fprintf(&b, "  CPU, a second   = idle + requests * %.3g us + payments * %.3g us + commits * %.3g us, idle %.3g ms   (%.0f%%)\n",
		k.CPU.Request, k.CPU.Each, k.CPU.Commit, k.CPU.Idle/1000, 100*k.CPU.Off)
	fmt.Fprintf(&b, "  memory          = %s + accounts * %.0f + channels * %.0f bytes   (%.0f%%), and %s that a load of %s a second took beside\n",
		size(k.Memory.Fixed), k.Memory.PerAccount, k.Memory.PerChannel, 100*k.Memory.Off, size(k.Work), number(k.WorkOf))
	fmt.Fprintf(&b, "  disk, the log   = payments * %.1f + commits * %.0f bytes, and %s once   (%.0f%%)\n", k.Log.Each, k.Log.Commit, size(k.Log.Fixed), 100*k.Log.Off)
	fmt.Fprintf(&b, "  disk, the index = payments * %.1f + commits * %.0f bytes, and %s once   (%.0f%%)\n", k.Index.Each, k.Index.Commit, size(k.Index.Fixed), 100*k.Index.Off)
	fmt.Fprintf(&b, "  disk, before    = %s + accounts * %.0f + channels * %.0f bytes, snapshots included   (%.0f%%)\n",
		size(k.Stored.Fixed), k.Stored.PerAccount, k.Stored.PerChannel, 100*k.Stored.Off)
	fmt.Fprintf(&b, "  commits         = requests, and %s a second at most: the most that were seen\n", number(k.Syncs))
	fmt.Fprintf(&b, "\n  %6s %11s %11s %9s %9s %9s %9s %8s %10s %8s\n", "batch", "payments/s", "us, measured", "by model", "log, B", "index, B", "syncs/s", "sync ms", "memory", "p99 ms")
	for _, q := range m.Payments[n.Kind] {
		model := k.CPU.Idle/q.Rate + k.CPU.Request/float64(q.Batch) + k.CPU.Each + q.Commits*k.CPU.Commit
		fmt.Fprintf(&b, "  %6d %11s %11.3f %10.3f %9.1f %9.1f %9s %8.2f %10s %8.1f\n", q.Batch, number(q.Rate), q.CPU, model, q.Log, q.Index, number(q.Syncs), q.Sync, size(float64(q.Memory)), q.P99)
	}
	for _, s := range m.Sizes {
		fmt.Fprintf(&b, "  %s accounts, %s channels: %s of memory (by the model %s), %s of disk (%s)\n", number(float64(s.Accounts)), number(float64(s.Channels)),
			size(float64(s.Memory)), size(k.Memory.of(float64(s.Accounts), float64(s.Channels))), size(float64(s.Disk)), size(k.Stored.of(float64(s.Accounts), float64(s.Channels))))
	}
	fmt.Fprintf(&b, "\nNot in it, for it was not measured: backups, webhooks, rails and their nodes, reading beside the load, the cache of the system's files, what a merge of\n"+
		"the index's lists takes for a while (as much as the lists again, at most), ids of transfers that are forgotten when their window is over, and that\n"+
		"lists grow the more the wider payments are scattered (26 bytes of index an advance were seen at a billion over a million channels).\n")
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
