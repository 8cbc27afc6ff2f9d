package admin_test

import (
	"errors"
	"strings"
	"testing"
)

// peerPaths are the endpoints of BricksLLM's admin API, each under the number it has in
// the acceptance tests, and what the body of an error says there when the store does not
// answer. The list is written out, so what the program stops serving is missed here.
var peerPaths = []struct {
	id, method, path, body string
	kind, title, instance  string
}{
	{"AR-01", "GET", "/api/health", "", "", "", ""},
	{"AR-02", "PUT", K, `{"name":"n","settingId":"x"}`, "/errors/key-manager", "key creation error", K},
	{"AR-03", "GET", K + "?tag=x", "", "/errors/getting-keys", "getting keys errored out", K},
	{"AR-04", "POST", V2, `{}`, "/errors/key-manager", "getting keys errored out", K},
	{"AR-05", "PATCH", K + "/x", `{"name":"n"}`, "/errors/key-manager", "update key error", K + "/:id"},
	{"AR-06", "DELETE", K + "/x", "", "/errors/key-manager", "key deletion error", K + "/:id"},
	{"AR-07", "PUT", S, `{"provider":"openai","setting":{"apikey":"k"}}`, "/errors/provider-settings-manager", "provider setting creation failed", S},
	{"AR-08", "GET", S + "?ids=x", "", "/errors/provider-settings-manager", "get provider settings failed", S},
	{"AR-09", "PATCH", S + "/x", `{"name":"n"}`, "/errors/provider-settings-manager", "provider setting update failed", S + "/:id"},
	{"AR-10", "POST", CP, `{"provider":"x","route_configs":[` + routeConfig("/a", "") + `]}`, "/errors/custom-provider-manager", "creating a custom provider error", "/api/providers"},
	{"AR-11", "GET", CP, "", "/errors/custom-provider-manager", "getting custom providers error", "/api/providers"},
	{"AR-12", "PATCH", CP + "/x", `{"authentication_param":"k"}`, "/errors/custom-provider-manager", "updating a custom provider error", "/api/providers/:id"},
	{"AR-13", "POST", US, `{"name":"n"}`, "/errors/user-manager", "user creation error", US},
	{"AR-14", "GET", US + "?tags=x", "", "/errors/getting-keys", "getting keys errored out", US},
	{"AR-15", "PATCH", US + "/x", `{"name":"n"}`, "/errors/user-manager", "update user error", US + "/:id"},
	{"AR-16", "PATCH", US + "?userId=x", `{"name":"n"}`, "/errors/user-manager", "update user error", US},
	{"AR-17", "POST", RO, `{"name":"n","path":"/p","keyIds":["x"],"cacheConfig":{},"steps":[{"provider":"openai","model":"gpt-4o"}]}`, "/errors/route-manager", "creating a route error", RO},
	{"AR-18", "GET", RO, "", "/errors/route-manager", "getting a route error", RO},
	{"AR-19", "GET", RO + "/x", "", "/errors/route-manager", "getting a route error", RO + "/:id"},
	{"AR-20", "DELETE", RO + "/x", "", "/errors/route-manager", "deleting a route error", RO + "/:id"},
	{"AR-21", "POST", PO, `{}`, "/errors/policies/creation", "policy creation failed", PO},
	{"AR-22", "GET", PO + "?tags=x", "", "/errors/policies", "get policies by tags failed", PO},
	{"AR-23", "PATCH", PO + "/x", `{"name":"n"}`, "/errors/policie/updates", "update a policy failed", PO},
	{"AR-24", "GET", "/api/events?userId=x", "", "/errors/event-manager", "getting events error", "/api/events"},
	{"AR-25", "POST", "/api/v2/events", `{"start":1,"end":2}`, "/errors/event-manager", "getting events errored out", "/api/v2/events"},
	{"AR-26", "GET", "/api/reporting/keys/x", "", "/errors/key-reporting-manager", "key reporting error", "/api/reporting/keys/:id"},
	{"AR-27", "POST", "/api/reporting/events", `{"start":1,"end":2,"increment":1}`, "/errors/event-reporting-manager", "event reporting error", "/api/reporting/events"},
	{"AR-28", "POST", "/api/reporting/events-by-day", `{"start":1,"end":200000}`, "/errors/event-reporting-manager", "event reporting error", "/api/reporting/events-by-day"},
	{"AR-29", "POST", "/api/reporting/top-keys", `{"start":1,"end":2}`, "/errors/event-reporting-manager", "top key reporting error", "/api/reporting/top-keys"},
	{"AR-30", "GET", "/api/reporting/user-ids?keyId=x", "", "/errors/key-reporting-manager", "getting user ids error", "/api/reporting/user-ids"},
	{"AR-31", "GET", "/api/reporting/custom-ids?keyId=x", "", "/errors/key-reporting-manager", "getting custom ids error", "/api/reporting/custom-ids"},
}

// AG-03: whatever a path of the peer answers, it is there.
func TestPathsOfThePeer(t *testing.T) { eachStore(t, testPathsOfThePeer) }

func testPathsOfThePeer(t *testing.T) {
	r := newRig(t)
	for _, row := range peerPaths {
		t.Run("AG-03 "+row.id+" "+row.method+" "+row.path, func(t *testing.T) {
			if w := r.call(row.method, row.path, row.body); strings.Contains(w.Body.String(), "there is no "+row.method) || w.Code == 405 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// AG-07: when the store is down, a path of the peer says so in the words that it has.
func TestPathsOfThePeerWithoutAStore(t *testing.T) {
	down := newRig(t)
	down.store.down = errors.New("down")
	for _, row := range peerPaths[1:] {
		t.Run("AG-07 "+row.id+" store down", func(t *testing.T) {
			same(t, down.refused(503, "the store does not answer", row.method, row.path, row.body),
				object{"type": row.kind, "title": row.title, "instance": row.instance})
		})
	}
}

// AG-05, AG-07: the words of each kind of fault of a caller.
func TestWords(t *testing.T) { eachStore(t, testWords) }

func testWords(t *testing.T) {
	r := newRig(t)
	for _, row := range []struct {
		name, method, path, body string
		status                   int
		kind, title              string
	}{
		{"AG-07 keys create", "PUT", K, `{}`, 400, "/errors/validation", "key validation failed"},
		{"AG-07 keys list", "GET", K, "", 400, "/errors/missing-filteres", "filters are not found"},
		{"AG-07 keys v2 list", "POST", V2, `{"order":"up"}`, 400, "/errors/validation", "get keys request validation failed"},
		{"AG-07 keys patch", "PATCH", K + "/x", `{"ttl":"x"}`, 400, "/errors/validation", "key validation failed"},
		{"AG-07 keys patch, unknown", "PATCH", K + "/x", `{"name":"n"}`, 404, "/errors/not-found", "update key failed"},
		{"AG-07 settings create", "PUT", S, `{}`, 400, "/errors/validation", "provider setting validation failed"},
		{"AG-07 settings patch", "PATCH", S + "/x", `{"setting":{"url":"a b"}}`, 404, "/errors/not-found", "provider setting is not found"},
		{"AG-07 custom providers create", "POST", CP, `{}`, 400, "/errors/validation", "custom provider validation failed"},
		{"AG-07 custom providers patch", "PATCH", CP + "/x", `{}`, 404, "/errors/not-found", "custom provider is not found"},
		{"AG-07 users create", "POST", US, `{}`, 400, "/errors/validation", "create user validation failed"},
		{"AG-07 users list", "GET", US, "", 400, "/errors/missing-filteres", "filters are not found"},
		{"AG-07 users list, offset", "GET", US + "?tags=a&offset=x", "", 400, "/errors/bad-filters", "bad offset query param"},
		{"AG-07 users list, limit", "GET", US + "?tags=a&limit=x", "", 400, "/errors/bad-filters", "bad limit query param"},
		{"AG-07 users patch", "PATCH", US + "?userId=x", `{"ttl":"x"}`, 400, "/errors/validation", "update user validation failed"},
		{"AG-07 users patch, nobody", "PATCH", US, `{}`, 400, "/errors/missing-user-id", "missing user id"},
		{"AG-07 routes create", "POST", RO, `{}`, 400, "/errors/validation", "custom provider validation failed"},
		{"AG-07 routes get", "GET", RO + "/x", "", 404, "/errors/route-not-found", "route not found error"},
		{"AG-07 policies list", "GET", PO, "", 400, "/errors/tags-empty", "query param tags is empty"},
		{"AG-07 events", "GET", "/api/events", "", 400, "/errors/no-filters-empty", ""},
		{"AG-07 events, start", "GET", "/api/events?keyIds=k&end=1", "", 400, "/errors/query-param-start-missing", ""},
		{"AG-07 events, end", "GET", "/api/events?keyIds=k&start=1", "", 400, "/errors/query-param-end-missing", ""},
		{"AG-07 events, bad start", "GET", "/api/events?keyIds=k&start=x&end=1", "", 400, "/errors/bad-start-query-param", ""},
		{"AG-07 events, bad end", "GET", "/api/events?keyIds=k&start=1&end=x", "", 400, "/errors/bad-end-query-param", ""},
		{"AG-07 events v2", "POST", "/api/v2/events", `{}`, 400, "/errors/validation", "get events request validation failed"},
		{"AG-07 spend", "GET", "/api/reporting/keys/x", "", 404, "/errors/key-not-found", "key not found error"},
		{"AG-07 report", "POST", "/api/reporting/events", `{}`, 400, "/errors/invalid-reporting-request", "invalid reporting request"},
		{"AG-07 report by day", "POST", "/api/reporting/events-by-day", `{}`, 400, "/errors/invalid-reporting-request", "invalid reporting request"},
		{"AG-07 top keys", "POST", "/api/reporting/top-keys", `{}`, 400, "/errors/invalid-reporting-request", "invalid reporting request"},
		{"AG-07 user ids", "GET", "/api/reporting/user-ids", "", 400, "/errors/missing-key-id", "key id query param is missing"},
		{"AG-07 custom ids", "GET", "/api/reporting/custom-ids", "", 400, "/errors/missing-key-id", "key id query param is missing"},
		{"AG-07 no JSON", "PUT", K, `{`, 400, "/errors/json-unmarshal", "json unmarshaller error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := r.refused(row.status, "", row.method, row.path, row.body)
			if p["type"] != row.kind || row.title != "" && p["title"] != row.title {
				t.Errorf("type %q, title %q; want %q, %q", p["type"], p["title"], row.kind, row.title)
			}
		})
	}
	t.Run("AG-05 members", func(t *testing.T) {
		const want = `{"type":"/errors/tags-empty","title":"query param tags is empty","status":400,"detail":`
		if w := r.call("GET", PO, ""); w.Code != 400 || !strings.HasPrefix(w.Body.String(), want) || !strings.HasSuffix(w.Body.String(), `,"instance":"/api/policies"}`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
