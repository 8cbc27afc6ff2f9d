package storetest

import (
	"errors"
	"slices"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// sweep makes open reservations expire, lets a call find them, and closes them where
// it found them as the proxy does. It returns what the call's own event is.
func (s *suite) sweep(k gateway.Key, shares ...limit.Share) gateway.Event {
	s.Helper()
	s.clock.advance(life + time.Second)
	c := s.shared(k, 0, 0, shares...)
	st, err := s.reserve(c)
	var d *limit.Denied
	if errors.As(err, &d) {
		st = d.Standing
	} else {
		s.must(err)
	}
	for _, v := range st.Lapsed(k.Hash, k.ID) {
		v.Event.ID = "closed-" + v.Reservation.ID
		s.must(s.settle(v))
	}
	if d != nil {
		_, err = s.reserve(c)
		s.must(err)
	}
	end := settlement(k, c, 0, 0)
	s.must(s.settle(end))
	return end.Event
}

// shows checks that an item has what the killed call reserved or spent on it, if the
// call stood there, and nothing open.
func (s *suite) shows(subject string, stood bool, cost gateway.NanoUSD) {
	s.Helper()
	want := map[string]int64{}
	if stood {
		want[limit.Spend] = int64(cost)
	}
	s.each("closed", want, subject)
}

// testSharesKilledInReserve ends the process at each storage call of a Reserve. Where
// the claim stands it is closed by who sees it, and it is in the books once.
func testSharesKilledInReserve(s *suite) {
	s.eachFault(s.faults.kill, func() (round, check func()) {
		one := gateway.Limit{Measure: gateway.Concurrency, Max: 1}
		k, user, tag := s.key(one), s.user(one), s.tag(one)
		c := s.shared(k, 9, 2*cent, user, tag)
		round = func() {
			_, _ = s.Reserve(s.ctx, c) // nobody is left to read the answer
		}
		check = func() { s.closedWhereItStood(k, user, tag) }
		return round, check
	})
}

// testSharesKilledInRelease is the same for a claim that a share denies.
func testSharesKilledInRelease(s *suite) {
	s.eachFault(s.faults.kill, func() (round, check func()) {
		one := gateway.Limit{Measure: gateway.Concurrency, Max: 1}
		k, user, tag := s.key(one), s.user(one), s.tag(one, tokens(gateway.Day, 8))
		c := s.shared(k, 9, 2*cent, user, tag)
		round = func() {
			_, _ = s.Reserve(s.ctx, c)
		}
		check = func() {
			if n := len(s.raw(tag.Subject).Open); n != 0 {
				s.Errorf("%d open on the share that denies", n)
			}
			s.closedWhereItStood(k, user, tag)
		}
		return round, check
	})
}

func (s *suite) closedWhereItStood(k gateway.Key, shares ...limit.Share) {
	s.Helper()
	subjects := []string{k.Hash}
	for _, share := range shares {
		subjects = append(subjects, share.Subject)
	}
	var stood []bool
	for _, subject := range subjects {
		c := s.raw(subject)
		stands := len(c.Open) == 1
		if stands != (c.Values[limit.Spend] == int64(2*cent)) || stands != (c.Values[limit.InFlight] == 1) {
			s.Errorf("%s: open %t, but %v", subject, stands, c.Values)
		}
		stood = append(stood, stands)
	}
	own := s.sweep(k, shares...)
	for i, subject := range subjects {
		s.shows(subject, stood[i], 2*cent)
	}
	events := slices.DeleteFunc(s.events(k), func(e gateway.Event) bool { return e.ID == own.ID })
	want := 0
	if slices.Contains(stood, true) {
		want = 1
	}
	if len(events) != want || want == 1 && (!events[0].Expired || events[0].Cost != 2*cent || events[0].Tokens != 9) {
		s.Errorf("it stood on %v, events %+v", stood, events)
	}
}

// testSharesKilledInSettle ends the process at each storage call of a Settle. If its
// event was written everybody settles by it, else by what was reserved.
func testSharesKilledInSettle(s *suite) {
	s.eachFault(s.faults.kill, func() (round, check func()) {
		k, user, tag := s.key(), s.user(lifetime(gateway.OneUSD)), s.tag(lifetime(gateway.OneUSD))
		c := s.shared(k, 100, 2*cent, user, tag)
		_, err := s.Reserve(s.ctx, c)
		s.must(err)
		round = func() { _, _ = s.Settle(s.ctx, settlement(k, c, 60, cent)) } // nobody is left to read the error
		check = func() {
			cost := 2 * cent
			if len(s.events(k)) == 1 {
				cost = cent
			}
			if n := len(s.raw(k.Hash).Open); n == 0 && len(s.raw(user.Subject).Open)+len(s.raw(tag.Subject).Open) > 0 {
				s.Error("the key's reservation was closed before those of the shares")
			}
			s.sweep(k, user, tag)
			for _, subject := range []string{k.Hash, user.Subject, tag.Subject} {
				s.shows(subject, true, cost)
			}
			if n, _, booked := s.booked(k); n != 2 || booked != cost {
				s.Errorf("%d events of %v, want 2 of %v", n, booked, cost)
			}
		}
		return round, check
	})
}

// testSharesClosedByAnotherKey lets a call of another key find, on the tag, what a
// killed call left. The key's own item waits for a call of its own.
func testSharesClosedByAnotherKey(s *suite) {
	tag := s.tag(gateway.Limit{Measure: gateway.Concurrency, Max: 1})
	dead, alive := s.key(), s.key()
	c := s.shared(dead, 11, 3*cent, tag)
	_, err := s.reserve(c)
	s.must(err)
	s.sweep(alive, tag)
	s.each("the tag", map[string]int64{limit.Spend: int64(3 * cent)}, tag.Subject)
	s.each("the key", map[string]int64{limit.Spend: int64(3 * cent), limit.InFlight: 1}, dead.Hash)
	events := s.events(dead)
	if len(events) != 1 || !events[0].Expired || events[0].Cost != 3*cent || events[0].ReservationID != c.ID || !events[0].At.Equal(c.At) {
		s.Errorf("events %+v, want the one of the expired call", events)
	}
	s.sweep(dead, tag)
	s.each("closed", map[string]int64{limit.Spend: int64(3 * cent)}, dead.Hash, tag.Subject)
	if n, _, cost := s.booked(dead); n != 2 || cost != 3*cent {
		s.Errorf("%d events of %v, want 2 of $0.03", n, cost)
	}
}
