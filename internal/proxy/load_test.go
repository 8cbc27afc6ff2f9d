package proxy_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// LM-03: 100 a minute, 256 callers, 2,000 calls: exactly 100 pass.
func testRateLimitUnderLoad(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(limited(perMinute(100)))
	r.same("statuses", r.clients(256, 2000, func(int) answer { return r.chat(k, hello) }), map[int]int{200: 100, 429: 1900})
	if n := r.fake.Calls(); n != 100 {
		t.Errorf("the provider was called %d times, want 100", n)
	}
	if spent := r.books(k); spent != 100_000_000 {
		t.Errorf("spent %v, want 100 calls at $0.001", spent)
	}
}

// LM-10: $0.01, $0.001 a call, 256 callers at once and an answer that takes half a
// second: exactly 10 pass, and $0.01 is spent to the nano.
func testBudgetUnderLoad(t *testing.T) {
	r := newRig(t)
	r.fake.Delay.Store(int64(500 * time.Millisecond))
	k := r.newKey(budget(10_000_000))
	var mu sync.Mutex
	codes := map[string]int{}
	got := r.clients(256, 256, func(int) answer {
		a := r.chat(k, hello)
		if a.status == 429 {
			mu.Lock()
			codes[r.refused(a, 429, "cost_limit_exceeded").Error.Code]++
			mu.Unlock()
		}
		return a
	})
	r.same("statuses", got, map[int]int{200: 10, 429: 246})
	if n := r.fake.Calls(); n != 10 {
		t.Errorf("the provider was called %d times, want 10", n)
	}
	if spent := r.books(k); spent != 10_000_000 {
		t.Errorf("spent %v, want $0.01", spent)
	}
	// While calls were in flight waiting could help; now it cannot.
	a := r.chat(k, hello)
	e := r.refused(a, 429, "insufficient_quota")
	if a.header.Get("X-Should-Retry") != "false" || a.header.Get("Retry-After") != "" || e.Error.Type != "insufficient_quota" {
		t.Errorf("headers %v, error %+v", a.header, e.Error)
	}
	if want := "[Tollgate] The cost limit for its lifetime of the API key is used up: $0.010000000 of $0.010000000. Only its operator can raise it."; e.Error.Message != want {
		t.Errorf("message %q", e.Error.Message)
	}
}

// LM-05: 5 a second for 5 seconds: never more than 5 in a second of the clock.
func testPerSecond(t *testing.T) {
	r := newRig(t)
	r.fake.Keep = false
	k := r.newKey(limited(perSecond(5)))
	start := time.Now()
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for time.Since(start) < 5*time.Second {
				if a := r.chat(k, hello); a.status != 200 && a.status != 429 {
					t.Errorf("got %d %s (%v)", a.status, a.body, a.err)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	callers.Wait()
	seconds, passed := map[int64]int{}, 0
	for _, e := range r.events(k) {
		if e.Status == 200 {
			seconds[e.At.Unix()]++
			passed++
		}
	}
	for s, n := range seconds {
		if n > 5 {
			t.Errorf("%d calls in second %d", n, s)
		}
	}
	if passed < 25 || passed > 30 || int64(passed) != r.fake.Calls() {
		t.Errorf("%d calls passed and %d reached the provider, want 25 to 30", passed, r.fake.Calls())
	}
}

// LM-15: however a key is hammered, it opens when its window ends.
func testEveryWindowOpens(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(limited(perMinute(3)))
	for minute := range 10 {
		got := r.clients(8, 40, func(int) answer { return r.chat(k, hello) })
		r.same(fmt.Sprint("minute ", minute), got, map[int]int{200: 3, 429: 37})
		r.clock.Add(time.Minute)
	}
	r.settled()
	// The counters of past minutes are removed on the way: one is left, or two
	// while the last one may still be charged.
	if n := len(r.counters(k).Values); n > 4 {
		t.Errorf("%d counters after 10 windows", n)
	}
}

// LM-19: a budget of $0.0001 pays for 125 calls of $0.0000008.
func testTinyCosts(t *testing.T) {
	r := newRig(t, standing)
	r.fake.Keep = false
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) {
		s.CostMap = &gateway.CostMap{Prompt: map[string]int64{"m": 0}, Completion: map[string]int64{"m": 40_000_000}}
	})
	k := r.newKey(budget(100_000))
	got := r.clients(16, 2000, func(int) answer { return r.chat(k, hello) })
	r.same("statuses", got, map[int]int{200: 125, 429: 1875})
	if spent := r.books(k); spent != 100_000 {
		t.Errorf("spent %v, want $0.0001", spent)
	}
}

// Concurrency: so many at a time, and the next as soon as one has ended.
func TestConcurrencyLimit(t *testing.T) {
	r := newRig(t)
	release := make(chan bool)
	r.fake.Override = func(http.ResponseWriter, *http.Request, []byte) bool { r.wait(release); return false }
	k := r.newKey(limited(gateway.Limit{Measure: gateway.Concurrency, Max: 3}))
	results := make(chan answer, 20)
	for range 20 {
		go func() { results <- r.chat(k, hello) }()
	}
	for range 17 {
		a := <-results
		e := r.refused(a, 429, "concurrency_limit_exceeded")
		if e.Error.Message != "[Tollgate] Limit of the API key reached: 3 of 3 calls are in flight." || a.header.Get("Retry-After") != "1" {
			t.Errorf("%q, Retry-After %q", e.Error.Message, a.header.Get("Retry-After"))
		}
	}
	close(release)
	for range 3 {
		r.passed(<-results)
	}
	r.settled()
	r.passed(r.chat(k, hello))
	if n := r.fake.Calls(); n != 4 {
		t.Errorf("the provider was called %d times, want 4", n)
	}
}
