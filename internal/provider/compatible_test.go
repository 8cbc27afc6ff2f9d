package provider_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

// row is an endpoint of a vendor.
func row(t testing.TB, method, path string) (*provider.Endpoint, string) {
	t.Helper()
	e, upstream, err := provider.NewRouter(provider.All()...).Match(method, "/api/providers/"+path)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return e, upstream
}

func ask(t testing.TB, path, body string) *provider.Call {
	t.Helper()
	e, _ := row(t, "POST", path)
	c, err := e.Vendor.Parse(e, "application/json", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Where calls go: the vendors' own addresses, and those of settings.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ method, path, url, want string }{
		{"POST", "deepinfra/v1/chat/completions", "", "https://api.deepinfra.com/v1/openai/chat/completions"},
		{"POST", "deepinfra/v1/embeddings", "https://proxy.example/di/", "https://proxy.example/di/embeddings"},
		{"POST", "mistral/v1/chat/completions", "", "https://api.mistral.ai/v1/chat/completions"},
		{"POST", "mistral/v1/fim/completions", "https://api.eu.mistral.ai/v1", "https://api.eu.mistral.ai/v1/fim/completions"},
		{"POST", "groq/v1/audio/transcriptions", "", "https://api.groq.com/openai/v1/audio/transcriptions"},
		{"POST", "xai/v1/responses", "", "https://api.x.ai/v1/responses"},
		{"POST", "deepseek/v1/chat/completions", "", "https://api.deepseek.com/v1/chat/completions"},
		{"POST", "together/v1/embeddings", "", "https://api.together.xyz/v1/embeddings"},
		{"POST", "fireworks/v1/completions", "", "https://api.fireworks.ai/inference/v1/completions"},
		{"GET", "openrouter/v1/models", "", "https://openrouter.ai/api/v1/models"},
		{"POST", "gemini/v1/embeddings", "", "https://generativelanguage.googleapis.com/v1beta/openai/embeddings"},
		{"POST", "vllm/v1/chat/completions", "http://gpu.example:8000", "http://gpu.example:8000/v1/chat/completions"},
		{"GET", "vllm/v1/models", "http://gpu.example:8000/v1/", "http://gpu.example:8000/v1/models"},
		{"POST", "vllm/v1/completions", "http://gpu.example/a/", "http://gpu.example/a/v1/completions"},
		{"POST", "ollama/v1/chat/completions", "http://127.0.0.1:11434", "http://127.0.0.1:11434/v1/chat/completions"},
		{"POST", "azure/openai/deployments/my-gpt/images/edits", "", "https://res.openai.azure.com/openai/deployments/my-gpt/images/edits"},
		{"POST", "azure/openai/v1/responses", "", "https://res.openai.azure.com/openai/v1/responses"},
		{"GET", "azure/openai/models", "https://gw.example/", "https://gw.example/openai/models"},
	} {
		e, upstream := row(t, tt.method, tt.path)
		s := &gateway.Setting{Params: map[string]string{"url": tt.url, "resourceName": "res"}}
		if got := e.Vendor.BaseURL(s) + upstream; got != tt.want {
			t.Errorf("%s with %q goes to %s, want %s", tt.path, tt.url, got, tt.want)
		}
	}
}

func TestAuthorize(t *testing.T) {
	for _, tt := range []struct {
		path, key string
		want      http.Header
	}{
		{"vllm/v1/chat/completions", "", http.Header{}},
		{"vllm/v1/chat/completions", "k", http.Header{"Authorization": {"Bearer k"}}},
		{"deepinfra/v1/embeddings", "k", http.Header{"Authorization": {"Bearer k"}}},
		{"azure/openai/deployments/d/embeddings", "k", http.Header{"Api-Key": {"k"}}},
	} {
		e, _ := row(t, "POST", tt.path)
		h := http.Header{}
		e.Vendor.Authorize(h, provider.Credential{APIKey: tt.key})
		if fmt.Sprint(h) != fmt.Sprint(tt.want) {
			t.Errorf("%s with %q: %v", tt.path, tt.key, h)
		}
	}
}

// The model of a deployment's endpoints stands in the path.
func TestModelIn(t *testing.T) {
	for path, want := range map[string]string{
		"azure/openai/deployments/my-gpt/chat/completions":   "my-gpt",
		"azure/openai/deployments/a%3Ab/audio/speech":        "a:b",
		"azure/openai/deployments/%C3%BC/images/generations": "ü",
		"azure/openai/v1/chat/completions":                   "",
		"openai/v1/chat/completions":                         "",
	} {
		e, upstream := row(t, "POST", path)
		if got := e.ModelIn(upstream); got != want {
			t.Errorf("%s: model %q, want %q", path, got, want)
		}
	}
}

// What vendors count otherwise than OpenAI, and that others are not touched by it.
func TestUsageQuirks(t *testing.T) {
	const reasoned = `"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}`
	const apart = `"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":15}}`
	for _, tt := range []struct {
		name, path, model, answer string
		want                      map[gateway.Class]int64
		reasoning                 int64
		charge                    gateway.NanoUSD
	}{
		{"xai, more reasoning than completion", "xai/v1/chat/completions", "grok", reasoned, use(gateway.Input, 32, gateway.Output, 103), 94, 0},
		{"xai, less", "xai/v1/chat/completions", "grok", apart, use(gateway.Input, 10, gateway.Output, 35), 15, 0},
		{"xai, as much", "xai/v1/chat/completions", "grok", `"usage":{"prompt_tokens":1,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":5}}`, use(gateway.Input, 1, gateway.Output, 10), 5, 0},
		{"xai responses include it", "xai/v1/responses", "grok", `"usage":{"input_tokens":10,"output_tokens":20,"output_tokens_details":{"reasoning_tokens":15}}`, use(gateway.Input, 10, gateway.Output, 20), 15, 0},
		{"deepinfra's Gemma", "deepinfra/v1/chat/completions", "google/gemma-4", apart, use(gateway.Input, 10, gateway.Output, 35), 15, 0},
		{"deepinfra's others", "deepinfra/v1/chat/completions", "deepseek-ai/DeepSeek-V4", apart, use(gateway.Input, 10, gateway.Output, 20), 15, 0},
		{"vllm includes it", "vllm/v1/chat/completions", "m", apart, use(gateway.Input, 10, gateway.Output, 20), 15, 0},
		{"anybody's sum that cannot be", "together/v1/chat/completions", "m", reasoned, use(gateway.Input, 32, gateway.Output, 103), 94, 0},
		{"gemini's thoughts", "gemini/v1/chat/completions", "gemini-3", `"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":80}`, use(gateway.Input, 10, gateway.Output, 70), 50, 0},
		{"gemini without", "gemini/v1/chat/completions", "gemini-3", `"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}`, use(gateway.Input, 10, gateway.Output, 20), 0, 0},
		{"gemini with details", "gemini/v1/chat/completions", "gemini-3", reasoned, use(gateway.Input, 32, gateway.Output, 103), 94, 0},
		{"gemini embeddings", "gemini/v1/embeddings", "e", `"usage":{"prompt_tokens":7,"total_tokens":7}`, use(gateway.Input, 7), 0, 0},
		{"no one else's total counts", "mistral/v1/chat/completions", "m", `"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":80}`, use(gateway.Input, 10, gateway.Output, 20), 0, 0},
		{"deepseek's cache", "deepseek/v1/chat/completions", "m", `"usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}`,
			use(gateway.Input, 36, gateway.CacheRead, 64, gateway.Output, 20), 0, 0},
		{"groq, plain", "groq/v1/chat/completions", "m", `"usage":{"queue_time":0.03,"prompt_tokens":10,"completion_tokens":20},"x_groq":{"id":"r"}`, use(gateway.Input, 10, gateway.Output, 20), 0, 0},
		{"groq, its own place", "groq/v1/chat/completions", "m", `"usage":null,"x_groq":{"id":"r","usage":{"prompt_tokens":10,"completion_tokens":20}}`, use(gateway.Input, 10, gateway.Output, 20), 0, 0},
		{"openrouter's charge", "openrouter/v1/chat/completions", "m", `"usage":{"prompt_tokens":10,"completion_tokens":20,"cost":0.00014}`, use(gateway.Input, 10, gateway.Output, 20), 0, 140_000},
		{"openrouter's cache", "openrouter/v1/chat/completions", "m", `"usage":{"prompt_tokens":100,"completion_tokens":20,"cost":1e-6,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}}`,
			use(gateway.Input, 10, gateway.CacheRead, 60, gateway.CacheWrite, 30, gateway.Output, 20), 0, 1000},
		{"deepinfra's charge", "deepinfra/v1/embeddings", "m", `"usage":{"prompt_tokens":10,"estimated_cost":2.5e-7}`, use(gateway.Input, 10), 0, 250},
		{"a charge below zero", "openrouter/v1/chat/completions", "m", `"usage":{"prompt_tokens":1,"completion_tokens":2,"cost":-5}`, use(gateway.Input, 1, gateway.Output, 2), 0, 0},
		{"a charge that is none", "openrouter/v1/chat/completions", "m", `"usage":{"prompt_tokens":1,"completion_tokens":2,"cost":"free"}`, use(gateway.Input, 1, gateway.Output, 2), 0, 0},
		{"others do not charge", "vllm/v1/chat/completions", "m", `"usage":{"prompt_tokens":1,"completion_tokens":2,"cost":5}`, use(gateway.Input, 1, gateway.Output, 2), 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			call := ask(t, tt.path, `{"model":"`+tt.model+`","messages":[],"input":"x"}`)
			stream := "data: {\"choices\":[{}]}\n\ndata: {\"choices\":[]," + tt.answer + "}\n\ndata: [DONE]\n\n"
			for i, pieces := range [][]string{{"{" + tt.answer + "}"}, {stream}, strings.Split(stream, "")} {
				events := i > 0
				_, m := pass(call, events, pieces...)
				u, known := call.Endpoint.Vendor.Usage(call, m.Members())
				got := map[gateway.Class]int64{}
				for c, n := range u.Counts {
					if n != 0 {
						got[gateway.Class(c)] = n
					}
				}
				if !known || fmt.Sprint(got) != fmt.Sprint(tt.want) || u.Reasoning != tt.reasoning || u.Charge != tt.charge {
					t.Errorf("events %v, %d pieces: %v, reasoning %d, charge %v, known %v; want %v, %d, %v", events, len(pieces), got, u.Reasoning, u.Charge, known, tt.want, tt.reasoning, tt.charge)
				}
			}
		})
	}
}

// use pairs classes with counts.
func use(pairs ...any) map[gateway.Class]int64 {
	m := map[gateway.Class]int64{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(gateway.Class)] = int64(pairs[i+1].(int))
	}
	return m
}

// A usage on every chunk only grows; the highest counts, whatever the last one says.
func TestGrowingUsage(t *testing.T) {
	chunk := func(out int, choices string) string {
		return fmt.Sprintf("data: {\"model\":\"m\",\"choices\":[%s],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%d}}\n\n", choices, out)
	}
	for _, tt := range []struct {
		name   string
		stream []string
		out    int64
	}{
		{"grows", []string{chunk(1, "{}"), chunk(2, "{}"), chunk(3, "{}")}, 3},
		{"cut", []string{chunk(1, "{}"), chunk(2, "{}"), "data: {\"choi"}, 2},
		{"two answers", []string{chunk(9, "{}"), chunk(4, "{}")}, 9},
		{"the sum at the end", []string{chunk(9, "{}"), chunk(4, "{}"), chunk(13, "")}, 13},
		{"null in between", []string{chunk(9, "{}"), "data: {\"usage\":null}\n\n"}, 9},
	} {
		call := ask(t, "vllm/v1/chat/completions", `{"model":"m","stream":true}`)
		_, m := pass(call, true, strings.Join(tt.stream, ""))
		if u, known := call.Endpoint.Vendor.Usage(call, m.Members()); !known || u.Counts[gateway.Output] != tt.out || u.Counts[gateway.Input] != 10 {
			t.Errorf("%s: %v, want %d out", tt.name, u.Counts, tt.out)
		}
	}
}

// Which member caps a call, and what is taken as its cap.
func TestCapsOfVendors(t *testing.T) {
	const none, older, newer, both = `{}`, `{"max_tokens":5}`, `{"max_completion_tokens":7}`, `{"max_tokens":5,"max_completion_tokens":7}`
	for _, tt := range []struct {
		path, body, member string
		output             int64
	}{
		{"azure/openai/v1/chat/completions", none, "max_completion_tokens", 0},
		{"xai/v1/chat/completions", none, "max_completion_tokens", 0},
		{"xai/v1/chat/completions", older, "max_tokens", 5},
		{"vllm/v1/chat/completions", none, "max_tokens", 0},
		{"vllm/v1/chat/completions", newer, "max_completion_tokens", 7},
		{"vllm/v1/chat/completions", both, "max_completion_tokens", 7},
		{"mistral/v1/chat/completions", none, "max_tokens", 0},
		{"mistral/v1/chat/completions", newer, "max_tokens", 0},
		{"mistral/v1/chat/completions", both, "max_tokens", 5},
		{"ollama/v1/chat/completions", newer, "max_tokens", 0},
		// Legacy completions stop at 16 tokens only where that is the default.
		{"vllm/v1/completions", none, "max_tokens", 16},
		{"azure/openai/deployments/d/completions", none, "max_tokens", 16},
		{"deepinfra/v1/completions", none, "max_tokens", 0},
		{"mistral/v1/fim/completions", none, "max_tokens", 0},
		{"together/v1/completions", older, "max_tokens", 5},
	} {
		if b := ask(t, tt.path, tt.body).Bound; b.CapMember != tt.member || b.Output != tt.output {
			t.Errorf("%s %s: %d by %s, want %d by %s", tt.path, tt.body, b.Output, b.CapMember, tt.output, tt.member)
		}
	}
}

// Only vendors that take stream_options get them, and a call that is not theirs to
// change keeps its bytes.
func TestUsageIsAskedFor(t *testing.T) {
	for _, tt := range []struct {
		path  string
		asked bool
	}{
		{"vllm/v1/chat/completions", true}, {"vllm/v1/completions", true}, {"deepinfra/v1/chat/completions", true},
		{"azure/openai/deployments/d/chat/completions", true}, {"azure/openai/v1/completions", true}, {"gemini/v1/chat/completions", true},
		{"mistral/v1/chat/completions", false}, {"mistral/v1/fim/completions", false}, {"groq/v1/chat/completions", false},
		{"openrouter/v1/chat/completions", false}, {"xai/v1/responses", false},
	} {
		const body = ` {"stream":true, "x":1.50}`
		c := ask(t, tt.path, body)
		if c.HideUsage != tt.asked || strings.Contains(string(c.Body), "include_usage") != tt.asked || !tt.asked && string(c.Body) != body {
			t.Errorf("%s: hide %v, body %s", tt.path, c.HideUsage, c.Body)
		}
	}
}

// Whatever the body, a vendor's bounds make sense and no vendor falls over it, nor
// over the same as an answer.
func FuzzVendors(f *testing.F) {
	for _, body := range []string{`{"model":"m","max_tokens":5,"max_completion_tokens":1e9}`, `{"models":["a",{"b":1},null],"preset":{},"plugins":0}`,
		`{"usage":{"prompt_tokens":1e300,"completion_tokens":-1,"total_tokens":9e18,"cost":"1e99","completion_tokens_details":{"reasoning_tokens":7}}}`,
		`{"x_groq":{"usage":[]},"usage":null}`, `{"stream":true,"stream_options":[]}`} {
		f.Add(body)
	}
	router := provider.NewRouter(provider.All()...)
	f.Fuzz(func(t *testing.T, body string) {
		for _, v := range provider.All() {
			e, _, err := router.Match("POST", "/api/providers/"+v.Name()+"/v1/chat/completions")
			if v.Name() == "azure" {
				e, _, err = router.Match("POST", "/api/providers/azure/openai/v1/chat/completions")
			}
			if err != nil {
				continue // not a vendor with this endpoint
			}
			call, err := v.Parse(e, "application/json", []byte(body))
			if err != nil {
				if gateway.KindOf(err) != gateway.Invalid {
					t.Fatalf("%s: %v", v.Name(), err)
				}
				call = ask(t, strings.TrimPrefix(e.Pattern, "/api/providers/"), "{}")
			}
			if b := call.Bound; b.Input < 0 || b.Output < 0 || b.Copies < 1 || b.CapMember == "" {
				t.Fatalf("%s: %+v", v.Name(), b)
			}
			_, m := pass(call, true, "data: "+body+"\n\n")
			u, _ := v.Usage(call, m.Members())
			for c, n := range u.Counts {
				if n < 0 {
					t.Fatalf("%s: %d of %v", v.Name(), n, gateway.Class(c))
				}
			}
			if u.Charge < 0 || u.Reasoning < 0 {
				t.Fatalf("%s: %+v", v.Name(), u)
			}
		}
	})
}

// The table is built when a process starts.
func BenchmarkNewRouter(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		provider.NewRouter(provider.All()...)
	}
}
