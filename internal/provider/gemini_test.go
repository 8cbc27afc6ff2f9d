package provider_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

const generate = "gemini/v1beta/models/gemini-3.8-flash:generateContent"

// What follows a model's name in its segment is part of the endpoint.
func TestGeminiPaths(t *testing.T) {
	for _, tt := range []struct{ method, path, upstream, model string }{
		{"POST", generate, "/v1beta/models/gemini-3.8-flash:generateContent", "gemini-3.8-flash"},
		{"POST", "gemini/v1beta/models/gemini-3.8-flash:streamGenerateContent", "/v1beta/models/gemini-3.8-flash:streamGenerateContent", "gemini-3.8-flash"},
		{"POST", "gemini/v1/models/m:generateContent", "/v1/models/m:generateContent", "m"},
		{"POST", "gemini/v1beta/models/m%3AcountTokens", "/v1beta/models/m:countTokens", "m"},
		{"POST", "gemini/v1beta/models/a:b:embedContent/", "/v1beta/models/a:b:embedContent", "a:b"},
		{"POST", "gemini/v1beta/models/m:batchEmbedContents", "/v1beta/models/m:batchEmbedContents", "m"},
		{"GET", "gemini/v1beta/models", "/v1beta/models", ""},
		{"GET", "gemini/v1beta/models/a:b", "/v1beta/models/a:b", "a:b"},
		{"POST", "gemini/v1/chat/completions", "/chat/completions", ""}, // OpenAI's form stays
		{"GET", "gemini/v1/models/m", "/models/m", ""},
	} {
		e, upstream := row(t, tt.method, tt.path)
		if model := e.ModelIn(upstream); upstream != tt.upstream || model != tt.model {
			t.Errorf("%s %s goes to %s with model %q", tt.method, tt.path, upstream, model)
		}
	}
	router := provider.NewRouter(provider.All()...)
	for path, kind := range map[string]gateway.Kind{
		"/v1beta/models/m:predict": gateway.NotFound, "/v1beta/models/m:GenerateContent": gateway.NotFound, "/v1beta/models/m": gateway.NotFound,
		"/v1beta/models/:generateContent": gateway.Invalid, "/v1beta/models/..:generateContent": gateway.Invalid,
		"/v1beta/models/a%2Fb:generateContent": gateway.Invalid, "/v1beta/models/a%3Fb:generateContent": gateway.Invalid,
	} {
		if _, _, err := router.Match("POST", "/api/providers/gemini"+path); gateway.KindOf(err) != kind {
			t.Errorf("%s: %v", path, err)
		}
	}
	for path, want := range map[string]gateway.Dialect{
		"/v1beta/models/m:generateContent": gateway.GoogleDialect, "/v1beta/nothing": gateway.GoogleDialect, "/v1/chat/completions": gateway.OpenAIDialect,
	} {
		if got := router.Dialect("/api/providers/gemini" + path); got != want {
			t.Errorf("errors on %s are worded as %d", path, got)
		}
	}
}

func TestGeminiAddresses(t *testing.T) {
	const google = "https://generativelanguage.googleapis.com"
	for url, want := range map[string]string{
		"": google, google + "/v1beta/openai": google, google + "/v1beta/": google,
		"http://127.0.0.1:9/v1": "http://127.0.0.1:9", "http://gw.example/gemini": "http://gw.example/gemini",
	} {
		s := &gateway.Setting{Params: map[string]string{"url": url}}
		if got := provider.Gemini.BaseURL(s); got != want {
			t.Errorf("%q: calls go to %s", url, got)
		}
	}
	h := http.Header{}
	provider.Gemini.Authorize(h, provider.Credential{APIKey: "k"})
	if diff := cmp.Diff(http.Header{"X-Goog-Api-Key": {"k"}}, h); diff != "" {
		t.Error(diff)
	}
}

func TestGeminiBounds(t *testing.T) {
	hundred := strings.Repeat("A", 100)
	for _, tt := range []struct {
		name, body string
		want       provider.Bound
		over       int64 // bytes of the body that are no text, less what stands for them
	}{
		{"nothing said", `{"contents":[{"parts":[{"text":"hi"}]}]}`, provider.Bound{CapMember: "generationConfig.maxOutputTokens"}, 0},
		{"cap and candidates", `{"generationConfig":{"maxOutputTokens":100,"candidateCount":3}}`, provider.Bound{Output: 100, Copies: 3, CapMember: "generationConfig.maxOutputTokens"}, 0},
		{"the other spelling", `{"generation_config":{"max_output_tokens":7.2}}`, provider.Bound{Output: 8, CapMember: "generation_config.max_output_tokens"}, 0},
		{"a config of null", `{"generationConfig":null}`, provider.Bound{CapMember: "generationConfig.maxOutputTokens"}, 0},
		{"thinking is inside of the cap", `{"generationConfig":{"maxOutputTokens":100,"thinkingConfig":{"thinkingBudget":5000}}}`, provider.Bound{Output: 100, CapMember: "generationConfig.maxOutputTokens"}, 0},
		{"tier", `{"serviceTier":"SERVICE_TIER_PRIORITY"}`, provider.Bound{Tier: "priority"}, 0},
		{"tier by number", `{"service_tier":3}`, provider.Bound{Tier: "any"}, 0},
		{"picture", `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"` + hundred + `"}}]}]}`, provider.Bound{Images: 1, Media: true}, 100 - 10_000},
		{"picture, the other spelling", `{"contents":{"parts":{"inline_data":{"mime_type":"IMAGE/png","data":"` + hundred + `"}}}}`, provider.Bound{Images: 1, Media: true}, 100 - 10_000},
		{"picture of a function", `{"contents":[{"parts":[{"functionResponse":{"parts":[{"inlineData":{"mimeType":"image/png","data":"` + hundred + `"}}]}}]}]}`, provider.Bound{Images: 1, Media: true}, 100 - 10_000},
		{"sound", `{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"` + hundred + `"}}]}]}`, provider.Bound{Media: true}, 100 - 5},
		{"film", `{"contents":[{"parts":[{"inlineData":{"mimeType":"video/mp4","data":"` + hundred + `"}}]}]}`, provider.Bound{Media: true, Opaque: true}, 100},
		{"document", `{"contents":[{"parts":[{"inlineData":{"mimeType":"application/pdf","data":"` + hundred + `"}}]}]}`, provider.Bound{Media: true, Opaque: true}, 100},
		{"media of two kinds", `{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","mime_type":"video/mp4","data":"` + hundred + `"}}]}]}`, provider.Bound{Media: true, Opaque: true}, 100},
		{"file", `{"contents":[{"parts":[{"fileData":{"fileUri":"x"}}]}]}`, provider.Bound{Media: true, Opaque: true}, 0},
		{"file of the system", `{"system_instruction":{"parts":[{"file_data":{"file_uri":"x"}}]}}`, provider.Bound{Media: true, Opaque: true}, 0},
		{"cache", `{"cachedContent":"cachedContents/1"}`, provider.Bound{Opaque: true}, 0},
		{"functions", `{"tools":[{"functionDeclarations":[{"name":"f"}]}]}`, provider.Bound{}, 0},
		{"search", `{"tools":[{"googleSearch":{}}]}`, provider.Bound{Opaque: true, Unbounded: true, Extra: searches(10)}, 0},
		{"search, the other spelling", `{"tools":[{"google_search":{}}]}`, provider.Bound{Opaque: true, Unbounded: true, Extra: searches(10)}, 0},
		{"code", `{"tools":[{"codeExecution":{}}]}`, provider.Bound{Opaque: true, Unbounded: true}, 0},
		{"a computer", `{"tools":[{"computerUse":{}}]}`, provider.Bound{Opaque: true}, 0},
		{"maps", `{"tools":[{"googleMaps":{}}]}`, provider.Bound{Opaque: true, Unbounded: true}, 0},
		{"speech", `{"generationConfig":{"responseModalities":["AUDIO"]}}`, provider.Bound{MediaOut: true}, 0},
		{"text", `{"generationConfig":{"responseModalities":["TEXT"]}}`, provider.Bound{}, 0},
	} {
		c := ask(t, generate, tt.body)
		want := tt.want
		want.Input, want.MinOutput, want.Copies = int64(len(tt.body))-tt.over, 1, max(want.Copies, 1)
		want.Uncountable = true
		if want.CapMember == "" {
			want.CapMember = c.Bound.CapMember
		}
		switch want.Tier {
		case "":
			want.Tier = "standard"
		case "any":
			want.Tier = ""
		}
		if diff := cmp.Diff(want, c.Bound); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func searches(n int64) (u gateway.Usage) {
	u.Counts[gateway.WebSearches] = n
	return u
}

// Models that answer in pictures do so without being asked to.
func TestGeminiMediaModels(t *testing.T) {
	for model, want := range map[string]bool{"gemini-3.1-flash-image": true, "gemini-2.5-flash-preview-tts": true, "gemini-3.8-flash": false} {
		c := ask(t, generate, `{"contents":[]}`)
		if c.Named(model); c.Model != model || c.Bound.MediaOut != want {
			t.Errorf("%s: answers in media %v", c.Model, c.Bound.MediaOut)
		}
	}
}

func TestGeminiRefusals(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `{`, `{"generationConfig":{},"generation_config":{}}`, `{"generationConfig":7}`,
		`{"generationConfig":{"maxOutputTokens":5,"max_output_tokens":50000}}`, `{"generationConfig":{"maxOutputTokens":5,"maxOutputTokens":50000}}`,
		`{"generationConfig":{"maxOutputTokens":"5"}}`, `{"generationConfig":{"candidate_count":"8"}}`, `{"contents":[],"contents":[]}`,
	} {
		e, _ := row(t, "POST", generate)
		if _, err := e.Vendor.Parse(e, "application/json", []byte(body)); gateway.KindOf(err) != gateway.Invalid || err == nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	e, _ := row(t, "POST", "gemini/v1beta/models/m:batchEmbedContents")
	if _, err := e.Vendor.Parse(e, "", []byte(`{"requests":[{"model":"a","model":"b"}]}`)); gateway.KindOf(err) != gateway.Invalid || err == nil {
		t.Errorf("a model named twice: %v", err)
	}
}

// The parts of a batch name models, too.
func TestGeminiEmbeddings(t *testing.T) {
	body := `{"requests":[{"model":"models/a","content":{"parts":[{"text":"one"}]}},{"model":"b","content":{"parts":[{"text":"two"}]}}]}`
	c := ask(t, "gemini/v1beta/models/a:batchEmbedContents", body)
	if diff := cmp.Diff([]string{"a", "b"}, c.Fallbacks); diff != "" || c.Bound.Input != int64(len(body)) || c.Bound.CapMember != "" {
		t.Errorf("bound %+v, models %s", c.Bound, diff)
	}
	texts, _, ok := provider.RequestText(c)
	if all := strings.Join(texts, "|"); !ok || !strings.Contains(all, "one") || !strings.Contains(all, "two") {
		t.Errorf("texts %q, %v", all, ok)
	}
}

// Google's counts as disjoint classes.
func TestGeminiUsage(t *testing.T) {
	search := `{"tools":[{"googleSearch":{}}]}`
	for _, tt := range []struct {
		name, request, answer string
		want                  map[string]int64
		reasoning             int64
		unknown               bool
	}{
		{name: "plain", answer: `{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15}}`, want: map[string]int64{"input": 10, "output": 5}},
		{name: "thoughts and tools are beside the rest", answer: `{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"toolUsePromptTokenCount":100,"thoughtsTokenCount":40,"totalTokenCount":155}}`,
			want: map[string]int64{"input": 110, "output": 45}, reasoning: 40},
		{name: "thoughts only: zero is left out", answer: `{"usageMetadata":{"promptTokenCount":10,"thoughtsTokenCount":40,"totalTokenCount":50}}`, want: map[string]int64{"input": 10, "output": 40}, reasoning: 40},
		{name: "the total has more", answer: `{"usageMetadata":{"promptTokenCount":10,"totalTokenCount":25}}`, want: map[string]int64{"input": 10, "output": 15}},
		{name: "cached", answer: `{"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":80,"candidatesTokenCount":5}}`, want: map[string]int64{"input": 20, "cache_read": 80, "output": 5}},
		{name: "all kinds", answer: `{"usageMetadata":{"promptTokenCount":1000,"cachedContentTokenCount":300,"candidatesTokenCount":1300,
			"promptTokensDetails":[{"modality":"TEXT","tokenCount":400},{"modality":"AUDIO","tokenCount":200},{"modality":"IMAGE","tokenCount":258},{"modality":"VIDEO","tokenCount":100},{"modality":"DOCUMENT","tokenCount":42}],
			"cacheTokensDetails":[{"modality":"TEXT","tokenCount":150},{"modality":"AUDIO","tokenCount":50},{"modality":"IMAGE","tokenCount":100}],
			"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290},{"modality":"TEXT","tokenCount":10}]}}`,
			want: map[string]int64{"cache_read": 150, "cached_audio": 50, "cached_image": 100, "input": 250, "input_audio": 150, "input_image": 200, "input_video": 100, "output_image": 1290, "output": 10}},
		{name: "details beyond the totals", answer: `{"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":99,"candidatesTokenCount":5,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":99}],"candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":99}]}}`,
			want: map[string]int64{"cache_read": 10, "output_audio": 5}},
		{name: "searches", request: search, answer: `{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}`, want: map[string]int64{"input": 1, "output": 1, "web_searches": 2}},
		{name: "a search without its words", request: search, answer: `{"candidates":[{"groundingMetadata":{}}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}`, want: map[string]int64{"input": 1, "output": 1, "web_searches": 1}},
		{name: "no search", request: search, answer: `{"candidates":[{}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}`, want: map[string]int64{"input": 1, "output": 1}},
		{name: "searches in an answer too long", request: search, answer: `{"candidates":[{"text":"` + strings.Repeat("x", 70<<10) + `"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}`, want: map[string]int64{"input": 1, "output": 1, "web_searches": 10}},
		{name: "none", answer: `{"candidates":[]}`, want: map[string]int64{}, unknown: true},
		{name: "text", answer: `{"usageMetadata":{"promptTokenCount":"9"}}`, want: map[string]int64{}, unknown: true},
		{name: "negative", answer: `{"usageMetadata":{"promptTokenCount":-9}}`, want: map[string]int64{}, unknown: true},
	} {
		if tt.request == "" {
			tt.request = `{}`
		}
		c := ask(t, generate, tt.request)
		_, m := pass(c, false, tt.answer)
		got := read(c, m)
		if diff := cmp.Diff(tt.want, got.Usage); diff != "" || got.Known == tt.unknown || got.Reasoning != tt.reasoning {
			t.Errorf("%s: known %v, reasoning %d, (-want +got)\n%s", tt.name, got.Known, got.Reasoning, diff)
		}
	}
}

// Whatever a body says, it is read or refused, and what is read is bounded.
func FuzzGemini(f *testing.F) {
	f.Add(`{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}}]}],"generationConfig":{"maxOutputTokens":5}}`)
	f.Add(`{"generation_config":{"candidate_count":1e9},"tools":[{"google_search":{}}],"serviceTier":1}`)
	f.Add(`{"requests":[{"content":{"parts":[[[{}]]]}}]}`)
	var endpoints []*provider.Endpoint
	for _, verb := range []string{"generateContent", "streamGenerateContent", "batchEmbedContents"} {
		e, _ := row(f, "POST", "gemini/v1beta/models/m:"+verb)
		endpoints = append(endpoints, e)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, e := range endpoints {
			c, err := e.Vendor.Parse(e, "", []byte(body))
			if err != nil {
				continue
			}
			c.Named("gemini-3.8-flash")
			if b := c.Bound; b.Input < 0 || b.Output < 0 || b.Copies < 1 || string(c.Body) != body {
				t.Fatalf("%s: bound %+v", body, b)
			}
			provider.RequestText(c)
			_, m := pass(c, false, body)
			u, _ := e.Vendor.Usage(c, m.Members())
			for class, n := range u.Counts {
				if n < 0 {
					t.Fatalf("%s: %d of %s", body, n, gateway.ClassNames[class])
				}
			}
		}
	})
}
