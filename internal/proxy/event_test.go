package proxy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// EV-01, EV-02, EV-07: what the event of a call holds.
func TestEvent(t *testing.T) {
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
