package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/e2e/runtimeapi"
)

// TestControlPlaneOnLambda takes one of everything through its life in the admin
// function, as API Gateway calls it: made, shown, changed, used, reported, audited
// under the caller's ARN, deleted. What is reported was folded by the rollup function.
func TestControlPlaneOnLambda(t *testing.T) {
	t.Parallel()
	up := newVendor(t)
	g := startLambda(t, shape{})
	rollup := startFunction(t, g, runtimeapi.Config{
		Binary: rollupBinary(t), Name: "rollup", Env: g.env, Timeout: time.Minute, Plain: true,
	})
	p := &plane{g: g, start: time.Now().Unix() - 60, ids: make(map[string]string)}
	p.create(t, up)
	p.patch(t)
	p.list(t)
	p.use(t)
	p.fold(t, rollup)
	p.report(t)
	p.delete(t)
	p.audited(t)
}

// plane is the walk through the admin API: what was made, by kind.
type plane struct {
	g     *running
	start int64 // unix seconds
	ids   map[string]string
	key   key
}

// kinds are the records of the walk in the order in which they can be made; they
// can be deleted in the opposite one.
var kinds = []struct{ name, method, path string }{
	{"setting", "PUT", settingsAPI},
	{"custom provider", "POST", "/api/custom/providers"},
	{"policy", "POST", "/api/policies"},
	{"key", "PUT", keysAPI},
	{"user", "POST", usersAPI},
	{"tag", "PUT", "/api/tags/search"},
	{"route", "POST", "/api/routes"},
}

func (p *plane) create(t *testing.T, up *vendor) {
	p.key.Secret = keyPrefix + "lambda"
	for _, k := range kinds {
		id := p.g.admin.put(t, k.method, k.path, p.body(k.name, up))
		p.ids[k.name] = id
	}
	p.ids["tag"], p.key.ID = "search", p.ids["key"]
}

func (p *plane) body(kind string, up *vendor) object {
	switch kind {
	case "setting":
		return object{"provider": "openai", "name": "first", "setting": object{"apikey": upstreamKey, "url": up.url}}
	case "custom provider":
		return object{"provider": "bot", "route_configs": []any{object{
			"path": "/chat", "target_url": "https://bot.example.com/chat", "model_location": "model",
			"request_prompt_location": "prompt", "response_completion_location": "text"}}}
	case "policy":
		return object{"name": "none", "tags": []string{"search"}, "regexConfig": object{"rules": []any{
			object{"definition": "[0-9]{3}-[0-9]{2}-[0-9]{4}", "action": "allow"}}}}
	case "key":
		return object{"name": "first", "key": p.key.Secret, "tags": []string{"search"},
			"settingIds": []string{p.ids["setting"]}, "limits": []keyLimit{{"cost", "lifetime", 1}}}
	case "user":
		return object{"name": "first", "userId": "ann", "tags": []string{"search"}}
	case "tag":
		return object{"limits": []keyLimit{{"cost", "mo", 5}}}
	}
	return object{"name": "first", "path": "/chat", "keyIds": []string{p.ids["key"]},
		"steps": []any{object{"provider": "openai", "model": "gpt-4o-mini"}}, "cacheConfig": object{"enabled": false}}
}

// one is the address of the record of a kind.
func (p *plane) one(kind string) string {
	for _, k := range kinds {
		if k.name == kind && kind != "tag" {
			return k.path + "/" + url.PathEscape(p.ids[kind])
		}
	}
	return "/api/tags/search"
}

func (p *plane) patch(t *testing.T) {
	for kind, member := range map[string]string{"setting": "name", "policy": "name", "key": "name", "user": "name",
		"route": "name", "custom provider": "authentication_param"} {
		var changed object
		p.g.admin.call(t, "PATCH", p.one(kind), object{member: "second"}, &changed)
		if changed[member] != "second" {
			t.Errorf("patched %s: %v", kind, changed)
		}
		var read object
		p.g.admin.call(t, "GET", p.one(kind), nil, &read)
		if read[member] != "second" {
			t.Errorf("patched %s is read as %v", kind, read)
		}
	}
}

func (p *plane) list(t *testing.T) {
	for kind, path := range map[string]string{
		"setting": settingsAPI + "?all=true", "policy": "/api/policies?tags=search", "key": keysAPI + "?tag=search",
		"user": usersAPI + "?userIds=ann", "route": "/api/routes", "custom provider": "/api/custom/providers",
	} {
		var list []struct{ ID, KeyID string }
		p.g.admin.call(t, "GET", path, nil, &list)
		if len(list) != 1 || list[0].ID+list[0].KeyID != p.ids[kind] {
			t.Errorf("GET %s: %+v, want the %s %s", path, list, kind, p.ids[kind])
		}
	}
}

// use makes two calls, one of them as the user.
func (p *plane) use(t *testing.T) {
	expect(t, "a call", p.g.chat(t, p.key, ""), "200")
	expect(t, "the user's call", p.g.chat(t, p.key, "ann"), "200")
	for _, e := range p.g.admin.awaitEvents(t, p.key, 2) {
		if e.Status != 200 || e.PromptTokens != 12 || e.CompletionTokens != 5 {
			t.Errorf("event %+v", e)
		}
	}
}

// fold does what the stream does: it gives the rollup function the usage table's
// items, and once more, as streams may.
func (p *plane) fold(t *testing.T, rollup *runtimeapi.Function) {
	batch := p.g.stream(t)
	if len(batch.Records) < 2 {
		t.Fatalf("%d items in the usage table", len(batch.Records))
	}
	payload, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		answer, err := rollup.Invoke(t.Context(), payload)
		if err != nil || string(answer) != `{"batchItemFailures":[]}` {
			t.Fatalf("rollup: %s, %v\n%s", answer, err, p.g.log)
		}
	}
}

// stream is the usage table as its stream would have told of it.
func (g *running) stream(t *testing.T) (batch events.DynamoDBEvent) {
	t.Helper()
	out, err := g.tables.Scan(t.Context(), &dynamodb.ScanInput{TableName: &g.usage})
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range out.Items {
		image := make(map[string]events.DynamoDBAttributeValue)
		for name, value := range item {
			switch v := value.(type) {
			case *types.AttributeValueMemberS:
				image[name] = events.NewStringAttribute(v.Value)
			case *types.AttributeValueMemberN:
				image[name] = events.NewNumberAttribute(v.Value)
			}
		}
		batch.Records = append(batch.Records, events.DynamoDBEventRecord{
			EventID: fmt.Sprint(i), EventName: "INSERT", EventSource: "aws:dynamodb",
			Change: events.DynamoDBStreamRecord{NewImage: image, SequenceNumber: fmt.Sprint(100 + i)},
		})
	}
	return batch
}

// report asks for the same two calls in every way.
func (p *plane) report(t *testing.T) {
	api, end := p.g.admin, time.Now().Unix()+60
	span := object{"start": p.start, "end": end, "keyIds": []string{p.key.ID}}
	var series struct {
		DataPoints []struct{ NumberOfRequests int64 }
	}
	api.call(t, "POST", "/api/reporting/events", object{"start": p.start, "end": end, "increment": end - p.start,
		"keyIds": []string{p.key.ID}}, &series)
	if len(series.DataPoints) != 2 || series.DataPoints[0].NumberOfRequests != 2 { // the last begins at the end
		t.Errorf("time series: %+v", series)
	}
	var top struct{ DataPoints []struct{ KeyID string } }
	api.call(t, "POST", "/api/reporting/top-keys", span, &top)
	if len(top.DataPoints) != 1 || top.DataPoints[0].KeyID != p.key.ID {
		t.Errorf("top keys: %+v", top)
	}
	var usage struct {
		Total struct{ NumberOfRequests, PromptTokenCount int64 }
	}
	api.call(t, "GET", fmt.Sprintf("/api/reporting/usage?groupBy=model&start=%d&end=%d", p.start, end), nil, &usage)
	if usage.Total.NumberOfRequests != 2 || usage.Total.PromptTokenCount != 24 {
		t.Errorf("usage: %+v", usage)
	}
	var users []string
	api.call(t, "GET", "/api/reporting/user-ids?keyId="+p.key.ID, nil, &users)
	if len(users) != 1 || users[0] != "ann" {
		t.Errorf("user ids: %q", users)
	}
	var found struct{ Count int }
	api.call(t, "POST", "/api/v2/events", object{"start": p.start, "end": end, "userIds": []string{"ann"},
		"returnCount": true, "limit": 1}, &found)
	if found.Count != 1 {
		t.Errorf("%d events of the user", found.Count)
	}
	if spent := api.spent(t, p.key); spent != 2*(12*150+5*600)/1000 { // gpt-4o-mini: $0.15 and $0.60 a million
		t.Errorf("spent %d micro-dollars", spent)
	}
}

func (p *plane) delete(t *testing.T) {
	for i := len(kinds) - 1; i >= 0; i-- {
		path := p.one(kinds[i].name)
		signed := []string{"Authorization", "AWS4-HMAC-SHA256 Credential=local"}
		if status, text := request(t, "DELETE", p.g.admin.base+path, nil, signed...); status != 200 || len(text) != 0 {
			t.Errorf("DELETE %s: %d %s", path, status, text)
		}
		if status, _ := request(t, "GET", p.g.admin.base+path, nil, signed...); status != http.StatusNotFound {
			t.Errorf("GET %s after its deletion: %d", path, status)
		}
	}
	expect(t, "the deleted key", p.g.chat(t, p.key, ""), "401 invalid_api_key")
	if status, _ := request(t, "GET", p.g.admin.base+"/api/routes", nil); status != http.StatusForbidden {
		t.Errorf("a request that nobody signed: %d", status)
	}
}

// audited wants every write in the audit, by whom IAM let in, without secrets.
func (p *plane) audited(t *testing.T) {
	var trail struct {
		Entries []struct{ Who, Method, Kind string }
	}
	p.g.admin.call(t, "GET", "/api/audit?limit=100", nil, &trail)
	methods := make(map[string]int)
	for _, e := range trail.Entries {
		methods[e.Method]++
		if e.Who != "arn:aws:iam::123456789012:user/operator" {
			t.Errorf("entry %+v", e)
		}
	}
	// Seven creates, of which three are PUTs, six changes, seven deletions.
	if methods["POST"] != 4 || methods["PUT"] != 3 || methods["PATCH"] != 6 || methods["DELETE"] != 7 {
		t.Errorf("audit: %v", methods)
	}
	_, text := request(t, "GET", p.g.admin.base+"/api/audit?limit=100", nil, "Authorization", "AWS4-HMAC-SHA256 Credential=local")
	if strings.Contains(string(text), upstreamKey) || strings.Contains(string(text), p.key.Secret) {
		t.Errorf("the audit has secrets: %s", text)
	}
}
