package admin_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// routed makes a key with settings of OpenAI and Azure, and the start of a body
// with it; what is left out of a route by more is filled in.
func (r *rig) routed() (key string, body func(members string) string) {
	r.t.Helper()
	openai := r.setting()
	azure := r.ok("PUT", S, `{"provider":"azure","setting":{"apikey":"k","resourceName":"r"}}`)["id"].(string)
	key = r.ok("PUT", K, `{"name":"n","settingIds":["`+openai+`","`+azure+`"]}`)["keyId"].(string)
	return key, func(members string) string {
		for _, m := range []string{`"name":"n"`, `"path":"/p"`, `"keyIds":["` + key + `"]`, `"cacheConfig":{}`,
			`"steps":[{"provider":"openai","model":"gpt-4o-mini"}]`} {
			if name, _, _ := strings.Cut(m, ":"); !strings.Contains(members, name+":") {
				members += "," + m
			}
		}
		return "{" + strings.TrimPrefix(members, ",") + "}"
	}
}

func TestCreateRoute(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		key, body := r.routed()
		rt := r.ok("POST", RO, body(`"id":"mine","keyIds":["`+key+`","`+key+`"],"cacheConfig":{"enabled":true}`)) // B-1.2
		step := object{"provider": "openai", "model": "gpt-4o-mini", "retries": 0.0, "retryInterval": "", "timeout": "5m", "params": nil, "requestParams": nil}
		same(t, rt, object{"keyIds": []any{key}, "steps": []any{step}, "cacheConfig": object{"enabled": true, "ttl": "168h"}, "retryStrategy": "", "requestFormat": ""})
		id := rt["id"].(string)
		same(t, r.ok("GET", RO+"/"+id, ""), rt)
		r.Run("B-1.1 list", func(t *testing.T) {
			if l := r.list(RO); len(l) != 1 || l[0]["id"] != id {
				t.Errorf("%v", l)
			}
		})
		r.refused(400, "path is not unique", "POST", RO, body(""))

		same(t, r.ok("PATCH", RO+"/"+id, `{"name":"m","path":"/p","retryStrategy":"constant"}`), object{"name": "m", "retryStrategy": "constant", "steps": []any{step}})
		r.refused(400, "path can not be changed", "PATCH", RO+"/"+id, `{"path":"/q"}`)
		r.refused(400, "invalid fields in route: keyIds", "PATCH", RO+"/"+id, `{"keyIds":[]}`)
		r.refused(404, "route is not found", "PATCH", RO+"/nosuch", `{}`)
		for range 2 { // B-1.1: it is no failure to delete what is gone
			if w := r.call("DELETE", RO+"/"+id, ""); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("B-1.1: %d %s", w.Code, w.Body)
			}
		}
		r.refused(404, "custom provider is not found", "GET", RO+"/"+id, "")

		var won atomic.Int32 // B-1.5: one route to a path
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if w := r.call("POST", RO, body(`"path":"/race"`)); w.Code == 200 {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("B-1.5: %d routes to one path", won.Load())
		}
	})
}

func TestRouteRefusals(t *testing.T) { eachStore(t, testRouteRefusals) }

func testRouteRefusals(t *testing.T) {
	r := newRig(t)
	_, body := r.routed()
	plain := r.ok("PUT", K, `{"name":"n","settingId":"`+r.setting()+`"}`)["keyId"].(string)
	step := func(members string) string { return `"steps":[{"provider":"openai","model":"gpt-4o",` + members + `}]` }
	for _, tt := range []struct{ row, members, detail string }{
		{"B-1.2 empty", `"name":"","path":"","keyIds":[],"steps":[],"cacheConfig":null`, "invalid fields in route: name,path,keyIds,steps,cacheConfig"},
		{"B-1.2 strategy", `"retryStrategy":"Exponential"`, "invalid fields in route: retryStrategy"},
		{"B-1.2 long name", `"name":"` + strings.Repeat("x", 256) + `"`, "invalid fields in route: name"},
		{"B-1.2 null step", `"steps":[null]`, "steps.[0] can not be null"},
		{"B-1.2 unknown key", `"keyIds":["nosuch"]`, "specified key ids are not found"},
		{"B-1.2 cache", `"cacheConfig":{"ttl":"1d"}`, "invalid fields in route: cacheConfig.ttl"},
		{"B-1.2 cache too long", `"cacheConfig":{"ttl":"720h1s"}`, "invalid fields in route: cacheConfig.ttl"},
		{"B-1.2 cache negative", `"cacheConfig":{"ttl":"-1s"}`, "invalid fields in route: cacheConfig.ttl"},
		{"B-1.2 retries", step(`"retries":-1`), "invalid fields in route: steps.[0].retries"},
		{"B-1.2 interval", step(`"retryInterval":"x"`), "invalid fields in route: steps.[0].retryInterval"},
		{"B-1.2 interval in minutes", step(`"retryInterval":"5m"`), "invalid fields in route: steps.[0].retryInterval"},
		{"B-1.2 timeout", step(`"timeout":"abc"`), "invalid fields in route: steps.[0].timeout"},
		{"B-1.2 negative timeout", step(`"timeout":"-1s"`), "invalid fields in route: steps.[0].timeout"},
		{"B-1.2 provider", `"steps":[{"provider":"Azure","model":"m"}]`, "steps.[0].provider is not supported"},
		{"B-1.2 azure", `"steps":[{"provider":"azure","model":"gpt-4o"}]`, "invalid fields in route: steps.[0].params.apiVersion,steps.[0].params.deploymentId"},
		{"B-1.2 deployment", `"steps":[{"provider":"azure","model":"gpt-4o","params":{"apiVersion":"v1","deploymentId":"a/../b"}}]`, "steps.[0].params.deploymentId"},
		{"B-1.3 types", step(`"requestParams":{"top_logprobs":"1","stop":"s","logit_bias":{},"logprobs":1,"temperature":null,"other":1}`),
			"invalid fields in route: steps.[0].requestParams.temperature,steps.[0].requestParams.stop,steps.[0].requestParams.logit_bias," +
				"steps.[0].requestParams.logprobs,steps.[0].requestParams.top_logprobs"},
		{"B-1.4 no model", `"steps":[{"provider":"openai"}]`, "invalid fields in route: steps.[0].model"},
		{"B-1.4 mixed", `"steps":[{"provider":"openai","model":"gpt-4o"},{"provider":"openai","model":"text-embedding-ada-002"}]`, "both chat and embedding models"},
		{"B-1.6 no slash", `"path":"p"`, "invalid fields in route: path"},
		{"B-1.6 query", `"path":"/p?x"`, "invalid fields in route: path"},
		{"B-1.6 dots", `"path":"/a/../b"`, "invalid fields in route: path"},
		{"B-1.6 format", `"requestFormat":"openai_embeddings"`, "requestFormat does not fit"},
		{"B-1.5 no setting", `"keyIds":["` + plain + `"],"steps":[{"provider":"azure","model":"m","params":{"apiVersion":"v1","deploymentId":"d"}}]`,
			"the key " + plain + " has no provider setting of azure"},
	} {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			same(t, r.refused(400, tt.detail, "POST", RO, body(tt.members)), object{"type": "/errors/validation", "title": "custom provider validation failed"})
		})
	}
	if len(r.list(RO)) != 0 {
		t.Error("a refused route was stored")
	}
}
