package rollup

import (
	"maps"
	"math"
	"slices"
	"sort"
)

// Histogram counts latencies in buckets, by bucket number. Up to 10 ms each has a
// bucket of its own; above, a bucket is at most a tenth as wide as the number it
// begins with, so a percentile is off by less than 10 %.
type Histogram map[int]int64

// longest is the largest latency with a bucket of its own kind, in milliseconds:
// an hour, four times what a function may run. All above are in the last bucket.
const longest = 3_600_000

// bounds has the first millisecond of each bucket. It is part of the stored form:
// it must never change.
var bounds = func() []int64 {
	list := []int64{0}
	for next := int64(1); next <= longest; next = max(next+1, next*11/10) {
		list = append(list, next)
	}
	return list
}()

// bucket is the number of the bucket of a latency in milliseconds.
func bucket(ms int64) int {
	return max(sort.Search(len(bounds), func(i int) bool { return bounds[i] > ms })-1, 0)
}

// width is how many milliseconds share the bucket.
func width(b int) int64 {
	if b+1 < len(bounds) {
		return bounds[b+1] - bounds[b]
	}
	return 1
}

// Count is how many latencies there are.
func (h Histogram) Count() (n int64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Percentile is the latency in milliseconds below which the share p (0 to 1) lies,
// interpolated between neighbours; 0 if there are none.
func (h Histogram) Percentile(p float64) float64 {
	n := h.Count()
	if n <= 0 {
		return 0
	}
	rank := min(max(p, 0), 1) * float64(n-1)
	below := math.Floor(rank)
	low := h.nth(int64(below))
	if rank == below {
		return low
	}
	return low + (rank-below)*(h.nth(int64(below)+1)-low)
}

// nth is the latency at position k, from 0, if those of a bucket lie evenly in it.
func (h Histogram) nth(k int64) float64 {
	for _, b := range slices.Sorted(maps.Keys(h)) {
		c := h[b]
		if k >= c {
			k -= c
			continue
		}
		start := bounds[min(max(b, 0), len(bounds)-1)]
		return float64(start) + float64(width(b)-1)*(float64(k)+0.5)/float64(c)
	}
	return 0
}
