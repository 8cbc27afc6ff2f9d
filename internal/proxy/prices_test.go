package proxy_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

// A deployment that the operator has named the model of is reserved and priced by
// that model, whatever it is called and whatever answers.
func TestMappedDeployment(t *testing.T) {
	const cheapName = "/api/providers/azure/openai/deployments/gpt-4o-mini/chat/completions"
	mapTo := func(model string) *gateway.CostMap {
		return &gateway.CostMap{Deployments: map[string]string{"gpt-4o-mini": model, "prod": model}}
	}
	own := mapTo("ours")
	own.Models = map[string]map[string]int64{"ours": {"input": int64(gateway.OneUSD), "output": 3 * int64(gateway.OneUSD)}}
	for _, test := range []struct {
		name, vendor, path, body string
		costMap                  *gateway.CostMap
		served                   string
		cost                     gateway.NanoUSD
		version                  string
	}{
		// gpt-4o is $2.50 and $10 a million, gpt-4o-mini $0.15 and $0.60.
		{"named after a cheaper model", "azure", cheapName, hello, mapTo("gpt-4o"), "gpt-4o-2024-11-20", 10*2500 + 20*10_000, price.Embedded().Version()},
		{"the operator's word counts", "azure", cheapName, hello, mapTo("gpt-4o"), "gpt-4o-mini", 10*2500 + 20*10_000, price.Embedded().Version()},
		{"a name that says nothing", "azure", deployment + "/chat/completions", hello, mapTo("gpt-4o"), "gpt-4o", 10*2500 + 20*10_000, price.Embedded().Version()},
		{"a model of the operator's own", "azure", cheapName, hello, own, "gpt-4o", 10*1000 + 20*3000, price.Embedded().Version() + "+costMap"},
		{"not only on Azure", "vllm", at("vllm", "/chat/completions"), named("prod"), own, "x", 10*1000 + 20*3000, price.Embedded().Version() + "+costMap"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", plain(test.served, tenTwenty))
			s := r.settingFor(test.vendor, func(s *gateway.Setting) { s.CostMap = test.costMap })
			k := r.newKey(budget(gateway.OneUSD), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
			r.passed(r.call(k.secret, "POST", test.path, test.body))
			if e := r.event(k); e.Cost != test.cost || e.Price != test.version {
				t.Errorf("%v by %s, want %v by %s", e.Cost, e.Price, test.cost, test.version)
			}
			if spent := r.books(k); spent != test.cost {
				t.Errorf("spent %v", spent)
			}
		})
	}
}

// A deployment that nobody has mapped is reserved by the dearest model that has
// answered for it: from the second call on, its name deceives nobody.
func TestUnmappedDeploymentIsRemembered(t *testing.T) {
	const path = "/api/providers/azure/openai/deployments/gpt-4o-mini/chat/completions"
	r := newRig(t)
	r.fake.Override = answers(200, "application/json", plain("gpt-4o", tenTwenty))
	s := r.settingFor("azure")
	use := func(k *gateway.Key) { k.SettingIDs = []string{s.ID} }
	first := r.newKey(budget(100_000), use) // fits hello at gpt-4o-mini's prices, not at gpt-4o's
	r.passed(r.call(first.secret, "POST", path, hello))
	if spent := r.books(first); spent != 10*2500+20*10_000 {
		t.Errorf("spent %v", spent)
	}
	second := r.newKey(budget(100_000), use)
	a := r.call(second.secret, "POST", path, strings.Replace(hello, `"hi"`, `"`+strings.Repeat("hi ", 200)+`"`, 1))
	r.refused(a, 429, "insufficient_quota")
	if spent := r.books(second); spent != 0 {
		t.Errorf("spent %v", spent)
	}
	other := r.settingFor("azure")
	third := r.newKey(budget(100_000), func(k *gateway.Key) { k.SettingIDs = []string{other.ID} })
	r.passed(r.call(third.secret, "POST", path, hello)) // what a setting knows another does not
}

// A call is settled by the table that it was reserved by, and each one gives a
// chance to look for a newer table once it is over.
func TestPricesChange(t *testing.T) {
	table := func(version, dollars string) *price.Table {
		tb, err := price.Parse([]byte(`{"version": "` + version + `", "rows": [{"provider": "azure", "exact": ["m", "served"], "input": "` + dollars + `", "output": "` + dollars + `", "max_output": 100, "context": 1000}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return tb
	}
	inUse, refreshes := table("2026-01-01", "1"), 0
	newer := table("2026-01-02", "100")
	r := newRig(t, func(r *rig) {
		r.config.Prices = func() *price.Table { return inUse }
		r.config.RefreshPrices = func(ctx context.Context) {
			if ctx.Err() != nil {
				t.Error("no time is left to look for prices")
			}
			refreshes++
		}
	})
	r.fake.Override = func(w http.ResponseWriter, req *http.Request, body []byte) bool {
		inUse = newer // while the call runs
		return answers(200, "application/json", plain("served", tenTwenty))(w, req, body)
	}
	k := r.keyFor("azure")
	path := strings.Replace(deployment, "prod", "m", 1) + "/chat/completions"
	for i, want := range []struct {
		cost    gateway.NanoUSD
		version string
	}{{30 * 1000, "2026-01-01"}, {30 * 100_000, "2026-01-02"}} {
		r.passed(r.call(k.secret, "POST", path, hello))
		e := r.events(k)[i]
		if e.Cost != want.cost || e.Price != want.version || refreshes != i+1 {
			t.Errorf("call %d: %v by %s, %d looks", i+1, e.Cost, e.Price, refreshes)
		}
	}
}
