package price

import (
	"math"
	"math/bits"

	"tollgate/internal/gateway"
)

// wide is an unsigned 128-bit number that stays at its largest value once a
// result does not fit. A count of tokens times a price times a multiplier
// needs more than 64 bits, and math/big would allocate on every call.
type wide struct{ hi, lo uint64 }

var wideMax = wide{math.MaxUint64, math.MaxUint64}

// product is a×b; negative factors count as zero.
func product(a, b int64) wide {
	if a <= 0 || b <= 0 {
		return wide{}
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return wide{hi, lo}
}

func (w wide) plus(v wide) wide {
	lo, carry := bits.Add64(w.lo, v.lo, 0)
	hi, carry := bits.Add64(w.hi, v.hi, carry)
	if carry != 0 {
		return wideMax
	}
	return wide{hi, lo}
}

func (w wide) times(n int64) wide {
	if n <= 0 {
		return wide{}
	}
	over, hi := bits.Mul64(w.hi, uint64(n))
	carry, lo := bits.Mul64(w.lo, uint64(n))
	hi, c := bits.Add64(hi, carry, 0)
	if over != 0 || c != 0 {
		return wideMax
	}
	return wide{hi, lo}
}

// perCeil is w÷d rounded up, at most the largest NanoUSD. d must be positive.
func (w wide) perCeil(d int64) gateway.NanoUSD {
	if w.hi >= uint64(d) {
		return math.MaxInt64
	}
	q, r := bits.Div64(w.hi, w.lo, uint64(d))
	if q >= math.MaxInt64 {
		return math.MaxInt64
	}
	if r != 0 {
		q++
	}
	return gateway.NanoUSD(q)
}

// addCapped is a+b for counts: negative ones are zero, sums stop at the largest int64.
func addCapped(a, b int64) int64 {
	a, b = max(a, 0), max(b, 0)
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
