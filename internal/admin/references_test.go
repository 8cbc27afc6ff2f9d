package admin_test

import "testing"

// What routes and users refer to is not deleted, and the refusal says who they are.
func TestDeleteReferredKey(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		key, body := r.routed()
		path := K + "/" + key
		route := r.ok("POST", RO, body(""))["id"].(string)
		user := r.user(`"userId":"u","keyIds":["` + key + `"]`)["id"].(string)
		detail := "the key is used by the routes " + route + " and by the users " + user
		same(t, r.refused(409, detail, "DELETE", path, ""), object{"type": "/errors/key-manager"})
		if w := r.call("DELETE", path, "", `If-Match: "1"`); w.Code != 412 {
			t.Errorf("another version: %d %s", w.Code, w.Body)
		}
		r.call("DELETE", RO+"/"+route, "")
		r.refused(409, "the key is used by the users "+user, "DELETE", path, "")
		r.ok("PATCH", US+"/"+user, `{"keyIds":[]}`)
		if w := r.call("DELETE", path, ""); w.Code != 200 {
			t.Errorf("nobody's key: %d %s", w.Code, w.Body)
		}
		r.refused(404, "key is not found", "GET", path, "")
	})
}

// A route whose key is gone all the same can be changed in what is not about keys.
func TestPatchRouteOfLostKey(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		key, body := r.routed()
		path := RO + "/" + r.ok("POST", RO, body(""))["id"].(string)
		if err := r.given.DeleteKey(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		same(t, r.ok("PATCH", path, `{"name":"new"}`), object{"name": "new", "keyIds": []any{key}})
		steps := `"steps":[{"provider":"openai","model":"gpt-4o"}]`
		r.ok("PATCH", path, "{"+steps+"}")
		r.refused(400, "specified key ids are not found", "PATCH", path, `{"keyIds":["`+key+`"]}`)

		openai := r.ok("PUT", K, `{"name":"n","settingId":"`+r.setting()+`"}`)["keyId"].(string)
		r.ok("PATCH", path, `{"keyIds":["`+openai+`"]}`)
		r.refused(400, "the key "+openai+" has no provider setting of azure", "PATCH", path,
			`{"steps":[{"provider":"azure","model":"m","params":{"apiVersion":"v1","deploymentId":"d"}}]}`)
	})
}
