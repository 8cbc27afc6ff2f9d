package admin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/internal/record"
)

// user makes a user with the members given.
func (r *rig) user(members string) object {
	r.t.Helper()
	if !strings.Contains(members, `"name"`) {
		members = strings.TrimSuffix(`"name":"n",`+members, ",")
	}
	return r.ok("POST", US, "{"+members+"}")
}

func TestCreateUser(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		w := r.call("POST", US, `{"name":"a","revoked":true,"id":"mine","createdAt":5}`)
		u := unpack[object](w.Body.Bytes())
		r.Run("AUs-02 ids", func(t *testing.T) {
			if !regexp.MustCompile("^"+uuid4+"$").MatchString(u["userId"].(string)) || u["id"] == "mine" {
				t.Errorf("AUs-02: ids %v %v", u["id"], u["userId"])
			}
		})
		r.Run("AUs-09 revoked", func(t *testing.T) {
			same(t, u, object{"revoked": false, "createdAt": 1.7e9, "tags": nil, "keyIds": nil, "allowedPaths": nil, "allowedModels": nil})
		})
		k := r.key("")["keyId"].(string)
		u = r.user(`"userId":"full","keyIds":["` + k + `","` + k + `"],"limits":[{"measure":"tokens","per":"d","max":7},{"measure":"tokens","per":"m","max":3}]`)
		same(t, u, object{"keyIds": []any{k}, "limits": []any{
			object{"measure": "tokens", "per": "d", "max": 7.0}, object{"measure": "tokens", "per": "m", "max": 3.0}}})
		same(t, r.ok("GET", US+"/"+u["id"].(string), ""), u)
	})
}

func TestUserRefusals(t *testing.T) { eachStore(t, testUserRefusals) }

func testUserRefusals(t *testing.T) {
	r := newRig(t)
	id := r.user(`"userId":"u"`)["id"].(string)
	for _, tt := range []struct{ row, method, body, detail string }{
		{"AUs-03", "POST", `{"tags":[""],"keyIds":[""],"costLimitInUsd":-1,"costLimitInUsdOverTime":-1,"rateLimitOverTime":-1,"ttl":"x","allowedPaths":[{"path":""}],"allowedModels":[""]}`,
			"fields [tags, keyIds, name, costLimitInUsd, costLimitInUsdOverTime, rateLimitOverTime, ttl, allowedPaths.0.path, allowedModels] are invalid"},
		{"AUs-04 pair", "POST", `{"name":"n","rateLimitOverTime":1}`, "rate limit unit can not be empty"},
		{"AUs-04 unit", "POST", `{"name":"n","costLimitInUsdOverTime":1,"costLimitInUsdUnit":"s"}`, "cost limit unit can not be identified"},
		{"AUs-04 model", "POST", `{"name":"n","allowedModels":["a",""]}`, "fields [allowedModels] are invalid"},
		{"AUs-04 limits", "POST", `{"name":"n","limits":[{"measure":"cost","per":"d","max":0}]}`, "limits[0]: max has to be more than 0"},
		{"AUs-08", "POST", `{"name":"n","keyIds":["nosuch"]}`, "key is not found for id: nosuch"},
		{"AUs-08 patch", "PATCH", `{"keyIds":["nosuch"]}`, "key is not found for id: nosuch"},
		{"AUs-20", "PATCH", `{"rateLimitOverTime":-1,"rateLimitUnit":"m"}`, "fields [rateLimitOverTime] are invalid"},
		{"AUs-20 cost", "PATCH", `{"costLimitInUsdOverTime":-1,"costLimitInUsdUnit":"m"}`, "fields [costLimitInUsdOverTime] are invalid"},
		{"unknown member", "POST", `{"name":"n","costLimit":5}`, `there is no member "costLimit" here`},
	} {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			path, title := US, "create user validation failed"
			if tt.method == "PATCH" {
				path, title = US+"/"+id, "update user validation failed"
			}
			same(t, r.refused(400, tt.detail, tt.method, path, tt.body), object{"type": "/errors/validation", "title": title})
		})
	}
}

func TestUserUniqueness(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		r.user(`"userId":"u","tags":["a","b"]`)
		r.Run("AUs-05 AUs-06 same tags, fewer, more", func(t *testing.T) {
			for _, tags := range []string{`["a","b"]`, `["b","a"]`, `["a"]`, `["a","b","c"]`, `[]`, `null`} {
				r.refused(400, "user id exists for tags: [", "POST", US, `{"name":"n","userId":"u","tags":`+tags+`}`)
			}
		})
		r.user(`"userId":"u","tags":["c"]`)
		r.user(`"userId":"v","tags":["a"]`)
		if got := len(r.list(US + "?userIds=u")); got != 2 {
			t.Errorf("%d users u", got)
		}
		r.Run("AUs-07 at once", func(t *testing.T) {
			var won atomic.Int32
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					w := httptest.NewRecorder()
					r.ServeHTTP(w, httptest.NewRequest("POST", US, strings.NewReader(`{"name":"n","userId":"race","tags":["x"]}`)))
					if w.Code == http.StatusOK {
						won.Add(1)
					} else if w.Code != 400 {
						t.Errorf("%d %s", w.Code, w.Body)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || len(r.list(US+"?userIds=race")) != 1 {
				t.Errorf("%d creates of one user succeeded", won.Load())
			}
		})
	})
}

func TestListUsers(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		k := r.key("")["keyId"].(string)
		r.user(`"name":"one","userId":"1","tags":["a","b"],"keyIds":["` + k + `"]`)
		r.user(`"name":"two","userId":"2","tags":["a"]`)
		r.now = r.now.Add(time.Hour)
		r.user(`"name":"three","userId":"3"`)
		for query, want := range map[string]string{
			"tags=a&tags=b": "one", "userIds=1&userIds=3": "three one", "userIds=2&tags=a": "two", "tags=": "", "tags=nobody": "",
			"keyIds=" + k: "one", "keyIds=x": "", "userIds=": "", "userIds=1&userIds=2&userIds=3&limit=1": "three",
			"userIds=1&userIds=3&offset=1": "three one", "userIds=1&userIds=3&limit=1&offset=1": "one",
		} {
			r.Run("AUs-10 AUs-11 AUs-13 "+query, func(t *testing.T) {
				var names []string
				for _, u := range r.list(US + "?" + query) {
					names = append(names, u["name"].(string))
				}
				if got := strings.Join(names, " "); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			})
		}
		r.Run("AUs-12 no filter", func(t *testing.T) {
			same(t, r.refused(400, "filters are missing", "GET", US, ""), object{"type": "/errors/missing-filteres"})
		})
		r.Run("AUs-13 AUs-14 what is no number", func(t *testing.T) {
			for _, name := range []string{"limit", "offset"} {
				for _, v := range []string{"x", "", "1.5", "-1"} {
					same(t, r.refused(400, name+" has to be", "GET", US+"?"+name+"="+v, ""),
						object{"type": "/errors/bad-filters", "title": "bad " + name + " query param"})
				}
			}
		})
	})
}

func TestUserPages(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		r.Run("AUs-14 each once", func(t *testing.T) {
			for i := range 20 {
				r.user(fmt.Sprintf(`"userId":"%d","tags":["t"]`, i))
			}
			seen := map[any]int{}
			for offset := 0; offset < 21; offset += 3 {
				for _, u := range r.list(fmt.Sprintf("%s?tags=t&limit=3&offset=%d", US, offset)) {
					seen[u["id"]]++
				}
			}
			for cursor, more := "", true; more; more = cursor != "" {
				w := r.call("GET", US+"?limit=7&cursor="+cursor, "")
				for _, u := range unpack[[]object](w.Body.Bytes()) {
					seen[u["id"]]++
				}
				cursor = w.Header().Get("X-Next-Cursor")
			}
			for id, n := range seen { // once by offset, once by cursor
				if n != 2 {
					t.Errorf("user %v was listed %d times", id, n)
				}
			}
			if len(seen) != 20 {
				t.Errorf("%d users of 20", len(seen))
			}
		})
	})
}

func TestPatchUser(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		k := r.key("")["keyId"].(string)
		id := r.user(`"userId":"u","tags":["a"],"allowedModels":["m"],"keyIds":["` + k + `"],"allowedPaths":[{"method":"GET","path":"/x"}]`)["id"].(string)
		path, byName := US+"/"+id, US+"?userId=u"
		r.now = r.now.Add(time.Minute)
		r.Run("AUs-15 null and empty lists", func(t *testing.T) {
			u := r.ok("PATCH", path, `{"name":"","tags":["a"],"userId":"u","allowedModels":null,"keyIds":null}`)
			same(t, u, object{"name": "n", "tags": []any{"a"}, "userId": "u", "allowedModels": []any{"m"}, "keyIds": []any{k}, "updatedAt": 1.70000006e9})
			same(t, r.ok("PATCH", path, `{"userId":"","tags":null}`), object{"tags": []any{"a"}, "userId": "u"})
			u = r.ok("PATCH", path, `{"allowedModels":[],"keyIds":[],"allowedPaths":[]}`)
			same(t, u, object{"allowedModels": []any{}, "keyIds": []any{}, "allowedPaths": []any{}})
		})
		r.Run("what it is found by stays", func(*testing.T) {
			for _, other := range []string{`{"tags":["z"]}`, `{"tags":[]}`, `{"tags":["a","b"]}`, `{"userId":"w"}`} {
				r.refused(400, "tags and userId can not be changed", "PATCH", path, other)
			}
		})
		r.Run("AUs-19 ttl", func(t *testing.T) {
			for _, p := range []string{path, byName} {
				same(t, r.ok("PATCH", p, `{"ttl":"2h"}`), object{"ttl": "2h"})
				same(t, r.ok("PATCH", p, `{"ttl":""}`), object{"ttl": ""})
			}
		})
		r.Run("AUs-22 revoke", func(t *testing.T) {
			same(t, r.ok("PATCH", path, `{"revoked":true,"revokedReason":"why"}`), object{"revoked": true, "revokedReason": "why"})
			same(t, r.ok("PATCH", path, `{"revoked":false}`), object{"revoked": false, "revokedReason": ""})
		})

		r.Run("AUs-16 unknown", func(*testing.T) {
			r.refused(404, "user is not found", "PATCH", US+"/nosuch", `{}`)
			r.refused(404, "user is not found", "PATCH", US+"?userId=nobody", `{}`)
		})
		r.Run("AUs-17 nobody named", func(t *testing.T) {
			same(t, r.refused(400, "userId is missing", "PATCH", US+"?tags=a", `{}`), object{"type": "/errors/missing-user-id"})
		})
		same(t, r.ok("PATCH", byName+"&tags=a", `{"name":"m"}`), object{"name": "m"})

		r.user(`"userId":"u","tags":["b"]`)
		r.Run("AUs-18 several", func(t *testing.T) {
			r.refused(409, "2 users have that user id", "PATCH", byName, `{"name":"x"}`)
		})
		same(t, r.ok("PATCH", byName+"&tags=b", `{"name":"b"}`), object{"name": "b", "tags": []any{"b"}})

		r.Run("AUs-24 get and delete", func(t *testing.T) {
			r.ok("GET", path, "")
			if w := r.call("DELETE", path, ""); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			r.refused(404, "user is not found", "GET", path, "")
			r.refused(404, "user is not found", "DELETE", path, "")
		})
		r.user(`"userId":"u","tags":["a"]`) // the name is free again
	})
}

func TestRestoreUser(t *testing.T) { eachStore(t, testRestoreUser) }

func testRestoreUser(t *testing.T) {
	r := newRig(t)
	id := r.user(`"costLimitInUsd":1,"ttl":"1h"`)["id"].(string)
	r.ok("PATCH", US+"/"+id, `{"revoked":true}`)
	r.spends(record.UserSubject(id), 2_000_000_000)
	r.refused(409, "the user has spent", "PATCH", US+"/"+id, `{"revoked":false}`)
	r.ok("PATCH", US+"/"+id, `{"revoked":false,"costLimitInUsd":3}`)
	r.ok("PATCH", US+"/"+id, `{"revoked":true}`)
	r.now = r.now.Add(2 * time.Hour)
	r.refused(409, "the user's ttl is over", "PATCH", US+"/"+id, `{"revoked":false}`)
}
