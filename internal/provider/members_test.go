package provider_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tollgate/internal/provider"
)

var sought = []string{"usage", "model", "error", "response.usage", "response.model"}

// reference finds the sought members the plain way. A later member wins over an
// earlier one of the same name, as in Members.
func reference(t testing.TB, doc []byte) map[string]string {
	t.Helper()
	found := map[string]string{}
	var top, below map[string]json.RawMessage
	if json.Unmarshal(doc, &top) != nil {
		return found
	}
	for _, name := range sought {
		if outer, inner, ok := strings.Cut(name, "."); !ok {
			if v, ok := top[name]; ok {
				found[name] = string(v)
			}
		} else if json.Unmarshal(top[outer], &below) == nil {
			if v, ok := below[inner]; ok {
				found[name] = string(v)
			}
			below = nil
		}
	}
	return found
}

func found(m *provider.Members) map[string]string {
	got := map[string]string{}
	for _, name := range sought {
		if v := m.Get(name); v.Exists() {
			got[name] = v.Raw
		}
	}
	return got
}

func compare(t *testing.T, doc []byte, pieces ...[]byte) {
	t.Helper()
	m := provider.NewMembers(sought...)
	for _, p := range pieces {
		m.Write(p)
	}
	want, got := reference(t, doc), found(m)
	if fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("%.200q cut into %d: got %v, want %v", doc, len(pieces), got, want)
	}
}

func TestMembersAtEveryCut(t *testing.T) {
	for _, doc := range []string{
		`{}`, `[]`, `null`, `"usage"`, `{"usage":1}`, `{"usage":null}`, "{ \"usage\" :\t{ \"a\" : 1 } \n}",
		`{"model":"gpt","usage":{"prompt_tokens":1,"d":{"x":[1,2,{"y":"}"}]}},"z":0}`,
		`{"x":{"usage":1,"model":"inner"},"model":"outer"}`,
		`{"x":[{"usage":1}],"y":["usage",{"response":{"usage":3}}]}`,
		`{"response":{"usage":{"a":1},"model":"m","output":[{"usage":9,"response":{"usage":8}}]},"usage":7}`,
		`{"response":[{"usage":1}]}`, `{"response":"usage"}`, `{"response":{"response":{"usage":1}}}`,
		`{"a":"quote \" and \\","usage":"\"\\\\\"","model":"{\"usage\":1}"}`,
		`{"text":"\\","usage":1}`, `{"text":"\\\"","model":"é😀\u00e9"}`,
		`{"usage":1,"usage":2}`, `{"usag":1,"usages":2,"Usage":3,"":4,"usage ":5}`,
		`{"usage":true,"error":false,"model":1.5e-3}`, `{"usage":"","model":[]}`, `{"error":{"message":"a,b:c","code":null}}`,
		`{"` + strings.Repeat("k", 200) + `":1,"usage":2}`,
	} {
		compare(t, []byte(doc), []byte(doc))
		for i := range len(doc) {
			for j := i; j <= len(doc); j += 1 + len(doc)/40 {
				compare(t, []byte(doc), []byte(doc[:i]), []byte(doc[i:j]), []byte(doc[j:]))
			}
		}
		var single [][]byte
		for i := range len(doc) {
			single = append(single, []byte(doc[i:i+1]))
		}
		compare(t, []byte(doc), single...)
	}
}

// randomJSON writes a value whose strings and keys are made to confuse a scanner.
func randomJSON(r *rand.Rand, b *bytes.Buffer, depth int) {
	texts := []string{"usage", "model", "response", "error", "", `a"b`, `\`, "{", "}", "[", ",", ":", `\"usage":1`, "é", "\n", "😀"}
	text := func() {
		q, _ := json.Marshal(texts[r.IntN(len(texts))])
		b.Write(q)
	}
	space := func() { b.WriteString([]string{"", "", " ", "\n\t"}[r.IntN(4)]) }
	switch k := r.IntN(7); {
	case depth > 5 || k < 2:
		text()
	case k == 2:
		fmt.Fprint(b, r.IntN(1000))
	case k == 3:
		b.WriteString([]string{"true", "false", "null"}[r.IntN(3)])
	case k == 4:
		b.WriteByte('[')
		for i := range r.IntN(4) {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			randomJSON(r, b, depth+1)
			space()
		}
		b.WriteByte(']')
	default:
		b.WriteByte('{')
		for i := range r.IntN(5) {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			text()
			space()
			b.WriteByte(':')
			space()
			randomJSON(r, b, depth+1)
			space()
		}
		b.WriteByte('}')
	}
}

func TestMembersRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	hits := 0
	for range 8000 {
		var b bytes.Buffer
		randomJSON(r, &b, 0)
		doc := b.Bytes()
		if !json.Valid(doc) {
			t.Fatalf("%q is not valid", doc)
		}
		hits += len(reference(t, doc))
		cuts := []int{0, r.IntN(len(doc) + 1), r.IntN(len(doc) + 1), len(doc)}
		slices.Sort(cuts)
		compare(t, doc, doc[:cuts[1]], doc[cuts[1]:cuts[2]], doc[cuts[2]:])
	}
	if hits < 500 {
		t.Errorf("only %d members in all documents: they test nothing", hits)
	}
}

// A megabyte on the way costs no memory, and a value too large to be what is
// sought is dropped without harm to the next.
func TestMembersLarge(t *testing.T) {
	big := strings.Repeat("x\\\"é", 200_000)
	doc := []byte(`{"text":"` + big + `","usage":{"a":"` + big + `"},"model":"m","response":{"output":"` + big + `","usage":{"b":2}}}`)
	m := provider.NewMembers(sought...)
	allocated := testing.AllocsPerRun(1, func() {
		for p := range slices.Chunk(doc, 32<<10) {
			m.Write(p)
		}
	})
	if m.Get("usage").Exists() || m.Get("model").String() != "m" || m.Get("response.usage.b").Exists() || m.Get("response.usage").Raw != `{"b":2}` {
		t.Errorf("found %v", found(m))
	}
	if allocated > 20 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestMembersGarbage(t *testing.T) {
	for _, doc := range []string{
		"", "}}}}", "]]]]{{{", "::::", `"""`, `{"usage"`, `{"usage":`, `{"usage":{`, `{"usage":1`, "\x00\xff\xfe", "<html>", ",,,,",
		`{{{"usage":1}}}`, `}{"usage":1}`, strings.Repeat("[", 100_000), strings.Repeat(`{"response":`, 1000),
	} {
		m := provider.NewMembers(sought...)
		for i := range len(doc) {
			m.Write([]byte(doc[i : i+1]))
		}
		if n := len(found(m)); n > 1 {
			t.Errorf("%.40q has %d members", doc, n)
		}
	}
	var never provider.Members
	if never.Get("usage").Exists() {
		t.Error("a member of nothing")
	}
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"response":{"usage":{"a":"\\\""},"model":"m"},"usage":null}`), uint16(7), uint16(20))
	f.Add([]byte(`{"usage":1,"usage":{"x":[]}}`), uint16(3), uint16(3))
	f.Add([]byte(`}}[{"model":"\u`), uint16(1), uint16(9))
	f.Fuzz(func(t *testing.T, doc []byte, a, b uint16) {
		i := int(a) % (len(doc) + 1)
		j := i + int(b)%(len(doc)-i+1)
		whole, cut := provider.NewMembers(sought...), provider.NewMembers(sought...)
		whole.Write(doc)
		cut.Write(doc[:i])
		cut.Write(doc[i:j])
		cut.Write(doc[j:])
		if fmt.Sprint(found(whole)) != fmt.Sprint(found(cut)) {
			t.Fatalf("%q cut at %d and %d: %v and %v", doc, i, j, found(cut), found(whole))
		}
		// Escapes in keys are left to the plain way: no provider writes them.
		if json.Valid(doc) && !bytes.Contains(doc, []byte(`\`)) && !bytes.ContainsFunc(doc, func(r rune) bool { return r == 0xfffd }) {
			if want := reference(t, doc); fmt.Sprint(want) != fmt.Sprint(found(whole)) {
				t.Fatalf("%q: %v, want %v", doc, found(whole), want)
			}
		}
	})
}
