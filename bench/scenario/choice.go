package scenario

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Choice is how one of many is chosen: "uniform", each as often as any other; or "zipf S", where the k-th is chosen in proportion to
// 1/k^S, with S from 0.1 to 3. About 1 is what is seen of pages, songs and shops.
type Choice struct{ S float64 } // 0: uniform

// UnmarshalText reads one.
func (c *Choice) UnmarshalText(b []byte) error {
	text := string(b)
	if text == "uniform" {
		c.S = 0
		return nil
	}
	rest, ok := strings.CutPrefix(text, "zipf ")
	s, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
	if !ok || err != nil || !(s >= 0.1 && s <= 3) {
		return fmt.Errorf("%q is neither \"uniform\" nor \"zipf S\" with S from 0.1 to 3", text)
	}
	c.S = s
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (c Choice) MarshalText() ([]byte, error) {
	if c.S == 0 {
		return []byte("uniform"), nil
	}
	return fmt.Appendf(nil, "zipf %g", c.S), nil
}

// Draw makes a source of numbers below n, which is at least 1; the smaller, the more often. It is not safe for use by two goroutines.
func (c Choice) Draw(random *rand.Rand, n int) func() int {
	if c.S == 0 || n == 1 {
		return func() int { return random.IntN(n) }
	}
	return newZipf(c.S, n, random).next
}

// Largest is the part of all choices among n, at least 1, that falls upon the one which is chosen most.
func (c Choice) Largest(n int) float64 {
	if c.S == 0 {
		return 1 / float64(n)
	}
	const exact = 10_000 // terms that are added up; for the rest the integral is near enough
	z, sum := zipf{s: c.S}, 0.0
	for k := 1; k <= min(n, exact); k++ {
		sum += z.weight(float64(k))
	}
	if n > exact {
		sum += z.integral(float64(n)+0.5) - z.integral(exact+0.5)
	}
	return 1 / sum
}

// zipf draws by rejection-inversion, whatever the exponent (math/rand's takes those above 1 alone), in constant time and memory.
//
// Source: W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", 1996.
type zipf struct {
	s, n         float64
	low, span    float64 // of the integral from below the first to behind the last
	always       float64 // what is so near to its integer is never rejected
	random       *rand.Rand
	lastBoundary float64
}

func newZipf(s float64, n int, random *rand.Rand) *zipf {
	z := &zipf{s: s, n: float64(n), random: random}
	z.low = z.integral(1.5) - 1
	z.lastBoundary = z.integral(z.n + 0.5)
	z.span = z.lastBoundary - z.low
	z.always = 2 - z.inverse(z.integral(2.5)-z.weight(2))
	return z
}

// weight is 1/x^s.
func (z *zipf) weight(x float64) float64 { return math.Exp(-z.s * math.Log(x)) }

// integral is that of weight, but for a constant: (x^(1-s) - 1)/(1-s), which for s = 1 is log x.
func (z *zipf) integral(x float64) float64 {
	l := math.Log(x)
	return expm1By((1-z.s)*l) * l
}

// inverse is that of integral.
func (z *zipf) inverse(y float64) float64 {
	t := max(y*(1-z.s), -1) // less is only a rounding error
	return math.Exp(log1pBy(t) * y)
}

func (z *zipf) next() int {
	for {
		u := z.lastBoundary - z.random.Float64()*z.span
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.always || u >= z.integral(k+0.5)-z.weight(k) {
			return int(k) - 1
		}
	}
}

// expm1By is (e^x - 1)/x, and log1pBy is log(1+x)/x, also where x is nearly zero.
func expm1By(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2*(1+x/3)
}

func log1pBy(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x*(1.0/2-x/3)
}
