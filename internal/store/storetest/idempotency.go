package storetest

import (
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

func testIdempotencyRunning(s *suite) {
	k := s.key()
	c := withKey(s.claim(k, 0, cent), "a")
	_, err := s.Reserve(s.ctx, c)
	s.must(err)
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("same value", err, limit.ErrRunning)
	_, err = s.Reserve(s.ctx, c)
	s.must(err) // the same claim again
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "b"))
	s.must(err)
	_, err = s.Reserve(s.ctx, s.claim(k, 0, cent))
	s.must(err)
	_, err = s.Reserve(s.ctx, withKey(s.claim(s.key(), 0, cent), "a"))
	s.must(err) // another key's values are its own
	s.same("counters", s.values(k), map[string]int64{limit.Spend: int64(3 * cent), limit.InFlight: 3})
}

func testIdempotencyEnded(s *suite) {
	k := s.key()
	c := withKey(s.claim(k, 0, cent), "a")
	_, err := s.Reserve(s.ctx, c)
	s.must(err)
	s.closed(settlement(k, c, 0, cent))
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("same value", err, limit.ErrRepeated)
	s.same("counters", s.values(k), map[string]int64{limit.Spend: int64(cent)})
}

func testIdempotencyForgotten(s *suite) {
	k := s.key()
	first := withKey(s.claim(k, 0, cent), "a")
	_, err := s.Reserve(s.ctx, first)
	s.must(err)
	end := settlement(k, first, 0, 0)
	end.Forget = true
	s.closed(end)
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.must(err)
	s.closed(end) // a retry must not forget what is another call's now
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("while the second runs", err, limit.ErrRunning)
}

func testIdempotencyDenied(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Tokens, Per: gateway.Minute, Max: 10})
	_, err := s.Reserve(s.ctx, withKey(s.claim(k, 11, cent), "a"))
	s.denied(err, gateway.Tokens)
	running := withKey(s.claim(k, 10, cent), "a")
	_, err = s.Reserve(s.ctx, running)
	s.must(err)
	// A repeated value is told as such even if the claim would not fit anyway.
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 11, cent), "a"))
	s.is("while running", err, limit.ErrRunning)
}

func testIdempotencyStale(s *suite) {
	k := s.key()
	old := k
	k, err := s.UpdateKey(s.ctx, k.ID, func(*gateway.Key) error { return nil })
	s.must(err)
	_, err = s.Reserve(s.ctx, withKey(s.claim(old, 0, cent), "a"))
	s.is("old version", err, limit.ErrStale)
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.must(err)
	_, err = s.Reserve(s.ctx, withKey(s.claim(old, 0, cent), "a"))
	s.is("old version, value taken", err, limit.ErrRunning)
}

// testIdempotencyExpiry forgets ten minutes after the first claim, by the clock,
// also if the call that ended could have taken longer.
func testIdempotencyExpiry(s *suite) {
	k := s.key()
	first := withKey(s.claim(k, 0, cent), "a")
	first.Expires = epoch.Add(15 * time.Minute)
	_, err := s.Reserve(s.ctx, first)
	s.must(err)
	s.clock.advance(4 * time.Minute)
	s.closed(settlement(k, first, 0, cent))

	s.clock.set(epoch.Add(limit.IdempotencyWindow - time.Millisecond))
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("just before", err, limit.ErrRepeated)
	s.clock.set(epoch.Add(limit.IdempotencyWindow))
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.must(err)
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("taken again", err, limit.ErrRunning)
}

// testIdempotencySlowCall runs longer than the window, then even longer than its
// reservation.
func testIdempotencySlowCall(s *suite) {
	k := s.key()
	slow := withKey(s.claim(k, 0, cent), "a")
	slow.Expires = epoch.Add(15 * time.Minute)
	_, err := s.Reserve(s.ctx, slow)
	s.must(err)
	s.clock.set(slow.Expires.Add(-time.Millisecond))
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("while it may run", err, limit.ErrRunning)

	s.clock.set(slow.Expires)
	second := withKey(s.claim(k, 0, cent), "a")
	_, err = s.Reserve(s.ctx, second)
	s.must(err)
	end := settlement(k, slow, 0, 0)
	end.Forget = true
	s.closed(end) // much too late; the value belongs to the second call
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("after the slow call's settlement", err, limit.ErrRunning)
	s.closed(settlement(k, second, 0, cent))
	_, err = s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), "a"))
	s.is("after the second call's settlement", err, limit.ErrRepeated)
}

func testIdempotencyConcurrent(s *suite) {
	k := s.key()
	for _, value := range []string{"a", "b", "c"} {
		var passed, running atomic.Int64
		parallel(16, func(int) {
			_, err := s.reserve(withKey(s.claim(k, 0, cent), value))
			switch {
			case err == nil:
				passed.Add(1)
			case errors.Is(err, limit.ErrRunning):
				running.Add(1)
			default:
				s.Error(err)
			}
		})
		if passed.Load() != 1 || running.Load() != 15 {
			s.Errorf("%d admitted and %d running, want 1 and 15", passed.Load(), running.Load())
		}
	}
	s.same("counters", s.values(k), map[string]int64{limit.Spend: int64(3 * cent), limit.InFlight: 3})
}

// testIdempotencyValues takes values as clients send them: each is its own.
func testIdempotencyValues(s *suite) {
	k := s.key()
	values := []string{
		" ", "A", "a", "a#b", "a/b", "a\x00b", "a\x00", "ä", "键", `"`, "'; --", "KEY", "COUNTERS",
		strings.Repeat("x", 255), strings.Repeat("x", 254) + "y", strings.Repeat("long", 2000),
	}
	for _, v := range values {
		_, err := s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), v))
		if err != nil {
			s.Errorf("%.20q: %v", v, err)
		}
	}
	for _, v := range values {
		_, err := s.Reserve(s.ctx, withKey(s.claim(k, 0, cent), v))
		if !errors.Is(err, limit.ErrRunning) {
			s.Errorf("%.20q again: %v, want %v", v, err, limit.ErrRunning)
		}
	}
}
