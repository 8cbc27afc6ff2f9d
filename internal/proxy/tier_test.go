package proxy_test

import (
	"fmt"
	"slices"
	"testing"

	"tollgate/internal/gateway"
)

// The service tier that a call asks for is no discount: unless the answer names a
// cheaper one, standard is charged. One whose price is not known is refused where a cost
// limit applies, and noted where none does.
func TestServiceTiers(t *testing.T) {
	const mistral, groq = "/api/providers/mistral/v1/chat/completions", "/api/providers/groq/v1/chat/completions"
	ask := func(model, more string) string {
		return `{"model":"` + model + `","max_tokens":10000,` + more + `"messages":[{"role":"user","content":"hi"}]}`
	}
	used := func(served string) string {
		return `{"choices":[],` + served + `"usage":{"prompt_tokens":100000,"completion_tokens":10000}}`
	}
	const claudeUsed = `{"type":"message","usage":{"input_tokens":100000,"output_tokens":10000%s}}`
	const standard = 100_000*2500 + 10_000*10_000 // gpt-4o
	for _, test := range []struct {
		name, provider, path, body, answer string
		cost                               gateway.NanoUSD
		unpriced                           []string
		refused                            bool // where a cost limit applies
	}{
		{"batch, not echoed", "openai", chat, ask("gpt-4o", `"service_tier":"batch",`), used(""), standard, nil, false},
		{"batch, echoed", "openai", chat, ask("gpt-4o", `"service_tier":"batch",`), used(`"service_tier":"batch",`), standard, nil, false},
		{"flex, not echoed", "openai", chat, ask("gpt-6-sol", `"service_tier":"flex",`), used(""), 100_000*2000 + 10_000*10_000, nil, false},
		{"flex", "openai", chat, ask("gpt-6-sol", `"service_tier":"flex",`), used(`"service_tier":"flex",`), 100_000*1000 + 10_000*5000, nil, false},
		{"priority, not echoed", "openai", chat, ask("gpt-6-sol", `"service_tier":"priority",`), used(""), 2 * (100_000*2000 + 10_000*10_000), nil, false},
		{"priority, served as standard", "openai", chat, ask("gpt-6-sol", `"service_tier":"priority",`), used(`"service_tier":"default",`), 100_000*2000 + 10_000*10_000, nil, false},
		{"ultrafast", "openai", chat, ask("gpt-6-sol", `"service_tier":"ultrafast",`), used(`"service_tier":"ultrafast",`), 2 * (100_000*2000 + 10_000*10_000), []string{"tier:ultrafast"}, true},
		{"Mistral's priority", "mistral", mistral, ask("mistral-large-2512", `"service_tier":"priority",`), used(""), 100_000*500 + 10_000*1500, []string{"tier:priority"}, true},
		{"Groq's performance", "groq", groq, ask("openai/gpt-oss-120b", `"service_tier":"performance",`), used(`"service_tier":"performance",`), 100_000*150 + 10_000*600, []string{"tier:performance"}, true},
		{"Groq's on demand", "groq", groq, ask("openai/gpt-oss-120b", `"service_tier":"on_demand",`), used(`"service_tier":"on_demand",`), 100_000*150 + 10_000*600, nil, false},
		{"fast", "anthropic", messages, ask("claude-opus-5-5", `"speed":"fast",`), fmt.Sprintf(claudeUsed, `,"speed":"fast","service_tier":"standard"`), 2 * (100_000*4000 + 10_000*20_000), nil, false},
		{"fast without a price", "anthropic", messages, ask("claude-fable-5-2", `"speed":"fast",`), fmt.Sprintf(claudeUsed, `,"speed":"fast","service_tier":"standard"`), 100_000*8000 + 10_000*40_000, []string{"tier:fast"}, true},
		{"fast, served as standard", "anthropic", messages, ask("claude-fable-5-2", `"speed":"fast",`), fmt.Sprintf(claudeUsed, `,"speed":"standard","service_tier":"standard"`), 100_000*8000 + 10_000*40_000, nil, true},
		{"a long cache write", "openai", chat, ask("gpt-6-sol", `"prompt_cache_options":{"ttl":"12h"},`),
			`{"choices":[],"service_tier":"default","usage":{"prompt_tokens":10000,"completion_tokens":10,"prompt_tokens_details":{"cache_write_tokens":8000,"cache_write_tokens_details":{"ttl_12h_tokens":5000}}}}`,
			2000*2000 + 8000*2500 + 10*10_000, []string{"cache_write_long"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", test.answer)
			var change []func(*gateway.Key)
			if test.provider != "openai" {
				s := r.newSetting(upstreamKey, func(s *gateway.Setting) {
					s.Provider, s.Params = test.provider, map[string]string{"url": r.upstream.URL}
				})
				change = append(change, func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
			}
			k := r.newKey(change...)
			r.passed(r.call(k.secret, "POST", test.path, test.body))
			if e := r.event(k); e.Cost != test.cost || !slices.Equal(e.Unpriced, test.unpriced) {
				t.Errorf("cost %v, want %v, unpriced %v", e.Cost, test.cost, e.Unpriced)
			}
			limited := r.newKey(append(change, budget(100*gateway.OneUSD))...)
			a := r.call(limited.secret, "POST", test.path, test.body)
			if test.refused {
				r.refused(a, 403, "model_price_unknown")
				return
			}
			r.passed(a)
			if e := r.event(limited); e.Cost != test.cost {
				t.Errorf("with a limit: cost %v", e.Cost)
			}
		})
	}
}

// No tier lowers what is reserved.
func TestTierReservesNoLess(t *testing.T) {
	r := newRig(t)
	r.fake.Override = answers(200, "application/json", usageAnswer(`{"prompt_tokens":10,"completion_tokens":20}`))
	for _, tier := range []string{"batch", "flex", "default"} {
		// 500 tokens out at $10 a million, of which half is no worst case.
		k := r.newKey(budget(4_000_000))
		r.passed(r.chat(k, `{"model":"gpt-4o","max_tokens":500,"service_tier":"`+tier+`","messages":[]}`))
		if e := r.event(k); e.CapTokens == 0 {
			t.Errorf("%s: the cap was not lowered", tier)
		}
	}
}
