package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

// plain is an answer of a model with a usage.
func plain(model, usage string) string {
	return fmt.Sprintf(`{"id":"c","model":%q,"choices":[{"index":0,"text":"ok","message":{"role":"assistant","content":"ok"}}],"usage":%s}`, model, usage)
}

const tenTwenty = `{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}`

// named is a chat request for a model.
func named(model string) string { return strings.Replace(hello, `"m"`, `"`+model+`"`, 1) }

// CO-05, CO-10, CO-11: what calls to other vendors cost.
func TestVendorCosts(t *testing.T) {
	const (
		azureChat  = deployment + "/chat/completions"
		azureV1    = "/api/providers/azure/openai/v1"
		bare       = `{"messages":[{"role":"user","content":"hi"}],"max_tokens":20}`
		embedding  = `{"model":"%s","input":"hi"}`
		thousand   = `{"prompt_tokens":1000,"total_tokens":1000}`
		completion = `{"model":"m","prompt":"hi","max_tokens":20}`
	)
	prices := func(names ...string) *gateway.CostMap { // $1 in, $2 out, $3 for embeddings
		c := &gateway.CostMap{Prompt: map[string]int64{}, Completion: map[string]int64{}, Embeddings: map[string]int64{}}
		for _, n := range names {
			c.Prompt[n], c.Completion[n], c.Embeddings[n] = int64(gateway.OneUSD), 2*int64(gateway.OneUSD), 3*int64(gateway.OneUSD)
		}
		return c
	}
	const own = 10*1000 + 20*2000 // tenTwenty at those prices
	for _, test := range []struct {
		name, vendor, path, body string
		costMap                  *gateway.CostMap
		answer                   string
		cost                     gateway.NanoUSD
		served, price            string // price: "" the table's, else its end
	}{
		// gpt-4o-mini is $0.15 and $0.60, gpt-35-turbo $0.50 and $1.50 a million.
		{"CO-05 chat, by the answer", "azure", azureChat, bare, nil, plain("gpt-4o-mini-2024-07-18", tenTwenty), 13_500, "gpt-4o-mini-2024-07-18", ""},
		{"CO-05 Azure's own name", "azure", azureChat, bare, nil, plain("gpt-35-turbo", tenTwenty), 10*500 + 20*1500, "gpt-35-turbo", ""},
		{"CO-05 deployment named like another model", "azure", strings.Replace(azureChat, "prod", "gpt-4o", 1), bare, nil, plain("gpt-4o-mini", tenTwenty), 13_500, "gpt-4o-mini", ""},
		{"CO-05 deployment named like its model", "azure", strings.Replace(azureChat, "prod", "gpt-4o-mini", 1), bare, nil, plain("gpt-4o-mini", tenTwenty), 13_500, "", ""},
		{"CO-05 no model in the answer", "azure", strings.Replace(azureChat, "prod", "gpt-4o-mini", 1), bare, nil, usageOnly(tenTwenty), 13_500, "", ""},
		{"CO-05 costMap by deployment", "azure", azureChat, bare, prices("prod"), plain("gpt-4o-mini", tenTwenty), own, "gpt-4o-mini", "+costMap"},
		{"CO-05 costMap by model", "azure", azureChat, bare, prices("gpt-4o-mini"), plain("gpt-4o-mini", tenTwenty), own, "gpt-4o-mini", "+costMap"},
		{"CO-05 embeddings", "azure", deployment + "/embeddings", `{"input":"hi"}`, nil, plain("text-embedding-3-small", thousand), 20_000, "text-embedding-3-small", ""},
		{"CO-05 completions", "azure", deployment + "/completions", `{"prompt":"hi"}`, nil, plain("gpt-4o-mini", tenTwenty), 13_500, "gpt-4o-mini", ""},
		{"v1 chat", "azure", azureV1 + "/chat/completions", named("prod"), nil, plain("gpt-4o-mini", tenTwenty), 13_500, "gpt-4o-mini", ""},
		{"v1 responses", "azure", azureV1 + "/responses", `{"model":"prod","input":"hi"}`, nil, plain("gpt-4o-mini", `{"input_tokens":10,"output_tokens":20}`), 13_500, "gpt-4o-mini", ""},

		{"CO-10 vllm chat", "vllm", at("vllm", "/chat/completions"), hello, prices("m"), plain("m", tenTwenty), own, "", "+costMap"},
		{"CO-10 vllm completions", "vllm", at("vllm", "/completions"), completion, prices("m"), plain("m", tenTwenty), own, "", "+costMap"},
		{"CO-10 vllm embeddings", "vllm", at("vllm", "/embeddings"), fmt.Sprintf(embedding, "m"), prices("m"), plain("m", thousand), 3_000_000, "", "+costMap"},
		{"CO-10 deepinfra chat", "deepinfra", at("deepinfra", "/chat/completions"), hello, prices("m"), plain("m", tenTwenty), own, "", "+costMap"},
		{"CO-10 deepinfra completions", "deepinfra", at("deepinfra", "/completions"), completion, prices("m"), plain("m", tenTwenty), own, "", "+costMap"},
		// The name of the answer counts for deployments only.
		{"vllm alias", "vllm", at("vllm", "/chat/completions"), hello, prices("m"), plain("other", tenTwenty), own, "other", "+costMap"},

		{"CO-11 embeddings", "deepinfra", at("deepinfra", "/embeddings"), fmt.Sprintf(embedding, "Intfloat/Multilingual-E5-large"), nil, plain("x", thousand), 10_000, "x", ""},
		// $0.10 and $0.30.
		{"deepinfra table, any case", "deepinfra", at("deepinfra", "/chat/completions"), named("meta-llama/llama-4-scout-17b-16e-instruct"), nil, plain("x", tenTwenty), 10*100 + 20*300, "x", ""},
		{"deepinfra's own amount", "deepinfra", at("deepinfra", "/chat/completions"), hello, nil,
			plain("m", `{"prompt_tokens":10,"completion_tokens":20,"estimated_cost":0.00000123}`), 1230, "", "provider"},
		{"costMap before the provider's amount", "openrouter", at("openrouter", "/chat/completions"), hello, prices("m"),
			plain("m", `{"prompt_tokens":10,"completion_tokens":20,"cost":7}`), own, "", "+costMap"},
		{"openrouter's amount", "openrouter", at("openrouter", "/chat/completions"), named("openrouter/auto"), nil,
			plain("anthropic/claude-sonnet-4", `{"prompt_tokens":10,"completion_tokens":20,"cost":0.00014}`), 140_000, "anthropic/claude-sonnet-4", "provider"},
		// $0.30 and $2.50; the total has 50 tokens of thoughts.
		{"gemini, by Google's rows", "gemini", at("gemini", "/chat/completions"), named("gemini-2.5-flash"), nil,
			plain("gemini-2.5-flash", `{"prompt_tokens":10,"completion_tokens":20,"total_tokens":80}`), 10*300 + 70*2500, "", ""},
		// $0.30 and $0.50; 9 + 91 tokens out.
		{"xai, reasoning apart", "xai", at("xai", "/chat/completions"), named("grok-3-mini"), nil,
			plain("grok-3-mini", `{"prompt_tokens":10,"completion_tokens":9,"total_tokens":110,"completion_tokens_details":{"reasoning_tokens":91}}`), 10*300 + 100*500, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", test.answer)
			k := r.keyFor(test.vendor, func(s *gateway.Setting) { s.CostMap = test.costMap })
			if a := r.passed(r.call(k.secret, "POST", test.path, test.body)); a.body != test.answer {
				t.Errorf("got %q", a.body)
			}
			e := r.event(k)
			if e.Cost != test.cost || e.Basis != gateway.BasisReported || e.Served != test.served || e.Provider != test.vendor {
				t.Errorf("cost %v by %s, want %v: %+v", e.Cost, e.Basis, test.cost, e)
			}
			switch test.price {
			case "":
				if e.Price != price.Embedded().Version() {
					t.Errorf("price %q", e.Price)
				}
			default:
				if !strings.HasSuffix(e.Price, test.price) {
					t.Errorf("price %q", e.Price)
				}
			}
			if spent := r.books(k); spent != test.cost {
				t.Errorf("spent %v", spent)
			}
		})
	}
}

// usageOnly is an answer that names no model.
func usageOnly(usage string) string { return `{"choices":[],"usage":` + usage + `}` }

// A deployment whose name says nothing of its price is refused to a key with a
// cost limit, unless the operator has given the price or allows it.
func TestUnknownDeployment(t *testing.T) {
	const path = deployment + "/chat/completions"
	for _, test := range []struct {
		name    string
		costMap *gateway.CostMap
		key     func(*gateway.Key)
		status  int
		cost    gateway.NanoUSD
	}{
		{"cost limit", nil, budget(gateway.OneUSD), 403, 0},
		{"cost limit and price", &gateway.CostMap{Prompt: map[string]int64{"prod": 0}, Completion: map[string]int64{"prod": 50 * int64(gateway.OneUSD)}}, budget(gateway.OneUSD), 200, 1_000_000},
		{"allowed", nil, func(k *gateway.Key) { k.CostLimit, k.UnknownModel = gateway.OneUSD, gateway.UnknownModelAllow }, 200, 13_500},
		{"no cost limit", nil, func(*gateway.Key) {}, 200, 13_500},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", plain("gpt-4o-mini", tenTwenty))
			s := r.settingFor("azure", func(s *gateway.Setting) { s.CostMap = test.costMap })
			k := r.newKey(test.key, func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
			a := r.call(k.secret, "POST", path, hello)
			if test.status == 403 {
				r.refused(a, 403, "model_price_unknown")
			} else {
				r.passed(a)
			}
			if spent := r.books(k); spent != test.cost {
				t.Errorf("spent %v, want %v", spent, test.cost)
			}
		})
	}
}

// Where only max_tokens is known to be obeyed, that is what caps a call and what a
// lowered cap is written to.
func TestLoweredCapOfVendors(t *testing.T) {
	for _, test := range []struct{ vendor, sent, want string }{
		{"mistral", `"max_tokens":20`, `"max_tokens":7`},
		{"mistral", `"temperature":0`, `"max_tokens":7`},
		{"deepseek", `"max_completion_tokens":20`, `"max_tokens":7`},
		{"vllm", `"temperature":0`, `"max_tokens":7`},
		{"vllm", `"max_completion_tokens":20`, `"max_completion_tokens":7`},
		{"xai", `"temperature":0`, `"max_completion_tokens":7`},
		{"groq", `"max_tokens":20`, `"max_tokens":7`},
	} {
		t.Run(test.vendor+" "+test.sent, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = obedient
			s := r.settingFor(test.vendor, func(s *gateway.Setting) { s.CostMap = outputAt(50) })
			k := r.newKey(budget(7*50_000), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
			r.passed(r.call(k.secret, "POST", at(test.vendor, "/chat/completions"), `{"model":"m","messages":[],`+test.sent+`}`))
			if body := string(r.fake.Last().Body); !strings.Contains(body, test.want) {
				t.Errorf("the provider saw %s", body)
			}
			if spent := r.books(k); spent != 7*50_000 {
				t.Errorf("spent %v", spent)
			}
		})
	}
}

// What nothing bounds is refused to a key with a cost limit.
func TestLooseMembers(t *testing.T) {
	for _, test := range []struct{ vendor, member string }{
		{"openrouter", `"models":["m","n"]`}, {"openrouter", `"plugins":[{"id":"web"}]`}, {"openrouter", `"preset":"p"`}, {"xai", `"search_parameters":{"mode":"on"}`},
	} {
		t.Run(test.vendor+" "+test.member, func(t *testing.T) {
			r := newRig(t)
			s := r.settingFor(test.vendor, func(s *gateway.Setting) { s.CostMap = outputAt(50) })
			use := func(k *gateway.Key) { k.SettingIDs = []string{s.ID} }
			body := `{"model":"m","messages":[],"max_tokens":20,` + test.member + `}`
			r.refused(r.call(r.newKey(budget(gateway.OneUSD), use).secret, "POST", at(test.vendor, "/chat/completions"), body), 403, "cost_not_boundable")
			r.passed(r.call(r.newKey(use).secret, "POST", at(test.vendor, "/chat/completions"), body))
		})
	}
}
