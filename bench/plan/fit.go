package plan

import (
	"errors"
	"math"
	"slices"
)

// row is one measurement for a fit: what was measured, and of what it is made up.
type row struct {
	of []float64 // one for each coefficient
	y  float64
}

// errRank is returned where measurements do not tell coefficients apart.
var errRank = errors.New("the measurements do not tell the parts of the model apart")

// fit finds the coefficients, none below zero, for which the squares of the relative errors are least, since figures are of all sizes. It drops the coefficient that is farthest below zero until none is, which for the two or three that there are finds
// what has the least error, or is next to it. Rows that are not above zero have no relative error, and are left out.
func fit(rows []row, n int) ([]float64, error) {
	if rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !(r.y > 0) }); len(rows) == 0 {
		return make([]float64, n), nil // there is nothing of it
	}
	used := make([]int, 0, n)
	for k := range n {
		used = append(used, k)
	}
	for len(used) > 0 {
		found, err := solve(rows, used)
		if err != nil {
			return nil, err
		}
		worst, at := 0.0, -1
		for i, v := range found {
			if scaled := v * largest(rows, used[i]); scaled < worst {
				worst, at = scaled, i
			}
		}
		if at < 0 {
			all := make([]float64, n)
			for i, k := range used {
				all[k] = found[i]
			}
			return all, nil
		}
		used = append(used[:at:at], used[at+1:]...)
	}
	return make([]float64, n), nil
}

// largest is the most that a coefficient is multiplied with.
func largest(rows []row, k int) (most float64) {
	for _, r := range rows {
		most = max(most, math.Abs(r.of[k]))
	}
	return most
}

// solve solves the normal equations by elimination, with each column scaled to 1 at most.
func solve(rows []row, used []int) ([]float64, error) {
	n := len(used)
	scale := make([]float64, n)
	for i, k := range used {
		if scale[i] = largest(rows, k); scale[i] == 0 {
			return nil, errRank
		}
	}
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n+1)
	}
	for _, r := range rows {
		w := 1 / (r.y * r.y)
		for i, k := range used {
			x := r.of[k] / scale[i]
			for j, l := range used {
				m[i][j] += w * x * r.of[l] / scale[j]
			}
			m[i][n] += w * x * r.y
		}
	}
	for i := range n {
		pivot := i
		for j := i + 1; j < n; j++ {
			if math.Abs(m[j][i]) > math.Abs(m[pivot][i]) {
				pivot = j
			}
		}
		if m[i], m[pivot] = m[pivot], m[i]; !(math.Abs(m[i][i]) > 1e-12*math.Abs(m[0][0])) {
			return nil, errRank
		}
		for j := range n {
			if j == i {
				continue
			}
			f := m[j][i] / m[i][i]
			for k := i; k <= n; k++ {
				m[j][k] -= f * m[i][k]
			}
		}
	}
	all := make([]float64, n)
	for i := range n {
		all[i] = m[i][n] / m[i][i] / scale[i]
	}
	return all, nil
}

// off is by how much, as a part of it, the farthest row lies beside what the coefficients say.
// Coefficients that were left out are zero.
func off(rows []row, by []float64) (most float64) {
	for _, r := range rows {
		at := 0.0
		for k, b := range by {
			at += b * r.of[k]
		}
		if r.y > 0 {
			most = max(most, math.Abs(at-r.y)/r.y)
		}
	}
	return most
}
