package admin_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/admin"
)

func TestHealthAndReadiness(t *testing.T) {
	t.Run("AG-01 health asks for no password and no store", func(t *testing.T) {
		r := newGuardedRig(t, "letmein")
		r.store.down = errors.New("down")
		for _, path := range []string{"/api/health", "/api/health/"} {
			w := r.call("GET", path, "")
			if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") != "" {
				t.Errorf("%s: %d %q %v", path, w.Code, w.Body, w.Header())
			}
		}
	})
	t.Run("AG-02 readiness asks the store", func(t *testing.T) {
		r := newRig(t)
		if w := r.call("GET", "/api/ready", ""); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("ready: %d %s", w.Code, w.Body)
		}
		r.store.down = errors.New("dial tcp 10.0.0.7: refused")
		r.refused(503, "the store does not answer", "GET", "/api/ready", "")
	})
}

func TestPaths(t *testing.T) { eachStore(t, testPaths) }

func testPaths(t *testing.T) {
	r := newRig(t)
	t.Run("AG-20 unknown paths and methods", func(t *testing.T) {
		for _, call := range []string{
			"GET /", "GET /nosuch", "POST " + S, "DELETE " + S, "PUT " + K + "/x", "PATCH " + K, "OPTIONS " + K,
			"PUT /api/users", "DELETE /api/policies", "PUT /api/routes/x", "POST /api/v3/events", "POST /api/health",
			"GET " + K + "/a/b", "GET " + K + "//", "GET " + K + "/" + strings.Repeat("x", 256),
		} {
			method, path, _ := strings.Cut(call, " ")
			if p := r.refused(404, "there is no", method, path, ""); p["type"] != "/errors/not-found" {
				t.Errorf("%s: type %v", call, p["type"])
			}
		}
		if w := r.call("HEAD", K, ""); w.Code != 404 {
			t.Errorf("HEAD: %d", w.Code)
		}
	})
	t.Run("a trailing slash does not count", func(t *testing.T) {
		if w := r.call("GET", S+"/", ""); w.Code != 200 || w.Body.String() != "[]" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	t.Run("AG-06 instance is the pattern", func(t *testing.T) {
		if p := r.refused(404, "not found", "PATCH", S+"/x", "{}"); p["instance"] != S+"/:id" {
			t.Errorf("instance %v", p["instance"])
		}
		if p := r.refused(404, "there is no", "GET", "/api/no<&>such", ""); p["instance"] != "/api/no<&>such" {
			t.Errorf("instance %v", p["instance"])
		}
	})
}

func TestBodies(t *testing.T) { eachStore(t, testBodies) }

func testBodies(t *testing.T) {
	r := newRig(t)
	setting := r.setting()
	const jsonFault = "/errors/json-unmarshal"
	tests := []struct{ row, method, path, body, detail string }{
		{"AG-08 malformed", "PUT", K, `{"name":`, "unexpected end of JSON input"},
		{"AG-09 number for text", "PUT", K, `{"name":1}`, "name: expected a string, got number"},
		{"AG-09 text for number", "PUT", K, `{"rateLimitOverTime":"5"}`, "rateLimitOverTime: expected a whole number, got string"},
		{"AG-09 fraction", "PUT", K, `{"rateLimitOverTime":1.5}`, "rateLimitOverTime: expected a whole number, got number"},
		{"AG-09 10.0", "PUT", K, `{"rateLimitOverTime":10.0}`, "rateLimitOverTime: expected a whole number, got number"},
		{"AG-09 exponent", "PUT", K, `{"rateLimitOverTime":1e1}`, "rateLimitOverTime: expected a whole number, got number"},
		{"AG-09 money as text", "PUT", K, `{"costLimitInUsd":"5"}`, "costLimitInUsd: expected a number of dollars (0, or 0.000000001 to 1000000000), got string"},
		{"AG-09 list for text", "PUT", K, `{"tags":"a"}`, "tags: expected a list, got string"},
		{"AG-09 in a list", "PUT", K, `{"tags":["a",1]}`, "tags: expected a string, got number"},
		{"AG-09 in an object", "PUT", K, `{"allowedPaths":[{"path":true}]}`, "allowedPaths.path: expected a string, got bool"},
		{"AG-09 flag", "PATCH", K + "/x", `{"revoked":"yes"}`, "revoked: expected true or false, got string"},
		{"AG-09 limit", "PUT", K, `{"limits":[{"max":"1"}]}`, "limits.max: expected a number, got string"},
		{"AK-22 out of range", "PUT", K, `{"costLimitInUsd":1e300}`, "costLimitInUsd: expected a number of dollars"},
		{"AK-22 too fine", "PUT", K, `{"costLimitInUsd":1e-10}`, "costLimitInUsd: expected a number of dollars"},
		{"AK-22 beyond int64", "PUT", K, `{"rateLimitOverTime":99999999999999999999}`, "rateLimitOverTime: expected a whole number"},
		{"AG-10 empty", "PUT", S, "", "unexpected end of JSON input"},
		{"AG-10 empty v2", "POST", V2, "", "unexpected end of JSON input"},
		{"list for object", "PUT", S, "[]", "the body: expected an object, got array"},
		{"trailing data", "PUT", S, `{} {}`, "after top-level value"},
		{"AS-04 parameter", "PUT", S, `{"provider":"openai","setting":{"apikey":5}}`, "setting: expected a string, got number"},
		{"price as text", "PUT", S, `{"costMap":{"promptCostPerModel":{"m":"1"}}}`, "expected a price in dollars per 1000 tokens"},
		{"price null", "PUT", S, `{"costMap":{"promptCostPerModel":{"m":null}}}`, "got null"},
		{"deep nesting", "PUT", K, strings.Repeat("[", 20000), "exceeded max depth"},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			p := r.refused(400, tt.detail, tt.method, tt.path, tt.body)
			if p["type"] != jsonFault || p["title"] != "json unmarshaller error" {
				t.Errorf("type %v, title %v", p["type"], p["title"])
			}
			for _, word := range []string{"Go ", "struct", "int64", "admin."} {
				if strings.Contains(p["detail"].(string), word) {
					t.Errorf("detail speaks of Go: %v", p["detail"])
				}
			}
		})
	}
	r.t = t
	t.Run("AG-29 too large", func(t *testing.T) {
		p := r.refused(413, "larger than 1048576 bytes", "PUT", K, `{"name":"`+strings.Repeat("x", 2<<20)+`"}`)
		if p["type"] != "/errors/request-body-read" {
			t.Errorf("type %v", p["type"])
		}
	})
	t.Run("AG-12 AG-13 AG-14 AG-15 reading", func(t *testing.T) {
		k := r.ok("PUT", K, `{"NAME":"first","name":"<a&b>","Key":"kk","keyId":"mine","createdAt":1,
			"revoked":true,"revokedReason":"x","settingId":"`+setting+`"}`)
		want := object{"name": "<a&b>", "createdAt": 1.7e9, "revoked": false, "revokedReason": ""}
		same(t, k, want)
		if k["keyId"] == "mine" {
			t.Error("the caller chose the id")
		}
		w := r.call("GET", K+"?keyIds="+k["keyId"].(string), "")
		if !strings.Contains(w.Body.String(), `"name":"\u003ca\u0026b\u003e"`) {
			t.Errorf("not escaped: %s", w.Body)
		}
	})
	t.Run("null is an empty object", func(t *testing.T) {
		r.refused(400, "provider field cannot be empty", "PUT", S, "null")
	})
}

// same compares the members named by want.
func same(t *testing.T, got, want object) {
	t.Helper()
	for name, v := range want {
		if g, w := fmt.Sprintf("%#v", got[name]), fmt.Sprintf("%#v", v); g != w {
			t.Errorf("%s = %s, want %s", name, g, w)
		}
	}
}

func TestPassword(t *testing.T) { eachStore(t, testPassword) }

func testPassword(t *testing.T) {
	r := newGuardedRig(t, "letmein")
	t.Run("AG-21 right", func(t *testing.T) {
		if w := r.call("GET", K+"?tag=nobody", "", "x-api-key: letmein"); w.Code != 200 || w.Body.String() != "[]" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	t.Run("AG-22 wrong or missing", func(t *testing.T) {
		body := `{"provider":"openai","setting":{"apikey":"x"}}`
		for _, header := range []string{"X-API-KEY: wrong", "X-API-KEY: letmein2", "Authorization: Bearer letmein", "X: y"} {
			w := r.call("PUT", S, body, header)
			if w.Code != 401 || !strings.HasPrefix(w.Body.String(), `{"type":"/errors/unauthorized"`) {
				t.Errorf("%s: %d %s", header, w.Code, w.Body)
			}
		}
		for _, path := range []string{"/nosuch", S + "/", "/api/ready"} {
			if w := r.call("GET", path, ""); w.Code != 401 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		if len(r.storedSettings()) != 0 {
			t.Error("something was stored")
		}
	})
	t.Run("AG-26 guessing is slowed down", func(t *testing.T) {
		r := newGuardedRig(t, "letmein")
		counts := map[int]int{}
		for range 1000 {
			counts[r.call("GET", K, "", "X-API-KEY: guess").Code]++
		}
		if counts[401] != 20 || counts[429] != 980 {
			t.Errorf("answers %v, want 20 times 401 and 980 times 429", counts)
		}
		w := r.call("GET", S, "", "X-API-KEY: letmein")
		if w.Code != 429 || w.Header().Get("Retry-After") == "" {
			t.Errorf("right password while locked out: %d %v", w.Code, w.Header())
		}
		r.now = r.now.Add(time.Minute)
		if w := r.call("GET", S, "", "X-API-KEY: letmein"); w.Code != 200 {
			t.Errorf("a minute later: %d", w.Code)
		}
	})
}

func TestStoreFailure(t *testing.T) {
	t.Run("AG-30 AG-31 503 without internals", func(t *testing.T) {
		r := newRig(t)
		setting, key := r.setting(), r.key("")["keyId"].(string)
		r.store.down = errors.New("ProvisionedThroughputExceeded: table gateway-prod at 10.0.0.7")
		for _, call := range []string{
			"GET " + S + "?ids=" + setting, "GET " + S + "?all=true", "DELETE " + S + "/" + setting,
			"PUT " + S + ` {"provider":"openai","setting":{"apikey":"x"}}`, "PATCH " + S + "/" + setting + ` {"name":"x"}`,
			"PUT " + K + ` {"name":"n","settingId":"` + setting + `"}`, "PATCH " + K + "/" + key + ` {"name":"x"}`,
			"PATCH " + K + "/" + key + ` {"revoked":false}`, "GET " + K + "/" + key, "DELETE " + K + "/" + key,
			"GET " + K + "?tag=x", "GET " + K + "?keyIds=" + key, "GET " + K + "?provider=openai", "POST " + V2 + " {}",
			"GET /api/events?userId=u", "GET /api/reporting/keys/" + key,
		} {
			parts := append(strings.SplitN(call, " ", 3), "")
			p := r.refused(503, "the store does not answer, try again later; request id ", parts[0], parts[1], parts[2])
			if text := fmt.Sprint(p); strings.Contains(text, "gateway-prod") || strings.Contains(text, "10.0.0.7") {
				t.Errorf("%s tells internals: %v", call, text)
			}
		}
		if !strings.Contains(r.log.String(), "ProvisionedThroughputExceeded") {
			t.Error("the cause is not in the log")
		}
	})
	t.Run("AG-28 a panic is answered", func(t *testing.T) {
		r := newRig(t)
		r.Handler = admin.New(admin.Config{Store: nil, Box: r.box})
		r.refused(500, "something went wrong here; request id ", "GET", K+"?tag=x", "")
	})
}

func TestConcurrentPatches(t *testing.T) {
	testConcurrentPatches(t) // on a store that loses every race once
	eachStore(t, testConcurrentPatches)
}

func testConcurrentPatches(t *testing.T) {
	t.Run("AG-32 all are kept", func(t *testing.T) {
		r := newRig(t)
		r.race()
		id := r.key("")["keyId"].(string)
		members := []string{`"name":"new"`, `"tags":["a"]`, `"costLimitInUsd":5`, `"shouldLogRequest":true`,
			`"rateLimitOverTime":1,"rateLimitUnit":"m"`, `"ttl":"1h"`, `"rotationEnabled":true`, `"unknownModel":"deny"`,
			`"limits":[{"measure":"concurrency","max":3}]`, `"shouldLogResponse":true`}
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if w := r.call("PATCH", K+"/"+id, "{"+members[i%len(members)]+"}"); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		same(t, r.ok("GET", K+"/"+id, ""), object{
			"name": "new", "tags": []any{"a"}, "costLimitInUsd": 5.0, "shouldLogRequest": true, "rateLimitOverTime": 1.0,
			"rateLimitUnit": "m", "ttl": "1h", "rotationEnabled": true, "unknownModel": "deny", "shouldLogResponse": true,
			"limits": []any{object{"measure": "concurrency", "max": 3.0}},
		})
	})
}

func TestSuccessStatus(t *testing.T) { eachStore(t, testSuccessStatus) }

func testSuccessStatus(t *testing.T) {
	t.Run("AG-04", func(t *testing.T) {
		r := newRig(t)
		r.now = r.now.Add(900 * time.Millisecond)
		id := r.key("")["keyId"].(string)
		if w := r.call("DELETE", K+"/"+id, ""); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "0" {
			t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
		}
	})
	t.Run("AG-18 times", func(t *testing.T) {
		r := newRig(t)
		id := r.key("")["keyId"].(string)
		r.now = r.now.Add(90 * time.Second)
		same(t, r.ok("PATCH", K+"/"+id, "{}"), object{"createdAt": 1.7e9, "updatedAt": 1.70000009e9})
		k := r.storedKey(id)
		if !k.CreatedAt.Equal(time.Unix(1_700_000_000, 0)) {
			t.Errorf("stored %v", k.CreatedAt)
		}
	})
}
