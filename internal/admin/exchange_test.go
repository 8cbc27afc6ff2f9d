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
// Those that prove a row of the acceptance table have its number in their names.
func TestExchanges(t *testing.T) { eachStore(t, testExchanges) }

func testExchanges(t *testing.T) {
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
		t.Run(lines[0], func(t *testing.T) {
			r.t = t
			method, path, _ := strings.Cut(known.fill(lines[1]), " ")
			w := r.call(method, path, known.fill(lines[2]))
			want := strings.TrimRight(lines[4], "\n")
			if got := fmt.Sprint(w.Code); got != lines[3] {
				t.Errorf("status %s, want %s", got, lines[3])
			}
			got := w.Body.String()
			known.learn(want, got)
			if want = known.fill(want); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
			wantType := "application/json; charset=utf-8"
			if want == "" {
				wantType = ""
			}
			if ct := w.Header().Get("Content-Type"); ct != wantType {
				t.Errorf("content type %q, want %q", ct, wantType)
			}
		})
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
