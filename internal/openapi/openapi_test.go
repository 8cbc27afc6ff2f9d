package openapi_test

import (
	"slices"
	"strings"
	"testing"

	"tollgate/internal/openapi/openapitest"
	"tollgate/internal/provider"
)

func TestExamples(t *testing.T) {
	d, err := openapitest.Read()
	if err != nil {
		t.Fatal(err)
	}
	n, faults := d.CheckExamples()
	for _, err := range faults {
		t.Error(err)
	}
	if n < 77 {
		t.Errorf("only %d examples", n)
	}
}

// The proxy relays below one prefix for each provider, custom ones, and routes.
func TestProxyPaths(t *testing.T) {
	d, err := openapitest.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/api/health", "/api/custom/providers/{provider}/{path}", "/api/routes/{id}"}
	for _, v := range provider.All() {
		if path := "/api/providers/" + v.Name() + "/{path}"; !slices.Contains(want, path) {
			want = append(want, path)
		}
		for _, e := range v.Endpoints() {
			if !strings.HasPrefix(e.Pattern, "/api/providers/"+v.Name()+"/") {
				t.Errorf("%s of %s is not below its prefix", e.Pattern, v.Name())
			}
		}
	}
	var got []string
	for _, o := range d.Operations() {
		if slices.Contains(o.Tags, "proxy") {
			got = append(got, o.Path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the proxy's paths in the document are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
