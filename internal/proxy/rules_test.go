package proxy_test

import (
	"strings"
	"testing"

	"tollgate/internal/gateway"
)

// CK-01 to CK-03, CK-06: paths and models.
func TestAllowedPathsAndModels(t *testing.T) {
	r := newRig(t, standing)
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) { s.AllowedModels = []string{"m", "gpt-4o-mini"} })
	paths := func(list ...string) func(*gateway.Key) {
		return func(k *gateway.Key) {
			for _, p := range list {
				method, path, _ := strings.Cut(p, " ")
				k.AllowedPaths = append(k.AllowedPaths, gateway.AllowedPath{Method: method, Path: openai + path})
			}
		}
	}
	all := func(*gateway.Key) {}
	for _, test := range []struct {
		name         string
		key          func(*gateway.Key)
		method, path string
		body         string
		status       int
		code         string
	}{
		{"CK-01 the pattern", paths("GET /models/:model"), "GET", "/models/gpt-4o", "", 200, ""},
		{"CK-01 CK-02 another path", paths("GET /models/:model"), "GET", "/models", "", 403, "path_not_allowed"},
		{"CK-01 CK-02 another method", paths("GET /models/:model"), "DELETE", "/models/gpt-4o", "", 403, "path_not_allowed"},
		{"CK-01 a concrete path is no pattern", paths("GET /models/gpt-4o"), "GET", "/models/gpt-4o", "", 403, "path_not_allowed"},
		{"CK-03 listed", all, "POST", "/chat/completions", hello, 200, ""},
		{"CK-03 other", all, "POST", "/chat/completions", strings.Replace(hello, `"m"`, `"gpt-4"`, 1), 403, "model_not_allowed"},
		{"CK-03 prefix", all, "POST", "/chat/completions", strings.Replace(hello, `"m"`, `"gpt-4o-mini-2024"`, 1), 403, "model_not_allowed"},
		{"CK-03 none named", all, "POST", "/chat/completions", `{"messages":[]}`, 403, "model_not_allowed"},
		{"CK-03 escaped name", all, "POST", "/chat/completions", `{"mod\u0065l":"gpt-4","messages":[]}`, 403, "model_not_allowed"},
		{"CK-04 assistants", all, "POST", "/assistants", `{"model":"gpt-4"}`, 403, "model_not_allowed"},
		{"CK-04 runs", all, "POST", "/threads/t/runs", `{"assistant_id":"a","model":"gpt-4"}`, 403, "model_not_allowed"},
		{"CK-04 runs of an assistant's own model", all, "POST", "/threads/t/runs", `{"assistant_id":"a"}`, 403, "model_not_allowed"},
		{"CK-04 images default", all, "POST", "/images/generations", `{"prompt":"cat"}`, 403, "model_not_allowed"},
		{"CK-06 path before model", paths("GET /models"), "POST", "/chat/completions", strings.Replace(hello, `"m"`, `"gpt-4"`, 1), 403, "path_not_allowed"},
		{"CK-06 path before body", paths("GET /models"), "POST", "/chat/completions", "not json", 403, "path_not_allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := r.newKey(test.key)
			before := r.fake.Calls()
			a := r.call(k.secret, test.method, openai+test.path, test.body)
			if test.status == 200 {
				r.passed(a)
				return
			}
			e := r.refused(a, test.status, test.code)
			if test.code == "path_not_allowed" && e.Error.Message != "[Tollgate] The API key may not call this path." { // CK-02
				t.Errorf("message %q", e.Error.Message)
			}
			// EV-04: recorded with status and key.
			if e := r.event(k); e.Status != 403 || e.Refused != test.code || e.Cost != 0 || r.fake.Calls() != before {
				t.Errorf("event %+v, %d calls", e, r.fake.Calls()-before)
			}
		})
	}
}

// CK-05: a limit holds for every body that the provider would take.
func TestLimitHoldsForEveryBody(t *testing.T) {
	t.Run("CK-05 Anthropic's content arrays", func(t *testing.T) {
		r := newRig(t, standing)
		r.fake.Override = answers(200, "application/json", message(`"input_tokens":1,"output_tokens":1`))
		k := r.claudeKey(limited(perMinute(1)))
		body := `{"model":"claude-opus-5-5","max_tokens":20,"top_p":0.9,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`
		r.passed(r.call(k.secret, "POST", messages, body))
		r.refused(r.call(k.secret, "POST", messages, body), 429, "rate_limit_exceeded")
		if n := r.fake.Calls(); n != 1 {
			t.Errorf("the provider was called %d times", n)
		}
	})
	for _, body := range []string{
		`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`,
		`{"model":"m","messages":[],"stop":"x"}`,
		`{"model":"m","messages":[],"stop":["x"],"top_p":0.9}`,
		`{"model":"m","messages":[],"max_tokens":10.0}`,
		`{"model":"m","messages":[],"max_tokens":1e1,"unknown":{"a":[null]}}`,
		`{"model":"m","messages":[],"logit_bias":{"50256":-100},"seed":9007199254740993}`,
		`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}]}`,
		`{"model":"m","messages":[],"user":null,"n":null,"stream":null,"stream_options":null}`,
	} {
		t.Run("CK-05 "+body, func(t *testing.T) {
			r := newRig(t, standing)
			k := r.newKey(limited(perMinute(1)))
			r.passed(r.chat(k, body))
			r.refused(r.chat(k, body), 429, "rate_limit_exceeded")
			if n := r.fake.Calls(); n != 1 {
				t.Errorf("the provider was called %d times", n)
			}
		})
	}
}
