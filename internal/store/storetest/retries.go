package storetest

import (
	"errors"
	"sync/atomic"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

func testRetriedReserve(s *suite) {
	k := s.key(
		gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 1},
		gateway.Limit{Measure: gateway.Concurrency, Max: 1},
	)
	c := withKey(s.claim(k, 3, cent), "order 1")
	first, err := s.Reserve(s.ctx, c)
	s.must(err)
	for range 3 {
		again, err := s.Reserve(s.ctx, c)
		s.must(err)
		s.same("standing", again, first)
	}
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Requests, gateway.Day): 1, limit.Spend: int64(cent), limit.InFlight: 1,
	})
}

func testRetriedSettle(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 100})
	c := s.claim(k, 50, 2*cent)
	_, err := s.Reserve(s.ctx, c)
	s.must(err)
	end := settlement(k, c, 20, cent)
	for range 3 {
		if !s.closed(end) {
			s.Error("a retry does not know its own event")
		}
	}
	other := settlement(k, c, 49, 2*cent) // a second opinion comes too late
	other.Event.ID = "another"
	if s.closed(other) {
		s.Error("a second event stands")
	}
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Tokens, gateway.Day): 20, limit.Spend: int64(cent),
	})
	s.same("events", s.events(k), []gateway.Event{end.Event})
}

// testConcurrentRetries sends each Reserve and each Settle four times at once.
func testConcurrentRetries(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 1600})
	var claims [16]*limit.Claim
	for i := range claims {
		claims[i] = s.claim(k, 100, cent)
	}
	parallel(callers, func(i int) {
		if _, err := s.reserve(claims[i%16]); err != nil {
			s.Error(err)
		}
	})
	s.same("reserved", s.values(k), map[string]int64{
		s.counter(gateway.Tokens, gateway.Day): 1600, limit.Spend: int64(16 * cent), limit.InFlight: 16,
	})
	parallel(callers, func(i int) {
		if err := s.settle(settlement(k, claims[i%16], 30, cent/2)); err != nil {
			s.Error(err)
		}
	})
	s.same("settled", s.values(k), map[string]int64{
		s.counter(gateway.Tokens, gateway.Day): 480, limit.Spend: int64(8 * cent),
	})
	if n, tokens, cost := s.booked(k); n != 16 || tokens != 480 || cost != 8*cent {
		s.Errorf("%d events of %d tokens and %v", n, tokens, cost)
	}
}

// eachFault runs a round once for every storage call it makes and for both
// moments, with that call failing, and at last undisturbed. What prepare and check
// do sees no faults.
func (s *suite) eachFault(arm func(at int, when When), prepare func() (round, check func())) {
	const most = 50
	for _, when := range []When{Before, After} {
		for at := 1; at <= most; at++ {
			round, check := prepare()
			arm(at, when)
			round()
			fired := s.faults.disarm()
			check()
			if s.Failed() {
				s.Fatalf("this was with storage call %d failing %s it wrote", at, when)
			}
			if fired == 0 {
				break
			}
			if at == most {
				s.Fatalf("%d storage calls in one round", most)
			}
		}
	}
}

// testFaultOnce lets each storage call of a round (reserve, settle) fail once.
// The caller repeats what failed, and the books must not show it.
func testFaultOnce(s *suite) {
	s.eachFault(s.faults.once, func() (round, check func()) {
		k := s.key(
			gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 100},
			gateway.Limit{Measure: gateway.Concurrency, Max: 1},
		)
		c := withKey(s.claim(k, 100, 2*cent), "once")
		end := settlement(k, c, 60, cent)
		round = func() {
			_, err := s.reserve(c)
			s.must(err)
			s.must(s.settle(end))
		}
		check = func() {
			s.same("counters", s.values(k), map[string]int64{
				s.counter(gateway.Tokens, gateway.Day): 60, limit.Spend: int64(cent),
			})
			s.same("events", s.events(k), []gateway.Event{end.Event})
			_, err := s.reserve(withKey(s.claim(k, 1, 0), "once"))
			s.is("idempotency key", err, limit.ErrRepeated)
		}
		return round, check
	})
}

// testFaultOnceDenied is the same for a claim that is denied: the denial is the
// answer, and the idempotency key is free again.
func testFaultOnceDenied(s *suite) {
	s.eachFault(s.faults.once, func() (round, check func()) {
		k := s.key(gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 100})
		c := withKey(s.claim(k, 101, cent), "too much")
		round = func() {
			_, err := s.reserve(c)
			s.denied(err, gateway.Tokens)
		}
		check = func() {
			s.same("counters", s.values(k), map[string]int64{})
			_, err := s.reserve(withKey(s.claim(k, 100, cent), "too much"))
			s.must(err)
		}
		return round, check
	})
}

// testFaultOnceConcurrent lets every third storage call fail while 64 callers
// press on a limit. (A hundred calls of 64 callers are at least two rounds of two
// calls to the storage, however many callers share one: a fault will fire.)
func testFaultOnceConcurrent(s *suite) {
	for _, when := range []When{Before, After} {
		k := s.key(gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 100})
		var passed atomic.Int64
		s.faults.each(3, when)
		parallel(callers, func(int) {
			for range 3 {
				c := s.claim(k, 0, 2*cent)
				err := s.insist(func() error { _, err := s.Reserve(s.ctx, c); return err })
				if err != nil {
					var d *limit.Denied
					if !errors.As(err, &d) {
						s.Error(err)
					}
					continue
				}
				passed.Add(1)
				end := settlement(k, c, 0, cent)
				if err := s.insist(func() error { _, err := s.Settle(s.ctx, end); return err }); err != nil {
					s.Error(err)
				}
			}
		})
		if s.faults.disarm() == 0 {
			s.Error("no fault fired")
		}
		if passed.Load() != 100 {
			s.Errorf("%s: %d admitted, want 100", when, passed.Load())
		}
		s.same("counters", s.values(k), map[string]int64{
			s.counter(gateway.Requests, gateway.Day): 100, limit.Spend: int64(100 * cent),
		})
		if n, _, cost := s.booked(k); n != 100 || cost != 100*cent {
			s.Errorf("%s: %d events of %v, want 100 of $1.000000000", when, n, cost)
		}
	}
}

// insist repeats f until it answers. Faults that hit every third call may hit
// one caller several times, so there is no small number of tries that is enough.
func (s *suite) insist(f func() error) (err error) {
	for range 200 {
		if err = f(); answered(err) {
			return err
		}
	}
	return err
}
