package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

func TestEventAnswer(t *testing.T) { eachStore(t, testEventAnswer) }

func testEventAnswer(t *testing.T) {
	r := newRig(t)
	at := time.Unix(1_700_000_000, 600_000_000)
	r.record([]gateway.Event{
		{ID: "id-1", KeyID: "key-1", At: at, Tags: []string{"mykey", "team-a"}, Provider: "openai", Model: "gpt-3.5-turbo", Method: "POST",
			Path: "/api/providers/openai/v1/chat/completions", CustomID: "order-77", UserID: "u", Status: 200, LatencyMS: 27,
			Usage: map[string]int64{"input": 8, "cache_read": 2, "output": 20}, Cost: 55_000, Basis: gateway.BasisReported,
			Price: "2026-01", Served: "gpt-3.5-turbo-0125", FirstMS: 12,
			Request: []byte(`{"model":"gpt-3.5-turbo"}`), Response: []byte(`{}`), Metadata: []byte(`"{\"team\":\"a\"}"`)},
		{ID: "id-2", KeyID: "key-1", At: at.Add(-time.Second), Status: 429, Refused: "rate_limit_exceeded", Basis: gateway.BasisNone},
	}...)
	const want = `[{"id":"id-1","created_at":1700000000,"tags":["mykey","team-a"],"key_id":"key-1","cost_in_usd":0.000055,"provider":"openai",` +
		`"model":"gpt-3.5-turbo","status":200,"prompt_token_count":10,"completion_token_count":20,"latency_in_ms":27,` +
		`"path":"/api/providers/openai/v1/chat/completions","method":"POST","custom_id":"order-77","request":"eyJtb2RlbCI6ImdwdC0zLjUtdHVyYm8ifQ==",` +
		`"response":"e30=","userId":"u","action":"","policyId":"","routeId":"","correlationId":"id-1","metadata":"IntcInRlYW1cIjpcImFcIn0i",` +
		`"usage":{"cache_read":2,"input":8,"output":20},"basis":"reported","priceVersion":"2026-01","servedModel":"gpt-3.5-turbo-0125","firstByteInMs":12},` +
		`{"id":"id-2","created_at":1699999999,"tags":[],"key_id":"key-1","cost_in_usd":0,"provider":"","model":"","status":429,` +
		`"prompt_token_count":0,"completion_token_count":0,"latency_in_ms":0,"path":"","method":"","custom_id":"","request":"e30=","response":"e30=",` +
		`"userId":"","action":"","policyId":"","routeId":"","correlationId":"id-2","metadata":"e30=","basis":"none","refused":"rate_limit_exceeded"}]`
	r.Run("B-3.1 members", func(t *testing.T) {
		if w := r.call("GET", "/api/events?keyIds=key-1&start=1&end=1700000000", ""); w.Body.String() != want {
			t.Errorf("B-3.1\n got %s\nwant %s", w.Body, want)
		}
	})
}

func TestListEvents(t *testing.T) { eachStore(t, testListEvents) }

func testListEvents(t *testing.T) {
	r := newRig(t)
	base := time.Unix(1000, 0)
	r.now = base.Add(time.Hour)
	add := func(id, key, custom, user string, at time.Duration, ms int64) {
		r.record(gateway.Event{ID: id, KeyID: key, CustomID: custom, UserID: user, At: base.Add(at), LatencyMS: ms})
	}
	add("a", "k1", "", "u1", 0, 0)
	add("b", "k1", "c1", "", 10*time.Second, 999)
	add("c", "k2", "c1", "u1", 20*time.Second, 0)
	add("d", "k3", "", "", 30*time.Second, 5000) // ends at 1035
	tests := []struct{ row, query, want string }{
		{"B-3.2 one key", "keyIds=k1&start=1&end=2000", "b a"},
		{"B-3.2 repeated", "keyIds=k1&keyIds=k2&start=1&end=2000", "c b a"},
		{"B-3.2 commas", "keyIds=k1,k2&start=1&end=2000", "c b a"},
		{"B-3.2 ends inclusive", "keyIds=k1&start=1000&end=1010", "b a"},
		{"B-3.2 start", "keyIds=k1&start=1001&end=1010", "b"},
		{"B-3.2 end", "keyIds=k1&start=1000&end=1009", "a"},
		{"B-3.2 the end of the call counts", "keyIds=k3&start=1035&end=1035", "d"},
		{"B-3.2 not its begin", "keyIds=k3&start=1030&end=1034", ""},
		{"B-3.2 backwards", "keyIds=k1&start=1010&end=1000", ""},
		{"B-3.2 negative", "keyIds=k1&start=-5&end=1000", "a"},
		{"B-3.2 zero", "keyIds=k1&start=0&end=0", ""},
		{"B-3.2 far", "keyIds=k1&start=-9223372036854775808&end=9223372036854775807", "b a"},
		{"B-3.2 custom id, no time needed", "customId=c1", "c b"},
		{"B-3.2 user", "userId=u1", "c a"},
		{"B-3.2 ANDed", "userId=u1&keyIds=k2&start=1&end=2000", "c"},
		{"B-3.2 user and times", "userId=u1&start=1001&end=2000", "c"},
		{"B-3.2 empty beside another", "customId=&userId=u1", "c a"},
		{"B-3.2 no key", "keyIds=&start=1&end=2", ""},
		{"B-3.2 longer than any", "customId=" + strings.Repeat("x", 1001), ""},
		{"B-3.2 unknown", "customId=nosuch", ""},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			var ids []string
			for _, e := range r.list("/api/events?" + tt.query) {
				ids = append(ids, fmt.Sprint(e["id"]))
			}
			if got := strings.Join(ids, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	refusals := []struct{ query, kind string }{
		{"", "/errors/no-filters-empty"},
		{"?customId=", "/errors/no-filters-empty"},
		{"?start=1&end=2", "/errors/no-filters-empty"},
		{"?keyIds=k1", "/errors/query-param-start-missing"},
		{"?keyIds=k1&end=1", "/errors/query-param-start-missing"},
		{"?keyIds=k1&start=1", "/errors/query-param-end-missing"},
		{"?keyIds=k1&start=x", "/errors/bad-start-query-param"},
		{"?keyIds=k1&start=1.5&end=2", "/errors/bad-start-query-param"},
		{"?keyIds=k1&start=1&end=x", "/errors/bad-end-query-param"},
	}
	for _, tt := range refusals {
		t.Run("B-3.2 "+tt.query, func(t *testing.T) {
			r.t = t
			same(t, r.refused(400, "", "GET", "/api/events"+tt.query, ""), object{"type": tt.kind})
		})
	}
}

func TestEventsAskTheStoreForEnough(t *testing.T) {
	r := newRig(t)
	r.list("/api/events?keyIds=k1&start=1000&end=2000")
	if f := r.store.seen; f.From.Unix() != 1000-15*60 || f.To.Unix() != 2001 {
		t.Errorf("asked for %v to %v", f.From, f.To)
	}
	r.list("/api/events?userId=u")
	if f := r.store.seen; f.From.Year() > 1970 || f.To.Before(r.now) {
		t.Errorf("asked for %v to %v, want all", f.From, f.To)
	}
}

// Bodies make an answer long. It never has more than a function may give: the first
// list says so, the search goes on with a cursor, or leaves the bodies out.
func TestEventsOfManyBytes(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		const events, kept = 100, 90 << 10
		for i := range events {
			e := gateway.Event{ID: fmt.Sprint("id-", i), ReservationID: fmt.Sprintf("r%03d", i), KeyID: "k1", At: r.now.Add(-time.Duration(i) * time.Second), Status: 200}
			e.Request = []byte(`"` + strings.Repeat("x", kept) + `"`)
			r.record(e)
		}
		begin, end := r.now.Unix()-3600, r.now.Unix()+10
		r.refused(400, "cursor", "GET", fmt.Sprintf("/api/events?keyIds=k1&start=%d&end=%d", begin, end), "")
		if list := r.list(fmt.Sprintf("/api/events?keyIds=k1&start=%d&end=%d", end-20, end)); len(list) != 11 || len(list[0]["request"].(string)) < kept {
			t.Errorf("a short time: %d events", len(list))
		}
		for _, tt := range []struct {
			more  string
			pages int
		}{{"", 3}, {`,"limit":50`, 3}, {`,"noBodies":true`, 1}, {`,"costOrder":"desc"`, 3}} {
			seen, pages := make(map[any]bool), 0
			for cursor := ""; cursor != "" || pages == 0; pages++ {
				body := fmt.Sprintf(`{"start":%d,"end":%d,"keyIds":["k1"],"cursor":%q%s}`, begin, end, cursor, tt.more)
				w := r.call("POST", "/api/v2/events", body)
				if w.Code != 200 || w.Body.Len() > 4<<20+1000 {
					t.Fatalf("%s: %d with %d bytes", tt.more, w.Code, w.Body.Len())
				}
				var answer struct {
					Events []object
					Cursor string
				}
				if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
					t.Fatal(err)
				}
				for _, e := range answer.Events {
					if long := len(e["request"].(string)) > kept; seen[e["id"]] || long == strings.Contains(tt.more, "noBodies") {
						t.Errorf("%s: event %v, with its body: %v", tt.more, e["id"], long)
					}
					seen[e["id"]] = true
				}
				cursor = answer.Cursor
			}
			if len(seen) != events || pages != tt.pages {
				t.Errorf("%s: %d events on %d pages, want %d on %d", tt.more, len(seen), pages, events, tt.pages)
			}
		}
	})
}
