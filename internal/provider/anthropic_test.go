package provider_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

const (
	claude   = "/api/providers/anthropic/v1"
	messages = "POST " + claude + "/messages"
)

// Input is the length of the body, plus what the case says.
func TestAnthropicBound(t *testing.T) {
	data := strings.Repeat("A", 1000)
	content := func(blocks string) string {
		return `{"model":"claude-opus-4-5","max_tokens":9,"messages":[{"role":"user","content":[` + blocks + `]}]}`
	}
	with := func(members string) string { return `{"model":"claude-opus-4-5","max_tokens":9,` + members + `}` }
	nine := provider.Bound{Output: 9, CapMember: "max_tokens", MinOutput: 1, Copies: 1, Tier: "standard", Uncountable: true}
	but := func(change func(*provider.Bound)) provider.Bound {
		b := nine
		change(&b)
		return b
	}
	opaque := but(func(b *provider.Bound) { b.Opaque = true })
	loose := but(func(b *provider.Bound) { b.Opaque, b.Unbounded = true, true })
	pictures := func(n int64) provider.Bound {
		return but(func(b *provider.Bound) { b.Images, b.Media = n, true })
	}
	searches := func(n int64) provider.Bound {
		return but(func(b *provider.Bound) {
			b.Opaque, b.Turns, b.CapPerTurn, b.Extra = true, n, true, extra(int64(gateway.WebSearches), n)
		})
	}
	toolCap := func(member string, bills ...gateway.Class) provider.ToolCap {
		return provider.ToolCap{Member: member, Calls: 10, Bills: bills}
	}
	for _, tt := range []struct {
		name, body string
		plus       int64 // input beyond the body's length
		want       provider.Bound
	}{
		{"text", content(`{"type":"text","text":"hi","cache_control":{"type":"ephemeral","ttl":"1h"}}`), 0, but(func(b *provider.Bound) { b.LongLife = true })},
		{"text by itself", with(`"messages":[{"role":"user","content":"hi"}],"system":"be kind"`), 0, nine},
		{"no cap is bounded by the model", `{"model":"claude-opus-4-5"}`, 0,
			but(func(b *provider.Bound) { b.Output, b.CapMember, b.FullOutput = 0, "", true })},
		{"a negative cap is none", `{"model":"claude-opus-4-5","max_tokens":-1}`, 0,
			but(func(b *provider.Bound) { b.Output, b.CapMember, b.FullOutput = 0, "", true })},
		{"a cap of zero fills the cache only", `{"model":"claude-opus-4-5","max_tokens":0}`, 0,
			but(func(b *provider.Bound) { b.Output, b.CapMember = 0, "" })},

		{"thinking is part of the cap", `{"model":"claude-opus-4-5","max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":2000}}`, 0,
			but(func(b *provider.Bound) { b.Output, b.MinOutput = 5000, 2001 })},
		{"thinking beyond the cap", with(`"thinking":{"type":"enabled","budget_tokens":2000}`), 0, nine},
		{"thinking as it likes", with(`"thinking":{"type":"adaptive"}`), 0, nine},

		{"fast", with(`"speed":"fast"`), 0, but(func(b *provider.Bound) { b.Tier = "fast" })},
		{"not fast", with(`"speed":"standard","service_tier":"auto"`), 0, nine},
		{"newer model, region of the workspace", `{"model":"claude-opus-5-5","max_tokens":9}`, 0, but(func(b *provider.Bound) { b.Percent = 110 })},
		{"newer model in a region", `{"model":"claude-opus-5-5","max_tokens":9,"inference_geo":"us"}`, 0, but(func(b *provider.Bound) { b.Percent = 110 })},
		{"newer model anywhere", `{"model":"claude-opus-5-5","max_tokens":9,"inference_geo":"global"}`, 0, nine},
		{"older model in a region", with(`"inference_geo":"us"`), 0, nine},

		{"picture", content(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + data + `"}}`), 5000 - 1000, pictures(1)},
		{"picture by address and by id", content(`{"type":"image","source":{"type":"url","url":"https://x.example/a.png"}},{"type":"image","source":{"type":"file","file_id":"f"}}`), 10_000, pictures(2)},
		{"picture in a tool's result", content(`{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"x"},{"type":"image","source":{"type":"base64","data":"` + data + `"}}]}`), 5000 - 1000, pictures(1)},
		{"picture in a document", content(`{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"base64","data":"` + data + `"}}]}}`), 5000 - 1000, pictures(1)},
		{"escaped type", content(`{"ty\u0070e":"im\u0061ge","source":{"type":"base64","data":"` + data + `"}}`), 5000 - 1000, pictures(1)},
		{"text in the place of a picture", content(`{"type":"image","source":{"type":"text","data":"` + data + `"}}`), 5000, pictures(1)},
		{"what looks like a picture below a tool's input", content(`{"type":"tool_use","id":"t","name":"x","input":{"content":[{"type":"image","source":{"type":"base64","data":"` + data + `"}}]}}`), 0, nine},
		{"two types", content(`{"type":"image","type":"text","source":{"type":"base64","data":"` + data + `"}}`), 0, opaque},
		{"two sources", content(`{"type":"image","source":{"type":"base64","data":"` + data + `","data":""}}`), 5000,
			but(func(b *provider.Bound) { b.Images, b.Media, b.Opaque = 1, true, true })},
		{"two contents", `{"model":"claude-opus-4-5","max_tokens":9,"messages":[{"content":"x","content":[{"type":"container_upload"}]}]}`, 0, opaque},

		{"document of text", content(`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"` + data + `"}}`), 0, nine},
		{"document in the body", content(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"` + data + `"}}`), 0, opaque},
		{"document by id", content(`{"type":"document","source":{"type":"file","file_id":"f"}}`), 0, opaque},
		{"document by address", content(`{"type":"document","source":{"type":"url","url":"https://x.example/a.pdf"}}`), 0, opaque},
		{"document in the system prompt", with(`"system":[{"type":"document","source":{"type":"url","url":"https://x.example/a.pdf"}}]`), 0, opaque},
		{"unknown block", content(`{"type":"something_new"}`), 0, opaque},
		{"earlier turns", content(`{"type":"thinking","thinking":"","signature":"c2ln"},{"type":"redacted_thinking","data":"c2ln"},{"type":"server_tool_use","input":{}},{"type":"web_search_tool_result","content":[{"type":"web_search_result","encrypted_content":"c2ln"}]}`), 0, nine},
		{"too deep to be looked through", content(strings.Repeat("[", 20) + strings.Repeat("]", 20)), 0, opaque},

		{"own tools", with(`"tools":[{"name":"a","input_schema":{"type":"web_search_1"}},{"type":"custom","name":"b"}]`), 1000, nine},
		{"tools that the caller runs", with(`"tools":[{"type":"bash_20250124"},{"type":"text_editor_20250728"},{"type":"memory_20250818"},{"type":"computer_20251124"}]`), 1000 + 4*2000, nine},
		{"toolset", with(`"tools":[{"type":"browser_toolset_20260801"}]`), 1000 + 2000 + 20_000, nine},
		{"structured output", with(`"output_config":{"format":{"type":"json_schema"}}`), 1000, nine},
		{"searches", with(`"tools":[{"type":"web_search_20260318","max_uses":4}]`), 1000, searches(4)},
		{"searches without a cap", with(`"tools":[{"name":"a"},{"type":"web_search_20250305"}]`), 1000, func() provider.Bound {
			b := searches(10)
			b.ToolCaps = []provider.ToolCap{toolCap("tools.1.max_uses", gateway.WebSearches)}
			return b
		}()},
		{"searches and fetches", with(`"tools":[{"type":"web_search_20250305","max_uses":2},{"type":"web_fetch_20260318"}]`), 1000, func() provider.Bound {
			b := searches(2)
			b.Turns, b.ToolCaps = 12, []provider.ToolCap{toolCap("tools.1.max_uses")}
			return b
		}()},
		{"a cap that makes no sense", with(`"tools":[{"type":"web_fetch_20260318","max_uses":"4"}]`), 1000, loose},
		{"tool search", with(`"tools":[{"type":"tool_search_tool_regex_20251119"}]`), 1000, loose},
		{"remote tools", with(`"mcp_servers":[{"type":"url","url":"https://x.example"}]`), 1000, loose},
		{"code execution", with(`"tools":[{"type":"code_execution_20260521"}]`), 1000, loose},
		{"tool of two types", with(`"tools":[{"type":"custom","type":"web_search_20260318"}]`), 1000, loose},
		{"tool with two caps", with(`"tools":[{"type":"web_search_20260318","max_uses":1,"max_uses":9}]`), 1000, loose},
		{"context that is cleared", with(`"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}`), 1000, nine},
		{"context that is compacted", with(`"context_management":{"edits":[{"type":"compact_20260112"}]}`), 1000, loose},
		{"compaction", with(`"compaction":{"type":"x"}`), 0, loose},
		{"container", with(`"container":"c_1"`), 0, loose},
		{"new thread", with(`"thread":{"type":"create"}`), 0, nine},
		{"earlier thread", with(`"thread":{"type":"continue","previous_message_id":"m"}`), 0, loose},
		{"no thread", with(`"thread":null,"container":null,"fallbacks":[],"mcp_servers":null`), 0, nine},
	} {
		c, err := parse(t, messages, tt.body)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tt.want.Input = int64(len(tt.body)) + tt.plus
		if diff := cmp.Diff(tt.want, c.Bound); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
		if string(c.Body) != tt.body {
			t.Errorf("%s: the body became %s", tt.name, c.Body)
		}
	}
}

func TestAnthropicParse(t *testing.T) {
	c, err := parse(t, messages, `{"model":"claude-opus-5-5","stream":true,"metadata":{"user_id":"u-1"},"max_tokens":5}`)
	if err != nil || c.Model != "claude-opus-5-5" || c.User != "u-1" || !c.Stream || c.HideUsage {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = parse(t, "POST "+claude+"/complete", `{"model":"claude-2.1","prompt":"x","max_tokens_to_sample":30}`)
	if err != nil || c.Model != "claude-2.1" || c.Bound.Output != 30 || c.Bound.CapMember != "max_tokens_to_sample" {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = parse(t, "POST "+claude+"/messages/batches", `{"requests":[]}`)
	if err != nil || !c.Bound.Unbounded {
		t.Errorf("%+v, %v", c, err)
	}
	for _, row := range []string{"GET /messages/batches", "POST /messages/batches/:batch_id/cancel", "GET /models", "DELETE /files/:file_id"} {
		method, path, _ := strings.Cut(row, " ")
		if _, err := parse(t, method+" "+claude+path, ""); err != nil {
			t.Errorf("%s: %v", row, err)
		}
	}
}

// Whatever other model may answer has to be allowed as well.
func TestAnthropicOtherModels(t *testing.T) {
	for _, tt := range []struct {
		body string
		want []string
	}{
		{`{"model":"m"}`, nil},
		{`{"model":"m","fallbacks":[{"model":"a"},{"model":"b","speed":"fast"}]}`, []string{"a", "b"}},
		{`{"model":"m","fallbacks":"default"}`, []string{""}},
		{`{"model":"m","fallbacks":[{"model":"a","model":"b"}]}`, []string{""}},
		{`{"model":"m","tools":[{"type":"advisor_20260301","model":"a"}]}`, []string{"a"}},
	} {
		c, err := parse(t, messages, tt.body)
		if err != nil || !cmp.Equal(c.Fallbacks, tt.want) || c.Bound.Unbounded != (tt.want != nil) {
			t.Errorf("%s: %q, unbounded %v, %v", tt.body, c.Fallbacks, c.Bound.Unbounded, err)
		}
	}
}

func TestAnthropicRefusals(t *testing.T) {
	for _, tt := range []struct{ body, param string }{
		{``, ""}, {`[]`, ""}, {`{"model":5}`, "model"}, {`{"model":"a","model":"b"}`, "model"},
		{`{"stream":"yes"}`, "stream"}, {`{"max_tokens":"5"}`, "max_tokens"}, {`{"max_tokens_to_sample":{}}`, "max_tokens_to_sample"},
		{`{"max_tokens":1,"max_tok\u0065ns":2}`, "max_tokens"}, {`{"speed":1}`, "speed"}, {`{"inference_geo":["us"]}`, "inference_geo"},
		{`{"metadata":{"user_id":7}}`, "metadata.user_id"}, {`{"metadata":{"user_id":"a","user_id":"b"}}`, "metadata"},
	} {
		_, err := parse(t, messages, tt.body)
		var e *gateway.Error
		if !errors.As(err, &e) || e.Kind != gateway.Invalid || e.Param != tt.param {
			t.Errorf("%s: %v (param %+v)", tt.body, err, e)
		}
	}
}

func TestAnthropicUpstream(t *testing.T) {
	for url, want := range map[string]string{
		"": "https://api.anthropic.com", "https://x.example": "https://x.example",
		"https://x.example/a/": "https://x.example/a", "https://x.example/a/v1/": "https://x.example/a",
	} {
		if got := provider.Anthropic.BaseURL(&gateway.Setting{Params: map[string]string{"url": url}}); got != want {
			t.Errorf("url %q: %q, want %q", url, got, want)
		}
	}
	h := http.Header{}
	provider.Anthropic.Authorize(h, provider.Credential{APIKey: "k"})
	if len(h) != 1 || h.Get("X-Api-Key") != "k" {
		t.Errorf("headers %v", h)
	}
	_, path, err := provider.NewRouter(provider.Anthropic).Match("POST", claude+"/messages/batches/b_1/cancel/")
	if err != nil || path != "/v1/messages/batches/b_1/cancel" {
		t.Errorf("%q, %v", path, err)
	}
}

// Errors are in the words of the API that a path belongs to, also where there is
// no such endpoint.
func TestDialect(t *testing.T) {
	r := provider.NewRouter(provider.All()...)
	for path, want := range map[string]gateway.Dialect{
		"/": gateway.OpenAIDialect, "/api/providers": gateway.OpenAIDialect, openAI + "/nosuch": gateway.OpenAIDialect,
		claude + "/messages": gateway.AnthropicDialect, claude + "/messages/batches/x/y": gateway.AnthropicDialect,
		"/api/providers/anthropic": gateway.AnthropicDialect, "/api/providers/anthropics/v1": gateway.OpenAIDialect,
	} {
		if got := r.Dialect(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, e := range r.Endpoints() {
		if (e.Dialect == gateway.AnthropicDialect) != (strings.HasPrefix(e.Pattern, claude) || strings.HasPrefix(e.Pattern, "/api/providers/bedrock/anthropic/")) {
			t.Errorf("%s: %v", e.Pattern, e.Dialect)
		}
	}
}

func TestAnthropicTexts(t *testing.T) {
	c, err := parse(t, messages, `{"model":"m","max_tokens":1,"system":"be kind","messages":[{"role":"user","content":"hi"}],"tools":[{"name":"t"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	texts, extra, ok := provider.RequestText(c)
	if want := []string{"user", "hi", "be kind", `[{"name":"t"}]`}; !ok || !cmp.Equal(texts, want) || extra != 3+4+16 {
		t.Errorf("%q, %d, %v", texts, extra, ok)
	}
	for answer, want := range map[string][]string{
		`{"type":"message","content":[{"type":"thinking","thinking":"hm","signature":"c"},{"type":"text","text":"a"},{"type":"tool_use","name":"n","input":{"x":1}}]}`: {"hm", "a", `{"x":1}`},
		`{"completion":" b"}`: {" b"},
	} {
		if got := provider.AnswerText(new(provider.Call), []byte(answer), false); !cmp.Equal(got, want) {
			t.Errorf("%s: %q", answer, got)
		}
	}
	const stream = "event: x\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"no\"}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"no\"}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n" +
		"data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n\n" +
		"data: {\"type\":\"completion\",\"completion\":\" b\"}\n\n"
	if got, want := provider.AnswerText(new(provider.Call), []byte(stream), true), []string{"hm", "a", "{", " b"}; !cmp.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func FuzzAnthropicParse(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","max_tokens":1,"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}]}`,
		`{"tools":[{"type":"web_search_1","max_uses":2}],"thinking":{"budget_tokens":1e99}}`,
		`{"fallbacks":[{}],"metadata":{"user_id":"u"},"thread":{"type":"create"}}`,
	} {
		f.Add(s)
	}
	e := endpoint(f, messages)
	f.Fuzz(func(t *testing.T, body string) {
		c, err := e.Vendor.Parse(e, "application/json", []byte(body))
		if err != nil {
			if gateway.KindOf(err) != gateway.Invalid {
				t.Fatal(err)
			}
			return
		}
		b := c.Bound
		if b.Input < 0 || b.Output < 0 || b.MinOutput < 1 || b.Output > 0 && b.MinOutput > b.Output || !b.Uncountable || string(c.Body) != body {
			t.Fatalf("%s: %+v", body, b)
		}
	})
}

func BenchmarkAnthropicParse(b *testing.B) {
	e := endpoint(b, messages)
	turn := `{"role":"user","content":[{"type":"text","text":"` + strings.Repeat("word ", 200) + `"}]}`
	body := []byte(`{"model":"claude-opus-5-5","max_tokens":1000,"stream":true,"tools":[{"name":"t","input_schema":{"type":"object"}}],"messages":[` + turn + strings.Repeat(","+turn, 29) + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Vendor.Parse(e, "application/json", body); err != nil {
			b.Fatal(err)
		}
	}
}
