//go:build !purego

package sha256x2

import "sync"

// sum hashes count messages, at least one, of size bytes each: whole blocks, at least one.
//
//go:noescape
func sum(sums, messages *byte, count, size int)

// hasInstructions says whether the processor has those that sum is made of: the SHA extensions, SSSE3 (PSHUFB, PALIGNR) and
// SSE4.1 (PBLENDW). Every processor with the first has the others, but a virtual machine may hide any of them. It is asked once, as
// a virtual machine may take 20 us for each answer.
var hasInstructions = sync.OnceValue(func() bool {
	const ssse3, sse41, sha = 1 << 9, 1 << 19, 1 << 29
	if pages, _, _, _ := cpuid(0); pages < 7 {
		return false
	}
	_, _, ecx, _ := cpuid(1)
	_, ebx, _, _ := cpuid(7)
	return ecx&ssse3 != 0 && ecx&sse41 != 0 && ebx&sha != 0
})

// cpuid returns what the processor says of itself on a page, by the instruction of that name.
func cpuid(page uint32) (eax, ebx, ecx, edx uint32)
