package admin_test

import "testing"

// Keys and users with a ttl say when it is over; those without say nothing, as the
// peer's do.
func TestExpiresAt(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		key, user := r.key(""), r.user(`"userId":"u"`)
		for path, o := range map[string]object{K + "/" + key["keyId"].(string): key, US + "/" + user["id"].(string): user} {
			if _, there := o["expiresAt"]; there {
				t.Errorf("%s: expires at %v without a ttl", path, o["expiresAt"])
			}
			same(t, r.ok("PATCH", path, `{"ttl":"2d"}`), object{"expiresAt": 1.7e9 + 2*86400})
			got := r.ok("GET", path, "")
			same(t, got, object{"expiresAt": 1.7e9 + 2*86400})
			r.ok("PATCH", path, `{"expiresAt":5}`) // the server's own, sent back
			same(t, r.ok("GET", path, ""), object{"expiresAt": got["expiresAt"]})
			if last := r.ok("PATCH", path, `{"ttl":""}`); last["expiresAt"] != nil {
				t.Errorf("%s: expires at %v after the ttl was removed", path, last["expiresAt"])
			}
		}
	})
}
