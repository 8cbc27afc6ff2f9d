package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// A key or a user whose ttl is over may not call, whether or not anybody revoked it.
func TestExpiredState(t *testing.T) {
	c := newCLI(t)
	setting := c.one("providers", "create", "openai", "--apikey-stdin").text("id")
	c.one("keys", "create", "--name", "short", "--setting", setting, "--ttl", "1h")
	user := c.one("users", "create", "--user", "ann", "--ttl", "1h").text("id")
	c.shows([]string{"active"}, "keys", "show", "short")
	c.shows([]string{"active"}, "users", "show", user)
	c.now = func() time.Time { return time.Now().Add(time.Hour) }
	c.shows([]string{"expired"}, "keys", "show", "short")
	for state, want := range map[string]int{"active": 0, "expired": 1, "revoked": 0} {
		if n := strings.Count(c.run(0, "keys", "list", "--state", state), "short"); n != want {
			t.Errorf("keys list --state %s: %d keys, want %d", state, n, want)
		}
	}
	c.shows([]string{"expired"}, "users", "show", user)
	c.shows([]string{"revoked: leaked"}, "keys", "revoke", "short", "--reason", "leaked")
}

// A list has as many pages as it takes, and is newest first whatever order they come in.
func TestKeysListPages(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
		if r.URL.Query().Get("cursor") == "" {
			w.Header().Set("X-Next-Cursor", "two")
			io.WriteString(w, `[{"keyId":"b","createdAt":5},{"keyId":"a","createdAt":5}]`)
			return
		}
		io.WriteString(w, `[{"keyId":"c","createdAt":9},{"keyId":"d","createdAt":1}]`)
	}))
	defer server.Close()
	c := &cli{T: t, env: map[string]string{"TOLLGATE_ADMIN_URL": server.URL}, now: time.Now}
	var ids []string
	for line := range strings.Lines(c.run(0, "keys", "list", "--tag", "x", "--name", "y", "--csv")) {
		id, _, _ := strings.Cut(line, ",")
		ids = append(ids, id)
	}
	if got := strings.Join(ids, " "); got != "id c a b d" {
		t.Errorf("listed %s", got)
	}
	want := []string{"GET " + keysPath + "?cursor=&limit=500&name=y&tags=x", "GET " + keysPath + "?cursor=two&limit=500&name=y&tags=x"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}
