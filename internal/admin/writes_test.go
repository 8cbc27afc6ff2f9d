package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/admin"
	"tollgate/internal/secret"
	"tollgate/internal/web"
)

// everyRecord makes one record of each kind that can be changed, and returns the
// paths of all.
func (r *rig) everyRecord() (paths []string) {
	r.t.Helper()
	key, body := r.routed()
	id := func(o object) string { return "/" + o["id"].(string) }
	return []string{K + "/" + key, S + id(r.list(S + "?all=true")[0]), US + id(r.user("")),
		CP + id(r.custom("bot", routeConfig("/a", ""))), PO + id(r.ok("POST", PO, "{}")), RO + id(r.ok("POST", RO, body("")))}
}

func testPreconditions(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		paths := r.everyRecord()
		for i := range paths { // the route first: others are referred to
			path := paths[len(paths)-1-i]
			old := r.call("GET", path, "").Header().Get("ETag")
			w := r.call("PATCH", path, "{}", "If-Match: "+old)
			now := w.Header().Get("ETag")
			if w.Code != 200 || now == "" || now == old {
				t.Errorf("AG-33 %s: %d, ETag %s after %s", path, w.Code, now, old)
			}
			for _, method := range []string{"PATCH", "DELETE"} {
				w := r.call(method, path, "{}", "If-Match: "+old)
				if path[:len(S)] == S && method == "DELETE" {
					continue // in use
				}
				if w.Code != 412 || !strings.HasPrefix(w.Body.String(), `{"type":"/errors/precondition-failed"`) {
					t.Errorf("AG-33 %s %s: %d %s", method, path, w.Code, w.Body)
				}
			}
			if w := r.call("PATCH", path, "{}", `If-Match: "1", `+now); w.Code != 200 {
				t.Errorf("AG-33 %s list: %d %s", path, w.Code, w.Body)
			}
			if w := r.call("DELETE", path, "", "If-Match: *"); w.Code != 200 && path[:len(S)] != S {
				t.Errorf("AG-33 %s: delete %d %s", path, w.Code, w.Body)
			}
		}
	})
}

func testConcurrentRecordPatches(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		path := US + "/" + r.user("")["id"].(string)
		members := []string{`"name":"new"`, `"costLimitInUsd":5`, `"allowedModels":["m"]`, `"rateLimitOverTime":1,"rateLimitUnit":"m"`, `"ttl":"1h"`}
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if w := r.call("PATCH", path, "{"+members[i%len(members)]+"}"); w.Code != 200 {
					t.Errorf("AG-32: %d %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		same(t, r.ok("GET", path, ""), object{"name": "new", "costLimitInUsd": 5.0, "allowedModels": []any{"m"}, "rateLimitOverTime": 1.0, "ttl": "1h"})
	})
}

func testIdempotentCreates(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		_, route := r.routed()
		setting := r.list(S + "?all=true")[0]["id"].(string)
		for _, create := range []struct{ method, path, body string }{
			{"PUT", K, `{"name":"n","settingId":"` + setting + `"}`},
			{"PUT", S, `{"provider":"openai","setting":{"apikey":"k"}}`},
			{"POST", US, `{"name":"n"}`}, {"POST", PO, `{"name":"n"}`}, {"POST", RO, route("")},
			{"POST", CP, `{"provider":"x","route_configs":[` + routeConfig("/a", "") + `]}`},
			{"PUT", "/api/tokens", `{"name":"n","scope":"read"}`},
		} {
			same := "Idempotency-Key: once-" + create.path
			first := r.call(create.method, create.path, create.body, same)
			again := r.call(create.method, create.path, create.body, same)
			if first.Code != 200 || first.Body.String() != again.Body.String() || first.Header().Get("Content-Type") != again.Header().Get("Content-Type") {
				t.Errorf("AG-34 %s: %d %s, again %d %s", create.path, first.Code, first.Body, again.Code, again.Body)
			}
			if w := r.call(create.method, create.path, create.body+" ", same); w.Code != 409 {
				t.Errorf("AG-34 %s: another body %d %s", create.path, w.Code, w.Body)
			}
		}
		if n := len(r.list(US + "?cursor=")); n != 1 {
			t.Errorf("AG-34: %d users", n)
		}
		r.now = r.now.Add(25 * time.Hour) // then it is forgotten
		if w := r.call("POST", US, `{"name":"other"}`, "Idempotency-Key: once-"+US); w.Code != 200 || len(r.list(US+"?cursor=")) != 2 {
			t.Errorf("a day later: %d %s", w.Code, w.Body)
		}
		for range 2 { // a refusal is not kept
			if w := r.call("POST", US, `{"name":""}`, "Idempotency-Key: refused"); w.Code != 400 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		if w := r.call("POST", US, `{"name":"mended"}`, "Idempotency-Key: refused"); w.Code != 200 {
			t.Errorf("mended: %d %s", w.Code, w.Body)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { r.call("POST", US, `{"name":"race","userId":"race"}`, "Idempotency-Key: race") })
		}
		wg.Wait()
		if n := len(r.list(US + "?userIds=race")); n != 1 {
			t.Errorf("AG-34: %d users by parallel creates", n)
		}
	})
}

func testIdempotentAfterFailure(t *testing.T) {
	r := newRig(t)
	key := "Idempotency-Key: k"
	r.store.loseKey = true // the key is stored and the answer lost
	body := r.keyBody("")
	if w := r.call("PUT", K, body, key); w.Code != 503 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := r.call("PUT", K, body, key); w.Code != 409 { // the same id: no second key
		t.Errorf("AG-34: after a lost answer %d %s", w.Code, w.Body)
	}
	if len(r.store.keys) != 1 {
		t.Errorf("AG-34: %d keys", len(r.store.keys))
	}
	for _, rec := range r.store.records {
		if strings.Contains(string(rec.Data), "tg-") {
			t.Errorf("a secret in clear: %s", rec.Data)
		}
	}
}

func testAudit(t *testing.T) {
	onStoresWith(t, func(c *admin.Config) {
		c.Identity = func(*http.Request) string { return "arn:aws:iam::1:user/me" }
	}, func(t *testing.T, r *rig) {
		s := r.ok("PUT", S, `{"provider":"openai","setting":{"apikey":"SECRET-1"}}`)["id"].(string)
		r.now = r.now.Add(time.Minute)
		w := r.call("PATCH", S+"/"+s, `{"name":"new","setting":{"apikey":"SECRET-2"}}`)
		r.now = r.now.Add(time.Minute)
		u := r.user(`"userId":"u"`)["id"].(string)
		r.now = r.now.Add(time.Minute)
		r.call("DELETE", US+"/"+u, "")
		r.now = r.now.Add(time.Minute)
		r.key(`"key":"SECRET-3"`)
		r.refused(400, "", "POST", US, `{}`) // nothing was written
		r.call("GET", US+"?tags=x", "")

		entries := func(query string) []any {
			w := r.call("GET", "/api/audit?"+query, "")
			if w.Code != 200 || strings.Contains(w.Body.String(), "SECRET") {
				t.Fatalf("AG-25 ?%s: %d %s", query, w.Code, w.Body)
			}
			return unpack[object](w.Body.Bytes())["entries"].([]any)
		}
		for query, want := range map[string]int{"": 5, "kind=setting": 2, "kind=user&id=" + u: 2, "who=nobody": 0, "who=arn:aws:iam::1:user/me": 5,
			"start=1700000060&end=1700000120": 1, "start=1700000240": 1, "end=1700000060": 1, "limit=2": 2} {
			if got := len(entries(query)); got != want {
				t.Errorf("AG-25 ?%s: %d entries, want %d", query, got, want)
			}
		}
		e := entries("kind=setting")[0].(object)
		same(t, e, object{"who": "arn:aws:iam::1:user/me", "method": "PATCH", "path": S + "/:id", "kind": "setting", "resourceId": s,
			"createdAt": 1.70000006e9, "requestId": w.Header().Get("X-Request-Id"), "secrets": []any{"apikey"},
			"before": object{"name": "", "updatedAt": 1.7e9}, "after": object{"name": "new", "updatedAt": 1.70000006e9}})
		if gone := entries("kind=user")[0].(object); gone["after"] != nil || gone["before"].(object)["userId"] != "u" {
			t.Errorf("AG-25: a deletion is %v", gone)
		}
		r.refused(400, "start has to be a time", "GET", "/api/audit?start=x", "")
		r.refused(400, "limit has to be 1000 at most", "GET", "/api/audit?limit=1001", "")

		seen := 0 // page by page
		for cursor, more := "", true; more; more = cursor != "" {
			page := unpack[object](r.call("GET", "/api/audit?limit=2&cursor="+cursor, "").Body.Bytes())
			seen += len(page["entries"].([]any))
			cursor = page["cursor"].(string)
		}
		if seen != 5 {
			t.Errorf("AG-25: %d entries in pages", seen)
		}
		r.now = r.now.Add(401 * 24 * time.Hour)
		if n := len(entries("")); n != 0 {
			t.Errorf("AG-25: %d entries after 401 days", n)
		}
	})
}

func testTokens(t *testing.T) {
	onStoresWith(t, func(c *admin.Config) { c.Password = secret.NewText("letmein") }, func(t *testing.T, r *rig) {
		create := func(scope string) object {
			w := r.call("PUT", "/api/tokens", `{"name":"`+scope+`er","scope":"`+scope+`"}`, "X-API-KEY: letmein")
			if w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			return unpack[object](w.Body.Bytes())
		}
		reader, writer := create("read"), create("write")
		as := func(token object) string { return "X-API-KEY: " + token["token"].(string) }
		for _, tt := range []struct {
			method, path, header string
			want                 int
		}{
			{"GET", US + "?tags=a", as(reader), 200}, {"POST", V2, as(reader), 200}, {"POST", US, as(reader), 403}, // AG-24
			{"PUT", K, as(reader), 403}, {"DELETE", K + "/x", as(reader), 403}, {"PUT", "/api/tokens", as(reader), 403},
			{"POST", US, as(writer), 200}, {"GET", US + "?tags=a", "X-API-KEY: tga-guess", 401},
		} {
			if w := r.call(tt.method, tt.path, `{}`, tt.header); w.Code != tt.want && !(tt.want == 200 && w.Code == 400) {
				t.Errorf("AG-24 %s %s: %d %s, want %d", tt.method, tt.path, w.Code, w.Body, tt.want)
			}
		}
		list := r.call("GET", "/api/tokens", "", as(reader)).Body.String()
		if strings.Contains(list, reader["token"].(string)) || strings.Count(list, `"scope"`) != 2 {
			t.Errorf("AG-24: %s", list)
		}
		if w := r.call("DELETE", "/api/tokens/"+reader["id"].(string), "", as(writer)); w.Code != 200 {
			t.Errorf("delete: %d %s", w.Code, w.Body)
		}
		if w := r.call("GET", US+"?tags=a", "", as(reader)); w.Code != 401 {
			t.Errorf("AG-24: a deleted token: %d", w.Code)
		}
		audit := r.call("GET", "/api/audit?who=token:writeer", "", as(writer)).Body.String()
		if strings.Count(audit, `"who":"token:writeer"`) != 1 || strings.Contains(audit, "tga-") {
			t.Errorf("AG-25: %s", audit)
		}
	})
	r := newGuardedRig(t, "letmein")
	counts := map[int]int{}
	for i := range 100 { // AG-26
		counts[r.call("GET", K, "", fmt.Sprintf("X-API-KEY: tga-%d", i)).Code]++
	}
	if counts[401] != 20 || counts[429] != 80 {
		t.Errorf("AG-26: guessed tokens %v", counts)
	}
	for _, body := range []string{`{"name":"n","scope":"admin"}`, `{"name":"","scope":"read"}`, `{"name":"n"}`} {
		newRig(t).refused(400, "", "PUT", "/api/tokens", body)
	}
}

func testCORS(t *testing.T) {
	r := newRigWith(t, func(c *admin.Config) { c.CORS = web.CORS{Origins: []string{"https://console.example"}} })
	for origin, want := range map[string]string{"https://console.example": "https://console.example", "https://evil.example": ""} { // AG-27
		w := r.call("OPTIONS", K, "", "Origin: "+origin, "Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: x-api-key,if-match")
		h := w.Header()
		if w.Code != 204 || h.Get("Access-Control-Allow-Origin") != want || (h.Get("Access-Control-Allow-Methods") != "") != (want != "") {
			t.Errorf("AG-27 %s: %d %v", origin, w.Code, h)
		}
		if w := r.call("GET", "/api/health", "", "Origin: "+origin); w.Header().Get("Access-Control-Allow-Origin") != want {
			t.Errorf("AG-27 %s: %v", origin, w.Header())
		}
	}
}

func testShowSecrets(t *testing.T) {
	r := newRigWith(t, func(c *admin.Config) { c.ShowSecrets = true })
	w := r.call("PUT", S, `{"provider":"azure","setting":{"apikey":"SECRET","resourceName":"r"}}`)
	id := unpack[object](w.Body.Bytes())["id"].(string)
	if strings.Contains(w.Body.String(), "SECRET") {
		t.Errorf("AS-07: %s", w.Body)
	}
	same(t, r.list(S + "?ids=" + id)[0], object{"setting": object{"apikey": "SECRET", "resourceName": "r"}}) // AS-08
	if audit := r.call("GET", "/api/audit", "").Body.String(); strings.Contains(audit, "SECRET") {
		t.Errorf("AG-25: %s", audit)
	}
}

func testAllKeysByCursor(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		setting := r.setting()
		const keys = 120
		for i := range keys {
			r.ok("PUT", K, fmt.Sprintf(`{"name":"%d","settingId":"%s","tags":["%d"]}`, i, setting, i%2))
		}
		for query, want := range map[string]int{"": keys, "&tag=1": keys / 2, "&provider=openai": keys} {
			seen := map[any]int{}
			for cursor, more := "", true; more; more = cursor != "" {
				w := r.call("GET", K+"?limit=50"+query+"&cursor="+cursor, "")
				page := unpack[[]object](w.Body.Bytes())
				if w.Code != 200 || len(page) > 50 {
					t.Fatalf("AK-66: %d, %d keys", w.Code, len(page))
				}
				for _, k := range page {
					seen[k["keyId"]]++
				}
				cursor = w.Header().Get("X-Next-Cursor")
			}
			if len(seen) != want {
				t.Errorf("AK-66 %q: %d keys, want %d", query, len(seen), want)
			}
			for id, n := range seen {
				if n != 1 {
					t.Errorf("AK-66: key %v was listed %d times", id, n)
				}
			}
		}
		r.refused(400, "ursor", "GET", K+"?cursor=%21", "")
		r.refused(400, "ursor", "GET", US+"?cursor=%21", "")
	})
}

func TestUnknownMembers(t *testing.T) { eachStore(t, testUnknownMembers) }

func testUnknownMembers(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"PUT " + K, "PUT " + S, "POST " + US, "POST " + CP, "POST " + PO, "POST " + RO, "PATCH " + K + "/x", "PATCH " + S + "/x"} {
		method, path, _ := strings.Cut(path, " ")
		r.refused(400, `there is no member "colour" here`, method, path, `{"colour":1}`)
	}
	r.refused(400, `there is no member "verb" here`, "PUT", K, `{"allowedPaths":[{"verb":"GET"}]}`)
	r.Run("AG-14 the server's own", func(t *testing.T) {
		r.key(`"keyId":5,"createdAt":"x","updatedAt":{}`) // AG-14: the server's own
	})
}
