package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
)

// user makes an end user with the limits and returns what its calls share.
func (s *suite) user(limits ...gateway.Limit) limit.Share {
	s.Helper()
	s.made++
	users := record.OfUsers(s.Store)
	id := fmt.Sprintf("user-%03d", s.made)
	s.must(users.Create(s.ctx, &gateway.User{ID: id, UserID: "bob", CreatedAt: s.clock.Now(), Limits: limits}, nil))
	_, version, err := users.Get(s.ctx, id)
	s.must(err)
	return limit.Share{Subject: record.UserSubject(id), Version: version, Limits: limits}
}

// tag is user for a tag.
func (s *suite) tag(limits ...gateway.Limit) limit.Share {
	s.Helper()
	s.made++
	tags := record.OfTags(s.Store)
	name := fmt.Sprintf("tag-%03d", s.made)
	s.must(tags.Create(s.ctx, &gateway.Tag{Name: name, CreatedAt: s.clock.Now(), Limits: limits}, nil))
	_, version, err := tags.Get(s.ctx, name)
	s.must(err)
	return limit.Share{Subject: record.TagSubject(name), Version: version, Limits: limits}
}

// shared is a claim of the key that is charged to the shares as well.
func (s *suite) shared(k gateway.Key, tokens int64, cost gateway.NanoUSD, shares ...limit.Share) *limit.Claim {
	c := s.claim(k, tokens, cost)
	c.KeyID, c.Also = k.ID, shares
	return c
}

// each checks that every one of the counter items has these counters.
func (s *suite) each(what string, want map[string]int64, subjects ...string) {
	s.Helper()
	for _, subject := range subjects {
		s.same(what+", "+subject, s.valuesOf(subject), want)
		if n := int64(len(s.raw(subject).Open)); n != want[limit.InFlight] {
			s.Errorf("%s, %s: %d open reservations, want %d", what, subject, n, want[limit.InFlight])
		}
	}
}

func requests(per gateway.Unit, most int64) gateway.Limit {
	return gateway.Limit{Measure: gateway.Requests, Per: per, Max: most}
}

func tokens(per gateway.Unit, most int64) gateway.Limit {
	return gateway.Limit{Measure: gateway.Tokens, Per: per, Max: most}
}

func lifetime(most gateway.NanoUSD) gateway.Limit {
	return gateway.Limit{Measure: gateway.Cost, Per: gateway.Lifetime, Max: int64(most)}
}

func testSharesStanding(s *suite) {
	k := s.key(tokens(gateway.Day, 1000))
	user, tag := s.user(tokens(gateway.Day, 100)), s.tag(requests(gateway.Minute, 10), lifetime(gateway.OneUSD))
	minute, day := time.Date(2035, 5, 17, 10, 21, 0, 0, time.UTC), time.Date(2035, 5, 18, 0, 0, 0, 0, time.UTC)
	standing := func(tokens, ask, held int64, calls int64, spent gateway.NanoUSD, cost, heldCost gateway.NanoUSD) limit.Standing {
		return limit.Standing{
			Spent:  spent,
			Limits: []limit.State{{Limit: k.Limits[0], Used: tokens, Ask: ask, Held: held, Reset: day}},
			Also: []limit.Standing{
				{Subject: user.Subject, Spent: spent, Limits: []limit.State{
					{Subject: user.Subject, Limit: user.Limits[0], Used: tokens, Ask: ask, Held: held, Reset: day}}},
				{Subject: tag.Subject, Spent: spent, Limits: []limit.State{
					{Subject: tag.Subject, Limit: tag.Limits[0], Used: calls, Ask: 1, Reset: minute},
					{Subject: tag.Subject, Limit: tag.Limits[1], Used: int64(spent), Ask: int64(cost), Held: int64(heldCost)}}},
			},
		}
	}
	got, err := s.reserve(s.shared(k, 60, cent, user, tag))
	s.must(err)
	s.same("first", got, standing(60, 60, 0, 1, cent, cent, 0))
	got, err = s.reserve(s.shared(k, 30, 2*cent, user, tag))
	s.must(err)
	s.same("second", got, standing(90, 30, 60, 2, 3*cent, 2*cent, cent))

	_, err = s.reserve(s.shared(k, 11, 3*cent, user, tag))
	d := s.denied(err, gateway.Tokens)
	want := standing(90, 11, 90, 2, 3*cent, 3*cent, 3*cent)
	s.same("denied", d.Standing, want)
	s.same("denied by", d.State, want.Also[0].Limits[0])
	s.each("after a denial", map[string]int64{
		s.counter(gateway.Tokens, gateway.Day): 90, limit.Spend: int64(3 * cent), limit.InFlight: 2,
	}, k.Hash, user.Subject)
	s.each("after a denial", map[string]int64{
		s.counter(gateway.Requests, gateway.Minute): 2, limit.Spend: int64(3 * cent), limit.InFlight: 2,
	}, tag.Subject)
}

// testSharesLongestWait denies a call on several counter items: the answer is the
// limit that lasts longest.
func testSharesLongestWait(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Concurrency, Max: 1})
	user, tag := s.user(requests(gateway.Minute, 1)), s.tag(requests(gateway.Hour, 1))
	_, err := s.reserve(s.shared(k, 0, 0, user, tag))
	s.must(err)
	for _, step := range []struct {
		wait    time.Duration
		measure gateway.Measure
		subject string
	}{
		{0, gateway.Requests, tag.Subject}, // until the hour ends
		{time.Hour, gateway.Concurrency, ""},
	} {
		s.clock.advance(step.wait)
		_, err := s.reserve(s.shared(k, 0, 0, user, tag))
		if d := s.denied(err, step.measure); d.Subject != step.subject {
			s.Errorf("denied by %q, want %q", d.Subject, step.subject)
		}
	}
}

// testSharesSpend counts what a share without limits spends, so that a limit that is
// set later knows.
func testSharesSpend(s *suite) {
	k, user := s.key(), s.user()
	c := s.shared(k, 5, 2*cent, user)
	_, err := s.reserve(c)
	s.must(err)
	s.each("reserved", map[string]int64{limit.Spend: int64(2 * cent), limit.InFlight: 1}, k.Hash, user.Subject)
	s.must(s.settle(settlement(k, c, 3, cent)))
	s.each("settled", map[string]int64{limit.Spend: int64(cent)}, k.Hash, user.Subject)
}

// press lets 64 callers make calls with the keys in turn, and returns how many
// passed with each. It settles nothing.
func (s *suite) press(keys []gateway.Key, each int, cost gateway.NanoUSD, shares ...limit.Share) []int64 {
	passed := make([]atomic.Int64, len(keys))
	parallel(callers, func(i int) {
		for n := range each {
			which := (i + n) % len(keys)
			_, err := s.reserve(s.shared(keys[which], 0, cost, shares...))
			var d *limit.Denied
			switch {
			case err == nil:
				passed[which].Add(1)
			case !errors.As(err, &d):
				s.Error(err)
			}
		}
	})
	counts := make([]int64, len(keys))
	for i := range passed {
		counts[i] = passed[i].Load()
	}
	return counts
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}

// agree checks that the counter items hold what passed, and nothing else.
func (s *suite) agree(keys []gateway.Key, passed []int64, cost gateway.NanoUSD, per gateway.Unit, shares ...limit.Share) {
	s.Helper()
	check := func(subject string, limits []gateway.Limit, n int64) {
		s.Helper()
		want := map[string]int64{}
		if n > 0 {
			want[limit.InFlight] = n
			if cost > 0 {
				want[limit.Spend] = n * int64(cost)
			}
			for _, l := range limits {
				if l.Measure == gateway.Requests {
					want[s.counter(gateway.Requests, per)] = n
				}
			}
		}
		s.each("counters", want, subject)
	}
	for i, k := range keys {
		check(k.Hash, k.Limits, passed[i])
	}
	for _, share := range shares {
		check(share.Subject, share.Limits, sum(passed))
	}
}

func testSharesKeyBinds(s *suite) {
	keys := []gateway.Key{s.key(requests(gateway.Day, 30))}
	user, tag := s.user(requests(gateway.Day, 500)), s.tag(lifetime(5*gateway.OneUSD))
	passed := s.press(keys, 2, cent, user, tag)
	s.same("passed", passed, []int64{30})
	s.agree(keys, passed, cent, gateway.Day, user, tag)
}

func testSharesUserBinds(s *suite) {
	keys := []gateway.Key{s.key(requests(gateway.Day, 500)), s.key()}
	user, tag := s.user(requests(gateway.Day, 50)), s.tag(requests(gateway.Day, 500))
	passed := s.press(keys, 2, mill, user, tag)
	if sum(passed) != 50 {
		s.Errorf("%v passed, want 50 in all", passed)
	}
	s.agree(keys, passed, mill, gateway.Day, user, tag)
}

func testSharesTagBinds(s *suite) {
	keys := []gateway.Key{s.key(lifetime(gateway.OneUSD)), s.key(), s.key(requests(gateway.Day, 500))}
	tag := s.tag(lifetime(gateway.OneUSD))
	passed := s.press(keys, 3, 15*mill, tag)
	if sum(passed) != 66 { // 66 × $0.015 = $0.990
		s.Errorf("%v passed, want 66 in all", passed)
	}
	s.agree(keys, passed, 15*mill, gateway.Day, tag)
}

// testSharesAllBind has limits everywhere that run out at about the same time. A
// call that is refused on one counter item may have kept another call off another
// for a moment; afterwards there is room for exactly what the limits say.
func testSharesAllBind(s *suite) {
	keys := []gateway.Key{s.key(requests(gateway.Day, 25)), s.key(requests(gateway.Day, 35))}
	user, tag := s.user(requests(gateway.Day, 55)), s.tag(lifetime(50*cent))
	passed := s.press(keys, 3, cent, user, tag)
	s.agree(keys, passed, cent, gateway.Day, user, tag)
	for i, k := range keys {
		for range callers {
			if _, err := s.reserve(s.shared(k, 0, cent, user, tag)); err != nil {
				break
			}
			passed[i]++
		}
	}
	if passed[0] > 25 || passed[1] > 35 || sum(passed) != 50 {
		s.Errorf("%v passed, want 50 in all, at most 25 and 35", passed)
	}
	s.agree(keys, passed, cent, gateway.Day, user, tag)
}

// testSharesTenCents is testOneDollar for a user of two keys: reserved are two mills
// a call, spent is one, and 99 calls of $0.10 pass.
func testSharesTenCents(s *suite) {
	keys := [2]gateway.Key{s.key(), s.key()}
	user := s.user(lifetime(10 * cent))
	var attempts, passed atomic.Int64
	parallel(callers, func(i int) {
		for attempts.Add(1) <= 300 {
			k := keys[i%2]
			for {
				c := s.shared(k, 0, 2*mill, user)
				_, err := s.reserve(c)
				var d *limit.Denied
				if errors.As(err, &d) {
					if d.Held > 0 {
						continue
					}
					break
				}
				if err == nil {
					passed.Add(1)
					err = s.settle(settlement(k, c, 0, mill))
				}
				if err != nil {
					s.Error(err)
				}
				break
			}
		}
	})
	if passed.Load() != 99 {
		s.Errorf("%d admitted, want 99", passed.Load())
	}
	s.each("counters", map[string]int64{limit.Spend: int64(99 * mill)}, user.Subject)
	var booked gateway.NanoUSD
	for _, k := range keys {
		_, _, cost := s.booked(k)
		s.each("counters", map[string]int64{limit.Spend: int64(cost)}, k.Hash)
		booked += cost
	}
	if booked != 99*mill {
		s.Errorf("events of %v, want $0.099", booked)
	}
}
