package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/policy"
)

const (
	block, warn, redact, allow = gateway.ActionBlock, gateway.ActionWarn, gateway.ActionRedact, gateway.ActionAllow
)

// regex makes a policy of definitions and actions by turns.
func regex(rules ...string) *gateway.Policy {
	p := &gateway.Policy{}
	for i := 0; i < len(rules); i += 2 {
		p.Regex = append(p.Regex, gateway.PolicyRule{Definition: rules[i], Action: rules[i+1]})
	}
	return p
}

func TestInspect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy *gateway.Policy
		texts  []string
		action policy.Action
		rule   string
		want   []string
	}{
		{"no rules", regex(), []string{"a"}, "allowed", "", []string{"a"}},
		{"no texts", regex("a", block), nil, "allowed", "", nil},
		{"no match", regex("a", block, "b", warn, "c", redact), []string{"x", ""}, "allowed", "", []string{"x", ""}},
		{"PO-04 block", regex("x", warn, `\d{4}`, block), []string{"ok", "n 1234"}, "blocked", "regex rule [1]", []string{"ok", "n ***"}},
		{"PO-04 redact", regex(`secret-\w+`, redact), []string{"secret-a, secret-b", "b"}, "redacted", "", []string{"***, ***", "b"}},
		{"PO-04 warn", regex("a", warn), []string{"a"}, "warned", "", []string{"a"}},
		{"allow does nothing", regex("a", allow), []string{"a"}, "allowed", "", []string{"a"}},
		{"PO-10 two redactions", regex("aa", redact, "bb", redact), []string{"aa bb aa"}, "redacted", "", []string{"*** *** ***"}},
		{"PO-10 warn leaves redaction alone", regex("a+", warn, "a", redact), []string{"baab"}, "warned", "", []string{"b******b"}},
		{"overlapping matches", regex("abc", redact, "cde", redact), []string{"xabcdey"}, "redacted", "", []string{"x***y"}},
		{"one match inside of another", regex("b", redact, "abc", redact), []string{"abc-b"}, "redacted", "", []string{"***-***"}},
		{"a mask hides nothing from other rules", regex("key=", redact, `key=\d+`, redact), []string{"key=77"}, "redacted", "", []string{"***"}},
		{"blocked and redacted", regex("a", redact, "b", block), []string{"a b"}, "blocked", "regex rule [1]", []string{"*** ***"}},
		{"PO-11 beyond ASCII", regex("Zoë", redact), []string{"ééé 名前 Zoë 🙂"}, "redacted", "", []string{"ééé 名前 *** 🙂"}},
		{"matches of nothing", regex("x*", redact), []string{"ab", "axb"}, "redacted", "", []string{"ab", "a***b"}},
		{"only matches of nothing", regex("x*", redact), []string{"ab"}, "allowed", "", []string{"ab"}},
		{"blocks everything", regex("", block), []string{"ab"}, "blocked", "regex rule [0]", []string{"ab"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policy.Compile(tt.policy)
			v := p.Inspect(tt.texts)
			if v.Action != tt.action || v.Rule != tt.rule || !cmp.Equal(v.Texts, tt.want) {
				t.Errorf("got %+v, want %q by %q with %q", v, tt.action, tt.rule, tt.want)
			}
			if v.Changed != !cmp.Equal(v.Texts, tt.texts) {
				t.Errorf("Changed is %v", v.Changed)
			}
			if p.Unenforceable() != "" {
				t.Errorf("unenforceable: %s", p.Unenforceable())
			}
		})
	}
}

func TestUnenforceable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy *gateway.Policy
		want   string // in the reason; empty: there is none
		acts   bool
	}{
		{"nothing", &gateway.Policy{}, "", false},
		{"what is allowed need not be found", &gateway.Policy{Entities: map[string]string{"email": allow},
			Custom: []gateway.PolicyRule{{Definition: "x", Action: allow}}, Regex: []gateway.PolicyRule{{Definition: "(", Action: allow}}}, "", false},
		{"regex", regex("a", warn), "", true},
		{"an entity", &gateway.Policy{Entities: map[string]string{"ssn": redact, "name": warn, "age": allow}}, "rules for personal data (name) need a detector", true},
		{"natural language", &gateway.Policy{Custom: []gateway.PolicyRule{{Definition: "x", Action: allow}, {Definition: "no poems", Action: block}}}, "custom rule [1] is in natural language", true},
		{"an expression that does not compile", regex("a", block, "(", redact), "regex rule [1] cannot be compiled", true},
		{"an action from the future", regex("a", "ask"), "regex rule [0] has an action that is not known", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := policy.Compile(tt.policy)
			if got := p.Unenforceable(); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("unenforceable: %q, want %q", got, tt.want)
			}
			if p.Acts() != tt.acts {
				t.Errorf("acts: %v", p.Acts())
			}
		})
	}
	if m := policy.Missing(); !m.Acts() || m.Unenforceable() != "the policy does not exist" {
		t.Errorf("missing: %q", m.Unenforceable())
	}
}

// Whatever the texts: nothing that a rule of one piece matches is left, and what is
// not masked stays.
func FuzzInspect(f *testing.F) {
	f.Add("secret-abc and 1234", "ééé secret-\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		p := policy.Compile(regex(`secret-\w+`, redact, `\d{4}`, redact))
		v := p.Inspect([]string{a, b})
		if len(v.Texts) != 2 {
			t.Fatalf("%d texts", len(v.Texts))
		}
		if (v.Action == policy.Redacted) != v.Changed {
			t.Errorf("%s, changed %v", v.Action, v.Changed)
		}
		if again := p.Inspect(v.Texts); again.Changed {
			t.Errorf("%q is changed again to %q", v.Texts, again.Texts)
		}
	})
}

// A long conversation, 100 KB, under three rules that do not match.
func BenchmarkInspect(b *testing.B) {
	p := policy.Compile(regex(`secret-\w+`, redact, `\b\d{4}-\d{4}-\d{4}-\d{4}\b`, block, `(?i)project\s+atlas`, warn))
	texts := make([]string, 100)
	for i := range texts {
		texts[i] = strings.Repeat("the quick brown fox jumps over 12 lazy dogs. ", 23)
	}
	b.SetBytes(int64(len(texts) * len(texts[0])))
	b.ReportAllocs()
	for b.Loop() {
		if v := p.Inspect(texts); v.Action != policy.Allowed {
			b.Fatal(v.Action)
		}
	}
}
