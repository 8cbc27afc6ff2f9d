package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

const acme = "/api/custom/providers/acme"

// acmeCall is a call to the route of acme, whose answer has ten words.
const (
	acmeCall   = `{"options":{"model":"m"},"turns":[{"text":"hello world"}]}`
	acmeStream = `{"options":{"model":"m","live":true},"turns":[{"text":"hello world"}]}`
	acmeAnswer = `{"out":{"text":"one two three four five six seven eight nine ten"}}`
)

// newAcme defines a custom provider whose one route goes to the fake one.
func (r *rig) newAcme(change ...func(*gateway.CustomProvider)) gateway.CustomProvider {
	r.Helper()
	p := gateway.CustomProvider{ID: uuid.NewString(), Provider: "acme", CreatedAt: r.now(), AuthParam: "token",
		Routes: []gateway.RouteConfig{{
			Path: "/generate", TargetURL: r.upstream.URL + "/v2/generate",
			Model: "options.model", Prompt: "turns.#.text", Completion: "out.text",
			Stream: "options.live", StreamEnd: "[FINISHED]", StreamCompletion: "piece",
		}}}
	for _, f := range change {
		f(&p)
	}
	r.must(record.OfCustomProviders(r.db).Create(r.Context(), &p, nil))
	return p
}

// keyForAcme stores a key with a setting for acme, which has nothing but a token.
func (r *rig) keyForAcme(change ...func(*gateway.Setting)) (apiKey, string) {
	r.Helper()
	s := gateway.Setting{ID: uuid.NewString(), Provider: "acme", CreatedAt: r.now(), CostMap: &gateway.CostMap{
		Prompt:     map[string]int64{"m": int64(gateway.OneUSD)},
		Completion: map[string]int64{"m": 10 * int64(gateway.OneUSD)},
	}}
	for _, f := range change {
		f(&s)
	}
	plain, _ := json.Marshal(map[string]string{"token": upstreamKey})
	var err error
	s.Sealed, err = r.box.Seal(r.Context(), plain, s.SealContext())
	r.must(err)
	r.must(r.db.CreateSetting(r.Context(), s))
	return r.newKey(func(k *gateway.Key) { k.SettingIDs = []string{s.ID} }), s.ID
}

// R-64, CU-01, CU-03, CU-04, CO-15, CO-19: a call goes to the route's address with
// the declared credential, and is charged by our count of its texts.
func testCustomCall(t *testing.T) {
	r := newRig(t)
	r.newAcme()
	r.fake.Override = answers(200, "application/json", acmeAnswer)
	k, _ := r.keyForAcme()
	if a := r.passed(r.call(k.secret, "POST", acme+"/generate", acmeCall)); a.body != acmeAnswer {
		t.Errorf("got %s", a.body)
	}
	got := r.fake.Last()
	if got.Method != "POST" || got.Path != "/v2/generate" || got.Query != "" || string(got.Body) != acmeCall {
		t.Errorf("R-64: the provider saw %s %s?%s %s", got.Method, got.Path, got.Query, got.Body)
	}
	if auth := got.Header.Get("Authorization"); auth != "Bearer "+upstreamKey {
		t.Errorf("CU-04: the provider saw %q", auth)
	}
	e := r.event(k)
	// 2 tokens at $1 and 10 at $10 a million.
	if e.Usage["input"] != 2 || e.Usage["output"] != 10 || e.Tokens != 12 || e.Cost != 102_000 || e.Basis != gateway.BasisEstimated {
		t.Errorf("CO-15, CO-19: %d tokens %v for %v (%s)", e.Tokens, e.Usage, e.Cost, e.Basis)
	}
	if e.Model != "m" || e.Provider != "acme" || e.Endpoint != acme[:len("/api/custom/providers/")]+":provider/*" || e.Path != acme+"/generate" || e.Stream {
		t.Errorf("CU-03: event %+v", e)
	}
	r.books(k)
}

// CU-02: what is not defined is not found, for callers that are known.
func TestCustomNotFound(t *testing.T) {
	r := newRig(t)
	r.newAcme()
	k, _ := r.keyForAcme()
	other := r.newKey()
	for _, test := range []struct {
		name, key, path string
		status          int
		code            string
	}{
		{"CU-02 provider", k.secret, "/api/custom/providers/nobody/generate", 404, "unknown_provider"},
		{"CU-02 provider, key without any", other.secret, "/api/custom/providers/nobody/generate", 404, "unknown_provider"},
		{"CU-02 route", k.secret, acme + "/other", 404, "unknown_route"},
		{"CU-02 route in capitals", k.secret, acme + "/Generate", 404, "unknown_route"},
		{"CU-02 route with a slash", k.secret, acme + "/generate/", 404, "unknown_route"},
		{"CU-02 no route", k.secret, acme, 404, "unknown_route"},
		{"no name", k.secret, "/api/custom/providers//generate", 404, "unknown_provider"},
		{"no setting", other.secret, acme + "/generate", 401, "provider_not_configured"},
		{"no key", "", "/api/custom/providers/nobody/generate", 401, "invalid_api_key"},
		{"unknown key", "made-up", acme + "/generate", 401, "invalid_api_key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.refused(r.call(test.key, "POST", test.path, acmeCall), test.status, test.code)
		})
	}
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("%d calls to the provider", n)
	}
}

// CU-05: any method, the query, and headers both ways.
func testCustomPassesOn(t *testing.T) {
	r := newRig(t)
	r.newAcme(func(p *gateway.CustomProvider) { p.Routes[0].TargetURL += "?region=eu" })
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("X-Acme", "answer")
		w.Header().Set("Content-Type", "application/vnd.acme+json")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, acmeAnswer)
		return true
	}
	k, _ := r.keyForAcme()
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		a := r.call(k.secret, method, acme+"/generate?a=1&b=%20", "", "X-Caller: yes")
		if a.status != http.StatusAccepted || a.header.Get("X-Acme") != "answer" || a.header.Get("Content-Type") != "application/vnd.acme+json" || a.body != acmeAnswer {
			t.Errorf("%s: got %d %v %s", method, a.status, a.header, a.body)
		}
		got := r.fake.Last()
		if got.Method != method || got.Query != "region=eu&a=1&b=%20" || got.Header.Get("X-Caller") != "yes" {
			t.Errorf("%s: the provider saw %s ?%s %v", method, got.Method, got.Query, got.Header)
		}
	}
}

// The same checks as for any provider.
func TestCustomRules(t *testing.T) {
	r := newRig(t)
	r.newAcme()
	r.fake.Override = answers(200, "application/json", acmeAnswer)
	k, _ := r.keyForAcme(func(s *gateway.Setting) { s.AllowedModels = []string{"m"} })
	only := func(path string) func(*gateway.Key) {
		return func(k *gateway.Key) { k.AllowedPaths = []gateway.AllowedPath{{Method: "POST", Path: path}} }
	}
	for _, test := range []struct {
		name, body string
		key        func(*gateway.Key)
		status     int
		code       string
	}{
		{"CK-01 the pattern", acmeCall, only("/api/custom/providers/:provider/*"), 200, ""},
		{"CK-01 the peer's pattern", acmeCall, only("/api/custom/providers/:provider/*wildcard"), 200, ""},
		{"CK-01 another pattern", acmeCall, only(acme + "/generate"), 403, "path_not_allowed"},
		{"CK-03 another model", strings.Replace(acmeCall, `"m"`, `"x"`, 1), nil, 403, "model_not_allowed"},
		{"CK-03 no model", `{}`, nil, 403, "model_not_allowed"},
		{"two models", `{"options":{"model":"m","model":"x"}}`, nil, 400, "invalid_json"},
		{"no JSON", `hello`, nil, 400, "invalid_json"},
		{"budget", acmeCall, func(k *gateway.Key) { k.CostLimit = 81_000_000 }, 429, "insufficient_quota"},
		{"revoked", acmeCall, func(k *gateway.Key) { k.Revoked = true }, 401, "api_key_revoked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := r.newKey(func(n *gateway.Key) {
				if n.SettingIDs = k.SettingIDs; test.key != nil {
					test.key(n)
				}
			})
			a := r.call(own.secret, "POST", acme+"/generate", test.body)
			if test.status == 200 {
				r.passed(a)
				return
			}
			r.refused(a, test.status, test.code)
		})
	}
}

// CO-17: what an operator has not priced follows the key's rule.
func testCustomUnpriced(t *testing.T) {
	r := newRig(t)
	r.newAcme()
	r.fake.Override = answers(200, "application/json", acmeAnswer)
	k, _ := r.keyForAcme(func(s *gateway.Setting) { s.CostMap = nil })
	r.passed(r.call(k.secret, "POST", acme+"/generate", acmeCall))
	if e := r.event(k); e.Tokens != 12 || e.Cost != 0 || e.Basis != gateway.BasisUnpriced {
		t.Errorf("event %+v", e)
	}
	tight := r.newKey(budget(gateway.OneUSD), func(n *gateway.Key) { n.SettingIDs = k.SettingIDs })
	r.refused(r.call(tight.secret, "POST", acme+"/generate", acmeCall), 403, "model_price_unknown")
}

// ST-11: a stream passes as it comes, is counted by its own location, and ends with
// its end word though the provider does not hang up.
func testCustomStream(t *testing.T) {
	r := newRig(t)
	r.newAcme()
	const sent = "event: piece\ndata: {\"piece\":\"one two\"}\n\ndata: {\"piece\":\" three\"}\n\ndata: [FINISHED]\n\n"
	hold := make(chan bool)
	r.fake.Override = func(w http.ResponseWriter, q *http.Request, b []byte) bool {
		events(strings.SplitAfter(sent, "\n\n")...)(w, q, b)
		r.wait(hold)
		return true
	}
	k, _ := r.keyForAcme()
	if a := r.passed(r.call(k.secret, "POST", acme+"/generate", acmeStream)); a.body != sent {
		t.Errorf("got %q", a.body)
	}
	e := r.event(k)
	if !e.Stream || e.Truncated || e.Usage["input"] != 2 || e.Usage["output"] != 3 || e.Cost != 32_000 {
		t.Errorf("event %+v", e)
	}
	close(hold)
}

// A stream without its end word was cut.
func TestCustomStreamCut(t *testing.T) {
	r := newRig(t)
	r.newAcme()
	r.fake.Override = events("data: {\"piece\":\"one\"}\n\n")
	k, _ := r.keyForAcme()
	r.passed(r.call(k.secret, "POST", acme+"/generate", acmeStream))
	if e := r.event(k); !e.Truncated || e.Usage["output"] != 1 {
		t.Errorf("event %+v", e)
	}
}

// What an operator changes acts on the next call, though nothing is polled: whoever
// changes a provider touches the settings for it.
func TestCustomFreshness(t *testing.T) {
	r := newRig(t)
	p := r.newAcme()
	r.fake.Override = answers(200, "application/json", acmeAnswer)
	k, id := r.keyForAcme(func(s *gateway.Setting) { s.AllowedModels = []string{"m"} })
	change := func(f func(*gateway.CustomProvider)) {
		_, _, err := record.OfCustomProviders(r.db).Update(r.Context(), p.ID, func(p *gateway.CustomProvider, _ int64) error { f(p); return nil })
		r.must(err)
		r.updateSetting(id, func(s *gateway.Setting) { s.UpdatedAt = s.UpdatedAt.Add(time.Second) })
	}
	call := func() answer { return r.call(k.secret, "POST", acme+"/generate", acmeCall) }
	r.passed(call())

	change(func(p *gateway.CustomProvider) { p.Routes[0].TargetURL = r.upstream.URL + "/v3" })
	if r.passed(call()); r.fake.Last().Path != "/v3" {
		t.Errorf("the call went to %s", r.fake.Last().Path)
	}
	change(func(p *gateway.CustomProvider) { p.Routes[0].Model = "elsewhere" })
	r.refused(call(), 403, "model_not_allowed") // the body is read anew
	change(func(p *gateway.CustomProvider) { p.Routes[0].Model = "options.model" })
	r.passed(call())
	change(func(p *gateway.CustomProvider) { p.Routes[0].Path = "/new" })
	r.refused(call(), 404, "unknown_route")
	r.passed(r.call(k.secret, "POST", acme+"/new", acmeCall))
	r.must(record.OfCustomProviders(r.db).Delete(r.Context(), p.ID))
	r.updateSetting(id, func(s *gateway.Setting) { s.Name = "gone" })
	r.refused(call(), 404, "unknown_provider")
	r.newAcme()
	r.passed(call()) // a refusal is never given from memory
}
