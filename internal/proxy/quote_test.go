package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// What a request states is reserved, whatever the table says of the model's limits: of
// some models it says too little.
func TestTableLimitsLowerNoBound(t *testing.T) {
	const mistral, deepseek = "/api/providers/mistral/v1/chat/completions", "/api/providers/deepseek/v1/chat/completions"
	for _, test := range []struct {
		name, provider, path, body string
		out                        int64 // tokens that the answer has
		cost                       gateway.NanoUSD
	}{
		// The table has 4,096 tokens out; $0.90 a million.
		{"a cap above the table's", "mistral", mistral, `{"model":"codestral-latest","max_tokens":100000,"messages":[]}`, 100_000, 100_000 * 900},
		// The table has a context of 64,000; $0.30 and $1.20 a million.
		{"a body above the table's", "deepseek", deepseek, `{"model":"deepseek-chat","max_tokens":10,"messages":[{"role":"user","content":"` + strings.Repeat("x", 200_000) + `"}]}`, 10, 0},
		// Above 200,000 tokens $6 and $22.50.
		{"a body above the context tier", "anthropic", messages, `{"model":"claude-sonnet-4-5","max_tokens":1000,"messages":[{"role":"user","content":"` + strings.Repeat("x", 900_000) + `"}]}`, 1000, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			in := len(test.body) / 2 // tokens that the provider makes of the body
			if test.cost != 0 {
				in = 0
			}
			answer := usageAnswer(fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d}`, in, test.out))
			if test.provider == "anthropic" {
				answer = fmt.Sprintf(`{"usage":{"input_tokens":%d,"output_tokens":%d}}`, in, test.out)
			}
			r.fake.Override = answers(200, "application/json", answer)
			s := r.newSetting(upstreamKey, func(s *gateway.Setting) {
				s.Provider, s.Params = test.provider, map[string]string{"url": r.upstream.URL}
			})
			own := func(k *gateway.Key) { k.SettingIDs = []string{s.ID} }
			k := r.newKey(own)
			r.passed(r.call(k.secret, "POST", test.path, test.body))
			cost := r.event(k).Cost
			if test.cost != 0 && cost != test.cost {
				t.Errorf("cost %v", cost)
			}
			// A budget that does not pay for it is not overspent.
			tight := r.newKey(own, budget(cost-1))
			a := r.call(tight.secret, "POST", test.path, test.body)
			if capped := gjson.GetBytes(r.fake.Last().Body, "max_tokens").Int(); a.status == 200 && capped >= test.out {
				t.Errorf("%d, and the provider saw a cap of %d", a.status, capped)
			}
		})
	}
}

// Where both members cap the output, which of them is obeyed is the server's choice:
// neither is above what the budget pays for, and none is raised.
func TestBothCapsAreLowered(t *testing.T) {
	for _, test := range []struct {
		older, newer, wantOlder, wantNewer int64
	}{
		{30_000, 100, 200, 100},
		{100, 30_000, 100, 200},
		{30_000, 20_000, 200, 200},
		{150, 150, 150, 150},
	} {
		r := newRig(t)
		r.fake.Override = obedient
		k := r.newKey(budget(200 * 50_000)) // 200 tokens at $50 a million
		r.passed(r.chat(k, fmt.Sprintf(`{"model":"m","messages":[],"max_tokens":%d,"max_completion_tokens":%d}`, test.older, test.newer)))
		body := r.fake.Last().Body
		if older, newer := gjson.GetBytes(body, "max_tokens").Int(), gjson.GetBytes(body, "max_completion_tokens").Int(); older != test.wantOlder || newer != test.wantNewer {
			t.Errorf("%d and %d became %d and %d", test.older, test.newer, older, newer)
		}
	}
}

// A film is billed as one: at $12 a million where a picture costs $0.45.
func TestGeminiFilm(t *testing.T) {
	r := newRig(t)
	r.fake.Override = answers(200, "application/json", `{"embedding":{},"usageMetadata":{"promptTokenCount":8000,"totalTokenCount":8000,"promptTokensDetails":[{"modality":"VIDEO","tokenCount":8000}]}}`)
	k := r.keyFor("gemini")
	const film = `{"content":{"parts":[{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}]}}`
	r.passed(r.call(k.secret, "POST", "/api/providers/gemini/v1beta/models/gemini-embedding-2:embedContent", film))
	if e := r.event(k); e.Cost != 8000*12_000 || e.Usage["input_video"] != 8000 {
		t.Errorf("cost %v: %+v", e.Cost, e)
	}
}
