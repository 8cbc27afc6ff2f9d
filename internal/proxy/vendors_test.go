package proxy_test

import (
	"slices"
	"strings"
	"testing"

	"tollgate/internal/awsauth"
	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

// settingFor stores a setting of a vendor for the fake provider, with the url that
// this vendor's settings have: with a version, or without where the vendor adds
// it or has none.
func (r *rig) settingFor(vendor string, change ...func(*gateway.Setting)) gateway.Setting {
	r.Helper()
	url := r.upstream.URL + "/v1"
	if slices.Contains([]string{"azure", "vllm", "ollama", "bedrock"}, vendor) {
		url = r.upstream.URL
	}
	return r.newSetting(upstreamKey, append([]func(*gateway.Setting){func(s *gateway.Setting) {
		s.Provider, s.Params = vendor, map[string]string{"url": url}
	}}, change...)...)
}

// keyFor stores a key for one vendor.
func (r *rig) keyFor(vendor string, change ...func(*gateway.Setting)) apiKey {
	r.Helper()
	s := r.settingFor(vendor, change...)
	return r.newKey(func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
}

// keyForAll stores a key with a setting for every vendor.
func (r *rig) keyForAll() apiKey {
	r.Helper()
	var ids []string
	for _, v := range provider.All() {
		ids = append(ids, r.settingFor(v.Name()).ID)
	}
	return r.newKey(func(k *gateway.Key) { k.SettingIDs = ids })
}

// credentialHeader is where a vendor wants the credential.
func credentialHeader(vendor string) (name, value string) {
	switch vendor {
	case "azure":
		return "Api-Key", upstreamKey
	case "anthropic":
		return "X-Api-Key", upstreamKey
	}
	return "Authorization", "Bearer " + upstreamKey
}

// at is the path of an endpoint of a vendor with OpenAI's paths.
func at(vendor, endpoint string) string { return "/api/providers/" + vendor + "/v1" + endpoint }

const deployment = "/api/providers/azure/openai/deployments/prod"

// AU-12: a setting opens its own vendor's paths and no others.
func TestSettingsFitTheirVendorOnly(t *testing.T) {
	r := newRig(t)
	for _, test := range []struct{ setting, path string }{
		{"deepinfra", chat}, {"vllm", chat}, {"openai", at("deepinfra", "/chat/completions")},
		{"azure", chat}, {"openai", deployment + "/chat/completions"}, {"ollama", at("vllm", "/chat/completions")},
	} {
		t.Run("AU-12 "+test.setting+" "+test.path, func(t *testing.T) {
			k := r.keyFor(test.setting)
			r.refused(r.call(k.secret, "POST", test.path, hello), 401, "provider_not_configured")
		})
	}
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("%d calls to the provider", n)
	}
}

// AU-16: rotation takes settings whole: each key goes to its own url.
func testRotationKeepsUrlAndKeyTogether(t *testing.T) {
	r := newRig(t)
	var ids []string
	for _, name := range []string{"a", "b"} {
		s := gateway.Setting{ID: "setting-" + name, Provider: "vllm", CreatedAt: r.now(), Params: map[string]string{"url": r.upstream.URL + "/" + name}}
		r.seal(&s, "key-"+name)
		r.must(r.db.CreateSetting(t.Context(), s))
		ids = append(ids, s.ID)
	}
	k := r.newKey(func(k *gateway.Key) { k.SettingIDs, k.RotationEnabled = ids, true })
	for range 40 {
		r.passed(r.call(k.secret, "POST", at("vllm", "/chat/completions"), hello))
	}
	seen := map[string]int{}
	for _, req := range r.fake.Requests() {
		seen[req.Path+" "+req.Header.Get("Authorization")]++
	}
	if len(seen) != 2 || seen["/a/v1/chat/completions Bearer key-a"] == 0 || seen["/b/v1/chat/completions Bearer key-b"] == 0 {
		t.Errorf("the provider saw %v", seen)
	}
}

// AU-18, AU-19, AP-14: where the credential goes, and that the caller's goes nowhere.
func TestVendorCredentials(t *testing.T) {
	for _, test := range []struct{ name, vendor, path, apikey, authorization, apiKey string }{
		{"AU-18 openai", "openai", chat, "k1", "Bearer k1", ""},
		{"AU-18 azure", "azure", deployment + "/chat/completions", "k1", "", "k1"},
		{"AU-18 deepinfra", "deepinfra", at("deepinfra", "/chat/completions"), "k1", "Bearer k1", ""},
		{"AP-14 deepinfra embeddings", "deepinfra", at("deepinfra", "/embeddings"), "k1", "Bearer k1", ""},
		{"AU-18 vllm with a key", "vllm", at("vllm", "/chat/completions"), "k1", "Bearer k1", ""},
		{"AU-19 vllm without", "vllm", at("vllm", "/chat/completions"), "", "", ""},
		{"gemini", "gemini", at("gemini", "/chat/completions"), "k1", "Bearer k1", ""},
	} {
		for _, from := range []string{"Authorization: Bearer ", "x-api-key: ", "api-key: "} {
			t.Run(test.name+" "+from, func(t *testing.T) {
				r := newRig(t)
				s := r.settingFor(test.vendor)
				r.updateSetting(s.ID, func(s *gateway.Setting) { r.seal(s, test.apikey) })
				k := r.newKey(func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
				r.passed(r.call("", "POST", test.path, hello, from+k.secret))
				h := r.fake.Last().Header
				if h.Get("Authorization") != test.authorization || h.Get("Api-Key") != test.apiKey || h.Get("X-Api-Key") != "" {
					t.Errorf("the provider saw %v", h)
				}
				for name, values := range h {
					if strings.Contains(strings.Join(values, " "), k.secret) {
						t.Errorf("the provider saw the caller's key in %s", name)
					}
				}
			})
		}
	}
}

// AU-20: wherever the caller's key stands, the provider sees it nowhere.
func TestKeyStaysHere(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Signer = awsauth.New(awsauth.Options{}) })
	k := r.keyForAll()
	r.newAcme()
	custom, _ := r.keyForAcme()
	paths := map[string]string{"acme": acme + "/generate"}
	for _, e := range r.proxy.Endpoints() {
		if e.Method == "POST" && !e.Form && paths[e.Vendor.Name()] == "" {
			paths[e.Vendor.Name()] = strings.NewReplacer(":model", "m", ":deployment_id", "prod", ":file_id", "f").Replace(e.Pattern)
		}
	}
	for _, v := range provider.All() {
		if paths[v.Name()] == "" {
			t.Errorf("no path of %s", v.Name())
		}
	}
	for vendor, path := range paths {
		for _, name := range []string{"Authorization", "X-Api-Key", "Api-Key"} {
			t.Run("AU-20 "+vendor+" "+name, func(t *testing.T) {
				own, value := k, k.secret
				if vendor == "acme" {
					own, value = custom, custom.secret
				}
				if name == "Authorization" {
					value = "Bearer " + value
				}
				before := r.fake.Calls()
				r.passed(r.call("", "POST", path, `{"model":"m","input":"hi","max_tokens":5,"messages":[]}`, name+": "+value))
				if r.fake.Calls() != before+1 {
					t.Fatal("the provider was not called")
				}
				got := r.fake.Last()
				for name, values := range got.Header {
					if strings.Contains(strings.Join(values, " "), own.secret) {
						t.Errorf("the provider saw it in %s", name)
					}
				}
				if strings.Contains(got.Path+got.Query+string(got.Body), own.secret) {
					t.Errorf("the provider saw it in %s?%s %s", got.Path, got.Query, got.Body)
				}
			})
		}
	}
}

// AP-03: api-version goes on, as does the path: as it came.
func TestAzureVersion(t *testing.T) {
	r := newRig(t)
	k := r.keyFor("azure")
	for path, want := range map[string]string{
		deployment + "/chat/completions?api-version=2026-06-01":          "/openai/deployments/prod/chat/completions?api-version=2026-06-01",
		deployment + "/embeddings?api-version=2024-10-21&x=1":            "/openai/deployments/prod/embeddings?api-version=2024-10-21&x=1",
		"/api/providers/azure/openai/v1/chat/completions":                "/openai/v1/chat/completions?",
		"/api/providers/azure/openai/responses?api-version=preview":      "/openai/responses?api-version=preview",
		"/api/providers/azure/openai/deployments/a%3Ab/chat/completions": "/openai/deployments/a:b/chat/completions?",
	} {
		t.Run("AP-03 "+path, func(t *testing.T) {
			r.passed(r.call(k.secret, "POST", path, hello))
			if got := r.fake.Last(); got.Path+"?"+got.Query != want {
				t.Errorf("the provider saw %s?%s", got.Path, got.Query)
			}
		})
	}
}

// CK-04: the model lists of a setting apply to Azure's deployments, whatever model
// the body names, and to every model that may answer.
func TestModelListsOfVendors(t *testing.T) {
	const fallback = `{"model":"m","models":["m","other"],"messages":[]}`
	for _, test := range []struct {
		name, vendor, path, body string
		allowed                  []string
		status                   int
	}{
		{"CK-04 deployment", "azure", deployment + "/chat/completions", hello, []string{"prod"}, 200},
		{"CK-04 another deployment", "azure", deployment + "/chat/completions", hello, []string{"m"}, 403},
		{"embeddings", "azure", deployment + "/embeddings", `{"input":"x","model":"other"}`, []string{"other"}, 403},
		{"v1 api", "azure", "/api/providers/azure/openai/v1/chat/completions", hello, []string{"m"}, 200},
		{"v1 api, another", "azure", "/api/providers/azure/openai/v1/chat/completions", hello, []string{"prod"}, 403},
		{"fallbacks", "openrouter", at("openrouter", "/chat/completions"), fallback, []string{"m"}, 403},
		{"fallbacks allowed", "openrouter", at("openrouter", "/chat/completions"), fallback, []string{"m", "other"}, 200},
		{"preset", "openrouter", at("openrouter", "/chat/completions"), `{"model":"m","preset":"p","messages":[]}`, []string{"m"}, 403},
		{"preset allowed", "openrouter", at("openrouter", "/chat/completions"), `{"model":"m","preset":"p","messages":[]}`, []string{"m", "p"}, 200},
		{"not a member of others", "vllm", at("vllm", "/chat/completions"), fallback, []string{"m"}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			k := r.keyFor(test.vendor, func(s *gateway.Setting) { s.AllowedModels = test.allowed })
			a := r.call(k.secret, "POST", test.path, test.body)
			if test.status == 200 {
				r.passed(a)
				return
			}
			if r.refused(a, 403, "model_not_allowed"); r.fake.Calls() != 0 {
				t.Error("the provider was called")
			}
		})
	}
}
