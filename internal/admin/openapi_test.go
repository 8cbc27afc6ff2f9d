package admin

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tollgate/internal/openapi/openapitest"
	pricelist "tollgate/internal/price"
)

func readDocument(t *testing.T) *openapitest.Document {
	t.Helper()
	d, err := openapitest.Read()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var namedPart = regexp.MustCompile(`:(\w+)`)

// AG-35: the document has the routes of the tables, each with all that it may answer.
func TestDocumentHasTheRoutes(t *testing.T) {
	t.Run("AG-35", testDocumentRoutes)
}

func testDocumentRoutes(t *testing.T) {
	var want, got []string
	for _, table := range tables {
		for _, rt := range table {
			want = append(want, rt.method+" "+namedPart.ReplaceAllString(rt.pattern, "{$1}"))
		}
	}
	for _, o := range readDocument(t).Operations() {
		if !slices.Contains(o.Tags, "proxy") {
			got = append(got, o.Method+" "+o.Path)
		}
	}
	for _, call := range want {
		if !slices.Contains(got, call) {
			t.Errorf("%s is served and not in the document", call)
		}
	}
	for _, call := range got {
		if !slices.Contains(want, call) {
			t.Errorf("%s is in the document and not served", call)
		}
	}
}

// The members of a schema are those of the struct that is read or written, and an
// answer's member is required if it is always there.
func TestDocumentHasTheMembers(t *testing.T) {
	bodies := map[string]any{
		"KeyCreate": keyBody{}, "KeyChange": keyBody{}, "KeySearch": searchBody{}, "KeyRotation": rotateBody{},
		"SettingCreate": settingBody{}, "SettingChange": settingBody{}, "CostMap": costMapWire{},
		"UserCreate": userBody{}, "UserChange": userBody{}, "TagBody": tagBody{}, "TokenCreate": tokenBody{},
		"CustomProviderCreate": customBody{}, "CustomProviderChange": customBody{}, "CustomRouteBody": routeConfigWire{},
		"PolicyBody": policyBody{}, "RouteCreate": routeBody{}, "RouteChange": routeBody{}, "StepBody": stepWire{},
		"EventSearch": eventSearchBody{}, "ReportBody": reportBody{}, "TopKeysBody": topKeysBody{},
		"PriceTable": pricelist.File{}, "PriceRow": pricelist.Row{},
	}
	answers := map[string]any{
		"Problem": problem{}, "Key": keyAnswer{}, "KeySearchAnswer": searchAnswer{}, "KeySpend": spendAnswer{},
		"Setting": settingAnswer{}, "User": userAnswer{}, "Tag": tagAnswer{}, "Token": tokenAnswer{}, "Policy": policyAnswer{},
		"CustomProvider": customAnswer{}, "CustomRoute": routeConfigWire{}, "Route": routeAnswer{}, "Step": stepWire{},
		"Event": eventAnswer{}, "EventSearchAnswer": eventSearchAnswer{}, "DataPoint": dataPoint{}, "Report": reportAnswer{},
		"TopKeys": topKeysAnswer{}, "UsagePoint": usagePoint{}, "UsageReport": usageAnswer{},
		"AuditEntry": auditEntry{}, "AuditPage": auditAnswer{}, "Prices": pricesAnswer{},
	}
	d := readDocument(t)
	for name, v := range bodies {
		checkMembers(t, d, name, v, false)
	}
	for name, v := range answers {
		checkMembers(t, d, name, v, true)
	}
}

func checkMembers(t *testing.T, d *openapitest.Document, schema string, v any, answer bool) {
	t.Helper()
	has := d.Member("components", "schemas", schema, "properties")
	required, _ := d.Member("components", "schemas", schema)["required"].([]any)
	members := membersOfType(reflect.TypeOf(v))
	for name, always := range members {
		if _, ok := has[name]; !ok {
			t.Errorf("%s lacks the member %s", schema, name)
		}
		if answer && always != slices.Contains(required, any(name)) {
			t.Errorf("%s.%s: always there is %t, and required is not", schema, name, always)
		}
	}
	for name := range has {
		if _, ok := members[name]; !ok {
			t.Errorf("%s has a member %s that nothing reads or writes", schema, name)
		}
	}
}

// membersOfType is the JSON members of a struct, and whether each is always there.
func membersOfType(of reflect.Type) map[string]bool {
	members := make(map[string]bool)
	for _, f := range reflect.VisibleFields(of) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			members[name] = options != "omitempty"
		}
	}
	return members
}

// What is served is the document, and nobody is asked for a password.
func TestDocumentIsServed(t *testing.T) {
	rt, _ := find("GET", openapiPath+"/")
	body, err := rt.handle(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var head struct{ OpenAPI string }
	if text, ok := body.(json.RawMessage); !ok || json.Unmarshal(text, &head) != nil || head.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %q in %T", head.OpenAPI, body)
	}
}
