package admin_test

import "testing"

func TestTags(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		tagged, other := r.key(`"tags":["team/a b"]`)["keyId"].(string), r.key("")["keyId"].(string)
		version := func(id string) string { return r.call("GET", K+"/"+id, "").Header().Get("ETag") }
		was, otherWas := version(tagged), version(other)
		path := TG + "team%2Fa%20b"
		limits := []any{object{"measure": "cost", "per": "mo", "max": 12.5}, object{"measure": "concurrency", "max": 3.0}}
		tag := r.ok("PUT", path, `{"limits":[{"measure":"cost","per":"mo","max":12.5},{"measure":"concurrency","max":3}]}`)
		same(t, tag, object{"tag": "team/a b", "createdAt": 1.7e9, "limits": limits})
		created := version(tagged)
		if created == was || version(other) != otherWas {
			t.Error("creating a tag has to give the keys with it a new version, and no others")
		}
		same(t, r.ok("PUT", path, `{"limits":[{"measure":"requests","per":"d","max":1}]}`), object{"limits": []any{object{"measure": "requests", "per": "d", "max": 1.0}}})
		same(t, r.ok("GET", path, ""), object{"tag": "team/a b"})
		if l := r.list("/api/tags"); len(l) != 1 {
			t.Errorf("%d tags", len(l))
		}
		changed := version(tagged)
		if w := r.call("DELETE", path, ""); w.Code != 200 {
			t.Errorf("delete: %d %s", w.Code, w.Body)
		}
		if version(tagged) == changed {
			t.Error("deleting a tag did not give its keys a new version")
		}
		r.refused(404, "tag is not found", "GET", path, "")
		r.refused(404, "tag is not found", "DELETE", path, "")
		r.refused(400, "limits are missing", "PUT", path, `{"limits":[]}`)
		r.refused(400, "limits[0]: measure can only be", "PUT", path, `{"limits":[{"measure":"x"}]}`)
		r.refused(400, "control characters", "PUT", TG+"a%0Ab", `{"limits":[]}`)
		r.refused(400, `there is no member "limit"`, "PUT", path, `{"limit":[]}`)
	})
}

// A condition on a tag that is not there can not hold, whatever it names.
func TestTagPrecondition(t *testing.T) { eachStore(t, testTagPrecondition) }

func testTagPrecondition(t *testing.T) {
	r := newRig(t)
	for _, version := range []string{"*", `"0"`, `"1"`} {
		w := r.call("PUT", TG+"new", `{"limits":[{"measure":"cost","per":"mo","max":5}]}`, "If-Match: "+version)
		if w.Code != 412 {
			t.Errorf("If-Match %s: %d %s", version, w.Code, w.Body)
		}
	}
	r.refused(404, "tag is not found", "GET", TG+"new", "")
}
