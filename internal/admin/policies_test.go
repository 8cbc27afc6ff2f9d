package admin_test

import (
	"strings"
	"testing"
)

func TestPolicies(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		p := r.ok("POST", PO, `{"id":"x","createdAt":1}`) // B-2.2: nothing is required
		none := object{"rules": nil}
		same(t, p, object{"name": "", "tags": nil, "config": none, "regexConfig": none, "customConfig": none, "createdAt": 1.7e9})
		p = r.ok("POST", PO, `{"name":"p","tags":["a","b,{"],"config":{"rules":{"ssn":"allow","email":"block"}},"regexConfig":{"rules":[]},"customConfig":{"rules":[{"definition":"d","action":"block"}]}}`)
		id := p["id"].(string)
		path := PO + "/" + id
		same(t, r.ok("GET", path, ""), p)

		r.Run("B-2.1 by tags", func(t *testing.T) {
			for query, want := range map[string]int{"tags=a": 1, "tags=a&tags=b,{": 1, "tags=a&tags=c": 0, "cursor=": 2, "cursor=&tags=a": 1} {
				if got := len(r.list(PO + "?" + query)); got != want {
					t.Errorf("B-2.1 ?%s: %d policies, want %d", query, got, want)
				}
			}
		})
		same(t, r.refused(400, "tags is empty", "GET", PO, ""), object{"type": "/errors/tags-empty"})

		r.Run("B-2.7 left as it is", func(t *testing.T) {
			for _, body := range []string{`{}`, `null`, `{"name":"","tags":[]}`, `{"name":null,"config":null}`} {
				same(t, r.ok("PATCH", path, body), p)
			}
		})
		same(t, r.ok("PATCH", path, `{"config":{"rules":{"ssn":"block"}},"customConfig":{}}`), object{
			"config": object{"rules": object{"ssn": "block"}}, "customConfig": none, "regexConfig": object{"rules": []any{}}})
		same(t, r.refused(404, "policy is not found for id: nosuch", "PATCH", PO+"/nosuch", `{}`),
			object{"type": "/errors/policie/updates", "instance": PO})
		r.refused(400, "cannot be compiled", "PATCH", PO+"/nosuch", `{"regexConfig":{"rules":[{"definition":"(","action":"block"}]}}`)

		r.refused(400, "policy is not found for id: nosuch", "PUT", K, r.keyBody(`"policyId":"nosuch"`)) // AK-16
		key := r.key(`"policyId":"` + id + `"`)["keyId"].(string)
		r.refused(400, "policy is not found for id: nosuch", "PATCH", K+"/"+key, `{"policyId":"nosuch"}`)
		same(t, r.ok("PATCH", K+"/"+key, `{"policyId":"`+id+`","allowedPaths":[{"method":"POST","path":"/x"}]}`), object{"policyId": id}) // AK-44
		before := r.call("GET", K+"/"+key, "").Header().Get("ETag")
		r.Run("B-2.8 acts at once", func(t *testing.T) {
			r.ok("PATCH", path, `{"name":"q"}`)
			if after := r.call("GET", K+"/"+key, "").Header().Get("ETag"); after == before {
				t.Errorf("the key kept its version %s", after)
			}
		})
		r.refused(409, "the policy is used by the keys "+key, "DELETE", path, "")
		same(t, r.ok("PATCH", K+"/"+key, `{"policyId":""}`), object{"policyId": ""}) // AK-43
		if w := r.call("DELETE", path, ""); w.Code != 200 {
			t.Errorf("delete: %d %s", w.Code, w.Body)
		}
		r.refused(404, "policy is not found", "GET", path, "")
	})
}

func TestPolicyRefusals(t *testing.T) { eachStore(t, testPolicyRefusals) }

func testPolicyRefusals(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct{ row, body, detail string }{
		{"B-2.2 name", `{"name":"` + strings.Repeat("x", 256) + `"}`, "name is longer than 255"},
		{"B-2.3 entity", `{"config":{"rules":{"EMAIL":"block"}}}`, "there is no entity EMAIL"},
		{"B-2.3 action", `{"config":{"rules":{"email":""}}}`, "the action of email can only be block, allow_but_warn, allow_but_redact, allow"},
		{"B-2.4 null", `{"regexConfig":{"rules":[null]}}`, "policy is not valid: regex rule at index [0] cannot be nil"},
		{"B-2.4 several", `{"regexConfig":{"rules":[{"definition":"(","action":"block"},null]}}`,
			"policy is not valid: regex rule at index [0] cannot be compiled ,regex rule at index [1] cannot be nil"},
		{"B-2.4 empty", `{"regexConfig":{"rules":[{"definition":"","action":"block"}]}}`, "regex rule at index [0] has no definition"},
		{"B-2.4 look-ahead", `{"regexConfig":{"rules":[{"definition":"(?=a)","action":"block"}]}}`, "cannot be compiled"},
		{"B-2.5 null", `{"customConfig":{"rules":[null]}}`, "custom rule at index [0] cannot be nil"},
		{"B-2.6 action", `{"customConfig":{"rules":[{"definition":"d","action":"deny"}]}}`, "the action of custom rule at index [0] can only be"},
	} {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			same(t, r.refused(400, tt.detail, "POST", PO, tt.body), object{"type": "/errors/policies/creation", "title": "policy creation failed", "instance": PO})
		})
	}
}
