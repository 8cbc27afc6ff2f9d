package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/config"
	"tollgate/internal/fakeai"
)

// cli is a gateway on this machine and the program that manages it.
type cli struct {
	*testing.T
	local *local
	env   map[string]string
	now   func() time.Time // of the program
}

func newCLI(t *testing.T) *cli {
	t.Helper()
	env, err := config.Read(func(name string) string { return map[string]string{"ADMIN_PASS": "open sesame"}[name] })
	if err != nil {
		t.Fatal(err)
	}
	l, err := startLocal(t.Context(), localOptions{
		adminAddr: "127.0.0.1:0", proxyAddr: "127.0.0.1:0", data: t.TempDir(), quiet: true, env: env,
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Serve(t.Context(), time.Second, io.Discard) }()
	t.Cleanup(func() { // the test's context has ended
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &cli{T: t, local: l, env: map[string]string{"TOLLGATE_ADMIN_URL": l.AdminURL, "ADMIN_PASS": "open sesame"}, now: time.Now}
}

// run calls the program; code is the exit code it must have.
func (c *cli) run(code int, args ...string) string {
	c.Helper()
	var out, errs bytes.Buffer
	p := &program{
		getenv: func(name string) string { return c.env[name] },
		in:     strings.NewReader("sk-upstream\n"), out: &out, stderr: &errs, now: c.now,
	}
	if got := p.run(c.Context(), args); got != code {
		c.Fatalf("tollgate %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &out, &errs)
	}
	if code != 0 {
		return errs.String()
	}
	return out.String()
}

// one is the only record that the program prints.
func (c *cli) one(args ...string) row {
	c.Helper()
	var r row
	if err := json.Unmarshal([]byte(c.run(0, append(args, "--json")...)), &r); err != nil {
		c.Fatalf("tollgate %s: %v", strings.Join(args, " "), err)
	}
	return r
}

// shows wants texts in a table.
func (c *cli) shows(want []string, args ...string) {
	c.Helper()
	out := c.run(0, args...)
	for _, text := range want {
		if !strings.Contains(out, text) {
			c.Errorf("tollgate %s does not show %q:\n%s", strings.Join(args, " "), text, out)
		}
	}
}

func TestCommandLine(t *testing.T) {
	c := newCLI(t)
	upstream := httptest.NewServer(&fakeai.Server{})
	t.Cleanup(upstream.Close)

	setting := c.one("providers", "create", "openai", "--name", "Production", "--apikey-stdin", "--param", "url="+upstream.URL+"/v1")
	c.shows([]string{"PROVIDER", "openai", "Production"}, "providers", "list")
	id := setting.text("id")

	key := c.one("keys", "create", "--name", "Search team", "--setting", id, "--tag", "search,eu", "--rate", "3/m", "--cost", "25", "--limit", "concurrency=4")
	if key.text("secret") == "" || key.text("rateLimitOverTime") != "3" || key.text("tags") != "search,eu" {
		t.Errorf("the key is %v", key)
	}
	c.shows([]string{"Search team", "requests=3/m cost=$25 concurrency=4", "active"}, "keys", "list", "--tag", "search")
	c.shows([]string{"requests=2/h"}, "keys", "update", "Search team", "--rate", "2/h")
	call(t, c.local.ProxyURL, key.text("secret"))
	c.shows([]string{"spent"}, "keys", "show", key.text("keyId"))
	c.rotates(key)
	c.shows([]string{"revoked: leaked"}, "keys", "revoke", "Search team", "--reason", "leaked")
	c.shows([]string{"active"}, "keys", "restore", "Search team")
	c.run(exitConflict, "providers", "delete", id)

	c.shows([]string{"ann", "cost=$10/mo"}, "users", "create", "--user", "ann", "--tag", "search,eu", "--cost", "10/mo")
	user := c.one("users", "list").text("id")
	c.shows([]string{"requests=20/m"}, "users", "update", user, "--rate", "20/m")
	c.shows([]string{"cost=$500/mo", "search"}, "tags", "set", "search", "--limit", "cost=500/mo")
	c.shows([]string{"search"}, "tags", "list")
	c.run(0, "tags", "delete", "search")
	c.run(0, "users", "delete", user)
	c.run(exitNotFound, "users", "show", user)
	c.run(0, "keys", "delete", "Search team")
	c.run(exitNotFound, "keys", "show", "Search team")
	c.run(0, "providers", "delete", id)
	c.shows([]string{"embedded"}, "prices", "show")
	c.shows([]string{"bash"}, "completion", "bash")
}

// rotates gives the key two more secrets: the first beside the old one, the second
// in place of both.
func (c *cli) rotates(key row) {
	c.Helper()
	c.run(0, "keys", "update", "Search team", "--rate", "none")
	second := c.one("keys", "rotate", "Search team")
	if second.text("secret") == "" || second.text("secret") == key.text("secret") || second.text("keyId") != key.text("keyId") {
		c.Errorf("rotated: %v", second)
	}
	call(c.T, c.local.ProxyURL, key.text("secret"))
	call(c.T, c.local.ProxyURL, second.text("secret"))
	third := c.one("keys", "rotate", "Search team", "--overlap", "0s")
	for i, text := range []string{key.text("secret"), second.text("secret"), third.text("secret")} {
		if got := statusOf(c.T, c.local.ProxyURL, text); got != []int{401, 401, 200}[i] {
			c.Errorf("after the second rotation secret %d: %d", i+1, got)
		}
	}
}

// Wrong calls say what is wrong, with an exit code that scripts can tell apart.
func TestCommandLineFailures(t *testing.T) {
	c := newCLI(t)
	for _, tt := range []struct {
		code int
		says string
		args []string
	}{
		{exitCalledWrong, `"fly"`, []string{"fly"}},
		{exitCalledWrong, "needs a command", []string{"keys"}},
		{exitCalledWrong, `no command "fly" below`, []string{"keys", "fly"}},
		{exitCalledWrong, "nosuch", []string{"keys", "list", "--nosuch"}},
		{exitCalledWrong, "needs --name and --setting", []string{"keys", "create"}},
		{exitCalledWrong, "such as 60/m", []string{"keys", "create", "--name", "x", "--setting", "y", "--rate", "fast"}},
		{exitCalledWrong, "such as 25", []string{"keys", "create", "--name", "x", "--setting", "y", "--cost=-1"}},
		{exitCalledWrong, "such as tokens=", []string{"keys", "create", "--name", "x", "--setting", "y", "--limit", "tokens"}},
		{exitFailed, "setting", []string{"keys", "create", "--name", "x", "--setting", "nosuch"}},
		{exitCalledWrong, "the id or the name of a key", []string{"keys", "show"}},
		{exitCalledWrong, "unexpected argument", []string{"keys", "show", "a", "b"}},
		{exitNotFound, "nobody", []string{"keys", "revoke", "nobody"}},
		{exitNotFound, "nobody", []string{"keys", "rotate", "nobody"}},
		{exitCalledWrong, "the id or the name of a key", []string{"keys", "rotate"}},
		{exitCalledWrong, "it is one of day", []string{"usage", "--by", "moon"}},
		{exitCalledWrong, "it is a date", []string{"usage", "--since", "yesterday"}},
		{exitFailed, "not supported", []string{"providers", "create", "nosuch", "--apikey-stdin"}},
		{exitCalledWrong, "NOSUCH is not set", []string{"providers", "create", "openai", "--param", "apikey=$NOSUCH"}},
		{exitCalledWrong, "choose one", []string{"keys", "list", "--json", "--csv"}},
		{exitNotReachable, "does not answer", []string{"keys", "list", "--url", "http://127.0.0.1:1"}},
		{exitCalledWrong, "is not a URL", []string{"keys", "list", "--url", "localhost"}},
	} {
		if got := c.run(tt.code, tt.args...); !strings.Contains(got, tt.says) {
			t.Errorf("tollgate %s: %s, which does not say %q", strings.Join(tt.args, " "), got, tt.says)
		}
	}
	c.env["ADMIN_PASS"] = "wrong"
	if got := c.run(exitNotAllowed, "keys", "list"); !strings.Contains(got, "X-API-KEY") {
		t.Errorf("a wrong password: %s", got)
	}
	delete(c.env, "TOLLGATE_ADMIN_URL")
	if got := c.run(exitCalledWrong, "keys", "list"); !strings.Contains(got, "TOLLGATE_ADMIN_URL") {
		t.Errorf("no gateway: %s", got)
	}
}

func TestCommandLineUsage(t *testing.T) {
	c := newCLI(t)
	upstream := httptest.NewServer(&fakeai.Server{})
	t.Cleanup(upstream.Close)
	setting := c.one("providers", "create", "openai", "--apikey-stdin", "--param", "url="+upstream.URL+"/v1").text("id")
	key := c.one("keys", "create", "--name", "CI", "--setting", setting, "--tag", "ci")
	for range 3 {
		call(t, c.local.ProxyURL, key.text("secret"))
	}
	var lines [][]string
	var err error
	for range 100 { // calls are counted after their answer
		lines, err = csv.NewReader(strings.NewReader(c.run(0, "usage", "--by", "model", "--csv"))).ReadAll()
		if err == nil && len(lines) == 2 && slices.Equal(lines[1][:3], []string{"gpt-4o-mini", "3", "3"}) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil || len(lines) != 2 || !slices.Equal(lines[1][:3], []string{"gpt-4o-mini", "3", "3"}) {
		t.Errorf("usage by model: %v, %v", lines, err)
	}
	c.shows([]string{"gpt-4o-mini", "200"}, "events", "list")
	c.shows([]string{"key"}, "audit")
}

func call(t *testing.T, proxy, secret string) {
	t.Helper()
	if got := statusOf(t, proxy, secret); got != http.StatusOK {
		t.Fatalf("a call with the key: %d", got)
	}
}

func statusOf(t *testing.T, proxy, secret string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, proxy+"/api/providers/openai/v1/chat/completions",
		strings.NewReader(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		t.Logf("%d %s", res.StatusCode, text)
	}
	return res.StatusCode
}
