package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// reportRig has three calls of the transcript's key (section 11), and one each of
// two others, from second 7200 on.
func reportRig(t *testing.T) *rig {
	r := newRig(t)
	add := func(id, key, model string, at, ms int64, status int, cost gateway.NanoUSD, change ...func(*gateway.Event)) {
		e := gateway.Event{ID: id, ReservationID: id, KeyID: key, Model: model, Status: status, Cost: cost, LatencyMS: ms,
			At: time.Unix(7200+at, 0), Tags: []string{"mykey", "team-a"}, Provider: "openai"}
		if status == 200 {
			e.Usage = map[string]int64{"input": 10, "output": 20}
		}
		for _, f := range change {
			f(&e)
		}
		r.record(e)
	}
	add("a", "k1", "gpt", 0, 27, 200, 55_000, func(e *gateway.Event) { e.CustomID, e.UserID = "order-77", "u1" })
	add("b", "k1", "gpt", 10, 0, 200, 55_000)
	add("c", "k1", "gpt", 70, 0, 429, 0)
	add("d", "k2", "haiku", 3600, 9, 200, 3_000_000, func(e *gateway.Event) { e.Tags = nil })
	add("e", "k3", "", 7200, 3, 500, 0, func(e *gateway.Event) { e.Action, e.PolicyID, e.UserID = "blocked", "p1", "u1" })
	return r
}

func TestReportEvents(t *testing.T) { eachStore(t, testReportEvents) }

func testReportEvents(t *testing.T) {
	const path = "/api/reporting/events"
	r := reportRig(t)
	point := func(at, n int, cost string, ms, in, out, ok int, rest string) string {
		if rest == "" {
			rest = `"model":"","keyId":"","customId":"","userId":""`
		}
		return fmt.Sprintf(`{"timeStamp":%d,"numberOfRequests":%d,"costInUsd":%s,"latencyInMs":%d,"promptTokenCount":%d,"completionTokenCount":%d,"successCount":%d,%s}`,
			at, n, cost, ms, in, out, ok, rest)
	}
	answer := func(median, p99 string, points ...string) string {
		return `{"dataPoints":[` + strings.Join(points, ",") + `],"latencyInMsMedian":` + median + `,"latencyInMs99th":` + p99 + `}`
	}
	for _, tt := range []struct{ row, body, want string }{
		{"B-4.1 hour of a key", `{"keyIds":["k1"],"start":7200,"end":10800,"increment":3600}`,
			answer("0", "25.97", point(7200, 3, "0.00011", 27, 20, 40, 2, ""), point(10800, 0, "0", 0, 0, 0, 0, ""))},
		{"B-4.1 buckets from start, the last one short", `{"keyIds":["k1"],"start":7201,"end":7275,"increment":60}`,
			answer("0", "0", point(7201, 1, "0.000055", 0, 10, 20, 1, ""), point(7261, 1, "0", 0, 0, 0, 0, ""))},
		{"B-4.1 groups", `{"start":7200,"end":14400,"increment":7200,"filters":["model","keyId","nonsense","model"]}`,
			answer("4.5", "25.97", point(7200, 3, "0.00011", 27, 20, 40, 2, `"model":"gpt","keyId":"k1","customId":"","userId":""`),
				point(7200, 1, "0.003", 9, 10, 20, 1, `"model":"haiku","keyId":"k2","customId":"","userId":""`),
				point(14400, 0, "0", 0, 0, 0, 0, ""))},
		{"B-4.1 all tags", `{"tags":["team-a","mykey"],"start":3600,"end":10800,"increment":7200}`,
			answer("0", "25.97", point(3600, 3, "0.00011", 27, 20, 40, 2, ""), point(10800, 0, "0", 0, 0, 0, 0, ""))},
		{"B-4.1 percentiles look at customIds", `{"customIds":["order-77"],"start":1,"end":20000,"increment":20000}`,
			answer("26.5", "26.5", point(1, 1, "0.000055", 27, 10, 20, 1, ""))},
		{"B-4.1 userIds, by user", `{"userIds":["u1"],"start":1,"end":20000,"increment":20000,"filters":["userId"]}`,
			answer("14.75", "26.265", point(1, 2, "0.000055", 30, 10, 20, 1, `"model":"","keyId":"","customId":"","userId":"u1"`))},
		{"B-4.1 nothing", `{"keyIds":[""],"start":-5,"end":7,"increment":99}`, answer("0", "0", point(-5, 0, "0", 0, 0, 0, 0, ""))},
		{"B-4.2 by day", `{"start":-1,"end":86400,"tags":["x"],"increment":-1}`,
			"{\"dataPoints\":[" + point(0, 3, "0.00011", 27, 20, 40, 2, `"model":"","keyId":"k1","customId":"","userId":""`) + "," +
				point(0, 1, "0.003", 9, 10, 20, 1, `"model":"","keyId":"k2","customId":"","userId":""`) + "," +
				point(0, 1, "0", 3, 0, 0, 0, `"model":"","keyId":"k3","customId":"","userId":""`) + `],"latencyInMsMedian":3,"latencyInMs99th":25.8}`},
	} {
		p := path
		if strings.HasPrefix(tt.row, "B-4.2") {
			p += "-by-day"
		}
		t.Run(tt.row, func(t *testing.T) {
			if w := r.call("POST", p, tt.body); w.Code != 200 || roughly(w.Body.String()) != roughly(tt.want) {
				t.Errorf("got %d %s\nwant %s", w.Code, w.Body, tt.want)
			}
		})
	}
	for _, body := range []string{`{}`, `{"start":1,"end":1,"increment":1}`, `{"start":2,"end":1,"increment":1}`, `{"start":0,"end":1,"increment":1}`, `{"start":1,"end":2}`, `{"start":1,"end":2,"increment":-1}`} {
		same(t, r.refused(400, "", "POST", path, body), object{"type": "/errors/invalid-reporting-request", "title": "invalid reporting request", "instance": path})
	}
	r.refused(400, "longer increment", "POST", path, `{"start":1,"end":1000000,"increment":1}`)
}

// roughly cuts the percentiles to two digits after the point.
func roughly(answer string) string {
	var v struct {
		DataPoints json.RawMessage
		Median     float64 `json:"latencyInMsMedian"`
		P99        float64 `json:"latencyInMs99th"`
	}
	if json.Unmarshal([]byte(answer), &v) != nil {
		return answer
	}
	return fmt.Sprintf("%s %.2f %.2f", v.DataPoints, v.Median, v.P99)
}

func TestTopKeys(t *testing.T) { eachStore(t, testTopKeys) }

func testTopKeys(t *testing.T) {
	const path = "/api/reporting/top-keys"
	r := reportRig(t)
	made := r.key(`"name":"O'Neil_1","tags":["x"]`)["keyId"].(string) // made at the rig's now
	for _, tt := range []struct{ row, body, want string }{
		{"B-4.3 descending", `{"start":1,"end":20000}`, "k2 k1 k3"},
		{"B-4.3 ascending", `{"start":1,"end":20000,"order":"ASC"}`, "k3 k1 k2"},
		{"B-4.3 page", `{"start":1,"end":20000,"limit":1,"offset":1}`, "k1"},
		{"B-4.3 offset without limit", `{"start":1,"end":20000,"offset":1}`, "k2 k1 k3"},
		{"B-4.3 deleted keys not with a filter", `{"start":1,"end":20000,"keyIds":["k1"]}`, ""},
		{"B-4.3 made in the time", `{"start":1,"end":1700000001}`, "k2 k1 " + min("k3", made) + " " + max("k3", made)},
		{"B-4.3 name, apostrophe and underscore", `{"start":1,"end":1700000001,"name":"o'neil_"}`, made},
		{"B-4.3 no wildcard", `{"start":1,"end":1700000001,"name":"O%"}`, ""},
		{"B-4.3 tags", `{"start":1,"end":1700000001,"tags":["x"],"revoked":false}`, made},
		{"B-4.3 revoked", `{"start":1,"end":1700000001,"revoked":true}`, ""},
	} {
		r.Run(tt.row, func(t *testing.T) {
			var ids []string
			for _, p := range r.ok("POST", path, tt.body)["dataPoints"].([]any) {
				ids = append(ids, p.(object)["keyId"].(string))
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if w := r.call("POST", path, `{"start":1,"end":20000,"limit":2}`); w.Body.String() != `{"dataPoints":[{"keyId":"k2","costInUsd":0.003},{"keyId":"k1","costInUsd":0.00011}]}` {
		t.Errorf("B-4.3: %s", w.Body)
	}
	for _, body := range []string{`{}`, `{"start":1,"end":2,"tags":[""]}`, `{"start":1,"end":2,"keyIds":[""]}`, `{"start":1,"end":2,"order":"up"}`, `{"start":1,"end":2,"limit":-1}`} {
		r.refused(400, "", "POST", path, body)
	}
}

func TestIDsOfAKey(t *testing.T) { eachStore(t, testIDsOfAKey) }

func testIDsOfAKey(t *testing.T) {
	r := reportRig(t)
	for path, want := range map[string]string{
		"/api/reporting/custom-ids?keyId=k1": `["order-77"]`, "/api/reporting/user-ids?keyId=k3": `["u1"]`,
		"/api/reporting/user-ids?keyId=k2": `[]`, "/api/reporting/custom-ids?keyId=nosuch": `[]`,
	} {
		t.Run("B-4.5 "+path, func(t *testing.T) {
			if w := r.call("GET", path, ""); w.Code != 200 || w.Body.String() != want {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	same(t, r.refused(400, "key id query is missing", "GET", "/api/reporting/custom-ids?keyId=", ""),
		object{"type": "/errors/missing-key-id", "title": "key id query param is missing", "instance": "/api/reporting/custom-ids"})
}

func TestSearchEvents(t *testing.T) { eachStore(t, testSearchEvents) }

func testSearchEvents(t *testing.T) {
	const path = "/api/v2/events"
	r := reportRig(t)
	for _, tt := range []struct {
		row, more, want string
		count           float64
	}{
		{"B-3.3 newest first", ``, "e d c b a", 0},
		{"B-3.3 start inclusive, end exclusive", `,"start":7210,"end":7270`, "b", 0},
		{"B-3.3 oldest first", `,"dateOrder":"ASC"`, "a b c d e", 0},
		{"B-3.3 dearest", `,"costOrder":"desc"`, "d b a e c", 0},
		{"B-3.3 cheapest", `,"costOrder":"asc"`, "e c b a d", 0},
		{"B-3.3 page and count", `,"limit":2,"offset":1,"returnCount":true`, "d c", 5},
		{"B-3.3 page", `,"limit":2,"offset":1`, "d c", 0},
		{"B-3.3 offset without limit", `,"offset":3`, "e d c b a", 0},
		{"B-3.3 keys", `,"keyIds":["k1","k2"]`, "d c b a", 0},
		{"B-3.3 users", `,"userIds":["u1"]`, "e a", 0},
		{"B-3.3 custom ids", `,"customIds":["order-77","x"]`, "a", 0},
		{"B-3.3 all tags", `,"tags":["team-a","mykey"]`, "e c b a", 0},
		{"B-3.3 policy and action", `,"policyIds":["p1"],"actions":["blocked"]`, "e", 0},
		{"B-3.3 status", `,"status":429`, "c", 0},
		{"B-3.3 contents are taken and not used", `,"requestContent":"x","responseContent":"y"`, "e d c b a", 0},
		{"begun", `,"begun":10800`, "e d", 0},
		{"B-3.3 commas are characters", `,"keyIds":["k1,k2"]`, "", 0},
		{"models, statuses, providers", `,"models":["gpt","haiku"],"statuses":[200,500],"providers":["openai"]`, "d b a", 0},
	} {
		r.Run(tt.row, func(t *testing.T) {
			body := `{"start":1,"end":20000` + tt.more + `}`
			answer := r.ok("POST", path, body)
			var ids []string
			for _, e := range answer["events"].([]any) {
				ids = append(ids, e.(object)["id"].(string))
			}
			if got := strings.Join(ids, " "); got != tt.want || answer["count"] != tt.count {
				t.Errorf("%q and %v, want %q and %v", got, answer["count"], tt.want, tt.count)
			}
		})
	}
	if w := r.call("POST", path, `{"start":1,"end":2,"keyIds":["nosuch"]}`); w.Body.String() != `{"events":[],"count":0}` {
		t.Errorf("B-3.3 none: %s", w.Body)
	}
	for _, tt := range []struct{ body, detail string }{
		{`{"keyIds":["k"]}`, "fields [start, end] are invalid"},
		{`{"tags":[""],"customIds":[""],"end":1}`, "fields [start, customIds, tags] are invalid"},
		{`{"start":5,"end":5}`, "start 5 cannot be larger than end 5"},
		{`{"start":1,"end":5,"costOrder":"up","dateOrder":"up"}`, "cost order is not valid up"},
		{`{"start":1,"end":5,"dateOrder":"up"}`, "date order is not valid up"},
		{`{"start":1,"end":5,"dateOrder":"asc","costOrder":"asc"}`, "cost order and date order cannot be both present"},
		{`{"start":1,"end":5,"actions":["Warned"]}`, "action cannot be Warned"},
		{`{"start":1,"end":5,"limit":-1}`, "negative"},
		{`{"start":1,"end":5,"cursor":"x"}`, "cursor"},
	} {
		same(t, r.refused(400, tt.detail, "POST", path, tt.body), object{"type": "/errors/validation", "title": "get events request validation failed"})
	}
}

func TestUsage(t *testing.T) { eachStore(t, testUsage) }

func testUsage(t *testing.T) {
	r := reportRig(t)
	for _, tt := range []struct{ query, want string }{
		{"groupBy=day", "1970-01-01:5"}, {"groupBy=hour", "1970-01-01T02:00:00Z:3 1970-01-01T03:00:00Z:1 1970-01-01T04:00:00Z:1"},
		{"groupBy=key", "k1:3 k2:1 k3:1"}, {"groupBy=tag", ":1 mykey:4 team-a:4"}, {"groupBy=model", ":1 gpt:3 haiku:1"},
		{"groupBy=user", ":3 u1:2"}, {"groupBy=custom", ":4 order-77:1"}, {"groupBy=status", "200:3 429:1 500:1"},
		{"groupBy=provider&models=gpt&statuses=200", "openai:2"}, {"groupBy=endpoint&keyIds=k1&keyIds=k2", ":4"},
	} {
		answer := r.ok("GET", "/api/reporting/usage?start=1&end=20000&"+tt.query, "")
		var got []string
		for _, p := range answer["dataPoints"].([]any) {
			got = append(got, fmt.Sprint(p.(object)["group"], ":", p.(object)["numberOfRequests"]))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.query, got, tt.want)
		}
	}
	total := r.ok("GET", "/api/reporting/usage?start=1&end=20000&groupBy=tag", "")["total"].(object)
	if total["numberOfRequests"] != 5.0 || total["costInUsd"] != 0.00311 || total["latencyInMsP50"] != 3.0 {
		t.Errorf("total: %v", total)
	}
	for _, query := range []string{"", "groupBy=planet&start=1&end=2", "groupBy=day", "groupBy=day&start=x&end=2", "groupBy=day&start=2&end=2", "groupBy=day&start=1&end=2&statuses=ok"} {
		r.refused(400, "", "GET", "/api/reporting/usage?"+query, "")
	}
}
