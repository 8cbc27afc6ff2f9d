package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// A window that is used up is worth waiting for, however much the call asked for at
// first: it is made smaller where that helps.
func TestUsedUpWindow(t *testing.T) {
	const greedy = `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5000}`
	for _, test := range []struct {
		name  string
		limit gateway.Limit
		code  string
	}{
		{"tokens", tokensPer(gateway.Minute, 100), "token_limit_exceeded"},
		{"cost", costPer(gateway.Minute, 3_000_000), "cost_limit_exceeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, standing)
			r.clock.Add(20 * time.Second)
			k := r.newKey(limited(test.limit))
			var a answer
			for range 10 {
				if a = r.chat(k, greedy); a.status != 200 {
					break
				}
				r.settled()
			}
			e := r.refused(a, 429, test.code)
			if a.header.Get("Retry-After") != "40" || a.header.Get("X-Should-Retry") == "false" ||
				!strings.HasSuffix(e.Error.Message, "It resets at 2026-03-14T12:01:00Z.") {
				t.Errorf("%q, headers %v", e.Error.Message, a.header)
			}
			r.clock.Add(40 * time.Second)
			r.passed(r.chat(k, greedy))
		})
	}
}

// A call that never fits is told so, also while others are in flight: nothing that
// they give back makes room for it.
func TestCallTooLargeForItsLimit(t *testing.T) {
	const opaque = `{"model":"gpt-4o","input":"hi","previous_response_id":"resp_1"}`
	for _, test := range []struct {
		name    string
		limit   gateway.Limit
		code    string
		message string
	}{
		{"lifetime cost", costPer(gateway.Lifetime, 250_000_000), "insufficient_quota",
			"This call may take $0.544272000, more than the whole cost limit for its lifetime of the API key ($0.250000000). Send a smaller one."},
		{"cost of a day", costPer(gateway.Day, 250_000_000), "cost_limit_exceeded",
			"This call may take $0.544272000, more than the whole cost limit per day of the API key ($0.250000000). Send a smaller one."},
		{"tokens", tokensPer(gateway.Day, 1000), "token_limit_exceeded",
			"This call may take 128016 tokens, more than the whole token limit per day of the API key (1000 tokens). Send a smaller one."},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, standing)
			k := r.newKey(limited(test.limit))
			refused := func() {
				t.Helper()
				a := r.call(k.secret, http.MethodPost, openai+"/responses", opaque)
				e := r.refused(a, 429, test.code)
				if got := strings.TrimPrefix(e.Error.Message, "[Tollgate] "); got != test.message {
					t.Errorf("message %q, want %q", got, test.message)
				}
				if a.header.Get("X-Should-Retry") != "false" || a.header.Get("Retry-After") != "" {
					t.Errorf("headers %v", a.header)
				}
			}
			refused()
			gate, gone := make(chan bool), make(chan answer)
			r.fake.Override = func(http.ResponseWriter, *http.Request, []byte) bool { r.wait(gate); return false }
			go func() { gone <- r.chat(k, hello) }()
			r.await("a call is in flight", func() bool { return r.fake.Calls() == 1 })
			refused()
			close(gate)
			r.passed(<-gone)
		})
	}
}

// What is left may be too little for a call that would fit an unused budget.
func TestCallTooLargeForTheRest(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(budget(900_000_000))
	r.passed(r.chat(k, `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":5}`))
	r.settled()
	r.updateKey(k, func(k *gateway.Key) { k.CostLimit = 544_300_000 })
	a := r.call(k.secret, http.MethodPost, openai+"/responses", `{"model":"gpt-4o","input":"hi","previous_response_id":"resp_1"}`)
	e := r.refused(a, 429, "insufficient_quota")
	if !strings.HasPrefix(e.Error.Message, "[Tollgate] What is left of the cost limit for its lifetime of the API key is less than this call may take, $0.544272000: ") {
		t.Errorf("message %q", e.Error.Message)
	}
}

// A call that names no model is told what it lacks, where the price matters.
func TestNoModel(t *testing.T) {
	r := newRig(t)
	for _, body := range []string{`{"messages":[]}`, `{"model":"","messages":[]}`} {
		e := r.refused(r.chat(r.newKey(budget(1_000_000_000)), body), 400, "missing_required_parameter")
		if e.Error.Param == nil || *e.Error.Param != "model" {
			t.Errorf("param %v", e.Error.Param)
		}
	}
}
