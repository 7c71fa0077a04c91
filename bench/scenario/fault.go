package scenario

import "fmt"

// Fault is something that goes wrong while the load is on. All but vanish need a target that the suite has started itself.
type Fault struct {
	Kind FaultKind `toml:"kind"`
	At   Duration  `toml:"at"`  // after the warm-up
	For  Duration  `toml:"for"` // of kill: how long it stays down; of vanish: nothing
	// Every repeats it, until the end. Zero: it happens once.
	Every Duration `toml:"every"`
	Share int      `toml:"share"` // of vanish: of a hundred workers; 0: all
	Delay Duration `toml:"delay"` // of slow_sync: what each sync takes longer
}

// FaultKind says what goes wrong.
type FaultKind string

const (
	Kill     FaultKind = "kill"      // SIGKILL of the target, which is started again after For
	Freeze   FaultKind = "freeze"    // SIGSTOP of the target, SIGCONT after For
	Vanish   FaultKind = "vanish"    // workers hang up without waiting for their answers, and come again
	SlowSync FaultKind = "slow_sync" // each sync of the target's disk takes Delay longer, for For
	StopDisk FaultKind = "stop_disk" // no sync of the target's disk ends, for For
)

func (f Fault) validate() error {
	switch f.Kind {
	case Kill, Freeze, StopDisk:
	case Vanish:
		if f.For.Duration != 0 {
			return fmt.Errorf("for: workers that vanish come again at once")
		}
	case SlowSync:
		if f.Delay.Duration <= 0 {
			return fmt.Errorf("delay: of slow_sync, by how much?")
		}
	default:
		return fmt.Errorf("kind: %q is none of kill, freeze, vanish, slow_sync and stop_disk", f.Kind)
	}
	switch {
	case f.Kind != SlowSync && f.Delay.Duration != 0:
		return fmt.Errorf("delay: of slow_sync alone")
	case f.Kind != Vanish && f.Share != 0:
		return fmt.Errorf("share: of vanish alone")
	case f.Share < 0 || f.Share > 100:
		return fmt.Errorf("share: %d of a hundred", f.Share)
	case f.Kind != Vanish && f.Kind != Kill && f.For.Duration <= 0:
		return fmt.Errorf("for: how long?")
	case f.Every.Duration != 0 && f.Every.Duration <= f.For.Duration:
		return fmt.Errorf("every: %v is not longer than the fault itself", f.Every)
	}
	return nil
}
