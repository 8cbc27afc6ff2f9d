package samtest

import (
	"errors"
	"fmt"
	"strings"
)

// readingByPost are the beginnings of paths that are searched or reported by POST.
var readingByPost = []string{"/api/v2/", "/api/reporting/"}

// checkManagedPolicies sees that a reader can look at everything and change
// nothing, and that an operator can do both.
func (t *template) checkManagedPolicies() error {
	var faults []error
	for _, method := range []string{"GET", "PUT", "POST", "PATCH", "DELETE"} {
		for _, path := range []string{"/api/key-management/keys/1", "/api/provider-settings", "/api/users", "/api/tokens", "/api/prices/check", "/api/v2/events", "/api/reporting/top-keys"} {
			reads := method == "GET"
			for _, prefix := range readingByPost {
				reads = reads || method == "POST" && strings.HasPrefix(path, prefix)
			}
			if t.permits("AdminReadOnlyPolicy", method, path) != reads {
				faults = append(faults, fmt.Errorf("AdminReadOnlyPolicy permits %s %s: %v", method, path, !reads))
			}
			if !t.permits("AdminOperatorPolicy", method, path) {
				faults = append(faults, fmt.Errorf("AdminOperatorPolicy does not permit %s %s", method, path))
			}
		}
	}
	return errors.Join(faults...)
}

// permits reports whether a managed policy lets the admin API be called so.
func (t *template) permits(name, method, path string) bool {
	for _, s := range t.Resources[name].Properties.PolicyDocument.Statement {
		if len(s.Action) != 1 || s.Action[0] != "execute-api:Invoke" {
			continue
		}
		list, _ := s.Resource.([]any)
		for _, r := range list {
			sub, _ := r.(map[string]any)
			arn, _ := sub["Fn::Sub"].(string)
			_, pattern, found := strings.Cut(arn, ":${AdminApi}/${Stage}/")
			prefix, open := strings.CutSuffix(pattern, "*")
			if found && open && strings.HasPrefix(method+path, prefix) {
				return true
			}
		}
	}
	return false
}
