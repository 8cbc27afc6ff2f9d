package proxy_test

import (
	"slices"
	"testing"

	"tollgate/internal/gateway"
)

// Each model is charged at its own prices, whichever the call named, and what has no
// price is said.
func TestModelsOfOneCall(t *testing.T) {
	const responses = openai + "/responses"
	const (
		haiku = 100_000*1000 + 10_000*5000     // Claude Haiku 4.5
		opus  = 100_000*15_000 + 10_000*75_000 // Claude Opus 4.1
	)
	for _, test := range []struct {
		name, path, body, answer string
		cost                     gateway.NanoUSD
		tokens                   int64
		unpriced                 []string
	}{
		{"an advisor", messages, `{"model":"claude-haiku-4-5","max_tokens":10000,"messages":[],"tools":[{"type":"advisor_20260301","model":"claude-opus-4-1"}]}`,
			`{"model":"claude-haiku-4-5-20251001","usage":{"input_tokens":100000,"output_tokens":10000,"iterations":[{"type":"message","input_tokens":100000,"output_tokens":10000},{"type":"advisor_message","model":"claude-opus-4-1","input_tokens":100000,"output_tokens":10000}]}}`,
			haiku + opus, 220_000, nil},
		{"an advisor without a price", messages, `{"model":"claude-haiku-4-5","max_tokens":10000,"messages":[]}`,
			`{"usage":{"input_tokens":0,"output_tokens":0,"iterations":[{"type":"advisor_message","model":"oracle-9","input_tokens":100000,"output_tokens":10000}]}}`,
			haiku, 110_000, []string{"model:oracle-9"}},
		{"a dearer one answered", messages, `{"model":"claude-haiku-4-5","max_tokens":10000,"messages":[],"fallbacks":[{"model":"claude-opus-4-1"}]}`,
			`{"model":"claude-opus-4-1-20250805","usage":{"input_tokens":100000,"output_tokens":10000}}`, opus, 110_000, nil},
		{"the one that was asked answered", messages, `{"model":"claude-haiku-4-5","max_tokens":10000,"messages":[],"fallbacks":[{"model":"claude-opus-4-1"}]}`,
			`{"model":"claude-haiku-4-5-20251001","usage":{"input_tokens":100000,"output_tokens":10000}}`, haiku, 110_000, nil},
		{"one without a price answered", messages, `{"model":"claude-haiku-4-5","max_tokens":10000,"messages":[],"fallbacks":"default"}`,
			`{"model":"oracle-9","usage":{"input_tokens":100000,"output_tokens":10000}}`, haiku, 110_000, []string{"model:oracle-9"}},
		// $1.25 and $10; 50 at $5 and 6,000 at $30.
		{"a model that draws", responses, `{"model":"gpt-5","input":"hi","tools":[{"type":"image_generation","model":"gpt-image-2"}]}`,
			`{"usage":{"input_tokens":10,"output_tokens":10},"tool_usage":{"image_gen":{"input_tokens":50,"output_tokens":6000,"output_tokens_details":{"image_tokens":6000}}}}`,
			10*11_250 + 50*5000 + 6000*30_000, 6070, nil},
		{"one that is not named", responses, `{"model":"gpt-5","input":"hi","tools":[{"type":"image_generation"},{"type":"code_interpreter"}]}`,
			`{"output":[{"type":"code_interpreter_call"}],"usage":{"input_tokens":10,"output_tokens":10},"tool_usage":{"image_gen":{"input_tokens":50,"output_tokens":6000}}}`,
			10 * 11_250, 20, []string{"code_interpreter", "image_gen"}},
		// Pictures cost what text does; what is cached of them costs as cached.
		{"pictures that were cached", chat, `{"model":"gpt-6-sol","messages":[]}`,
			`{"service_tier":"default","usage":{"prompt_tokens":100000,"completion_tokens":0,"prompt_tokens_details":{"image_tokens":100000,"cached_tokens":100000}}}`, 100_000 * 200, 100_000, nil},
		{"pictures written to the cache", chat, `{"model":"gpt-6-sol","messages":[]}`,
			`{"service_tier":"default","usage":{"prompt_tokens":100000,"completion_tokens":0,"prompt_tokens_details":{"image_tokens":100000,"cache_write_tokens":100000}}}`, 100_000 * 2500, 100_000, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", test.answer)
			k := r.newKey()
			if test.path == messages {
				k = r.claudeKey()
			}
			r.passed(r.call(k.secret, "POST", test.path, test.body))
			e := r.event(k)
			if e.Cost != test.cost || e.Tokens != test.tokens || !slices.Equal(e.Unpriced, test.unpriced) {
				t.Errorf("cost %v, want %v: %+v", e.Cost, test.cost, e)
			}
			var parts gateway.NanoUSD
			for _, part := range e.Parts {
				parts += part
			}
			if parts != e.Cost {
				t.Errorf("parts %v make %v", e.Parts, parts)
			}
			r.books(k)
		})
	}
}

// Audio that a model reports by the second and has no price for is not free in silence.
func TestMistralAudio(t *testing.T) {
	r := newRig(t)
	r.fake.Override = answers(200, "application/json", usageAnswer(`{"prompt_audio_seconds":3600,"prompt_tokens":10,"completion_tokens":10}`))
	s := r.newSetting(upstreamKey, func(s *gateway.Setting) { s.Provider, s.Params = "mistral", map[string]string{"url": r.upstream.URL} })
	k := r.newKey(func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
	r.passed(r.call(k.secret, "POST", "/api/providers/mistral/v1/chat/completions", `{"model":"voxtral-small-2507","messages":[]}`))
	if e := r.event(k); e.Cost != 10*500 || !slices.Equal(e.Unpriced, []string{"audio_ms"}) {
		t.Errorf("event %+v", e)
	}
}
