package rollup

import (
	"maps"

	"tollgate/internal/gateway"
)

// Sums is what events add up to.
type Sums struct {
	Requests  int64           `json:"n,omitempty"`  // events, refusals included
	Successes int64           `json:"ok,omitempty"` // with status 200 exactly
	Cost      gateway.NanoUSD `json:"c,omitempty"`
	Tokens    int64           `json:"t,omitempty"`  // charged to token limits
	LatencyMS int64           `json:"l,omitempty"`  // sum, milliseconds
	FirstMS   int64           `json:"f,omitempty"`  // sum of the times to the first byte
	Firsts    int64           `json:"fn,omitempty"` // events that have such a time
	Estimated int64           `json:"e,omitempty"`  // events whose usage the provider did not report

	Usage   map[string]int64 `json:"u,omitempty"` // by class name
	Latency Histogram        `json:"h,omitempty"`
}

// Of is the sums of one event.
func Of(e *gateway.Event) Sums {
	var s Sums
	s.addEvent(e)
	return s
}

// addEvent counts one event.
func (s *Sums) addEvent(e *gateway.Event) {
	s.Requests++
	if e.Status == 200 {
		s.Successes++
	}
	if e.FirstMS > 0 {
		s.Firsts++
	}
	if e.Basis == gateway.BasisEstimated || e.Basis == gateway.BasisReserved {
		s.Estimated++
	}
	s.Cost += e.Cost
	s.Tokens += e.Tokens
	s.LatencyMS += e.LatencyMS
	s.FirstMS += e.FirstMS
	s.Usage = addMap(s.Usage, e.Usage, 1)
	if s.Latency == nil {
		s.Latency = make(Histogram)
	}
	s.Latency[bucket(e.LatencyMS)]++
}

// Add adds o.
func (s *Sums) Add(o *Sums) { s.add(o, 1) }

// Subtract is the inverse of Add.
func (s *Sums) Subtract(o *Sums) { s.add(o, -1) }

func (s *Sums) add(o *Sums, sign int64) {
	s.Requests += sign * o.Requests
	s.Successes += sign * o.Successes
	s.Cost += gateway.NanoUSD(sign) * o.Cost
	s.Tokens += sign * o.Tokens
	s.LatencyMS += sign * o.LatencyMS
	s.FirstMS += sign * o.FirstMS
	s.Firsts += sign * o.Firsts
	s.Estimated += sign * o.Estimated
	s.Usage = addMap(s.Usage, o.Usage, sign)
	s.Latency = addMap(s.Latency, o.Latency, sign)
}

// addMap leaves no zeros behind: absent means the same.
func addMap[M ~map[K]int64, K comparable](to, from M, sign int64) M {
	for k, n := range from {
		if to == nil {
			to = make(M, len(from))
		}
		if to[k] += sign * n; to[k] == 0 {
			delete(to, k)
		}
	}
	return to
}

// share is what falls between two seconds of a time, if what is counted lies evenly in
// its length. Shares that meet add up to the whole.
func (s *Sums) share(from, to, length int64) Sums {
	from, to = min(from, length), min(to, length)
	of := func(n int64) int64 { return upTo(n, to, length) - upTo(n, from, length) }
	part := Sums{
		Requests: of(s.Requests), Successes: of(s.Successes), Cost: gateway.NanoUSD(of(int64(s.Cost))), Tokens: of(s.Tokens),
		LatencyMS: of(s.LatencyMS), FirstMS: of(s.FirstMS), Firsts: of(s.Firsts), Estimated: of(s.Estimated),
		Usage: make(map[string]int64, len(s.Usage)), Latency: make(Histogram, len(s.Latency)),
	}
	for class, n := range s.Usage {
		if n = of(n); n != 0 {
			part.Usage[class] = n
		}
	}
	for bucket, n := range s.Latency {
		if n = of(n); n != 0 {
			part.Latency[bucket] = n
		}
	}
	return part
}

// upTo is n*t/length, where n*t may be more than an int64 holds.
func upTo(n, t, length int64) int64 { return n/length*t + n%length*t/length }

// IsZero reports whether nothing is counted.
func (s *Sums) IsZero() bool {
	return len(s.Usage) == 0 && len(s.Latency) == 0 && s.Requests == 0 && s.Successes == 0 && s.Cost == 0 &&
		s.Tokens == 0 && s.LatencyMS == 0 && s.FirstMS == 0 && s.Firsts == 0 && s.Estimated == 0
}

// Equal reports whether both count the same.
func (s *Sums) Equal(o *Sums) bool {
	d := s.Clone()
	d.Subtract(o)
	return d.IsZero()
}

// Clone is a copy that shares nothing with s.
func (s *Sums) Clone() Sums {
	c := *s
	c.Usage, c.Latency = maps.Clone(s.Usage), maps.Clone(s.Latency)
	return c
}

// PromptTokens is the number of tokens in, of every kind.
func (s *Sums) PromptTokens() int64 { return s.usage().PromptTokens() }

// CompletionTokens is the number of tokens out, of every kind.
func (s *Sums) CompletionTokens() int64 { return s.usage().CompletionTokens() }

func (s *Sums) usage() *gateway.Usage {
	e := gateway.Event{Usage: s.Usage}
	u := e.GetUsage()
	return &u
}
