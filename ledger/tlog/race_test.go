//go:build race

package tlog_test

// raceEnabled says that code runs some ten times slower, and allocates for the detector.
const raceEnabled = true
