package storetest

import (
	"errors"
	"sync/atomic"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// callers is how many goroutines press on a key at once.
const callers = 64

// admitted lets every caller reserve each times and counts what passed. It
// settles nothing.
func (s *suite) admitted(k gateway.Key, each int, tokens int64, cost gateway.NanoUSD) int64 {
	var n atomic.Int64
	parallel(callers, func(int) {
		for range each {
			_, err := s.reserve(s.claim(k, tokens, cost))
			var d *limit.Denied
			switch {
			case err == nil:
				n.Add(1)
			case !errors.As(err, &d):
				s.Error(err)
			}
		}
	})
	return n.Load()
}

func testRequestsCap(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 50})
	if n := s.admitted(k, 3, 0, 0); n != 50 {
		s.Errorf("%d admitted, want 50", n)
	}
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Requests, gateway.Minute): 50, limit.InFlight: 50,
	})
	if n := len(s.open(k)); n != 50 {
		s.Errorf("%d open reservations, want 50", n)
	}
}

func testTokensCap(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Tokens, Per: gateway.Hour, Max: 1000})
	if n := s.admitted(k, 2, 30, 0); n != 33 {
		s.Errorf("%d admitted, want 33", n)
	}
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Tokens, gateway.Hour): 990, limit.InFlight: 33,
	})
}

func testCostCap(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Cost, Per: gateway.Day, Max: int64(gateway.OneUSD)})
	if n := s.admitted(k, 2, 0, 15*mill); n != 66 {
		s.Errorf("%d admitted, want 66", n)
	}
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Cost, gateway.Day): 990_000_000, limit.Spend: 990_000_000, limit.InFlight: 66,
	})
	// What is left is admitted to the last nano-dollar, and not one more.
	_, err := s.reserve(s.claim(k, 0, cent+1))
	if d := s.denied(err, gateway.Cost); d.Left() != int64(cent) {
		s.Errorf("%d left, want %d", d.Left(), cent)
	}
	_, err = s.reserve(s.claim(k, 0, cent))
	s.must(err)
	_, err = s.reserve(s.claim(k, 0, 1))
	s.denied(err, gateway.Cost)
	_, err = s.reserve(s.claim(k, 0, 0))
	s.must(err) // a call that costs nothing fits an exhausted limit
}

func testConcurrencyCap(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Concurrency, Max: 7})
	var held [callers]*limit.Claim
	parallel(callers, func(i int) {
		c := s.claim(k, 0, 0)
		if _, err := s.reserve(c); err == nil {
			held[i] = c
		}
	})
	var n int
	for _, c := range held {
		if c != nil {
			n++
		}
	}
	if n != 7 {
		s.Errorf("%d in flight, want 7", n)
	}
	parallel(callers, func(i int) {
		if held[i] == nil {
			return
		}
		if err := s.settle(settlement(k, held[i], 0, 0)); err != nil {
			s.Error(err)
		}
	})
	s.same("counters", s.values(k), map[string]int64{})
	_, err := s.reserve(s.claim(k, 0, 0))
	s.must(err)
}

// testConcurrencyChurn lets callers come and go and watches from outside that
// no more than the cap are ever inside.
func testConcurrencyChurn(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Concurrency, Max: 5})
	var inside, most, passed atomic.Int64
	parallel(callers, func(int) {
		for range 4 {
			c := s.claim(k, 0, 0)
			if _, err := s.reserve(c); err != nil {
				continue
			}
			passed.Add(1)
			now := inside.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			inside.Add(-1)
			if err := s.settle(settlement(k, c, 0, 0)); err != nil {
				s.Error(err)
			}
		}
	})
	if most.Load() > 5 {
		s.Errorf("%d inside at once, want at most 5", most.Load())
	}
	if passed.Load() < 5 {
		s.Errorf("%d passed, want at least 5", passed.Load())
	}
	s.same("counters", s.values(k), map[string]int64{})
}

func testAllOrNothing(s *suite) {
	k := s.key(
		gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 100},
		gateway.Limit{Measure: gateway.Tokens, Per: gateway.Hour, Max: 500},
		gateway.Limit{Measure: gateway.Cost, Per: gateway.Month, Max: int64(gateway.OneUSD)},
		gateway.Limit{Measure: gateway.Cost, Per: gateway.Lifetime, Max: int64(5 * gateway.OneUSD)},
		gateway.Limit{Measure: gateway.Concurrency, Max: 10},
	)
	_, err := s.reserve(s.claim(k, 300, 20*cent))
	s.must(err)
	want := map[string]int64{
		s.counter(gateway.Requests, gateway.Minute): 1,
		s.counter(gateway.Tokens, gateway.Hour):     300,
		s.counter(gateway.Cost, gateway.Month):      int64(20 * cent),
		limit.Spend:                                 int64(20 * cent),
		limit.InFlight:                              1,
	}
	s.same("after one", s.values(k), want)

	_, err = s.reserve(s.claim(k, 201, cent))
	s.denied(err, gateway.Tokens)
	s.same("after a denial by tokens", s.values(k), want)

	_, err = s.reserve(s.claim(k, 1, 81*cent))
	s.denied(err, gateway.Cost)
	s.same("after a denial by cost", s.values(k), want)
	if n := len(s.open(k)); n != 1 {
		s.Errorf("%d open reservations, want 1", n)
	}
}

func testAllOrNothingConcurrent(s *suite) {
	k := s.key(
		gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 90},
		gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 1000},
		gateway.Limit{Measure: gateway.Cost, Per: gateway.Lifetime, Max: int64(gateway.OneUSD)},
	)
	if n := s.admitted(k, 2, 13, 11*mill); n != 76 { // 76 × 13 = 988 tokens
		s.Errorf("%d admitted, want 76", n)
	}
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Requests, gateway.Day): 76,
		s.counter(gateway.Tokens, gateway.Day):   988,
		limit.Spend:                              int64(76 * 11 * mill),
		limit.InFlight:                           76,
	})
}

// testOneDollar spends one dollar from 64 sides. Each call reserves two mills and
// costs one, and a caller that is refused while others may still give money back
// tries again. Then exactly 999 calls pass: after 998 there are two mills left,
// which one call needs, and after 999 there is one.
func testOneDollar(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Cost, Per: gateway.Lifetime, Max: int64(gateway.OneUSD)})
	var attempts, passed atomic.Int64
	parallel(callers, func(int) {
		for attempts.Add(1) <= 3000 {
			c, err := s.persist(k)
			var d *limit.Denied
			switch {
			case err == nil:
				passed.Add(1)
				if err := s.settle(settlement(k, c, 0, mill)); err != nil {
					s.Error(err)
				}
			case !errors.As(err, &d):
				s.Error(err)
			}
		}
	})
	if passed.Load() != 999 {
		s.Errorf("%d admitted, want 999", passed.Load())
	}
	s.same("counters", s.values(k), map[string]int64{limit.Spend: 999_000_000})
	if n, _, cost := s.booked(k); n != 999 || cost != 999_000_000 {
		s.Errorf("%d events of %v, want 999 of $0.999000000", n, cost)
	}
}

// persist reserves two mills, as long as a refusal may pass.
func (s *suite) persist(k gateway.Key) (*limit.Claim, error) {
	for {
		c := s.claim(k, 0, 2*mill)
		_, err := s.reserve(c)
		var d *limit.Denied
		if errors.As(err, &d) && d.Held > 0 {
			continue
		}
		return c, err
	}
}
