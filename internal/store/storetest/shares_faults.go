package storetest

import (
	"errors"
	"sync/atomic"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
)

// testSharesRetries sends each Reserve and each Settle four times at once.
func testSharesRetries(s *suite) {
	k := s.key()
	user, tag := s.user(tokens(gateway.Day, 1600)), s.tag(requests(gateway.Day, 16))
	var claims [16]*limit.Claim
	for i := range claims {
		claims[i] = s.shared(k, 100, cent, user, tag)
	}
	parallel(callers, func(i int) {
		if _, err := s.reserve(claims[i%16]); err != nil {
			s.Error(err)
		}
	})
	s.each("reserved", map[string]int64{
		s.counter(gateway.Tokens, gateway.Day): 1600, limit.Spend: int64(16 * cent), limit.InFlight: 16,
	}, user.Subject)
	parallel(callers, func(i int) {
		if err := s.settle(settlement(k, claims[i%16], 30, cent/2)); err != nil {
			s.Error(err)
		}
	})
	s.each("settled", map[string]int64{limit.Spend: int64(8 * cent)}, k.Hash)
	s.each("settled", map[string]int64{s.counter(gateway.Tokens, gateway.Day): 480, limit.Spend: int64(8 * cent)}, user.Subject)
	s.each("settled", map[string]int64{s.counter(gateway.Requests, gateway.Day): 16, limit.Spend: int64(8 * cent)}, tag.Subject)
	if n, tokens, cost := s.booked(k); n != 16 || tokens != 480 || cost != 8*cent {
		s.Errorf("%d events of %d tokens and %v", n, tokens, cost)
	}
}

// testSharesRelease takes a claim back, twice, and one that never was.
func testSharesRelease(s *suite) {
	k := s.key(requests(gateway.Day, 1), tokens(gateway.Hour, 10))
	user := s.user(requests(gateway.Lifetime, 1))
	c := s.shared(k, 10, cent, user)
	s.must(s.Release(s.ctx, c))
	_, err := s.reserve(c)
	s.must(err)
	for range 2 {
		s.must(s.Release(s.ctx, c))
		s.each("released", map[string]int64{}, k.Hash, user.Subject)
	}
	_, err = s.reserve(s.shared(k, 10, cent, user))
	s.must(err)
}

// testSharesStale changes and deletes the records of shares: that is what is stale,
// and nothing is charged.
func testSharesStale(s *suite) {
	k, user, tag := s.key(requests(gateway.Day, 5)), s.user(requests(gateway.Day, 5)), s.tag()
	stale := func(what string, k gateway.Key, want []string, shares ...limit.Share) {
		s.Helper()
		_, err := s.reserve(s.shared(k, 1, cent, shares...))
		s.is(what, err, limit.ErrStale)
		var got []string
		var only *limit.StaleShares
		if errors.As(err, &only) {
			got = only.Subjects
		}
		s.same(what, got, want)
		s.each(what, map[string]int64{}, k.Hash, tag.Subject)
	}
	_, _, err := record.OfUsers(s.Store).Update(s.ctx, "user-002", func(u *gateway.User, _ int64) error {
		u.Limits = []gateway.Limit{requests(gateway.Day, 1)}
		return nil
	})
	s.must(err)
	stale("a changed user", k, []string{user.Subject}, user, tag)
	stale("a changed user, last", k, []string{user.Subject}, tag, user)
	s.each("the user", map[string]int64{}, user.Subject)

	full := s.key(requests(gateway.Day, 0))
	stale("a changed user of a key that denies", full, []string{user.Subject}, user, tag)

	s.must(record.OfUsers(s.Store).Delete(s.ctx, "user-002"))
	stale("a deleted user", k, []string{user.Subject}, user, tag)
	never := limit.Share{Subject: record.UserSubject("nobody"), Version: 1}
	stale("two users", k, []string{user.Subject, never.Subject}, user, never, tag)

	old := k
	_, err = s.UpdateKey(s.ctx, k.ID, func(*gateway.Key) error { return nil })
	s.must(err)
	stale("a changed key and a user", old, nil, user, tag)
	stale("a changed key", old, nil, tag)
	_, err = s.Counters(s.ctx, user.Subject)
	s.is("counters of the deleted user", err, gateway.ErrNotFound)
}

// testSharesDeletedUser deletes a user while a call is open.
func testSharesDeletedUser(s *suite) {
	k, user := s.key(), s.user(requests(gateway.Day, 5))
	c := s.shared(k, 7, 2*cent, user)
	_, err := s.reserve(c)
	s.must(err)
	s.must(record.OfUsers(s.Store).Delete(s.ctx, "user-002"))
	s.must(s.settle(settlement(k, c, 3, cent)))
	s.each("settled", map[string]int64{limit.Spend: int64(cent)}, k.Hash)
	_, err = s.Counters(s.ctx, user.Subject)
	s.is("counters of the deleted user", err, gateway.ErrNotFound)
}

func testSharesIdempotency(s *suite) {
	k, user := s.key(), s.user(tokens(gateway.Day, 10))
	_, err := s.reserve(withKey(s.shared(k, 11, cent, user), "order"))
	s.denied(err, gateway.Tokens)
	c := withKey(s.shared(k, 10, cent, user), "order")
	_, err = s.reserve(c)
	s.must(err)
	_, err = s.reserve(withKey(s.shared(k, 0, 0, user), "order"))
	s.is("while it runs", err, limit.ErrRunning)
	s.must(s.settle(settlement(k, c, 10, cent)))
	_, err = s.reserve(withKey(s.shared(k, 0, 0, user), "order"))
	s.is("afterwards", err, limit.ErrRepeated)
	s.each("counters", map[string]int64{limit.Spend: int64(cent)}, k.Hash)
}

// testSharesWithoutKeyID refuses a claim whose event nobody would find.
func testSharesWithoutKeyID(s *suite) {
	k, user := s.key(), s.user()
	c := s.shared(k, 0, 0, user)
	c.KeyID = ""
	if _, err := s.Reserve(s.ctx, c); gateway.KindOf(err) != gateway.Internal || err == nil {
		s.Errorf("error %v, want one of kind Internal", err)
	}
	s.each("counters", map[string]int64{}, k.Hash, user.Subject)
}

// testSharesFaultOnce lets each storage call of a round (reserve, settle) fail once.
func testSharesFaultOnce(s *suite) {
	s.eachFault(s.faults.once, func() (round, check func()) {
		k := s.key(tokens(gateway.Day, 100))
		user, tag := s.user(tokens(gateway.Day, 100)), s.tag(tokens(gateway.Day, 100))
		c := s.shared(k, 100, 2*cent, user, tag)
		end := settlement(k, c, 60, cent)
		round = func() {
			_, err := s.reserve(c)
			s.must(err)
			s.must(s.settle(end))
		}
		check = func() {
			s.each("counters", map[string]int64{s.counter(gateway.Tokens, gateway.Day): 60, limit.Spend: int64(cent)},
				k.Hash, user.Subject, tag.Subject)
			s.same("events", s.events(k), []gateway.Event{end.Event})
		}
		return round, check
	})
}

// testSharesFaultOnceDenied is the same for a claim that one share denies.
func testSharesFaultOnceDenied(s *suite) {
	s.eachFault(s.faults.once, func() (round, check func()) {
		k := s.key(requests(gateway.Day, 1))
		user, tag := s.user(requests(gateway.Day, 1)), s.tag(tokens(gateway.Day, 100))
		c := withKey(s.shared(k, 101, 2*cent, user, tag), "too much")
		round = func() {
			_, err := s.reserve(c)
			s.denied(err, gateway.Tokens)
		}
		check = func() {
			s.each("counters", map[string]int64{}, k.Hash, user.Subject, tag.Subject)
			_, err := s.reserve(withKey(s.shared(k, 100, cent, user, tag), "too much"))
			s.must(err)
		}
		return round, check
	})
}

// testSharesFaultsConcurrent lets every seventh storage call fail while 64 callers
// with two keys press on a user's limit. (Not every third: a Reserve of three calls
// would never succeed.)
func testSharesFaultsConcurrent(s *suite) {
	for _, when := range []When{Before, After} {
		keys := [2]gateway.Key{s.key(), s.key(requests(gateway.Day, 500))}
		user, tag := s.user(requests(gateway.Day, 50)), s.tag(requests(gateway.Day, 500))
		var passed [2]atomic.Int64
		s.faults.arm(plan{at: 2, every: 7, when: when})
		parallel(callers, func(i int) {
			for range 2 {
				k := keys[i%2]
				c := s.shared(k, 0, 2*cent, user, tag)
				err := s.insist(func() error { _, err := s.Reserve(s.ctx, c); return err })
				if err != nil {
					var d *limit.Denied
					if !errors.As(err, &d) {
						s.Error(err)
					}
					s.released(c, err)
					continue
				}
				passed[i%2].Add(1)
				end := settlement(k, c, 0, cent)
				if err := s.insist(func() error { _, err := s.Settle(s.ctx, end); return err }); err != nil {
					s.Error(err)
				}
			}
		})
		if s.faults.disarm() == 0 {
			s.Error("no fault fired")
		}
		a, b := passed[0].Load(), passed[1].Load()
		if a+b != 50 {
			s.Errorf("%s: %d and %d admitted, want 50", when, a, b)
		}
		s.each(when.String(), map[string]int64{limit.Spend: a * int64(cent)}, keys[0].Hash)
		s.each(when.String(), map[string]int64{s.counter(gateway.Requests, gateway.Day): b, limit.Spend: b * int64(cent)}, keys[1].Hash)
		s.each(when.String(), map[string]int64{s.counter(gateway.Requests, gateway.Day): 50, limit.Spend: int64(50 * cent)}, user.Subject, tag.Subject)
		for i, want := range []int64{a, b} {
			if n, _, cost := s.booked(keys[i]); int64(n) != want || cost != gateway.NanoUSD(want)*cent {
				s.Errorf("%s: %d events of %v, want %d", when, n, cost, want)
			}
		}
	}
}
