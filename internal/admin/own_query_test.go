package admin_test

import "testing"

// A mistyped filter is not passed over where the query is ours: the answer would be
// that for everybody.
func TestUnknownQueryParameters(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		usage := "/api/reporting/usage?groupBy=day&start=1699999000&end=1700000000"
		for _, tt := range []struct{ path, unknown string }{
			{usage + "&keyId=x", "keyId"}, {usage + "&b=1&a=2", "a, b"}, {"/api/audit?kinds=key", "kinds"},
			{"/api/prices?models=x", "models"}, {TG[:len(TG)-1] + "?tags=x", "tags"}, {"/api/tokens?offset=1", "offset"},
			{K + "?cursor=&names=x", "names"}, {S + "?all=true&providers=x", "providers"}, {US + "?cursor=&offset=1", "offset"},
			{CP + "?cursor=&provider=x", "provider"}, {PO + "?cursor=&tag=x", "tag"}, {RO + "?cursor=&keyIds=x", "keyIds"},
		} {
			r.refused(400, "there is no query parameter "+tt.unknown+" here", "GET", tt.path, "")
		}
		r.ok("GET", usage+"&keyIds=x", "")
		for _, peers := range []string{K + "?tag=x&names=y", S + "?providers=x", US + "?tags=x&offsets=1", RO + "?keyIds=x", PO + "?tags=x&tag=y"} {
			r.list(peers) // which the peer passes over
		}
		r.key(`"name":"one"`)
		r.key(`"name":"Two"`)
		if l := r.list(K + "?cursor=&name=tW"); len(l) != 1 || l[0]["name"] != "Two" {
			t.Errorf("by part of the name: %v", l)
		}
	})
}
