package admin_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"tollgate/internal/admin"
)

// TestExchanges replays recorded exchanges with the peer, in order, on one store.
// It covers the quick start (AK-01) and the texts of AG-05 to AG-08, AK-07, AK-09,
// AK-11, AK-15 to AK-20, AK-49, AK-54, AS-01 to AS-10, AC-01, AC-03, AC-04, AC-06, AC-12, AC-13, AC-17, AC-18,
// AUs-01, AUs-03, AUs-05, AUs-10, AUs-15 to AUs-17, B-1.1, B-1.2, B-2.1 and B-2.2.
func TestExchanges(t *testing.T) {
	file, err := os.ReadFile("testdata/exchanges.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := newRigWith(t, func(c *admin.Config) { c.AllowPrivate = true })
	known := names{"unix": fmt.Sprint(r.now.Unix())}
	exchanges := strings.Split(string(file), "\n## ")[1:]
	if len(exchanges) < 45 {
		t.Fatalf("only %d exchanges in the file", len(exchanges))
	}
	for _, x := range exchanges {
		lines := strings.SplitN(x, "\n", 5)
		method, path, _ := strings.Cut(known.fill(lines[1]), " ")
		w := r.call(method, path, known.fill(lines[2]))
		want := strings.TrimRight(lines[4], "\n")
		if got := fmt.Sprint(w.Code); got != lines[3] {
			t.Errorf("%s: status %s, want %s", lines[0], got, lines[3])
		}
		got := w.Body.String()
		known.learn(want, got)
		if want = known.fill(want); got != want {
			t.Errorf("%s:\n got %s\nwant %s", lines[0], got, want)
		}
		wantType := "application/json; charset=utf-8"
		if want == "" {
			wantType = ""
		}
		if ct := w.Header().Get("Content-Type"); ct != wantType {
			t.Errorf("%s: content type %q, want %q", lines[0], ct, wantType)
		}
	}
}

// names are the texts that stand for <name> in the file.
type names map[string]string

var mask = regexp.MustCompile(`<([a-z0-9-]+)>`)

func (n names) fill(s string) string {
	return mask.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := n[strings.Trim(m, "<>")]; ok {
			return v
		}
		return m
	})
}

var uuid4 = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`

// learn takes the names that want has and nobody knows yet from got. They are
// uuids of version 4 (AG-19).
func (n names) learn(want, got string) {
	pattern := regexp.QuoteMeta(n.fill(want))
	m := mask.FindStringSubmatch(pattern)
	if m == nil {
		return
	}
	found := regexp.MustCompile("^" + strings.Replace(pattern, m[0], "("+uuid4+")", 1) + "$").FindStringSubmatch(got)
	if found != nil {
		n[m[1]] = found[1]
	}
}
