package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseLiteral(t *testing.T) {
	for _, c := range []struct {
		text string
		want any
	}{
		{`1`, 1.0},
		{`.5`, 0.5},
		{`2e5;rest`, 200000.0},
		{`-3`, -3.0},
		{`!0`, true},
		{`!1`, false},
		{`null`, nil},
		{`"a\"bé\x41\n"`, "a\"béA\n"},
		{`'it\'s'`, "it's"},
		{"`two\nlines $5 \\``", "two\nlines $5 `"},
		{`[]`, []any{}},
		{`[1,[2],]`, []any{1.0, []any{2.0}}},
		{` { a : 1 , "b-c" : [ "x" ] , $d : {} } `, map[string]any{"a": 1.0, "b-c": []any{"x"}, "$d": map[string]any{}}},
	} {
		got, err := parseLiteral(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.text, diff)
		}
	}
	for _, text := range []string{
		``, `{`, `[`, `[1 2]`, `{a 1}`, `{a:1 b:2}`, `{:1}`, `"open`, `"\`, `"\u12"`, `"\uzzzz"`, `1.2.3`, `f()`, "`${x}`",
		strings.Repeat("[", 200),
	} {
		if v, err := parseLiteral(text); err == nil {
			t.Errorf("%q: read as %v", text, v)
		}
	}
}

// What JSON can say is a literal of the same value.
func FuzzParseLiteral(f *testing.F) {
	f.Add(`{"a":[1,-2.5e3,"x\n\u00e9",true,null,{}]}`)
	f.Add(`[{id:"x",match:{equals:'y'},prices:{input_mtok:.5}}]`)
	f.Add("`a\\`b`")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseLiteral(text)
		if err != nil || !utf8.ValidString(text) {
			return // JSON cannot say what is no text
		}
		plain, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := parseLiteral(string(plain))
		if err != nil {
			t.Fatalf("%q: its JSON %s does not parse: %v", text, plain, err)
		}
		twice, err := json.Marshal(again)
		if err != nil || string(twice) != string(plain) {
			t.Fatalf("%q: %s became %s (%v)", text, plain, twice, err)
		}
	})
}
