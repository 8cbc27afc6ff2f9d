package admin_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/internal/admin"
)

// AG-28: no body and no query may crash the control plane or be called its fault.

func fuzzBody(f *testing.F, method, path string, seeds ...string) {
	for _, s := range append(seeds, "", "null", "[]", "{}", `{"a":`, "\xff", `{"name":null,"tags":[null],"setting":{"a":null}}`) {
		f.Add(s)
	}
	store, box := newMemory(), &glassBox{}
	h := admin.New(admin.Config{Store: store, Box: box})
	setting := httptest.NewRecorder()
	h.ServeHTTP(setting, httptest.NewRequest("PUT", S, strings.NewReader(`{"provider":"azure","setting":{"apikey":"k","resourceName":"r"}}`)))
	settingID := unpack[object](setting.Body.Bytes())["id"].(string)
	key := httptest.NewRecorder()
	h.ServeHTTP(key, httptest.NewRequest("PUT", K, strings.NewReader(`{"name":"n","settingId":"`+settingID+`"}`)))
	path = strings.NewReplacer("SETTING", settingID, "KEY", unpack[object](key.Body.Bytes())["keyId"].(string)).Replace(path)
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(strings.ReplaceAll(body, "SETTING", settingID))))
		checkAnswer(t, w)
		if len(store.keys) > 50 { // keep the lists short
			clear(store.keys)
		}
		if len(store.settings) > 50 {
			clear(store.settings)
		}
	})
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code >= 500 || w.Code != 200 && w.Code < 400 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
		t.Fatalf("not JSON: %s", w.Body)
	}
}

func FuzzCreateKey(f *testing.F) {
	fuzzBody(f, "PUT", K, `{"name":"n","settingIds":["SETTING"],"ttl":"1d2h","limits":[{"measure":"cost","per":"m","max":1e-9}]}`,
		`{"name":"n","settingId":"SETTING","allowedPaths":[null,{"method":"get","path":"/"}],"costLimitInUsd":0.1,"key":"k","isKeyNotHashed":true}`)
}

func FuzzPatchKey(f *testing.F) {
	fuzzBody(f, "PATCH", K+"/KEY", `{"revoked":false,"limits":[],"policyId":"","rateLimitOverTime":0,"rateLimitUnit":""}`, `{"tags":["{"],"ttl":"-1d"}`)
}

func FuzzCreateSetting(f *testing.F) {
	fuzzBody(f, "PUT", S, `{"provider":"vllm","setting":{"url":"http://[::1%25x]:1/"},"costMap":{"promptCostPerModel":{"m":1e-12}}}`)
}

func FuzzPatchSetting(f *testing.F) {
	fuzzBody(f, "PATCH", S+"/SETTING", `{"setting":{"apikey":"","url":"https://h"},"allowedModels":[],"costMap":{}}`)
}

func FuzzSearchKeys(f *testing.F) {
	fuzzBody(f, "POST", V2, `{"limit":9223372036854775807,"offset":9223372036854775807,"name":"İ","order":"asc","revoked":null}`)
}

func FuzzRecords(f *testing.F) {
	for _, s := range []string{`{"name":"n","userId":"u","keyIds":[null],"tags":[""]}`, `{"provider":"p","route_configs":[null]}`, routeConfig("/a", ""),
		`{"regexConfig":{"rules":[null]},"config":{"rules":{"email":null}}}`, `{"steps":[null],"cacheConfig":{"ttl":"1h"},"keyIds":["x"]}`,
		`{"limits":[{"measure":"cost","per":"m","max":1e-9}]}`, "null", "[]", "", "\xff", strings.Repeat("[", 20000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := newRig(t)
		user, bot := r.user("")["id"].(string), r.custom("bot", routeConfig("/a", ""))["id"].(string)
		policy := r.ok("POST", PO, "{}")["id"].(string)
		for _, call := range []string{"POST " + US, "PATCH " + US + "/" + user, "POST " + CP, "PATCH " + CP + "/" + bot, "POST " + PO,
			"PATCH " + PO + "/" + policy, "POST " + RO, "PATCH " + RO + "/x", "PUT " + TG + "t", "PUT /api/tokens"} {
			method, path, _ := strings.Cut(call, " ")
			checkAnswer(t, r.call(method, path, body))
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"tag=a", "keyIds=a,b&start=1&end=2", "ids=a&ids=a", "all=true&limit=9223372036854775807&offset=1", "%zz", ";"} {
		f.Add(s)
	}
	h := admin.New(admin.Config{Store: newMemory(), Box: &glassBox{}})
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{K, S, "/api/events", "/" + query} {
			req := httptest.NewRequest("GET", "/", nil)
			req.URL.Path, req.URL.RawQuery = path, query
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			checkAnswer(t, w)
		}
	})
}
