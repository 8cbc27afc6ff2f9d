package admin_test

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// listRig has five keys, k0 the oldest.
func listRig(t *testing.T) (*rig, map[string]string) {
	r := newRig(t)
	vllm := r.ok("PUT", S, `{"provider":"vllm","setting":{"url":"http://gpu.internal:8000"}}`)["id"].(string)
	openai := r.setting()
	ids := map[string]string{}
	for i, members := range []string{
		`"name":"Alpha_one","tags":["a"],"settingId":"` + vllm + `"`,
		`"name":"alpha%two","tags":["a","b"],"settingIds":["` + openai + `"]`,
		`"name":"o'neil","tags":["b"],"settingIds":["` + openai + `","` + vllm + `"]`,
		`"name":"back\\slash","settingIds":["` + openai + `"]`,
		`"name":"Ärger","tags":["c"],"settingIds":["` + openai + `"]`,
	} {
		r.now = r.now.Add(time.Second)
		ids[fmt.Sprint("k", i)] = r.ok("PUT", K, "{"+members+"}")["keyId"].(string)
	}
	r.ok("PATCH", K+"/"+ids["k3"], `{"revoked":true}`)
	return r, ids
}

// labels are the names that keys have in listRig.
func labels(keys []object, ids map[string]string) string {
	var got []string
	for _, k := range keys {
		for label, id := range ids {
			if k["keyId"] == id {
				got = append(got, label)
			}
		}
	}
	return strings.Join(got, " ")
}

func TestListKeys(t *testing.T) { eachStore(t, testListKeys) }

func testListKeys(t *testing.T) {
	r, ids := listRig(t)
	tests := []struct{ row, query, want string }{
		{"AK-52 tag", "tag=a", "k1 k0"},
		{"AK-52 all tags", "tags=a&tags=b", "k1"},
		{"AK-52 tag and tags", "tag=b&tags=a", "k1"},
		{"AK-52 any id", "keyIds=k0&keyIds=k2&keyIds=nosuch&keyIds=k0", "k2 k0"},
		{"AK-52 ANDed", "keyIds=k0&keyIds=k2&tag=b", "k2"},
		{"AG-17 comma is no separator", "keyIds=k0,k1", ""},
		{"AK-53 provider", "provider=vllm", "k2 k0"},
		{"AK-53 provider and tag", "provider=openai&tag=b", "k2 k1"},
		{"AK-53 no such provider", "provider=azure", ""},
		{"AK-55 empty id", "keyIds=", ""},
		{"AK-55 empty tag beside a filter", "tags=&provider=vllm", "k2 k0"},
		{"AK-56 none", "tag=x", ""},
		{"first tag counts", "tag=a&tag=b", "k1 k0"},
		{"long id", "keyIds=" + strings.Repeat("x", 300), ""},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			if got := labels(r.list(K+"?"+fillIDs(tt.query, ids)), ids); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for _, query := range []string{"", "?tags=", "?tag=", "?tags=&tags=", "?provider=", "?tag=&tags=&provider=", "?name=x"} {
		t.Run("AK-54 AK-55 "+query, func(t *testing.T) {
			p := r.refused(400, "filters are missing", "GET", K+query, "")
			same(t, p, object{"type": "/errors/missing-filteres", "title": "filters are not found"})
		})
	}
}

func fillIDs(s string, ids map[string]string) string {
	for label, id := range ids {
		s = strings.ReplaceAll(s, label, id)
	}
	return s
}

func TestSearchKeys(t *testing.T) { eachStore(t, testSearchKeys) }

func testSearchKeys(t *testing.T) {
	r, ids := listRig(t)
	tests := []struct {
		row, body, want string
		count           float64
	}{
		{"AK-57 all", `{}`, "k4 k3 k2 k1 k0", 0},
		{"AK-57 count", `{"returnCount":true}`, "k4 k3 k2 k1 k0", 5},
		{"AK-58 asc", `{"order":"ASC"}`, "k0 k1 k2 k3 k4", 0},
		{"AK-58 desc", `{"order":"Desc"}`, "k4 k3 k2 k1 k0", 0},
		{"AG-12 AK-59 limit", `{"LIMIT":1}`, "k4", 0},
		{"AK-59 page", `{"limit":2,"offset":2,"returnCount":true}`, "k2 k1", 5},
		{"AK-59 last", `{"limit":2,"offset":4}`, "k0", 0},
		{"AK-59 past the end", `{"limit":2,"offset":99,"returnCount":true}`, "", 5},
		{"AK-59 offset alone", `{"offset":3}`, "k4 k3 k2 k1 k0", 0},
		{"AK-61 name", `{"name":"ALPHA"}`, "k1 k0", 0},
		{"AK-61 unicode", `{"name":"äR"}`, "k4", 0},
		{"AK-62 apostrophe", `{"name":"o'n"}`, "k2", 0},
		{"AK-62 percent", `{"name":"%"}`, "k1", 0},
		{"AK-62 underscore", `{"name":"_"}`, "k0", 0},
		{"AK-62 backslash", `{"name":"\\"}`, "k3", 0},
		{"AK-63 injection", `{"name":"x'); UPDATE keys SET revoked=true; --"}`, "", 0},
		{"AK-64 revoked and name", `{"revoked":true,"name":"slash"}`, "k3", 0},
		{"revoked", `{"revoked":true}`, "k3", 0},
		{"not revoked", `{"revoked":false,"tags":["a"]}`, "k1 k0", 0},
		{"revoked null", `{"revoked":null,"tags":["c"]}`, "k4", 0},
		{"tags are ANDed", `{"tags":["a","b"],"returnCount":true}`, "k1", 1},
		{"empty tag", `{"tags":[""]}`, "", 0},
		{"ids", `{"keyIds":["k1","k1","k4"]}`, "k4 k1", 0},
		{"no ids", `{"keyIds":[]}`, "k4 k3 k2 k1 k0", 0},
		{"many ids", `{"keyIds":["k2"` + strings.Repeat(`,"x"`, 100) + `]}`, "k2", 0},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			got := r.ok("POST", V2, fillIDs(tt.body, ids))
			if keys := labels(objects(got["keys"]), ids); keys != tt.want || got["count"] != tt.count {
				t.Errorf("got %q, count %v; want %q, %v", keys, got["count"], tt.want, tt.count)
			}
		})
	}
	for _, body := range []string{`{"limit":-1}`, `{"limit":1,"offset":-1}`} {
		t.Run("AK-65 "+body, func(t *testing.T) {
			p := r.refused(400, "can not be negative", "POST", V2, body)
			same(t, p, object{"type": "/errors/validation", "title": "get keys request validation failed"})
		})
	}
}

func objects(v any) []object {
	var list []object
	for _, o := range v.([]any) {
		list = append(list, o.(object))
	}
	return list
}

func TestStablePages(t *testing.T) { eachStore(t, testStablePages) }

func testStablePages(t *testing.T) {
	t.Run("AK-60 fifty keys of one instant", func(t *testing.T) {
		r := newRig(t)
		var made []string
		for range 50 {
			made = append(made, r.key("")["keyId"].(string))
		}
		for _, order := range []string{"asc", "desc"} {
			var seen []string
			for offset := 0; offset < 50; offset += 7 {
				page := r.ok("POST", V2, fmt.Sprintf(`{"limit":7,"offset":%d,"order":%q}`, offset, order))
				for _, k := range objects(page["keys"]) {
					seen = append(seen, k["keyId"].(string))
				}
			}
			sort.Strings(made)
			sort.Strings(seen)
			if !slices.Equal(seen, made) {
				t.Errorf("%s: pages join to %d keys, not to the 50 made", order, len(seen))
			}
		}
	})
}
