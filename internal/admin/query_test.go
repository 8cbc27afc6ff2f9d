package admin

import (
	"slices"
	"strings"
	"testing"

	"tollgate/internal/openapi/openapitest"
)

// What is refused for not being known is what the document does not have.
func TestDocumentHasTheQueries(t *testing.T) {
	d := readDocument(t)
	for call, known := range ownQueries {
		if want := documentedQuery(t, d, call); !slices.Equal(slices.Sorted(slices.Values(known)), want) {
			t.Errorf("%s takes %q, and the document has %q", call, known, want)
		}
	}
	for call, known := range ownLists {
		for _, name := range known {
			if want := documentedQuery(t, d, call); !slices.Contains(want, name) {
				t.Errorf("%s takes %s, and the document has only %q", call, name, want)
			}
		}
	}
}

// documentedQuery is the names of the query parameters that a call has.
func documentedQuery(t *testing.T, d *openapitest.Document, call string) (names []string) {
	t.Helper()
	method, path, _ := strings.Cut(call, " ")
	list, ok := d.Member("paths", path, strings.ToLower(method))["parameters"].([]any)
	if !ok {
		t.Fatalf("%s has no parameters in the document", call)
	}
	for _, p := range list {
		parameter, _ := p.(map[string]any)
		if ref, ok := parameter["$ref"].(string); ok {
			parameter = d.Member(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
		if parameter["in"] == "query" {
			names = append(names, parameter["name"].(string))
		}
	}
	slices.Sort(names)
	return names
}
