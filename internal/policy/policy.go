// Package policy applies an operator's content rules to the texts of a call: texts
// in, a verdict and the texts that may be kept out.
package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"tollgate/internal/gateway"
)

// Action is what came of an inspection, as gateway.Event keeps it.
type Action string

// The actions. Where several rules match the first of these that one of them asks
// for is the call's: blocked, warned, redacted.
const (
	Blocked  Action = "blocked"
	Warned   Action = "warned"
	Redacted Action = "redacted"
	Allowed  Action = "allowed"
)

// Mask stands in a redacted text for what a rule matched.
const Mask = "***"

// Policy is a gateway.Policy that is ready to be applied. It does not change, and
// may be used by any number of calls at once.
type Policy struct {
	rules   []rule
	unbuilt string
}

// rule is a regular expression that does something.
type rule struct {
	pattern *regexp.Regexp
	action  string
	name    string // for a person; without the expression, which may tell what it protects
}

// Compile makes a policy ready. It cannot fail: a policy with a rule that the
// gateway has no means to apply compiles to one that says so (Unenforceable).
func Compile(p *gateway.Policy) *Policy {
	c := &Policy{unbuilt: unbuilt(p)}
	for i, r := range p.Regex {
		if r.Action == gateway.ActionAllow {
			continue
		}
		name := fmt.Sprintf("regex rule [%d]", i)
		pattern, err := regexp.Compile(r.Definition)
		switch {
		case err != nil:
			c.unbuilt = name + " cannot be compiled"
			return c
		case r.Action != gateway.ActionBlock && r.Action != gateway.ActionWarn && r.Action != gateway.ActionRedact:
			c.unbuilt = name + " has an action that is not known"
			return c
		}
		c.rules = append(c.rules, rule{pattern, r.Action, name})
	}
	return c
}

// Missing stands for the policy of a key whose policy is not there. Calls with texts
// are refused: without it nobody knows what was not to leave.
func Missing() *Policy { return &Policy{unbuilt: "the policy does not exist"} }

// unbuilt names the first kind of rule that would have to act and cannot.
func unbuilt(p *gateway.Policy) string {
	var acting []string
	for entity, action := range p.Entities {
		if action != gateway.ActionAllow {
			acting = append(acting, entity)
		}
	}
	if len(acting) > 0 {
		return fmt.Sprintf("rules for personal data (%s) need a detector, which is not built yet", slices.Min(acting))
	}
	for i, r := range p.Custom {
		if r.Action != gateway.ActionAllow {
			return fmt.Sprintf("custom rule [%d] is in natural language, which is not built yet", i)
		}
	}
	return ""
}

// Unenforceable says, for a person, which part of the policy the gateway cannot
// apply; empty if it can apply all of it. No call with texts may pass such a policy.
func (p *Policy) Unenforceable() string { return p.unbuilt }

// Acts reports whether the policy could refuse, mark or change any call.
func (p *Policy) Acts() bool { return p.unbuilt != "" || len(p.rules) > 0 }

// Verdict is what a policy says of the texts of a call.
type Verdict struct {
	Action Action
	// Rule names the rule that blocks; empty if none does.
	Rule string
	// Texts are those that were inspected, one for one, with everything masked
	// that a rule redacts. Where the call is blocked, also what blocks it is
	// masked: then they are fit for a log.
	Texts []string
	// Changed reports whether any text is not what it was.
	Changed bool
}

// Inspect applies all rules to all texts. Every rule sees the texts as they came, so
// none is kept from matching by what another one masks.
func (p *Policy) Inspect(texts []string) Verdict {
	v := Verdict{Action: Allowed, Texts: slices.Clone(texts)}
	found := make(map[string]bool, 3)
	for _, r := range p.rules {
		if slices.ContainsFunc(texts, r.pattern.MatchString) {
			found[r.action] = true
			if r.action == gateway.ActionBlock && v.Rule == "" {
				v.Rule = r.name
			}
		}
	}
	for i, text := range texts {
		v.Texts[i] = p.mask(text, found)
		v.Changed = v.Changed || v.Texts[i] != text
	}
	switch {
	case found[gateway.ActionBlock]:
		v.Action = Blocked
	case found[gateway.ActionWarn]:
		v.Action = Warned
	case v.Changed:
		v.Action = Redacted
	}
	return v
}

// mask replaces what the rules for masking match. Where two matches overlap, one
// mask covers both: no end of either is left.
func (p *Policy) mask(text string, found map[string]bool) string {
	var spans [][]int
	for _, r := range p.rules {
		if r.action != gateway.ActionWarn && found[r.action] {
			spans = append(spans, r.pattern.FindAllStringIndex(text, -1)...)
		}
	}
	// A match of nothing has nothing to hide.
	spans = slices.DeleteFunc(spans, func(s []int) bool { return s[0] == s[1] })
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b []int) int { return cmp.Or(a[0]-b[0], b[1]-a[1]) })
	var out strings.Builder
	end := 0 // of what is masked so far
	for _, s := range spans {
		if s[0] >= end {
			out.WriteString(text[end:s[0]])
			out.WriteString(Mask)
		}
		end = max(end, s[1])
	}
	out.WriteString(text[end:])
	return out.String()
}
