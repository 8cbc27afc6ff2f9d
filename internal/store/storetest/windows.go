package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

func testStanding(s *suite) {
	k := s.key(
		gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 10},
		gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 1000},
		gateway.Limit{Measure: gateway.Concurrency, Max: 3},
	)
	s.call(k, 100, 5*cent)
	_, err := s.reserve(s.claim(k, 40, cent))
	s.must(err)
	got, err := s.reserve(s.claim(k, 60, 2*cent))
	s.must(err)
	minute := time.Date(2035, 5, 17, 10, 21, 0, 0, time.UTC)
	day := time.Date(2035, 5, 18, 0, 0, 0, 0, time.UTC)
	s.same("standing", got, limit.Standing{
		Spent: 8 * cent,
		Limits: []limit.State{
			{Limit: k.Limits[0], Used: 3, Ask: 1, Held: 0, Reset: minute},
			{Limit: k.Limits[1], Used: 200, Ask: 60, Held: 40, Reset: day},
			{Limit: k.Limits[2], Used: 2, Ask: 1, Held: 1},
		},
	})

	_, err = s.reserve(s.claim(k, 801, 0))
	d := s.denied(err, gateway.Tokens)
	s.same("denied", d.State, limit.State{Limit: k.Limits[1], Used: 200, Ask: 801, Held: 100, Reset: day})
	s.same("standing of the denied", d.Standing, limit.Standing{
		Spent: 8 * cent,
		Limits: []limit.State{
			{Limit: k.Limits[0], Used: 3, Ask: 1, Held: 0, Reset: minute},
			{Limit: k.Limits[1], Used: 200, Ask: 801, Held: 100, Reset: day},
			{Limit: k.Limits[2], Used: 2, Ask: 1, Held: 2},
		},
	})
}

func testDeniedLongest(s *suite) {
	k := s.key(
		gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 1},
		gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 10},
		gateway.Limit{Measure: gateway.Concurrency, Max: 1},
	)
	_, err := s.reserve(s.claim(k, 10, 0))
	s.must(err)
	_, err = s.reserve(s.claim(k, 1, 0)) // all three deny
	s.denied(err, gateway.Tokens)
	_, err = s.reserve(s.claim(k, 0, 0)) // requests and concurrency
	s.denied(err, gateway.Requests)
	s.clock.advance(time.Minute)
	_, err = s.reserve(s.claim(k, 0, 0))
	s.denied(err, gateway.Concurrency)
}

func testWindowChange(s *suite) {
	for _, per := range []gateway.Unit{gateway.Second, gateway.Minute, gateway.Hour, gateway.Day, gateway.Month} {
		s.clock.set(epoch)
		k := s.key(gateway.Limit{Measure: gateway.Requests, Per: per, Max: 2})
		s.call(k, 0, 0)
		s.call(k, 0, 0)
		_, err := s.reserve(s.claim(k, 0, 0))
		reset := s.denied(err, gateway.Requests).Reset
		if want := per.End(per.Index(epoch)); !reset.Equal(want) {
			s.Errorf("%s: reset at %v, want %v", per, reset, want)
		}
		s.clock.set(reset.Add(-time.Millisecond))
		_, err = s.reserve(s.claim(k, 0, 0))
		s.denied(err, gateway.Requests)
		s.clock.set(reset)
		s.call(k, 0, 0)
		if n := s.values(k)[s.counter(gateway.Requests, per)]; n != 1 {
			s.Errorf("%s: %d counted in the new window, want 1", per, n)
		}
	}
}

// testStaleWindows sees the counters of past windows named and removed, also
// when a call that was charged there is still open.
func testStaleWindows(s *suite) {
	k := s.key(
		gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 9},
		gateway.Limit{Measure: gateway.Tokens, Per: gateway.Minute, Max: 900},
	)
	requests := s.counter(gateway.Requests, gateway.Minute)
	tokens := s.counter(gateway.Tokens, gateway.Minute)
	slow := s.claim(k, 100, 3*cent)
	_, err := s.reserve(slow)
	s.must(err)

	s.clock.set(time.Date(2035, 5, 17, 10, 21, 10, 0, time.UTC)) // StaleAfter past the minute's end, not later
	c := s.claim(k, 10, cent)
	st, err := s.reserve(c)
	s.must(err)
	s.same("stale at once", st.Stale, []string(nil))
	s.must(s.settle(settlement(k, c, 10, cent)))

	s.clock.advance(time.Millisecond)
	c = s.claim(k, 10, cent)
	st, err = s.reserve(c)
	s.must(err)
	slices.Sort(st.Stale)
	s.same("stale later", st.Stale, []string{requests, tokens})
	end := settlement(k, c, 10, cent)
	end.Stale = st.Stale
	s.must(s.settle(end))
	want := map[string]int64{
		s.counter(gateway.Requests, gateway.Minute): 2,
		s.counter(gateway.Tokens, gateway.Minute):   20,
		limit.Spend: int64(5 * cent), limit.InFlight: 1,
	}
	s.same("after the removal", s.values(k), want)

	s.must(s.settle(settlement(k, slow, 40, 2*cent)))
	want[limit.Spend] = int64(4 * cent)
	delete(want, limit.InFlight)
	s.same("after the slow call", s.values(k), want)
	raw, err := s.Counters(s.ctx, k.Hash)
	s.must(err)
	if _, there := raw.Values[tokens]; there {
		s.Errorf("the slow call brought %s back", tokens)
	}
}

// testSpendWithoutLimit counts money of a key without a cost limit, so that a
// limit set later knows of it.
func testSpendWithoutLimit(s *suite) {
	k := s.key()
	for range 3 {
		s.call(k, 5, 10*cent)
	}
	s.same("counters", s.values(k), map[string]int64{limit.Spend: int64(30 * cent)})
	k, err := s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
		k.CostLimit = 35 * cent
		return nil
	})
	s.must(err)
	_, err = s.reserve(s.claim(k, 0, 6*cent))
	d := s.denied(err, gateway.Cost)
	if d.Used != int64(30*cent) || d.Limit.Max != int64(35*cent) || !d.Reset.IsZero() {
		s.Errorf("denied with %+v", d.State)
	}
	st, err := s.reserve(s.claim(k, 0, 5*cent))
	s.must(err)
	if st.Spent != 35*cent {
		s.Errorf("spent %v, want $0.350000000", st.Spent)
	}
}

// testSettleAbove books what a call cost even if that is more than was reserved:
// the money is gone, and hiding it would let the next call pass.
func testSettleAbove(s *suite) {
	k := s.key(
		gateway.Limit{Measure: gateway.Cost, Per: gateway.Lifetime, Max: int64(10 * cent)},
		gateway.Limit{Measure: gateway.Tokens, Per: gateway.Day, Max: 100},
	)
	c := s.claim(k, 50, 5*cent)
	_, err := s.reserve(c)
	s.must(err)
	s.must(s.settle(settlement(k, c, 120, 12*cent)))
	s.same("counters", s.values(k), map[string]int64{
		limit.Spend: int64(12 * cent), s.counter(gateway.Tokens, gateway.Day): 120,
	})
	_, err = s.reserve(s.claim(k, 1, 1))
	if d := s.denied(err, gateway.Cost); d.Left() != 0 {
		s.Errorf("%d left, want 0", d.Left())
	}
}

func testStaleVersion(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 3})
	open := s.claim(k, 0, cent)
	_, err := s.reserve(open)
	s.must(err)
	changed, err := s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
		k.Revoked = true
		return nil
	})
	s.must(err)
	if changed.Version <= k.Version {
		s.Errorf("version %d after %d", changed.Version, k.Version)
	}

	_, err = s.reserve(s.claim(k, 0, cent))
	s.is("old version", err, limit.ErrStale)
	_, err = s.reserve(open)
	s.must(err) // a retry of what was admitted before the change
	ahead := changed
	ahead.Version++
	_, err = s.reserve(s.claim(ahead, 0, cent))
	s.is("version from the future", err, limit.ErrStale)
	want := map[string]int64{
		s.counter(gateway.Requests, gateway.Day): 1, limit.Spend: int64(cent), limit.InFlight: 1,
	}
	s.same("counters", s.values(k), want)

	s.must(s.settle(settlement(k, open, 0, cent)))
	s.call(changed, 0, cent)
	s.call(changed, 0, cent)
	_, err = s.reserve(s.claim(changed, 0, cent))
	s.denied(err, gateway.Requests)
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Requests, gateway.Day): 3, limit.Spend: int64(3 * cent),
	})
}

// testReserveWhileKeyChanges mixes calls with configuration writes: neither may
// lose the other's part of the counter item.
func testReserveWhileKeyChanges(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 1_000})
	const calls, changes = 4, 10
	parallel(callers/2+1, func(i int) {
		if i == 0 {
			s.rename(k, changes)
			return
		}
		for range calls {
			s.callFresh(k)
		}
	})
	n := int64(callers / 2 * calls)
	s.same("counters", s.values(k), map[string]int64{
		s.counter(gateway.Requests, gateway.Day): n, limit.Spend: n * int64(cent),
	})
	got, err := s.Key(s.ctx, k.ID)
	s.must(err)
	raw, err := s.Counters(s.ctx, k.Hash)
	s.must(err)
	if got.Version != raw.Version || len(got.Tags) != changes {
		s.Errorf("key version %d with %d tags, counters version %d", got.Version, len(got.Tags), raw.Version)
	}
}

// rename changes the key n times, each adding a tag.
func (s *suite) rename(k gateway.Key, n int) {
	for i := range n {
		_, err := s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
			k.Tags = append(k.Tags, fmt.Sprint("tag", i))
			return nil
		})
		if err != nil {
			s.Error(err)
		}
	}
}

// callFresh makes one call, reading the key again as long as it is stale.
func (s *suite) callFresh(k gateway.Key) {
	for range 1000 {
		now, err := s.Key(s.ctx, k.ID)
		if err != nil {
			s.Error(err)
			return
		}
		c := s.claim(now, 0, cent)
		if _, err = s.reserve(c); errors.Is(err, limit.ErrStale) {
			continue
		}
		if err == nil {
			err = s.settle(settlement(k, c, 0, cent))
		}
		if err != nil {
			s.Error(err)
		}
		return
	}
	s.Error("the key is stale again and again")
}

func testDeletedKey(s *suite) {
	k := s.key()
	open := s.claim(k, 7, cent)
	_, err := s.reserve(open)
	s.must(err)
	s.must(s.DeleteKey(s.ctx, k.ID))
	_, err = s.reserve(s.claim(k, 0, 0))
	s.is("reserve", err, limit.ErrStale)
	_, err = s.Counters(s.ctx, k.Hash)
	s.is("counters", err, gateway.ErrNotFound)

	end := settlement(k, open, 5, cent/2)
	s.must(s.settle(end))
	s.same("events", s.events(k), []gateway.Event{end.Event})
	_, err = s.Counters(s.ctx, k.Hash)
	s.is("counters after the settlement", err, gateway.ErrNotFound)

	s.clock.advance(time.Millisecond)
	s.must(s.CreateKey(s.ctx, k))
	s.must(s.settle(end))
	s.same("counters of the new key", s.values(k), map[string]int64{})
	_, err = s.reserve(s.claim(k, 0, 0))
	s.is("reserve with the dead key's version", err, limit.ErrStale)

	unknown := gateway.Key{ID: "nobody", Hash: "ffff", Version: 1}
	_, err = s.reserve(s.claim(unknown, 0, 0))
	s.is("reserve of a key that never was", err, limit.ErrStale)
}
