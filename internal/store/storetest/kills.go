package storetest

import (
	"errors"
	"fmt"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// closeExpired makes the key's open reservations expire, lets a new call find
// them and settles those as the proxy does.
func (s *suite) closeExpired(k gateway.Key) {
	s.Helper()
	s.clock.advance(life + time.Second)
	c := s.claim(k, 0, 0)
	st, err := s.reserve(c)
	var d *limit.Denied
	if errors.As(err, &d) {
		st, err = d.Standing, nil
	}
	s.must(err)
	for _, r := range st.Expired {
		s.must(s.settle(closing(k, r)))
	}
	if d != nil {
		_, err = s.reserve(c)
		s.must(err)
	}
	s.must(s.settle(settlement(k, c, 0, 0)))
}

// balanced checks that nothing is open and that the counters and the events
// agree to the nano-dollar. One event, of no cost, is the closing call's own.
func (s *suite) balanced(k gateway.Key, calls int, tokens int64, cost gateway.NanoUSD) {
	s.Helper()
	n, t, c := s.booked(k)
	if n != calls+1 || t != tokens || c != cost {
		s.Errorf("%d events of %d tokens and %v, want %d of %d and %v", n, t, c, calls+1, tokens, cost)
	}
	v := s.values(k)
	if v[limit.Spend] != int64(cost) || v[limit.InFlight] != 0 {
		s.Errorf("spend counter %d, in flight %d, want %d and 0", v[limit.Spend], v[limit.InFlight], cost)
	}
	if open := s.open(k); len(open) != 0 {
		s.Errorf("still open: %v", open)
	}
}

// testKilledInReserve ends the process at each storage call of a Reserve. The
// claim stands or does not; if it stands, the next call closes it.
func testKilledInReserve(s *suite) {
	s.eachFault(s.faults.kill, func() (round, check func()) {
		k := s.key(gateway.Limit{Measure: gateway.Concurrency, Max: 1})
		c := withKey(s.claim(k, 9, 2*cent), "killed")
		round = func() {
			_, _ = s.Reserve(s.ctx, c) // nobody is left to read the answer
		}
		check = func() {
			stands := len(s.open(k)) == 1
			if spent := s.values(k)[limit.Spend]; stands != (spent == int64(2*cent)) {
				s.Errorf("open: %t, but %d are charged", stands, spent)
			}
			s.closeExpired(k)
			if stands {
				s.balanced(k, 1, 9, 2*cent)
			} else {
				s.balanced(k, 0, 0, 0)
			}
			s.clock.advance(limit.IdempotencyWindow)
			_, err := s.reserve(withKey(s.claim(k, 9, cent), "killed"))
			s.must(err)
		}
		return round, check
	})
}

// testKilledBeforeSettle never settles. The money stays charged, the slot taken,
// until a later call closes the reservation.
func testKilledBeforeSettle(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Concurrency, Max: 1})
	c := s.claim(k, 11, 3*cent)
	_, err := s.Reserve(s.ctx, c)
	s.must(err)

	s.clock.set(c.Expires.Add(-time.Millisecond))
	_, err = s.reserve(s.claim(k, 0, 0))
	if d := s.denied(err, gateway.Concurrency); len(d.Standing.Expired) != 0 || d.Held != 1 {
		s.Errorf("before the expiry: expired %v, held %d", d.Standing.Expired, d.Held)
	}
	s.clock.set(c.Expires)
	next := s.claim(k, 0, 0)
	_, err = s.reserve(next)
	d := s.denied(err, gateway.Concurrency)
	if len(d.Standing.Expired) != 1 {
		s.Fatalf("expired %v, want the one reservation", d.Standing.Expired)
	}
	s.same("expired", canonical(d.Standing.Expired[0]), canonical(c.Reservation()))
	s.same("charged", s.values(k), map[string]int64{limit.Spend: int64(3 * cent), limit.InFlight: 1})

	end := closing(k, d.Standing.Expired[0])
	s.must(s.settle(end))
	st, err := s.reserve(next)
	s.must(err)
	s.same("expired afterwards", st.Expired, []limit.Reservation(nil))
	s.same("still charged", s.values(k), map[string]int64{limit.Spend: int64(3 * cent), limit.InFlight: 1})
	s.same("events", s.events(k), []gateway.Event{end.Event})
}

// testKilledInSettle ends the process at each storage call of a Settle. If its
// event was written, the closer settles by it; else by what was reserved.
func testKilledInSettle(s *suite) {
	s.eachFault(s.faults.kill, func() (round, check func()) {
		k := s.key(gateway.Limit{Measure: gateway.Tokens, Per: gateway.Month, Max: 1000})
		c := withKey(s.claim(k, 100, 2*cent), "killed")
		_, err := s.Reserve(s.ctx, c)
		s.must(err)
		round = func() { _, _ = s.Settle(s.ctx, settlement(k, c, 60, cent)) } // nobody is left to read the error
		check = func() {
			written := len(s.events(k)) == 1
			s.closeExpired(k)
			tokens, cost := int64(100), 2*cent
			if written {
				tokens, cost = 60, cent
			}
			s.balanced(k, 1, tokens, cost)
			if n := s.values(k)[s.counter(gateway.Tokens, gateway.Month)]; n != tokens {
				s.Errorf("%d tokens counted, want %d", n, tokens)
			}
			list := s.events(k) // newest first, so the killed call's is the last
			if e := list[len(list)-1]; e.Expired == written || e.ReservationID != c.ID {
				s.Errorf("event %+v", e)
			}
		}
		return round, check
	})
}

// testEventBeforeSettle finds the event of an open reservation there, as a process
// leaves it that is killed between the two writes. Its amounts win.
func testEventBeforeSettle(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Tokens, Per: gateway.Month, Max: 1000})
	c := s.claim(k, 100, 2*cent)
	_, err := s.Reserve(s.ctx, c)
	s.must(err)
	there := settlement(k, c, 60, cent).Event
	s.must(s.Record(s.ctx, there))
	s.clock.set(c.Expires)
	s.must(s.settle(closing(k, c.Reservation())))
	s.same("events", s.events(k), []gateway.Event{there})
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Tokens, gateway.Month): 60, limit.Spend: int64(cent),
	})
}

// testSixteenClosers lets sixteen calls find the same expired reservation and
// close it at once.
func testSixteenClosers(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Concurrency, Max: 20})
	c := s.claim(k, 11, 3*cent)
	_, err := s.Reserve(s.ctx, c)
	s.must(err)
	s.clock.set(c.Expires)
	won := make(chan gateway.Event, 16)
	parallel(16, func(i int) {
		st, err := s.reserve(s.claim(k, 0, 0))
		if err != nil {
			s.Error(err)
			return
		}
		for _, r := range st.Expired {
			end := closing(k, r)
			end.Event.ID = fmt.Sprint("closer-", i)
			own, err := s.Settle(s.ctx, end)
			if err != nil {
				s.Error(err)
			}
			if own {
				won <- end.Event
			}
		}
	})
	close(won)
	var stand []gateway.Event
	for e := range won {
		stand = append(stand, e)
	}
	s.same("counters", s.values(k), map[string]int64{limit.Spend: int64(3 * cent), limit.InFlight: 16})
	s.same("events", s.events(k), stand)
	if len(stand) != 1 {
		s.Errorf("%d closers believe that their event stands, want one", len(stand))
	}
}

// testLateSettle settles what a closer has closed: the closer's event stands.
func testLateSettle(s *suite) {
	k := s.key()
	c := s.claim(k, 11, 3*cent)
	_, err := s.Reserve(s.ctx, c)
	s.must(err)
	s.clock.set(c.Expires)
	end := closing(k, c.Reservation())
	s.must(s.settle(end))
	s.must(s.settle(settlement(k, c, 1, mill)))
	s.same("events", s.events(k), []gateway.Event{end.Event})
	s.same("counters", s.values(k), map[string]int64{limit.Spend: int64(3 * cent)})
}
