package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
	"tollgate/internal/web"
)

const (
	geminiModel  = "/api/providers/gemini/v1beta/models/gemini-2.5-flash"
	geminiHello  = `{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":20}}`
	geminiAnswer = `{"candidates":[{"content":{"role":"model","parts":[{"text":"ok"}]},"finishReason":"STOP"}],` +
		`"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120},"modelVersion":"gemini-2.5-flash"}`
)

// gemini-2.5-flash at $0.30, cached $0.03 and $2.50 a million.
const geminiCost gateway.NanoUSD = 40*300 + 60*30 + 20*2500

// Each way to send the key, and that none of them reaches Google.
func TestGeminiCredentials(t *testing.T) {
	r := newRig(t)
	r.fake.Override = answers(200, "application/json", geminiAnswer)
	k := r.keyFor("gemini")
	for name, test := range map[string]struct{ query, header, left string }{
		"header":                 {"", "x-goog-api-key: " + k.secret, ""},
		"bearer":                 {"", "Authorization: Bearer " + k.secret, ""},
		"query":                  {"?key=" + k.secret, "", ""},
		"query among others":     {"?fields=*&key=" + k.secret + "&prettyPrint=false", "", "fields=*&prettyPrint=false"},
		"query in odd letters":   {"?%6bey=" + k.secret + "&%24key=x&access_token=y", "", ""},
		"header before query":    {"?key=another", "x-goog-api-key: " + k.secret, ""},
		"query without a header": {"?a=1", "x-goog-api-key: " + k.secret, "a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			req := r.request("", "POST", geminiModel+":generateContent"+test.query, geminiHello)
			if h, v, ok := strings.Cut(test.header, ": "); ok {
				req.Header.Set(h, v)
			}
			r.passed(r.do(req))
			got := r.fake.Last()
			if got.Path != "/v1beta/models/gemini-2.5-flash:generateContent" || got.Query != test.left || got.Header.Get("X-Goog-Api-Key") != upstreamKey || got.Header.Get("Authorization") != "" {
				t.Errorf("Google saw %s?%s with %v", got.Path, got.Query, got.Header)
			}
		})
	}
	r.refused(r.call("", "POST", chat+"?key="+k.secret, hello), 401, "invalid_api_key") // on Google's paths only
	if e, log := r.events(k), r.log.String(); strings.Contains(log, k.secret) || strings.Contains(log, upstreamKey) || len(e) != 7 {
		t.Errorf("%d events, and a key in the log: %s", len(e), log)
	}
}

func TestGeminiCosts(t *testing.T) {
	embedding := `{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":1000}}`
	for _, test := range []struct {
		name, model, verb, body, answer string
		cost                            gateway.NanoUSD
		basis                           gateway.Basis
	}{
		{"plain", "gemini-2.5-flash", "generateContent", geminiHello, geminiAnswer, geminiCost, gateway.BasisReported},
		{"priority", "gemini-2.5-flash", "generateContent", strings.Replace(geminiHello, "{", `{"serviceTier":"priority",`, 1), geminiAnswer, 2 * geminiCost, gateway.BasisReported},
		{"priority that was served as standard", "gemini-2.5-flash", "generateContent", strings.Replace(geminiHello, "{", `{"serviceTier":"priority",`, 1),
			strings.Replace(geminiAnswer, `"totalTokenCount"`, `"serviceTier":"STANDARD","totalTokenCount"`, 1), geminiCost, gateway.BasisReported},
		{"picture out", "gemini-3.1-flash-image", "generateContent", geminiHello, // $0.50 in, $60 for pictures
			`{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1290,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}}`,
			10*500 + 1290*60_000, gateway.BasisReported},
		{"embedding", "gemini-embedding-001", "embedContent", `{"content":{"parts":[{"text":"hi"}]}}`, embedding, 150_000, gateway.BasisReported},
		{"embeddings without usage", "gemini-embedding-001", "batchEmbedContents", `{"requests":[{"content":{"parts":[{"text":"hi"}]}}]}`,
			`{"embeddings":[{"values":[0.1]}]}`, 16 * 150, gateway.BasisEstimated},
		{"counting", "gemini-2.5-flash", "countTokens", geminiHello, `{"totalTokens":3}`, 0, gateway.BasisNone},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", test.answer)
			s := r.settingFor("gemini")
			k := r.newKey(budget(gateway.OneUSD), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
			r.passed(r.call(k.secret, "POST", "/api/providers/gemini/v1beta/models/"+test.model+":"+test.verb, test.body))
			e := r.event(k)
			if e.Cost != test.cost || e.Basis != test.basis || e.Model != test.model || e.Endpoint != "/api/providers/gemini/v1beta/models/:model:"+test.verb {
				t.Errorf("cost %d, event %+v", e.Cost, e)
			}
			r.books(k)
		})
	}
}

// A cap that a limit makes necessary is written where Gemini looks for it, and
// nothing else of the body changes.
func TestGeminiCap(t *testing.T) {
	for body, want := range map[string]string{
		`{"contents":[]}`: `{"contents":[],"generationConfig":{"maxOutputTokens":N}}`,
		`{"contents":[],"generationConfig":{"temperature":0.10}}`:               `{"contents":[],"generationConfig":{"temperature":0.10,"maxOutputTokens":N}}`,
		`{"contents":[],"generationConfig":null}`:                               `{"contents":[],"generationConfig":{"maxOutputTokens":N}}`,
		`{"generation_config":{"max_output_tokens":9000, "x":1},"contents":[]}`: `{"generation_config":{"max_output_tokens":N, "x":1},"contents":[]}`,
	} {
		r := newRig(t)
		r.fake.Override = answers(200, "application/json", geminiAnswer)
		s := r.settingFor("gemini")
		k := r.newKey(budget(1_000_000), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
		r.passed(r.call(k.secret, "POST", geminiModel+":generateContent", body))
		e := r.event(k)
		n, _ := json.Marshal(e.CapTokens)
		if got := string(r.fake.Last().Body); e.CapTokens < 370 || e.CapTokens > 400 || got != strings.Replace(want, "N", string(n), 1) {
			t.Errorf("%s: cap %d, Google saw %s", body, e.CapTokens, got)
		}
	}
}

// Both forms of a stream pass as they come and are charged by their last counts.
func TestGeminiStreams(t *testing.T) {
	half := `{"candidates":[{"content":{"parts":[{"text":"o"}]}}],"usageMetadata":{"promptTokenCount":100,"totalTokenCount":100}}`
	for _, test := range []struct {
		name, query, contentType string
		pieces                   []string
	}{
		{"events", "?alt=sse", "text/event-stream", []string{"data: " + half + "\r\n\r\n", "data: " + geminiAnswer + "\r\n\r\n"}},
		{"array", "", "application/json; charset=UTF-8", []string{"[" + half, "\n,\n" + geminiAnswer + "\n", "]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			arrived := make(chan bool)
			r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				w.Header().Set("Content-Type", test.contentType)
				for _, p := range test.pieces {
					io.WriteString(w, p)
					w.(http.Flusher).Flush()
					r.wait(arrived)
				}
				return true
			}
			k := r.keyFor("gemini")
			res, err := r.client.Do(r.request(k.secret, "POST", geminiModel+":streamGenerateContent"+test.query, geminiHello))
			r.must(err)
			defer res.Body.Close()
			for i, want := range test.pieces { // each is here before the next is sent
				got := make([]byte, len(want))
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
					t.Fatalf("piece %d: %q, %v", i, got, err)
				}
				arrived <- true
			}
			if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
			if got := r.fake.Last(); got.Query != strings.TrimPrefix(test.query, "?") {
				t.Errorf("Google saw ?%s", got.Query)
			}
			e := r.event(k)
			if e.Cost != geminiCost || !e.Stream || e.Truncated || e.Basis != gateway.BasisReported || e.Reasoning != 5 {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// A stream that breaks off ends with an error in Google's words; what had come is
// counted.
func TestGeminiStreamCut(t *testing.T) {
	r := newRig(t)
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, `data: {"candidates":[{"content":{"parts":[{"text":"one two three"}]}}],"usageMetadata":{"promptTokenCount":100,"totalTokenCount":100}}`+"\n\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	k := r.keyFor("gemini")
	a := r.call(k.secret, "POST", geminiModel+":streamGenerateContent?alt=sse", geminiHello)
	list := payloads(a.body)
	if len(list) != 2 || gjson.Get(list[1], "error.status").String() != "UNAVAILABLE" || strings.Contains(a.body, "[DONE]") {
		t.Errorf("got %q", a.body)
	}
	// How much it thought is not known: the input as told, and all of the 20 tokens.
	if e := r.event(k); !e.Truncated || e.Cost != 100*300+20*2500 || e.Tokens != 120 || e.Basis != gateway.BasisReserved {
		t.Errorf("event %+v", e)
	}
}

// Refusals are in Google's words.
func TestGeminiRefused(t *testing.T) {
	r := newRig(t)
	s := r.settingFor("gemini", func(s *gateway.Setting) { s.AllowedModels = []string{"gemini-2.5-flash"} })
	k := r.newKey(limited(perMinute(0)), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
	for _, test := range []struct {
		name, key, path, body string
		code                  int
		status, reason        string
	}{
		{"no key", "", geminiModel + ":generateContent", geminiHello, 401, "UNAUTHENTICATED", "invalid_api_key"},
		{"another model", k.secret, strings.Replace(geminiModel, "2.5", "3.8", 1) + ":generateContent", geminiHello, 403, "PERMISSION_DENIED", "model_not_allowed"},
		{"another model in a batch", k.secret, geminiModel + ":batchEmbedContents", `{"requests":[{"model":"models/gemini-embedding-001"}]}`, 403, "PERMISSION_DENIED", "model_not_allowed"},
		{"no such verb", k.secret, geminiModel + ":predict", geminiHello, 404, "NOT_FOUND", "unknown_url"},
		{"no JSON", k.secret, geminiModel + ":generateContent", "x", 400, "INVALID_ARGUMENT", "invalid_json"},
		{"rate limit", k.secret, geminiModel + ":generateContent", geminiHello, 429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := r.call(test.key, "POST", test.path, test.body)
			e := gjson.Get(a.body, "error")
			if a.status != test.code || e.Get("code").Int() != int64(test.code) || e.Get("status").String() != test.status || e.Get("details.0.reason").String() != test.reason ||
				!strings.HasPrefix(e.Get("message").String(), web.Prefix) || e.Get("details.0.metadata.requestId").String() != a.header.Get("X-Request-Id") {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("%d calls to Google", n)
	}
}

// One setting serves both of Gemini's APIs.
func TestGeminiBesideOpenAI(t *testing.T) {
	r := newRig(t)
	k := r.keyFor("gemini")
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/api/providers/gemini/v1beta/models?pageSize=5", "/v1beta/models?pageSize=5"},
		{"GET", geminiModel, "/v1beta/models/gemini-2.5-flash?"},
		{"GET", at("gemini", "/models"), "/v1/models?"},
		{"GET", at("gemini", "/models?key="+k.secret), "/v1beta/models?"},
		{"GET", at("gemini", "/models/gemini-2.5-flash?key="+k.secret), "/v1beta/models/gemini-2.5-flash?"},
		{"POST", at("gemini", "/chat/completions"), "/v1/chat/completions?"},
		{"POST", at("gemini", "/models/gemini-2.5-flash:generateContent"), "/v1/models/gemini-2.5-flash:generateContent?"},
	} {
		r.passed(r.call(k.secret, test.method, test.path, map[string]string{"POST": hello}[test.method]))
		if got := r.fake.Last(); got.Path+"?"+got.Query != test.want {
			t.Errorf("%s: Google saw %s?%s", test.path, got.Path, got.Query)
		}
	}
}
