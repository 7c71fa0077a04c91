// Package plan says what machine and what disk a load needs, from what was measured on one.
//
// The model is as simple as the measurements bear, and Write prints it with its figures:
//
//	CPU of a payment  = fixed/batch + each               fixed: of a request, each: of a payment in it
//	cores             = peak rate * CPU of a payment / target use
//	memory            = base + accounts * perAccount + channels * perChannel
//	disk              = rate * bytes of a payment * time
//	syncs             = commits a second that the disk takes; each takes all that waits, so they bound the latency and not the rate
//
// It knows one machine, and extrapolates by the number of cores. The sequencer is one goroutine: what it takes of a payment bounds the rate
// whatever the number of cores, and the plan says so where the bound is near.
package plan

import (
	"errors"
	"fmt"
	"math"
)

// Point is one measurement: payments in requests of a size, as fast as they went.
type Point struct {
	Batch int     `json:"batch"`          // payments a request
	CPU   float64 `json:"cpu_us"`         // microseconds of CPU a payment, of the hub alone
	Disk  float64 `json:"disk_bytes"`     // a payment
	Rate  float64 `json:"ops_per_second"` // payments a second that were reached
	P99   float64 `json:"p99_ms"`
}

// Size is another: what a hub with so much in it has in memory.
type Size struct {
	Accounts int   `json:"accounts"`
	Channels int   `json:"channels"`
	Memory   int64 `json:"memory_bytes"`
}

// Measured is what a plan is made from.
type Measured struct {
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

// Model is what the measurements say of one kind of payment.
type Model struct {
	Fixed, Each float64 // microseconds of CPU, of a request and of a payment in it
	Off         float64 // by how much the farthest point lies beside the curve, as a part of it
	Disk        float64 // bytes a payment, where the most payments were measured: files grow in steps that hide a few
	Best        float64 // payments a second that were reached at the nearest batch
	BestBatch   int

	Base, PerAccount, PerChannel float64 // bytes of memory
}

// Plan is what a load needs.
type Plan struct {
	Need    Need
	Model   Model
	CPU     float64 // microseconds a payment
	Cores   float64 // at the peak, at the use that is wanted
	Memory  float64 // bytes
	DiskDay float64 // bytes
	Disk    float64 // bytes, over all days
	Beyond  []string
}

// ErrPlan is returned, wrapped, for a load that makes no sense, or measurements from which nothing can be said.
var ErrPlan = errors.New("plan")

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
	case len(points) < 2:
		return nil, fmt.Errorf("%w: %q was measured at %d sizes of a batch; at least two are needed", ErrPlan, n.Kind, len(points))
	case !(n.Peak > 0) || math.IsInf(n.Peak, 0) || !(n.Mean > 0) || n.Mean > n.Peak:
		return nil, fmt.Errorf("%w: %g payments a second at the peak, %g over the day", ErrPlan, n.Peak, n.Mean)
	case n.Batch < 1:
		return nil, fmt.Errorf("%w: batches of %d", ErrPlan, n.Batch)
	case n.Accounts < 0 || n.Channels < 0 || !(n.Days >= 0) || !(n.Use > 0 && n.Use <= 1):
		return nil, fmt.Errorf("%w: %d accounts, %d channels, %g days, %g of the cores", ErrPlan, n.Accounts, n.Channels, n.Days, n.Use)
	}
	p := &Plan{Need: n}
	p.Model.fit(points, n.Batch)
	if err := p.Model.fitMemory(m.Sizes); err != nil {
		return nil, err
	}
	p.CPU = p.Model.Fixed/float64(n.Batch) + p.Model.Each
	p.Cores = n.Peak * p.CPU / 1e6 / n.Use
	p.Memory = p.Model.Base + float64(n.Accounts)*p.Model.PerAccount + float64(n.Channels)*p.Model.PerChannel
	p.DiskDay = n.Mean * p.Model.Disk * 24 * 60 * 60
	p.Disk = p.DiskDay * n.Days
	p.beyond(m, points)
	return p, nil
}

// beyond says where the plan leaves what was measured.
func (p *Plan) beyond(m *Measured, points []Point) {
	n := p.Need
	if n.Peak > p.Model.Best {
		p.Beyond = append(p.Beyond, fmt.Sprintf("%.0f payments a second are more than the %.0f that were reached at batches of %d on %d cores: the sequencer is one goroutine, and cores beyond "+
			"those measured help it only in part", n.Peak, p.Model.Best, p.Model.BestBatch, m.Cores))
	}
	if least, most := points[0].Batch, points[len(points)-1].Batch; n.Batch < least || n.Batch > most {
		p.Beyond = append(p.Beyond, fmt.Sprintf("batches of %d: measured were %d to %d", n.Batch, least, most))
	}
	if p.Model.Off > 0.3 {
		p.Beyond = append(p.Beyond, fmt.Sprintf("the curve of the CPU lies up to %.0f%% beside what was measured", 100*p.Model.Off))
	}
	for _, s := range m.Sizes {
		if n.Accounts <= 4*s.Accounts && n.Channels <= 4*s.Channels {
			return
		}
	}
	p.Beyond = append(p.Beyond, fmt.Sprintf("%d accounts and %d channels are more than four times what was measured", n.Accounts, n.Channels))
}

// fit finds fixed and each by least squares of the relative error: the weights are 1/cpu². Neither is below zero.
func (m *Model) fit(points []Point, batch int) {
	var sx, sxx, sy, sxy, s float64
	for _, p := range points {
		x, w := 1/float64(p.Batch), 1/(p.CPU*p.CPU)
		s, sx, sxx, sy, sxy = s+w, sx+w*x, sxx+w*x*x, sy+w*p.CPU, sxy+w*x*p.CPU
	}
	if d := s*sxx - sx*sx; d > 0 {
		m.Fixed = (s*sxy - sx*sy) / d
		m.Each = (sy - m.Fixed*sx) / s
	}
	if m.Each < 0 { // all of it is the request's
		m.Each, m.Fixed = 0, sxy/sxx
	} else if m.Fixed < 0 {
		m.Fixed, m.Each = 0, sy/s
	}
	nearest, most := math.Inf(1), 0.0
	for _, p := range points {
		if p.Rate > most {
			most, m.Disk = p.Rate, p.Disk
		}
		at := m.Fixed/float64(p.Batch) + m.Each
		m.Off = max(m.Off, math.Abs(at-p.CPU)/p.CPU)
		if far := math.Abs(math.Log(float64(p.Batch) / float64(batch))); far < nearest {
			nearest, m.Best, m.BestBatch = far, p.Rate, p.Batch
		}
	}
}

// fitMemory solves for what an account and a channel take, from three hubs: an empty one, one with accounts, and one with both.
func (m *Model) fitMemory(sizes []Size) error {
	if len(sizes) != 3 || sizes[1].Accounts <= sizes[0].Accounts || sizes[2].Channels <= sizes[1].Channels || sizes[1].Channels != sizes[0].Channels {
		return fmt.Errorf("%w: memory was not measured of a small hub, one with more accounts, and one with more channels", ErrPlan)
	}
	a, b, c := sizes[0], sizes[1], sizes[2]
	m.PerAccount = max(float64(b.Memory-a.Memory)/float64(b.Accounts-a.Accounts), 0)
	m.PerChannel = max((float64(c.Memory-b.Memory)-m.PerAccount*float64(c.Accounts-b.Accounts))/float64(c.Channels-b.Channels), 0)
	m.Base = max(float64(a.Memory)-m.PerAccount*float64(a.Accounts)-m.PerChannel*float64(a.Channels), 0)
	return nil
}
