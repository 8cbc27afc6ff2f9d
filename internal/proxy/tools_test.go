package proxy_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Tools that the provider runs feed what they find back to the model: the worst case is
// the whole context for each call and once more, and the cap on the calls that it
// counts on is in the body.
func TestServerTools(t *testing.T) {
	const (
		responses = openai + "/responses"
		search    = 10_000_000 // nano-dollars, at OpenAI and Anthropic
		file      = 2_500_000
		// gpt-4o: 128,000 tokens at $2.50, 1,000 out at $10. Haiku 4.5: 200,000 at $2 (a long cache write), $5 out.
		gptTurn, gptOut = 128_000 * 2500, 1000 * 10_000
		claudeTurn      = 200_000*2000 + 1000*5000
	)
	gpt := func(more string) string {
		return `{"model":"gpt-4o","service_tier":"default","input":"hi","max_output_tokens":1000,` + more + `}`
	}
	claude := func(tools string) string {
		return `{"model":"claude-haiku-4-5","max_tokens":1000,"messages":[],"tools":[` + tools + `]}`
	}
	for _, test := range []struct {
		name, path, body string
		least            gateway.NanoUSD // budget that the call fits into
		member           string          // that holds the cap
		calls            int64
	}{
		{"searches with a cap", responses, gpt(`"tools":[{"type":"web_search"}],"max_tool_calls":3`), 4*gptTurn + gptOut + 3*search, "max_tool_calls", 3},
		{"searches of two kinds", responses, gpt(`"tools":[{"type":"web_search"},{"type":"file_search"}],"max_tool_calls":2`), 3*gptTurn + gptOut + 2*search + 2*file, "max_tool_calls", 2},
		{"searches without a cap", responses, gpt(`"tools":[{"type":"web_search"}]`), 11*gptTurn + gptOut + 10*search, "max_tool_calls", 10},
		{"as many as the budget pays", responses, gpt(`"tools":[{"type":"web_search"}],"max_tool_calls":null`), 5*gptTurn + gptOut + 4*search, "max_tool_calls", 4},
		{"Claude's with a cap", messages, claude(`{"type":"web_search_20250305","max_uses":2}`), 3*claudeTurn + 2*search, "tools.0.max_uses", 2},
		{"Claude's without", messages, claude(`{"name":"a"},{"type":"web_search_20250305"}`), 11*claudeTurn + 10*search, "tools.1.max_uses", 10},
		{"Claude's, as many as the budget pays", messages, claude(`{"type":"web_fetch_20260318"}`), 2 * claudeTurn, "tools.0.max_uses", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", `{"usage":{"input_tokens":1,"output_tokens":1}}`)
			key := func(n gateway.NanoUSD) apiKey {
				if test.path == messages {
					return r.claudeKey(budget(n))
				}
				return r.newKey(budget(n))
			}
			k := key(test.least)
			r.passed(r.call(k.secret, "POST", test.path, test.body))
			if got := gjson.GetBytes(r.fake.Last().Body, test.member).Int(); got != test.calls {
				t.Errorf("the provider saw %s", r.fake.Last().Body)
			}
			// Less is enough for a shorter answer, or for fewer calls.
			r.passed(r.call(key(test.least-1000).secret, "POST", test.path, test.body))
			tools, tokens := gjson.GetBytes(r.fake.Last().Body, test.member).Int(), gjson.GetBytes(r.fake.Last().Body, "max_tokens").Int()+gjson.GetBytes(r.fake.Last().Body, "max_output_tokens").Int()
			if tools >= test.calls && tokens >= 1000 {
				t.Errorf("with less budget the provider saw %s", r.fake.Last().Body)
			}
		})
	}
}

// What no member of the body caps is refused where a cost limit applies, and searches
// that nobody asked for are charged where none does.
func TestToolsWithoutACap(t *testing.T) {
	const responses = openai + "/responses"
	for _, test := range []struct {
		name, path, body, answer string
		cost                     gateway.NanoUSD
	}{
		{"a stored prompt", responses, `{"model":"gpt-4o","prompt":{"id":"pmpt_1"}}`,
			`{"output":[{"type":"file_search_call"},{"type":"web_search_call"}],"usage":{"input_tokens":1000,"output_tokens":1000}}`, 1000*12_500 + 10_000_000 + 2_500_000},
		{"a stored prompt, as reported", responses, `{"model":"gpt-4o","prompt":{"id":"pmpt_1"}}`,
			`{"usage":{"input_tokens":1000,"output_tokens":1000},"tool_usage":{"web_search":{"num_requests":100}}}`, 1000*12_500 + 100*10_000_000},
		{"another server's tools", responses, `{"model":"gpt-4o","tools":[{"type":"mcp"}]}`, `{"usage":{"input_tokens":1000,"output_tokens":1000}}`, 1000 * 12_500},
		{"a chat's tool of the vendor's", chat, `{"model":"gpt-4o","messages":[],"tools":[{"type":"browser_search"}]}`, usageAnswer(`{"prompt_tokens":1000,"completion_tokens":1000}`), 1000 * 12_500},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", test.answer)
			r.refused(r.call(r.newKey(budget(100*gateway.OneUSD)).secret, "POST", test.path, test.body), 403, "cost_not_boundable")
			k := r.newKey()
			r.passed(r.call(k.secret, "POST", test.path, test.body))
			if e := r.event(k); e.Cost != test.cost {
				t.Errorf("cost %v, want %v: %+v", e.Cost, test.cost, e)
			}
			if body := string(r.fake.Last().Body); strings.Contains(body, "max_tool_calls") {
				t.Errorf("without a limit the provider saw %s", body)
			}
		})
	}
}
