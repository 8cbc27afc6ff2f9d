package provider_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
	"tollgate/internal/tokenize"
)

func parse(t testing.TB, row, body string) (*provider.Call, error) {
	t.Helper()
	e := endpoint(t, row)
	return e.Vendor.Parse(e, "application/json", []byte(body))
}

func extra(pairs ...int64) (u gateway.Usage) {
	for i := 0; i < len(pairs); i += 2 {
		u.Counts[pairs[i]] = pairs[i+1]
	}
	return u
}

const chat, responses = "POST /chat/completions", "POST /responses"

// Input is the length of the body, plus what the case says.
func TestBound(t *testing.T) {
	data := "data:image/png;base64," + strings.Repeat("A", 1000)
	for _, tt := range []struct {
		name, row, body string
		plus            int64 // input beyond the body's length
		want            provider.Bound
	}{
		{"chat", chat, `{"model":"m","messages":[]}`, 0,
			provider.Bound{CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"chat with all", chat, `{"model":"m","max_completion_tokens":100,"n":3,"service_tier":"flex","modalities":["text","audio"],"web_search_options":{}}`, 0,
			provider.Bound{Opaque: true, Output: 100, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 3, Tier: "flex", MediaOut: true, Extra: extra(int64(gateway.WebSearches), 1)}},
		{"older cap", chat, `{"model":"m","max_tokens":7}`, 0,
			provider.Bound{Output: 7, CapMember: "max_tokens", MinOutput: 1, Copies: 1}},
		{"older cap beside null", chat, `{"max_tokens":7,"max_completion_tokens":null}`, 0,
			provider.Bound{Output: 7, CapMember: "max_tokens", MinOutput: 1, Copies: 1}},
		{"both caps", chat, `{"max_tokens":7,"max_completion_tokens":5}`, 0,
			provider.Bound{Output: 7, CapMember: "max_completion_tokens", CapAlso: "max_tokens", MinOutput: 1, Copies: 1}},
		{"escaped names", chat, `{"mod\u0065l":"m","max_tok\u0065ns":7,"\u006e":2}`, 0,
			provider.Bound{Output: 7, CapMember: "max_tokens", MinOutput: 1, Copies: 2}},
		{"fractions round up", chat, `{"max_tokens":10.0,"n":1.5}`, 0,
			provider.Bound{Output: 10, CapMember: "max_tokens", MinOutput: 1, Copies: 2}},
		{"exponents", chat, `{"max_tokens":1e2,"n":1E400}`, 0,
			provider.Bound{Output: 100, CapMember: "max_tokens", MinOutput: 1, Copies: 1 << 40}},
		{"negative is no cap", chat, `{"max_tokens":-5,"n":-1}`, 0,
			provider.Bound{CapMember: "max_tokens", MinOutput: 1, Copies: 1}},
		{"huge", chat, `{"max_tokens":99999999999999999999,"n":18446744073709551617}`, 0,
			provider.Bound{Output: 1 << 40, CapMember: "max_tokens", MinOutput: 1, Copies: 1 << 40}},
		{"prediction", chat, `{"prediction":{"type":"content","content":"abc"}}`, 0,
			provider.Bound{CapMember: "max_completion_tokens", OutputAdd: int64(len(`{"type":"content","content":"abc"}`)), MinOutput: 1, Copies: 1}},
		{"picture by address", chat, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x.example/a.png"}}]}]}`, 50_000,
			provider.Bound{Images: 1, Media: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"picture in the body", chat, `{"messages":[{"content":[{"type":"image_url","image_url":{"url":"` + data + `"}}]}]}`, 50_000 - int64(len(data)),
			provider.Bound{Images: 1, Media: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"escaped type", chat, `{"messages":[{"content":[{"ty\u0070e":"im\u0061ge_url"}]}]}`, 50_000,
			provider.Bound{Images: 1, Media: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"two types", chat, `{"messages":[{"content":[{"type":"text","type":"image_url"}]}]}`, 50_000,
			provider.Bound{Images: 1, Media: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"picture without a type", chat, `{"messages":[{"content":[{"image_url":{"url":"` + data + `"}}]}]}`, 50_000 - int64(len(data)),
			provider.Bound{Images: 1, Media: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"data URL that is no picture counts as text", chat, `{"messages":[{"role":"user","content":"x","url":"` + data + `"}]}`, 0,
			provider.Bound{CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"video", chat, `{"messages":[{"content":[{"type":"video_url","video_url":{"url":"` + data + `"}}]}]}`, 0,
			provider.Bound{Opaque: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"audio", chat, `{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"` + strings.Repeat("A", 660) + `","format":"wav"}}]}]}`, 10 - 660,
			provider.Bound{Media: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"earlier audio", chat, `{"messages":[{"role":"assistant","audio":{"id":"a"}}]}`, 0,
			provider.Bound{Opaque: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"file", chat, `{"messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]}]}`, 0,
			provider.Bound{Opaque: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"too deep to be looked through", chat, `{"messages":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, 0,
			provider.Bound{Opaque: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},

		{"completion", "POST /completions", `{"prompt":"x"}`, 0,
			provider.Bound{Output: 16, CapMember: "max_tokens", MinOutput: 1, Copies: 1}},
		{"prompts times best of", "POST /completions", `{"prompt":["a","b","c"],"max_tokens":5,"n":2,"best_of":4}`, 0,
			provider.Bound{Output: 5, CapMember: "max_tokens", MinOutput: 1, Copies: 12}},
		{"tokens are one prompt", "POST /completions", `{"prompt":[1,2,3],"max_tokens":5}`, 0,
			provider.Bound{Output: 5, CapMember: "max_tokens", MinOutput: 1, Copies: 1}},
		{"arrays of tokens", "POST /completions", `{"prompt":[[1,2],[3]],"max_tokens":5}`, 0,
			provider.Bound{Output: 5, CapMember: "max_tokens", MinOutput: 1, Copies: 2}},

		{"responses", responses, `{"input":"x","max_output_tokens":50,"n":9}`, 0,
			provider.Bound{Output: 50, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"own tools", responses, `{"tools":[{"type":"function"},{"type":"custom"},{"type":"local_shell"},{"type":"apply_patch"}]}`, 0,
			provider.Bound{CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"searches", responses, `{"tools":[{"type":"web_search"},{"type":"file_search"}],"max_tool_calls":4}`, 0,
			provider.Bound{Opaque: true, Turns: 4, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1,
				Extra: extra(int64(gateway.WebSearches), 4, int64(gateway.FileSearches), 4)}},
		{"searches without a cap", responses, `{"tools":[{"type":"web_search_preview_2025_03_11"}]}`, 0,
			provider.Bound{Opaque: true, Turns: 10, ToolCaps: []provider.ToolCap{{Member: "max_tool_calls", Calls: 10, Bills: []gateway.Class{gateway.WebSearches}}}, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1, Extra: extra(int64(gateway.WebSearches), 10)}},
		{"container", responses, `{"tools":[{"type":"code_interpreter"}]}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"tool of two types", responses, `{"tools":[{"type":"function","type":"function"}]}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"tool hidden behind another type", responses, `{"tools":[{"type":"function","t\u0079pe":"web_search"}],"max_tool_calls":2}`, 0,
			provider.Bound{Opaque: true, Turns: 2, Unbounded: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1, Extra: extra(int64(gateway.WebSearches), 2)}},
		{"tool without a type", responses, `{"tools":[{}]}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"a cap of no calls", responses, `{"tools":[{"type":"file_search"}],"max_tool_calls":0}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"other servers", responses, `{"tools":[{"type":"mcp"}],"max_tool_calls":2}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"searches of a vendor that may not obey", "POST /api/providers/xai/v1/responses", `{"tools":[{"type":"web_search"}],"max_tool_calls":2}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, Turns: 2, Uncountable: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1, Extra: extra(int64(gateway.WebSearches), 2)}},
		{"tools of the caller's own", chat, `{"tools":[{"type":"function"},{"type":"custom"},{"function":{}}]}`, 0,
			provider.Bound{CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"a tool of the vendor's", "POST /api/providers/groq/v1/chat/completions", `{"tools":[{"type":"browser_search"}]}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, Uncountable: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"a chat's tool of two types", chat, `{"tools":[{"type":"function","type":"x"}]}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"Azure's own data", "POST /api/providers/azure/openai/deployments/:deployment_id/chat/completions", `{"data_sources":[{"type":"azure_search"}]}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"earlier response", responses, `{"input":"x","previous_response_id":"resp_1"}`, 0,
			provider.Bound{Opaque: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"no earlier response", responses, `{"previous_response_id":null,"conversation":null,"prompt":null}`, 0,
			provider.Bound{CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"conversation", responses, `{"conversation":{"id":"conv_1"}}`, 0,
			provider.Bound{Opaque: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"stored prompt", responses, `{"prompt":{"id":"pmpt_1"}}`, 0,
			provider.Bound{Opaque: true, Unbounded: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"background", responses, `{"background":true}`, 0,
			provider.Bound{Later: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"picture", responses, `{"input":[{"content":[{"type":"input_image","image_url":"` + data + `"},{"type":"input_text","text":"x"}]}]}`, 50_000 - int64(len(data)),
			provider.Bound{Images: 1, Media: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},
		{"item of an earlier response", responses, `{"input":[{"type":"item_reference","id":"msg_1"}]}`, 0,
			provider.Bound{Opaque: true, CapMember: "max_output_tokens", MinOutput: 16, Copies: 1}},

		{"embeddings", "POST /embeddings", `{"input":["a","b"]}`, 0, provider.Bound{MinOutput: 1, Copies: 1}},
		{"run", "POST /threads/runs", `{"assistant_id":"a","max_completion_tokens":9}`, 0,
			provider.Bound{Opaque: true, Output: 9, CapMember: "max_completion_tokens", MinOutput: 1, Copies: 1}},
		{"picture to draw", "POST /images/generations", `{"prompt":"a cat","n":2,"size":"1024x1024","quality":"hd","partial_images":3}`, 0,
			provider.Bound{Media: true, MediaOut: true, Output: 25_300, MinOutput: 1, Copies: 2, Size: "1024x1024", Grade: "hd", Extra: extra(int64(gateway.Images), 2)}},
		{"speech", "POST /audio/speech", `{"input":"größer","voice":"alloy"}`, 0,
			provider.Bound{MediaOut: true, Output: 136, MinOutput: 1, Copies: 1, Extra: extra(int64(gateway.Characters), 6), Exact: true}},
		{"search", "POST /vector_stores/:vector_store_id/search", `{"query":"x"}`, 0,
			provider.Bound{MinOutput: 1, Copies: 1, Extra: extra(int64(gateway.FileSearches), 1), Exact: true}},
		{"batch", "POST /batches", `{"input_file_id":"f"}`, 0, provider.Bound{Unbounded: true, MinOutput: 1, Copies: 1}},
		{"free", "POST /moderations", `{"input":"x"}`, 0, provider.Bound{MinOutput: 1, Copies: 1}},
	} {
		c, err := parse(t, tt.row, tt.body)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tt.want.Input = int64(len(tt.body)) + tt.plus
		if diff := cmp.Diff(tt.want, c.Bound); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestParseReads(t *testing.T) {
	c, err := parse(t, chat, `{"model":"gpt-6","user":"u1","stream":true,"stream_options":{"include_usage":true}}`)
	if err != nil || c.Model != "gpt-6" || c.User != "u1" || !c.Stream || c.HideUsage {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = parse(t, "POST /audio/speech", `{"model":"m","input":"x","stream_format":"sse"}`)
	if err != nil || !c.Stream {
		t.Errorf("%+v, %v; speech as events is a stream", c, err)
	}
	c, err = parse(t, chat, `{"model":null,"user":null,"stream":null,"n":null}`)
	if err != nil || c.Model != "" || c.User != "" || c.Stream || c.Bound.Copies != 1 {
		t.Errorf("%+v, %v; null is as good as absent", c, err)
	}
	for _, row := range []string{"GET /models", "DELETE /files/:file_id", "POST /threads", "POST /batches/:batch_id/cancel"} {
		if c, err := parse(t, row, ""); err != nil || c.Bound.Copies != 1 {
			t.Errorf("%s without a body: %v", row, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, body, code, param string }{
		{"nothing", ``, "invalid_json", ""},
		{"blank", ` `, "invalid_json", ""},
		{"half", `{"model":"m"`, "invalid_json", ""},
		{"two values", `{} {}`, "invalid_json", ""},
		{"array", `[]`, "invalid_json", ""},
		{"text", `"x"`, "invalid_json", ""},
		{"byte order mark", "\ufeff{}", "invalid_json", ""},
		{"control character", "{\"model\":\"a\x01\"}", "invalid_json", ""},
		{"no UTF-8", "{\"model\":\"a\xff\"}", "invalid_json", ""},
		{"UTF-16", "{\x00}\x00", "invalid_json", ""},
		{"leading zero", `{"n":01}`, "invalid_json", ""},
		{"NaN", `{"n":NaN}`, "invalid_json", ""},
		{"comment", `{/* */"n":1}`, "invalid_json", ""},
		{"trailing comma", `{"n":1,}`, "invalid_json", ""},
		{"brackets only", strings.Repeat("[", 100_000), "invalid_json", ""},
		{"deep", `{"messages":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, "invalid_json", ""},
		{"model twice", `{"model":"a","model":"b"}`, "invalid_json", "model"},
		{"model twice, once escaped", `{"model":"cheap","mod\u0065l":"dear"}`, "invalid_json", "model"},
		{"cap twice", `{"max_tokens":1,"max_tokens":100000}`, "invalid_json", "max_tokens"},
		{"model is a number", `{"model":1}`, "invalid_type", "model"},
		{"model is a list", `{"model":["m"]}`, "invalid_type", "model"},
		{"user is an object", `{"user":{"id":"u"}}`, "invalid_type", "user"},
		{"copies in quotes", `{"n":"128"}`, "invalid_type", "n"},
		{"cap in quotes", `{"max_completion_tokens":"9"}`, "invalid_type", "max_completion_tokens"},
		{"copies true", `{"n":true}`, "invalid_type", "n"},
		{"stream in quotes", `{"stream":"true"}`, "invalid_type", "stream"},
		{"stream as a number", `{"stream":1}`, "invalid_type", "stream"},
		{"usage wanted and not", `{"stream":true,"stream_options":{"include_usage":true,"include_us\u0061ge":false}}`, "invalid_json", "stream_options"},
	} {
		c, err := parse(t, chat, tt.body)
		e, ok := err.(*gateway.Error)
		if !ok {
			t.Errorf("%s: %+v, %v; want an error", tt.name, c, err)
			continue
		}
		if e.Kind != gateway.Invalid || e.Code != tt.code || e.Param != tt.param {
			t.Errorf("%s: kind %d, code %s, param %q (%s); want %s, %q", tt.name, e.Kind, e.Code, e.Param, e.Message, tt.code, tt.param)
		}
	}
}

// The gateway asks for a stream's usage. It changes that one member and no more,
// and there is only one of it afterwards.
func TestWantUsage(t *testing.T) {
	for _, tt := range []struct{ name, row, body, want string }{
		{"no options", chat, `{"model":"m", "stream":true}`, `{"model":"m", "stream":true,"stream_options":{"include_usage":true}}`},
		{"other options", chat, `{"stream":true,"stream_options":{"include_obfuscation":false}}`, `{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}`},
		{"not wanted", chat, `{"stream":true,"stream_options":{"include_usage":false}}`, `{"stream":true,"stream_options":{"include_usage":true}}`},
		{"null", chat, `{"stream":true,"stream_options":null}`, `{"stream":true,"stream_options":{"include_usage":true}}`},
		{"escaped names", chat, `{"stream":true,"stre\u0061m_options":{"include_us\u0061ge":false}}`, `{"stream":true,"stre\u0061m_options":{"include_us\u0061ge":true}}`},
		{"legacy", "POST /completions", `{"stream":true}`, `{"stream":true,"stream_options":{"include_usage":true}}`},
		{"already", chat, `{"stream":true,"stream_options":{"include_usage":true}}`, ``},
		{"no stream", chat, `{"stream":false}`, ``},
		{"responses report always", responses, `{"stream":true}`, ``},
	} {
		c, err := parse(t, tt.row, tt.body)
		want, hide := tt.want, tt.want != ""
		if !hide {
			want = tt.body
		}
		if err != nil || string(c.Body) != want || c.HideUsage != hide || c.Bound.Input != int64(len(tt.body)) {
			t.Errorf("%s: body %s, hide %v, input %d, %v; want %s", tt.name, c.Body, c.HideUsage, c.Bound.Input, err, want)
		}
	}
}

// messageTexts are all texts that a model reads of a chat or responses body.
func messageTexts(body []byte) []string {
	var v struct {
		Messages, Input, Instructions, Tools any
	}
	json.Unmarshal(body, &v)
	var texts []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	for _, part := range []any{v.Messages, v.Input, v.Instructions, v.Tools} {
		walk(part)
	}
	return texts
}

// The bound of the input is never below what the tokenizer counts, and where the
// input is all text the exact count lies between the two.
func TestInputBoundHolds(t *testing.T) {
	for _, tt := range []struct{ row, body string }{
		{chat, `{"messages":[{"role":"user","content":"hello world"}]}`},
		{chat, `{"messages":[{"role":"user","content":""}]}`},
		{chat, `{"messages":[{"role":"user","content":"\u4e2d\u6587 \ud83d\ude00"},{"role":"assistant","content":null}]}`},
		{chat, `{"messages":[{"role":"user","content":"` + strings.Repeat("😀🇩🇪", 200) + `"}]}`},
		{chat, `{"messages":[{"role":"user","content":"` + strings.Repeat("\\u0000\\n", 100) + `"}]}`},
		{chat, `{"messages":[{"role":"user","content":[{"type":"text","text":"ꙮꙮꙮ﷽"}]}],"tools":[{"type":"function","function":{"name":"f","description":"does it","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}}]}`},
		{responses, `{"input":"hi","instructions":"be brief"}`},
		{responses, `{"input":[{"role":"user","content":[{"type":"input_text","text":"x y z"}]}],"tools":[{"type":"function","name":"f"}]}`},
	} {
		c, err := parse(t, tt.row, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		least, err := tokenize.Count(messageTexts([]byte(tt.body))...)
		if err != nil {
			t.Fatal(err)
		}
		if c.Bound.Input < least {
			t.Errorf("%.60s: bound %d, and the texts have %d tokens", tt.body, c.Bound.Input, least)
		}
		texts, plus, ok := provider.RequestText(c)
		n, err := tokenize.Count(texts...)
		if !ok || err != nil || n+plus < least {
			t.Errorf("%.60s: counted %d + %d (%v, %v), and the texts have %d", tt.body, n, plus, ok, err, least)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}`,
		`{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:x"}}]}],"n":2}`,
		`{"input":[{"type":"input_audio","input_audio":{"data":"AAAA"}}],"tools":[{"type":"web_search"}]}`,
		`{"prompt":[[1,2],"x"],"best_of":1e9,"stream":true,"stream_options":[]}`, `{"tools":"x","modalities":1}`,
	} {
		f.Add(byte(0), body)
	}
	f.Add(byte(9), "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--")
	endpoints := provider.OpenAI.Endpoints()
	f.Fuzz(func(t *testing.T, row byte, body string) {
		e := &endpoints[int(row)%len(endpoints)]
		c, err := provider.OpenAI.Parse(e, "multipart/form-data; boundary=b", []byte(body))
		if err != nil {
			if gateway.KindOf(err) != gateway.Invalid {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		b := &c.Bound
		if b.Input < 0 || b.Output < 0 || b.OutputAdd < 0 || b.Copies < 1 || b.Images < 0 {
			t.Fatalf("%q: %+v", body, b)
		}
		for class, n := range b.Extra.Counts {
			if n < 0 {
				t.Fatalf("%q: %d of class %d", body, n, class)
			}
		}
		if !e.Form && len(body) > 0 && (!json.Valid(c.Body) || !c.HideUsage && string(c.Body) != body) {
			t.Fatalf("%q becomes %q", body, c.Body)
		}
		provider.RequestText(c)
		provider.AnswerText(new(provider.Call), []byte(body), false)
		provider.AnswerText(new(provider.Call), []byte(body), true)
	})
}

func BenchmarkParse(b *testing.B) {
	message := `{"role":"user","content":"The quick brown fox jumps over the lazy dog."},`
	small := `{"model":"gpt-6","messages":[` + strings.TrimSuffix(message, ",") + `],"max_tokens":100}`
	for _, bm := range []struct{ name, body string }{
		{"small", small},
		{"stream", strings.Replace(small, `"max`, `"stream":true,"max`, 1)},
		{"100 kB", `{"model":"gpt-6","messages":[` + strings.TrimSuffix(strings.Repeat(message, 100_000/len(message)), ",") + `]}`},
		{"1 MB picture", `{"model":"gpt-6","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("A", 1<<20) + `"}}]}]}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			e := endpoint(b, chat)
			b.SetBytes(int64(len(bm.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Vendor.Parse(e, "", []byte(bm.body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
