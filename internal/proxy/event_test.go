package proxy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// EV-04: what is refused is recorded as well, with its status and its key.
func TestRefusedCallsAreRecorded(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*gateway.Key)
		body   string
		status int
		code   string
	}{
		{"EV-04 path", func(k *gateway.Key) { k.AllowedPaths = []gateway.AllowedPath{{Method: "GET", Path: chat}} }, hello, 403, "path_not_allowed"},
		{"EV-04 limit", limited(perMinute(0)), hello, 429, "rate_limit_exceeded"},
		{"EV-04 revoked", func(k *gateway.Key) { k.Revoked = true }, hello, 401, "api_key_revoked"},
		{"EV-04 body", func(*gateway.Key) {}, "{", 400, "invalid_json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			k := r.newKey(test.change, tagged("team"))
			a := r.chat(k, test.body, "X-Custom-Event-Id: c-1")
			r.refused(a, test.status, test.code)
			e := r.event(k)
			if e.ID != a.header.Get("X-Request-Id") || e.KeyID != k.ID || !slices.Equal(e.Tags, []string{"team"}) || e.CustomID != "c-1" ||
				e.Status != test.status || e.Refused != test.code || e.Method != "POST" || e.Path != chat || e.Cost != 0 {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// EV-01, EV-02, EV-07: what the event of a call holds.
func testEvent(t *testing.T) {
	r := newRig(t)
	r.fake.Delay.Store(int64(30 * time.Millisecond))
	policy := r.newPolicy(rules())
	k := r.newKey(func(k *gateway.Key) {
		k.Tags, k.LogRequest, k.LogResponse, k.PolicyID = []string{"a", "b"}, true, true, policy
	})
	before := time.Now().Truncate(time.Millisecond)
	body := strings.Replace(hello, "{", `{"user":"u-1",`, 1)
	a := r.passed(r.chat(k, body, "X-Custom-Event-Id: c-1", "X-Stainless-Retry-Count: 2"))
	e := r.event(k)
	if e.ID != a.header.Get("X-Request-Id") || e.KeyID != k.ID || !slices.Equal(e.Tags, []string{"a", "b"}) || e.UserID != "u-1" || e.PolicyID != policy || e.CustomID != "c-1" {
		t.Errorf("who: %+v", e)
	}
	if e.Provider != "openai" || e.SettingID != r.setting.ID || e.Model != "m" || e.Served != "" || e.Method != "POST" || e.Path != chat || e.Endpoint != chat || e.Stream {
		t.Errorf("what: %+v", e)
	}
	if e.Status != 200 || e.Truncated || e.Refused != "" || e.LatencyMS < 30 || e.LatencyMS > 5000 || e.FirstMS < 30 || e.FirstMS > e.LatencyMS || e.At.Before(before) || e.At.After(time.Now()) {
		t.Errorf("how: %+v", e)
	}
	if e.Retry != 2 || e.Parts["output"] != e.Cost || len(e.Parts) != 1 { // input is free in these prices
		t.Errorf("retry %d, parts %v of %v", e.Retry, e.Parts, e.Cost)
	}
	if e.Usage["input"] != 10 || e.Usage["output"] != 20 || e.Tokens != 30 || e.Cost != 1_000_000 || e.Basis != gateway.BasisReported {
		t.Errorf("how much: %+v", e)
	}
	if string(e.Request) != body || string(e.Response) != a.body {
		t.Errorf("bodies %s, %s", e.Request, e.Response)
	}
	quiet := r.newKey()
	r.passed(r.chat(quiet, body))
	if e := r.event(quiet); len(e.Request) != 0 || len(e.Response) != 0 {
		t.Errorf("bodies kept without being asked to: %+v", e)
	}
}

// Whoever has a key can name any model. The sums of failed calls know those only that
// have prices, and of a provider only one that there is.
func TestEventsOfInventedNames(t *testing.T) {
	r := newRig(t)
	k := r.newKey(func(k *gateway.Key) { k.RateLimitOver, k.RateLimitUnit = 1, gateway.Day })
	r.passed(r.chat(k, strings.Replace(hello, `"m"`, `"served-all-the-same"`, 1)))
	if e := r.event(k); e.CountAs != "" || e.Model != "served-all-the-same" {
		t.Errorf("a call that was served: %+v", e)
	}
	for model, want := range map[string]string{
		"m": "", "gpt-4o": "", "gpt-4o-2024-11-20": "", "GPT-4o": "gpt-4o", "gpt-4o-2099-12-31": "gpt-4o",
		"made-up": gateway.OtherModel, strings.Repeat("x", 900): gateway.OtherModel,
	} {
		r.refused(r.chat(k, strings.Replace(hello, `"m"`, `"`+model+`"`, 1)), 429, "rate_limit_exceeded")
		counted := slices.ContainsFunc(r.events(k), func(e gateway.Event) bool {
			return e.Status == 429 && e.CountAs == want && e.Model == model[:min(len(model), len(e.Model))] && len(e.Model) >= min(len(model), 500)
		})
		if !counted {
			t.Errorf("%.30s: no event that counts as %q", model, want)
		}
	}
	lone := r.newKey()
	r.refused(r.call(lone.secret, "POST", "/api/custom/providers/nobody/generate", hello), 404, "unknown_provider")
	if e := r.event(lone); e.Provider != "" || e.Path != "/api/custom/providers/nobody/generate" {
		t.Errorf("a provider that there is not: %+v", e)
	}
}
