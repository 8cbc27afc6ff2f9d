package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

var (
	perSecond = func(n int64) gateway.Limit {
		return gateway.Limit{Measure: gateway.Requests, Per: gateway.Second, Max: n}
	}
	perMinute = func(n int64) gateway.Limit {
		return gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: n}
	}
	perDay    = func(n int64) gateway.Limit { return gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: n} }
	tokensPer = func(u gateway.Unit, n int64) gateway.Limit {
		return gateway.Limit{Measure: gateway.Tokens, Per: u, Max: n}
	}
	costPer = func(u gateway.Unit, n gateway.NanoUSD) gateway.Limit {
		return gateway.Limit{Measure: gateway.Cost, Per: u, Max: int64(n)}
	}
)

// LM-01, LM-02, LM-06: each unit's window, what the refusal says, and the headers.
func TestRateLimit(t *testing.T) {
	for _, test := range []struct {
		unit    gateway.Unit
		resets  time.Duration // after noon
		retry   string        // Retry-After
		noRetry string        // X-Should-Retry
		message string
	}{
		{gateway.Second, time.Second, "1", "", "The rate limit per second of the API key is reached: 2 of 2 requests used. It resets at 2026-03-14T12:00:01Z."},
		{gateway.Minute, time.Minute, "60", "", "The rate limit per minute of the API key is reached: 2 of 2 requests used. It resets at 2026-03-14T12:01:00Z."},
		{gateway.Hour, time.Hour, "", "false", "The rate limit per hour of the API key is reached: 2 of 2 requests used. It resets at 2026-03-14T13:00:00Z."},
		{gateway.Day, 12 * time.Hour, "", "false", "The rate limit per day of the API key is reached: 2 of 2 requests used. It resets at 2026-03-15T00:00:00Z."},
	} {
		t.Run("LM-01 LM-02 LM-06 per "+string(test.unit), func(t *testing.T) {
			r := newRig(t, standing)
			k := r.newKey(func(k *gateway.Key) { k.RateLimitOver, k.RateLimitUnit = 2, test.unit })
			for left := range 2 {
				a := r.passed(r.chat(k, hello))
				got := [3]string{a.header.Get("X-Ratelimit-Limit-Requests"), a.header.Get("X-Ratelimit-Remaining-Requests"), a.header.Get("X-Ratelimit-Reset-Requests")}
				if want := [3]string{"2", fmt.Sprint(1 - left), test.resets.String()}; got != want {
					t.Errorf("limit headers %q, want %q", got, want)
				}
			}
			a := r.chat(k, hello)
			e := r.refused(a, 429, "rate_limit_exceeded")
			if e.Error.Message != "[Tollgate] "+test.message || e.Error.Type != "rate_limit_error" {
				t.Errorf("%+v", e.Error)
			}
			got := [4]string{a.header.Get("Retry-After"), a.header.Get("X-Should-Retry"), a.header.Get("X-Ratelimit-Remaining-Requests"), a.header.Get("X-Ratelimit-Reset-Requests")}
			if want := [4]string{test.retry, test.noRetry, "0", test.resets.String()}; got != want {
				t.Errorf("headers %q, want %q", got, want)
			}
			r.clock.Add(test.resets - time.Millisecond)
			r.refused(r.chat(k, hello), 429, "rate_limit_exceeded")
			r.clock.Add(time.Millisecond)
			r.passed(r.chat(k, hello))
		})
	}
}

// LM-04: the edge of a window lets in the next window's calls, and not one more.
func testWindowEdge(t *testing.T) {
	r := newRig(t, standing)
	r.clock.Add(59 * time.Second)
	k := r.newKey(limited(perMinute(10)))
	for _, step := range []struct {
		wait   time.Duration
		calls  int
		passed int
	}{
		{0, 6, 6},
		{900 * time.Millisecond, 10, 4},
		{99 * time.Millisecond, 5, 0},
		{time.Millisecond, 20, 10},
		{59*time.Second + 999*time.Millisecond, 3, 0},
		{time.Millisecond, 3, 3},
	} {
		r.clock.Add(step.wait)
		got := r.clients(4, step.calls, func(int) answer { return r.chat(k, hello) })
		if got[200] != step.passed || got[200]+got[429] != step.calls {
			t.Errorf("at %v: %v, want %d passed of %d", r.clock.Now(), got, step.passed, step.calls)
		}
	}
}

// LM-07: several limits on one key, each holding by itself.
func testSeveralLimits(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(limited(perMinute(2), perDay(3)))
	codeAt := func(a answer) string { // which limit a refusal names
		if a.status == 200 {
			return "passed"
		}
		_, after, _ := strings.Cut(r.refused(a, 429, "rate_limit_exceeded").Error.Message, "limit ")
		unit, _, _ := strings.Cut(after, " of")
		return unit
	}
	for i, step := range []struct {
		wait time.Duration
		want string
	}{
		{0, "passed"}, {0, "passed"}, {0, "per minute"},
		{time.Minute, "passed"}, {0, "per day"}, {time.Minute, "per day"},
		{11*time.Hour + 58*time.Minute - time.Millisecond, "per day"},
		{time.Millisecond, "passed"},
	} {
		r.clock.Add(step.wait)
		if got := codeAt(r.chat(k, hello)); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}

// LM-08: cost limits per window, at $0.005 a call (100 tokens) under $0.01.
func TestWindowCost(t *testing.T) {
	hundred := strings.Replace(hello, "20}", "100}", 1)
	for unit, window := range map[gateway.Unit]time.Duration{
		gateway.Minute: time.Minute, gateway.Hour: time.Hour, gateway.Day: 12 * time.Hour, gateway.Month: 17*24*time.Hour + 12*time.Hour,
	} {
		t.Run("LM-08 per "+string(unit), func(t *testing.T) {
			r := newRig(t, standing)
			r.fake.Override = answers(200, "application/json", usageAnswer(`{"prompt_tokens":10,"completion_tokens":100,"total_tokens":110}`))
			k := r.newKey(func(k *gateway.Key) { k.CostLimitOver, k.CostLimitUnit = 10_000_000, unit })
			r.passed(r.chat(k, hundred))
			r.settled()
			a := r.passed(r.chat(k, hundred))
			got := [3]string{a.header.Get("X-Tollgate-Cost-Limit-Usd"), a.header.Get("X-Tollgate-Cost-Remaining-Usd"), a.header.Get("X-Tollgate-Cost-Reset")}
			if want := [3]string{"0.010000000", "0.000000000", window.String()}; got != want {
				t.Errorf("headers %q, want %q", got, want)
			}
			r.settled()
			r.refused(r.chat(k, hundred), 429, "cost_limit_exceeded")
			r.clock.Add(window - time.Millisecond)
			r.refused(r.chat(k, hundred), 429, "cost_limit_exceeded")
			r.clock.Add(time.Millisecond)
			r.passed(r.chat(k, hundred))
			if spent := r.books(k); spent != 15_000_000 {
				t.Errorf("spent %v, want 3 calls at $0.005", spent)
			}
		})
	}
}

// LM-09: a budget for a lifetime is used up, and no time brings it back.
func testLifetimeCost(t *testing.T) {
	r := newRig(t, standing)
	r.fake.Override = answers(200, "application/json", usageAnswer(`{"prompt_tokens":10,"completion_tokens":100,"total_tokens":110}`))
	hundred := strings.Replace(hello, "20}", "100}", 1) // $0.005
	k := r.newKey(budget(10_000_000))
	for range 2 {
		r.passed(r.chat(k, hundred))
		r.settled()
	}
	for range 2 {
		a := r.chat(k, hundred)
		if r.refused(a, 429, "insufficient_quota"); a.header.Get("X-Should-Retry") != "false" {
			t.Errorf("headers %v", a.header)
		}
		r.clock.Add(400 * 24 * time.Hour)
	}
	if spent := r.books(k); spent != 10_000_000 || r.fake.Calls() != 2 {
		t.Errorf("spent %v in %d calls", spent, r.fake.Calls())
	}
}

// LM-14, LM-15, LM-18: refusals count nowhere, so they neither prolong nor shorten
// anything.
func testRefusalsDoNotCount(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(limited(perMinute(5), costPer(gateway.Month, 3_000_000)), func(k *gateway.Key) {
		k.AllowedPaths = []gateway.AllowedPath{{Method: "POST", Path: chat}}
	})
	for range 3 {
		r.refused(r.call(k.secret, "GET", openai+"/models", ""), 403, "path_not_allowed")
	}
	r.passed(r.chat(k, hello))
	r.passed(r.chat(k, hello))
	r.settled()
	r.passed(r.chat(k, hello))
	r.settled()
	for range 20 { // past the rate limit, were these counted
		r.refused(r.chat(k, hello), 429, "cost_limit_exceeded")
	}
	r.clock.Add(time.Minute)
	r.refused(r.chat(k, hello), 429, "cost_limit_exceeded")
	r.updateKey(k, func(k *gateway.Key) { k.Limits = []gateway.Limit{perMinute(5)} })
	for range 5 {
		r.passed(r.chat(k, hello))
	}
	r.refused(r.chat(k, hello), 429, "rate_limit_exceeded")
}

// LM-20: a stream that ends in the next minute is charged to the one it began in.
func testChargedToTheWindowOfAdmission(t *testing.T) {
	r := newRig(t, standing)
	begun, release := make(chan bool, 1), make(chan bool)
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		begun <- true
		r.wait(release)
		return false
	}
	r.clock.Add(59 * time.Second)
	k := r.newKey(limited(perMinute(1), costPer(gateway.Minute, 1_000_000)))
	done := make(chan answer)
	go func() { done <- r.chat(k, strings.Replace(hello, "{", `{"stream":true,`, 1)) }()
	<-begun
	r.clock.Add(2 * time.Second)
	release <- true
	r.passed(<-done)
	if c := r.counters(k); c.Values[limit.CounterName(gateway.Cost, gateway.Minute, noon)] != 1_000_000 {
		t.Errorf("the first minute's counter: %v", c.Values)
	}
	go func() { <-begun; release <- true }()
	r.passed(r.chat(k, hello)) // the second minute is untouched
}

// LM-21: changing the unit of a limit begins another window.
func testUnitChange(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(limited(perMinute(1)))
	r.passed(r.chat(k, hello))
	r.refused(r.chat(k, hello), 429, "rate_limit_exceeded")
	r.updateKey(k, func(k *gateway.Key) {
		k.Limits = []gateway.Limit{{Measure: gateway.Requests, Per: gateway.Hour, Max: 1}}
	})
	r.passed(r.chat(k, hello))
	r.refused(r.chat(k, hello), 429, "rate_limit_exceeded")
}

// Tokens: input and output of each call count, what was not used is given back.
func TestTokenLimit(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(limited(tokensPer(gateway.Minute, 100)))
	// Of 20 out and 8 for "hi" by count, 30 are reported.
	for left := int64(70); left >= 10; left -= 30 {
		a := r.passed(r.chat(k, hello))
		r.settled()
		if limit := a.header.Get("X-Ratelimit-Limit-Tokens"); limit != "100" {
			t.Errorf("limit header %q", limit)
		}
		c := r.counters(k)
		if used := c.Values[limit.CounterName(gateway.Tokens, gateway.Minute, noon)]; used != 100-left {
			t.Errorf("counted %d tokens, want %d", used, 100-left)
		}
	}
	// 10 are left; the input takes some, and the output is cut to the rest.
	a := r.passed(r.chat(k, hello))
	if got := a.header.Get("X-Tollgate-Max-Output-Tokens"); got == "" || got != fmt.Sprint(sentCap(t, r)) {
		t.Errorf("header says %q, the provider saw %d", got, sentCap(t, r))
	}
	r.settled()
	e := r.refused(r.chat(k, hello), 429, "token_limit_exceeded")
	if !strings.Contains(e.Error.Message, "token limit per minute") {
		t.Errorf("message %q", e.Error.Message)
	}
	r.clock.Add(time.Minute)
	r.passed(r.chat(k, hello))
}

// A call that fails upstream was made: it stays counted, and costs nothing.
func TestFailedCallsStayCounted(t *testing.T) {
	r := newRig(t, standing)
	r.fake.Override = answers(500, "application/json", `{"error":{"message":"no"}}`)
	k := r.newKey(limited(perMinute(2)), budget(10_000_000))
	for range 2 {
		if a := r.chat(k, hello); a.status != 500 {
			t.Fatalf("got %d", a.status)
		}
	}
	r.refused(r.chat(k, hello), 429, "rate_limit_exceeded")
	if spent := r.books(k); spent != 0 {
		t.Errorf("spent %v", spent)
	}
}
