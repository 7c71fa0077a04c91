package main

import (
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
	"github.com/prometheus/client_golang/prometheus"
)

// TestAuditMetrics: what the last comparison found can be watched, before there was one, too.
func TestAuditMetrics(t *testing.T) {
	var r audit.Report
	var stopped error
	compared, paused := false, true
	m := newAuditMetrics(func() (audit.Report, bool) { return r, compared }, func() error { return stopped },
		func() (channels.Pause, bool) { return channels.Pause{}, paused })
	gather := func() map[string]float64 {
		t.Helper()
		reg := prometheus.NewPedanticRegistry()
		if err := reg.Register(m); err != nil {
			t.Fatal(err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, f := range families {
			for _, one := range f.GetMetric() {
				name := f.GetName()
				for _, l := range one.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = one.GetGauge().GetValue()
			}
		}
		return got
	}
	if got := gather(); len(got) != 3 || got["millrace_payouts_paused"] != 1 || got["millrace_payouts_stopped"] != 0 || got["millrace_reconciled_timestamp_seconds"] != 0 {
		t.Errorf("%v", got)
	}
	r.Time, r.Full, r.Mismatches, r.More = time.UnixMilli(1_795_000_000_500), true, make([]audit.Mismatch, 2), 3
	r.Sheet.Held, r.Sheet.Due, r.Sheet.Ratio = 9_000_000, 4_000_000, 2.25
	r.Liquidity.Send, r.Liquidity.Coins, r.Liquidity.Reserved = 5_000_000, 2_000, 1_000
	compared, paused, stopped = true, false, errors.New("books")
	want := map[string]float64{"millrace_payouts_paused": 0, "millrace_payouts_stopped": 1, "millrace_reconciled_timestamp_seconds": 1_795_000_000.5,
		"millrace_reconciled_full": 1, "millrace_reconciliation_mismatches": 5, "millrace_owed_msat": 4_000_000, "millrace_backing_ratio": 2.25,
		"millrace_node_assets_msat all": 9_000_000, "millrace_node_assets_msat lightning": 5_000_000, "millrace_node_assets_msat chain": 3_000_000}
	got := gather()
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v: want %v", name, got[name], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
}
