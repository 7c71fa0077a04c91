package generator

import (
	"fmt"
	"runtime"

	"github.com/millrace/millrace/bench/scenario"
)

// saturation says where the figures may be the generator's own. The result is that of one of so many parts.
func (r *Result) saturation(parts int) {
	cores := float64(runtime.NumCPU())
	r.Saturated = append(r.Saturated, r.timing(parts, cores)...)
	if r.Inside {
		return // the target's share is in the generator's
	}
	share, all := r.Generator.Cores/cores, r.Generator.Cores
	if r.System != nil {
		all += r.System.Cores
	}
	switch {
	case r.System == nil && share > 0.5:
		r.Saturated = append(r.Saturated, fmt.Sprintf("the generator took %.2f of %.0f cores", r.Generator.Cores, cores))
	case share > 0.25 && all > full*cores:
		r.Saturated = append(r.Saturated, fmt.Sprintf("the machine was full: the generator took %.2f of %.0f cores, the target %.2f", r.Generator.Cores, cores, all-r.Generator.Cores))
	}
}

// full is the part of the cores beyond which a machine has none left, the kernel's own work being in nobody's share.
const full = 0.9

// timing says where requests were not sent when they were due.
func (r *Result) timing(parts int, cores float64) (all []string) {
	if r.Scenario.Arrival.Loop != scenario.Open {
		return nil
	}
	if r.Late.N > 0 && r.Late.P99 > 1 {
		all = append(all, fmt.Sprintf("requests were sent late though a connection was free: p99 %.2f ms", r.Late.P99))
	}
	// By Little's law so many requests are under way at once when none waits. The median leaves out stalls, which more workers do not help.
	peak := 0.0
	for _, g := range r.Scenario.Arrival.Stages {
		peak = max(peak, g.Rate, g.End())
	}
	workers := r.Scenario.Workers / parts
	under := peak / float64(parts) * r.Service.P50 / 1000
	used := r.Generator.Cores
	if r.System != nil {
		used += r.System.Cores
	}
	waited := r.Counts.Dropped > 0 || r.Queued.P50 > 1 && r.Queued.N > r.Wait.N/10
	if waited && under > 0.8*float64(workers) && r.Service.P50 < r.Wait.P99/2 && used < full*cores {
		all = append(all, fmt.Sprintf("the load is more than the workers' connections can carry: more workers. An answer took %.2f ms (p50), %d connections were busy, "+
			"%d requests waited for one (p99 %.2f ms) or were dropped, and the machine was not full", r.Service.P50, workers, r.Queued.N, r.Queued.P99))
	}
	return all
}
