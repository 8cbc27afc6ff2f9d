package admin_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/internal/admin"
	"tollgate/internal/provider"
)

// Every vendor of the proxy can be given a setting: with its required parameters,
// and not without them.
func TestSettingsOfEveryVendor(t *testing.T) { eachStore(t, testSettingsOfEveryVendor) }

func testSettingsOfEveryVendor(t *testing.T) {
	r := newRig(t)
	required := admin.NativeProviders()
	for _, v := range provider.All() {
		names := required[v.Name()]
		if len(names) == 0 {
			t.Errorf("%s has no required parameters", v.Name())
			continue
		}
		r.refused(400, fmt.Sprintf("provider %s is missing fields %s", v.Name(), strings.Join(names, ",")), "PUT", S, fmt.Sprintf(`{"provider":%q}`, v.Name()))
		var params []string
		for _, name := range names {
			value := "abc"
			if name == "url" {
				value = "http://h.example:8000"
			}
			params = append(params, fmt.Sprintf("%q:%q", name, value))
		}
		got := r.ok("PUT", S, fmt.Sprintf(`{"provider":%q,"setting":{%s}}`, v.Name(), strings.Join(params, ",")))
		if got["provider"] != v.Name() {
			t.Errorf("%s: %v", v.Name(), got)
		}
	}
}
