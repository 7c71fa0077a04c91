//go:build !purego

package sha256x2_test

import (
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger/tlog/sha256x2"
)

// TestInstructionsAreFound where the system says that they are there: otherwise all tests would try crypto/sha256 alone.
func TestInstructionsAreFound(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip("nothing to compare with: ", err)
	}
	flags := " " + strings.Join(strings.Fields(string(info)), " ") + " "
	want := strings.Contains(flags, " sha_ni ") && strings.Contains(flags, " ssse3 ") && strings.Contains(flags, " sse4_1 ")
	if got := sha256x2.New() != (sha256x2.Hasher{}); got != want {
		t.Fatalf("found %v, /proc/cpuinfo says %v", got, want)
	}
}
