package admin_test

import (
	"context"
	"testing"

	"tollgate/internal/admin"
	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// lagging is a store whose lists of keys do not show the newest yet.
type lagging struct{ admin.Store }

func (lagging) Keys(context.Context) ([]gateway.Key, error) { return nil, nil }

func (lagging) KeysPage(context.Context, record.Page) ([]gateway.Key, string, error) {
	return nil, "", nil
}

// What keys refer to reaches them even if they were made this very moment.
func TestReferencesOfNewKeys(t *testing.T) {
	onStoresWith(t, func(c *admin.Config) { c.Store = lagging{c.Store} }, func(t *testing.T, r *rig) {
		policy := r.ok("POST", PO, `{"name":"p"}`)["id"].(string)
		setting := r.setting()
		id := r.ok("PUT", K, `{"name":"n","settingId":"`+setting+`","tags":["team"],"policyId":"`+policy+`"}`)["keyId"].(string)
		version := func() string { return r.call("GET", K+"/"+id, "").Header().Get("ETag") }
		for _, call := range [][3]string{
			{"PUT", TG + "team", `{"limits":[{"measure":"cost","per":"mo","max":5}]}`}, {"DELETE", TG + "team", ""},
			{"PATCH", PO + "/" + policy, `{"name":"q"}`}, {"PATCH", S + "/" + setting, `{"name":"q"}`},
		} {
			before := version()
			if w := r.call(call[0], call[1], call[2]); w.Code != 200 || version() == before {
				t.Errorf("%s %s: %d %s, and the key kept its version", call[0], call[1], w.Code, w.Body)
			}
		}
		r.refused(409, "is used by the keys "+id, "DELETE", S+"/"+setting, "")
		r.refused(409, "is used by the keys "+id, "DELETE", PO+"/"+policy, "")
	})
}
