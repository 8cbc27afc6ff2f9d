package samtest

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"tollgate/internal/config"
)

// The functions read every variable that the template sets, and accept what it
// sets when nobody chooses anything else.
func TestEnvironment(t *testing.T) {
	text := source(t)
	defaults := make(map[string]string) // of the parameters
	for _, m := range regexp.MustCompile(`(?m)^  (\w+):\n    Type: \w+\n    Default: (.*)$`).FindAllStringSubmatch(text, -1) {
		defaults[m[1]] = strings.Trim(m[2], `"`)
	}
	set := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^ +([A-Z]+_[A-Z_]+): !(?:Ref|GetAtt) ([\w.:]+)`).FindAllStringSubmatch(text, -1) {
		value, isParameter := defaults[m[2]]
		if !isParameter {
			value = "a resource"
		}
		set[m[1]] = value
	}

	read := []string{"AWS_ACCOUNT_ID"} // by the SDK
	c, err := config.Read(func(name string) string {
		read = append(read, name)
		return set[name]
	})
	if err != nil {
		t.Error(err)
	}
	if err := c.RequireAWS(); err != nil {
		t.Error(err)
	}
	if len(set) != 11 {
		t.Errorf("the template sets %d variables, want 11: %v", len(set), set)
	}
	for name := range set {
		if !slices.Contains(read, name) {
			t.Errorf("the template sets %s, which nobody reads", name)
		}
	}
}
