// Package plan says what machine and what disk a load needs, from what was measured on one.
//
// The model is as simple as the measurements bear, and Write prints it with its figures:
//
//	commits a second  = requests a second, and no more than were seen: each takes all that waits
//	CPU of a second   = idle + requests * request + payments * each + commits * commit
//	cores             = CPU of a second at the peak / use, and one at least
//	memory            = fixed + accounts * perAccount + channels * perChannel + what the slowest load took beside that is as fast as the peak
//	disk of a day     = payments * each + commits * commit, of the log and of the index, which is all that is made from the log
//	disk              = fixed + accounts * perAccount + channels * perChannel + days
//
// Its coefficients are found by least squares of the relative error, none below zero: see fit. It knows one machine, and extrapolates by the number
// of cores. The sequencer is one goroutine: what it takes of a payment bounds the rate whatever the number of cores, and the plan says so
// where the bound is near.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Format is the number of the form in which measurements are kept: others are made anew.
const Format = 2

// Point is one measurement: payments in requests of a size, as fast as they went, or at a rate.
type Point struct {
	Batch    int     `json:"batch"`            // payments a request
	Paced    bool    `json:"paced"`            // at a rate that the machine does not feel
	CPU      float64 `json:"cpu_us"`           // microseconds a payment, of the hub alone
	Log      float64 `json:"log_bytes"`        // of disk, a payment
	Index    float64 `json:"index_bytes"`      // of disk, a payment: of all that is made from the log
	Commits  float64 `json:"commits"`          // a payment: each is a sync
	Syncs    float64 `json:"syncs_per_second"` // commits
	Sync     float64 `json:"sync_ms"`          // the mean of a commit
	Rate     float64 `json:"payments_per_second"`
	P99      float64 `json:"p99_ms"`
	Memory   int64   `json:"memory_bytes"` // the most that the hub had
	Payments uint64  `json:"payments"`     // that bytes and commits were counted over
	Accounts int     `json:"accounts"`     // in the hub
	Channels int     `json:"channels"`
}

// Size is another: what a hub with so much in it has in memory, at most, when it has started, and on the disk.
type Size struct {
	Accounts int   `json:"accounts"`
	Channels int   `json:"channels"`
	Memory   int64 `json:"memory_bytes"`
	Disk     int64 `json:"disk_bytes"`
}

// Measured is what a plan is made from.
type Measured struct {
	Format   int                `json:"format"`
	Cores    int                `json:"cores"`
	Machine  string             `json:"machine"`
	Payments map[string][]Point `json:"payments"` // by kind
	Sizes    []Size             `json:"sizes"`
}

// Need is a load.
type Need struct {
	Kind     string  // of payments: one that was measured
	Peak     float64 // payments a second at the busiest time
	Mean     float64 // payments a second over the day; 0: a third of Peak
	Batch    int     // payments a request
	Accounts int
	Channels int
	Days     float64 // for which the log is kept
	Use      float64 // of the cores that a peak may take, above 0 up to 1; 0: 0.6
}

// CPU is the processor's part of a model, in microseconds.
type CPU struct {
	Idle    float64 `json:"idle_us_per_second"`
	Request float64 `json:"request_us"`
	Each    float64 `json:"payment_us"`
	Commit  float64 `json:"commit_us"`
	Off     float64 `json:"off"` // by how much the farthest point lies beside it, as a part of it
}

// Growth is a part of the disk's, in bytes.
type Growth struct {
	Fixed  float64 `json:"fixed_bytes"` // of a load, once: snapshots, say
	Each   float64 `json:"payment_bytes"`
	Commit float64 `json:"commit_bytes"`
	Off    float64 `json:"off"`
}

// Held is what a hub has in memory or on the disk by what is in it, in bytes.
type Held struct {
	Fixed      float64 `json:"fixed_bytes"`
	PerAccount float64 `json:"account_bytes"`
	PerChannel float64 `json:"channel_bytes"`
	Off        float64 `json:"off"`
}

// Model is what the measurements say of one kind of payment.
type Model struct {
	CPU    CPU     `json:"cpu"`
	Log    Growth  `json:"log"`
	Index  Growth  `json:"index"`
	Memory Held    `json:"memory"`
	Work   float64 `json:"work_bytes"`               // of memory, beside: buffers, and what is on its way
	WorkOf float64 `json:"work_payments_per_second"` // of the load that took it
	Stored Held    `json:"stored"`                   // on the disk, before any payment
	Syncs  float64 `json:"syncs"`                    // a second: the most that were seen
	Sync   float64 `json:"sync_ms"`                  // the mean of one then

	Best      float64 `json:"best"` // payments a second that were reached at the nearest batch
	BestBatch int     `json:"best_batch"`

	untold []string // what was measured under too few different loads for all of its parts
}

// Plan is what a load needs.
type Plan struct {
	Need    Need    `json:"need"`
	Model   Model   `json:"model"`
	CPU     float64 `json:"cpu_us"`           // a payment at the peak
	Load    float64 `json:"cores_at_peak"`    // that are busy
	Cores   int     `json:"cores"`            // of the least machine
	Memory  float64 `json:"memory_bytes"`     // of the hub at the peak
	Syncs   float64 `json:"syncs_per_second"` // at the peak, at most
	Stored  float64 `json:"stored_bytes"`     // before any payment
	DiskDay float64 `json:"disk_bytes_a_day"`
	Disk    float64 `json:"disk_bytes"` // over all days, with what is stored

	// Where a figure leaves what was measured, and why.
	Beyond                        []string `json:"beyond"`
	BeyondCPU, BeyondMemory       bool     `json:"-"`
	BeyondDisk, BeyondPopulations bool     `json:"-"`
}

// ErrPlan is returned, wrapped, for a load that makes no sense, or measurements from which nothing can be said.
var ErrPlan = errors.New("plan")

// dayLong is in seconds.
const dayLong = 24 * 60 * 60

// Make plans for a load.
func Make(m *Measured, n Need) (*Plan, error) {
	points := m.Payments[n.Kind]
	if n.Use == 0 {
		n.Use = 0.6
	}
	if n.Mean == 0 {
		n.Mean = n.Peak / 3
	}
	switch {
	case m.Format != Format:
		return nil, fmt.Errorf("%w: these were measured by another version: measure again", ErrPlan)
	case len(points) < 4:
		return nil, fmt.Errorf("%w: %q was measured under %d loads; four are needed at least", ErrPlan, n.Kind, len(points))
	case !(n.Peak > 0) || math.IsInf(n.Peak, 0) || !(n.Mean > 0) || n.Mean > n.Peak:
		return nil, fmt.Errorf("%w: %g payments a second at the peak, %g over the day", ErrPlan, n.Peak, n.Mean)
	case n.Batch < 1:
		return nil, fmt.Errorf("%w: batches of %d", ErrPlan, n.Batch)
	case n.Accounts < 0 || n.Channels < 0 || !(n.Days >= 0) || !(n.Use > 0 && n.Use <= 1):
		return nil, fmt.Errorf("%w: %d accounts, %d channels, %g days, %g of the cores", ErrPlan, n.Accounts, n.Channels, n.Days, n.Use)
	}
	p := &Plan{Need: n}
	if err := p.Model.fit(m.Sizes, points, n.Batch); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	k := &p.Model
	requests, accounts, channels := n.Peak/float64(n.Batch), float64(n.Accounts), float64(n.Channels)
	p.Syncs = min(requests, k.Syncs)
	second := k.CPU.Idle + requests*k.CPU.Request + n.Peak*k.CPU.Each + p.Syncs*k.CPU.Commit
	p.CPU, p.Load = second/n.Peak, second/1e6
	p.Cores = max(int(math.Ceil(p.Load/n.Use)), 1)
	k.work(points, n.Peak)
	p.Memory = k.Memory.of(accounts, channels) + k.Work
	p.Stored = k.Stored.of(accounts, channels)
	commits := min(n.Mean/float64(n.Batch), k.Syncs)
	p.DiskDay = dayLong * (n.Mean*(k.Log.Each+k.Index.Each) + commits*(k.Log.Commit+k.Index.Commit))
	p.Disk = p.Stored + k.Log.Fixed + k.Index.Fixed + p.DiskDay*n.Days
	p.beyond(m, points)
	return p, nil
}

func (h *Held) of(accounts, channels float64) float64 {
	return h.Fixed + accounts*h.PerAccount + channels*h.PerChannel
}

// filled is from how many payments on a hub's buffers are as full as they get, whatever the rate: what a load of fewer takes says little.
const filled = 500_000

// work finds what memory a load takes beside what is in the hub: the most of all that were no faster than the slowest one that is as fast as the
// peak. If none is as fast, it is the most of all. Loads that did not fill the buffers count where there is no other.
func (m *Model) work(points []Point, peak float64) {
	by := func(a, b Point) int { return cmp.Compare(a.Rate, b.Rate) }
	points = slices.SortedFunc(slices.Values(points), by)
	if full := slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.Payments < filled }); len(full) > 0 {
		points = full
	}
	for _, p := range points {
		m.Work, m.WorkOf = max(m.Work, float64(p.Memory)-m.Memory.of(float64(p.Accounts), float64(p.Channels))), p.Rate
		if p.Rate >= peak {
			break
		}
	}
}

// doubtful is how far a curve may lie beside a point without a word.
const doubtful = 0.3

// beyond says where the plan leaves what was measured.
func (p *Plan) beyond(m *Measured, points []Point) {
	n, k := p.Need, &p.Model
	say := func(format string, args ...any) { p.Beyond = append(p.Beyond, fmt.Sprintf(format, args...)) }
	if n.Peak > k.Best {
		p.BeyondCPU, p.BeyondMemory = true, true
		say("%.0f payments a second are more than the %.0f that were reached at batches of %d on %d cores: the sequencer is one goroutine, and cores beyond "+
			"those measured help it only in part", n.Peak, k.Best, k.BestBatch, m.Cores)
	}
	by := func(a, b Point) int { return a.Batch - b.Batch }
	if least, most := slices.MinFunc(points, by).Batch, slices.MaxFunc(points, by).Batch; n.Batch < least || n.Batch > most {
		p.BeyondCPU, p.BeyondDisk = true, true
		say("batches of %d: measured were %d to %d", n.Batch, least, most)
	}
	for _, c := range []struct {
		what string
		off  float64
	}{{"CPU", k.CPU.Off}, {"log", k.Log.Off}, {"index", k.Index.Off}, {"memory", k.Memory.Off}, {"population on the disk", k.Stored.Off}} {
		if c.off > doubtful {
			say("the curve of the %s lies up to %.0f%% beside what was measured", c.what, 100*c.off)
		}
	}
	if p.Cores > m.Cores {
		p.BeyondCPU = true
		say("%d cores: measured were %d", p.Cores, m.Cores)
	}
	for _, what := range k.untold {
		say("the %s was not measured under loads that differ enough to tell all of its parts apart", what)
	}
	accounts, channels := 0, 0
	for _, s := range m.Sizes {
		accounts, channels = max(accounts, s.Accounts), max(channels, s.Channels)
	}
	if n.Accounts > accounts || n.Channels > channels {
		p.BeyondMemory, p.BeyondPopulations = true, true
		say("%d accounts and %d channels: measured were up to %d and %d", n.Accounts, n.Channels, accounts, channels)
	}
}

// fit finds the model's figures.
func (m *Model) fit(sizes []Size, points []Point, batch int) (err error) {
	var cpu, logged, indexed, memory, stored []row
	for _, s := range sizes {
		of := []float64{1, float64(s.Accounts), float64(s.Channels)}
		memory = append(memory, row{of, float64(s.Memory)})
		stored = append(stored, row{of, float64(s.Disk)})
	}
	nearest := math.Inf(1)
	for _, p := range points {
		if !(p.CPU >= 0) || !(p.Rate > 0) || p.Batch < 1 || p.Payments == 0 {
			return errors.New("a point has no rate, batch or payments, or less than no CPU")
		}
		cpu = append(cpu, row{[]float64{1, 1 / float64(p.Batch), p.Commits, 1 / p.Rate}, p.CPU})
		n := float64(p.Payments)
		of := []float64{n, n * p.Commits, 1}
		logged, indexed = append(logged, row{of, n * p.Log}), append(indexed, row{of, n * p.Index})
		if p.Syncs > m.Syncs {
			m.Syncs, m.Sync = p.Syncs, p.Sync
		}
		if far := math.Abs(math.Log(float64(p.Batch) / float64(batch))); !p.Paced && far < nearest {
			nearest, m.Best, m.BestBatch = far, p.Rate, p.Batch
		}
	}
	for _, f := range []struct {
		what string
		rows []row
		to   []*float64
		off  *float64
		need int // coefficients, of the first: those behind may be left out where too little was measured to tell them apart
	}{
		{"CPU", cpu, []*float64{&m.CPU.Each, &m.CPU.Request, &m.CPU.Commit, &m.CPU.Idle}, &m.CPU.Off, 1},
		{"log", logged, []*float64{&m.Log.Each, &m.Log.Commit, &m.Log.Fixed}, &m.Log.Off, 1},
		{"index", indexed, []*float64{&m.Index.Each, &m.Index.Commit, &m.Index.Fixed}, &m.Index.Off, 1},
		{"memory", memory, []*float64{&m.Memory.Fixed, &m.Memory.PerAccount, &m.Memory.PerChannel}, &m.Memory.Off, 3},
		{"population on the disk", stored, []*float64{&m.Stored.Fixed, &m.Stored.PerAccount, &m.Stored.PerChannel}, &m.Stored.Off, 3},
	} {
		n := len(f.to)
		found, err := fit(f.rows, n)
		for ; errors.Is(err, errRank) && n > f.need; found, err = fit(f.rows, n) {
			n--
		}
		if n < len(f.to) {
			m.untold = append(m.untold, f.what)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.what, err)
		}
		for i, v := range found {
			*f.to[i] = v
		}
		*f.off = off(f.rows, found)
	}
	return nil
}
