package price

import (
	"math"

	"tollgate/internal/gateway"
)

// Bound says how much a call can consume at most. Negative numbers count as zero.
type Bound struct {
	Input    int64  // tokens in, of all kinds together
	Media    bool   // the input may contain audio or images: their prices count too
	Output   int64  // tokens out, of each copy
	AudioOut bool   // the output may be audio or images: their prices count too
	Copies   int64  // n; less than 1 counts as 1
	Tier     string // service tier asked for; "" and "auto" may become any tier the model has
	LongLife bool   // the input may be written to a cache for hours

	// Extra is what is billed by other units: milliseconds, characters,
	// pictures, tool calls. Its token classes are not read.
	Extra gateway.Usage
}

// Worst is the most that a call within the bound can cost, rounded up: the
// dearest class that input and output can be billed as, the dearest context
// tier within reach and the dearest service tier that the request allows. For
// every usage u within b, and every tier that b.Tier allows, Cost(u) ≤ Worst(b).
//
// Classes without a price cost nothing here as they do in Cost: see Unpriced.
func (m *Model) Worst(b Bound) gateway.NanoUSD {
	input := max(b.Input, 0)
	f := m.allowed(b.Tier)
	others := m.others(&b).plus(m.fee())

	// The input may turn out shorter than its bound, so every context tier up
	// to the one it falls in is possible, each with the most that fits in it.
	list := (*rates)(&m.Rates)
	var worst gateway.NanoUSD
	for i := 0; ; i++ {
		last := i == len(m.contexts) || input <= m.contexts[i].above
		reach := input
		if !last {
			reach = m.contexts[i].above
		}
		worst = max(worst, total(list.most(&b, reach), others, f))
		if last {
			return worst
		}
		list = &m.contexts[i].rates
	}
}

// most is the price of so many tokens of input and of all output of b.
func (r *rates) most(b *Bound, input int64) wide {
	in := r.dearest(0, inputText[:])
	if b.Media {
		in = r.dearest(in, inputMedia[:])
	}
	out := r[gateway.Output].Nano
	if b.AudioOut {
		out = r.dearest(out, outputMedia[:])
	}
	copies := product(max(b.Copies, 1), max(b.Output, 0))
	return product(input, in).plus(copies.times(out))
}

// others is the price of what b holds beside tokens.
func (m *Model) others(b *Bound) wide {
	var w wide
	for c := gateway.AudioMillis; c < gateway.NumClasses; c++ {
		w = w.plus(product(b.Extra.Counts[c], m.Rates[c].Nano))
	}
	return w
}

// Affordable is the largest Output with which the call costs at most budget in
// the worst case: Worst ≤ budget with it, and more with one token more. It is -1
// if the budget does not even pay for the input, and math.MaxInt64 if output
// costs nothing. b.Output is not read.
func (m *Model) Affordable(b Bound, budget gateway.NanoUSD) int64 {
	fits := func(output int64) bool {
		b.Output = output
		return m.Worst(b) <= budget
	}
	if !fits(0) {
		return -1
	}
	if fits(math.MaxInt64) {
		return math.MaxInt64
	}
	// Doubling first: answers are thousands of tokens, not 2^62.
	low, high := int64(0), int64(4096)
	for fits(high) {
		low = high
		if high > math.MaxInt64/2 {
			high = math.MaxInt64
			break
		}
		high *= 2
	}
	for high-low > 1 {
		if middle := low + (high-low)/2; fits(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// Unpriced lists what the bound allows and the model has no price for. A call
// with such classes cannot be bounded by Worst. Audio and images count as priced
// when one kind of them is, since a bound does not tell which it is.
func (m *Model) Unpriced(b Bound) []gateway.Class {
	var none []gateway.Class
	lacks := func(needed bool, class gateway.Class, or ...gateway.Class) {
		for _, c := range or {
			needed = needed && !m.Rates[c].Known
		}
		if needed && !m.Rates[class].Known {
			none = append(none, class)
		}
	}
	lacks(b.Input > 0 && !b.Media, gateway.Input)
	lacks(b.Input > 0 && b.Media, gateway.Input, inputMedia[:]...)
	lacks(b.Input > 0 && b.LongLife, gateway.CacheWriteLong)
	lacks(b.Output > 0 && !b.AudioOut, gateway.Output)
	lacks(b.Output > 0 && b.AudioOut, gateway.Output, outputMedia[:]...)
	for c := gateway.AudioMillis; c < gateway.NumClasses; c++ {
		lacks(b.Extra.Counts[c] > 0, c)
	}
	return none
}
