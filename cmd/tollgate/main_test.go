package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollgate/internal/fakeai"
)

// TestMain lets the test binary be the program: a process that can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("TOLLGATE_TEST_RUN") != "" {
		main()
	}
	os.Exit(m.Run())
}

func noEnv(string) string { return "" }

func TestCalledWrong(t *testing.T) {
	t.Run("AG-23 open to others without a password", func(t *testing.T) {
		var out bytes.Buffer
		get := func(name string) string { return map[string]string{"TOLLGATE_DATA": t.TempDir()}[name] }
		if code := run(t.Context(), []string{"local", "--admin-addr", "0.0.0.0:0"}, get, &out, &out); code != 2 || !strings.Contains(out.String(), "set ADMIN_PASS") {
			t.Errorf("exit code %d and %q", code, out.String())
		}
	})
	for _, tt := range []struct {
		args []string
		env  map[string]string
		code int
		says string
	}{
		{nil, nil, 2, "Usage:"},
		{[]string{"fly"}, nil, 2, `unknown command "fly"`},
		{[]string{"local", "--nosuch"}, nil, 2, "nosuch"},
		{[]string{"local", "extra"}, nil, 2, `unexpected argument "extra"`},
		{[]string{"help"}, nil, 0, "tollgate local"},
		{[]string{"local", "-h"}, nil, 0, "--proxy-addr"},
		{[]string{"local"}, map[string]string{"PROXY_TIMEOUT": "soon", "MAX_BODY_BYTES": "-1"}, 1, "MAX_BODY_BYTES"},
		{[]string{"local", "--proxy-addr", "not an address"}, nil, 1, "cannot listen on not an address"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var out bytes.Buffer
			get := func(name string) string {
				if name == "TOLLGATE_DATA" {
					return t.TempDir()
				}
				return tt.env[name]
			}
			code := run(t.Context(), tt.args, get, &out, &out)
			if code != tt.code || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit code %d and %q; want %d and %q", code, out.String(), tt.code, tt.says)
			}
		})
	}
}

func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"demo"}, noEnv, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, &errs, &out)
	}
	for _, want := range []string{
		"< 200 OK", "data: [DONE]", "< 429 Too Many Requests",
		`"cost_in_usd":0.0000135`, `"refused":"rate_limit_exceeded"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not show %s:\n%s", want, &out)
		}
	}
}

// process is a running `tollgate local`.
type process struct {
	t            *testing.T
	cmd          *exec.Cmd
	admin, proxy string
	ended        chan error
}

func start(t *testing.T, data string) *process {
	t.Helper()
	p := &process{t: t, ended: make(chan error, 1)}
	p.cmd = exec.Command(os.Args[0], "local", "--admin-addr", "127.0.0.1:0", "--proxy-addr", "127.0.0.1:0", "--data", data)
	p.cmd.Env = append(os.Environ(), "TOLLGATE_TEST_RUN=1")
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for p.proxy == "" && lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 1 && strings.HasPrefix(f[len(f)-1], "http://127.") {
			switch f[0] {
			case "admin":
				p.admin = f[len(f)-1]
			case "proxy":
				p.proxy = f[len(f)-1]
			}
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, out)
		p.ended <- p.cmd.Wait()
	}()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	if p.proxy == "" {
		t.Fatal("it did not say where it listens")
	}
	return p
}

// stop sends the signal and waits for the end.
func (p *process) stop(s syscall.Signal) error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		return err
	case <-time.After(20 * time.Second):
		p.t.Fatal("it did not end")
		return nil
	}
}

// do sends JSON and decodes the answer into it.
func (p *process) do(method, url, key, body string, into any) int {
	p.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			p.t.Fatalf("%s %s: %s: %s", method, url, res.Status, text)
		}
	}
	return res.StatusCode
}

// setUp makes a setting and a key, and returns the key's id.
func (p *process) setUp(upstream string) string {
	p.t.Helper()
	var setting struct{ ID string }
	p.do("PUT", p.admin+"/api/provider-settings", "", `{"provider":"openai","setting":{"apikey":"sk-up","url":"`+upstream+`/v1"}}`, &setting)
	var key struct{ KeyID string }
	p.do("PUT", p.admin+"/api/key-management/keys", "", `{"name":"k","key":"my-secret-key","settingIds":["`+setting.ID+
		`"],"rateLimitOverTime":3,"rateLimitUnit":"d","costLimitInUsd":1}`, &key)
	if setting.ID == "" || key.KeyID == "" {
		p.t.Fatalf("no setting or key: %+v %+v", setting, key)
	}
	return key.KeyID
}

const chat = `{"model":"gpt-4o-mini","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`

func (p *process) chat() int {
	p.t.Helper()
	return p.do("POST", p.proxy+"/api/providers/openai/v1/chat/completions", "my-secret-key", chat, nil)
}

// events waits until there are n.
func (p *process) events(keyID string, n int) []map[string]any {
	p.t.Helper()
	now := time.Now().Unix()
	var list []map[string]any
	for range 100 {
		list = nil
		p.do("GET", fmt.Sprintf("%s/api/events?keyIds=%s&start=%d&end=%d", p.admin, keyID, now-600, now+600), "", "", &list)
		if len(list) >= n {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(list) != n {
		p.t.Fatalf("%d events, want %d: %v", len(list), n, list)
	}
	return list
}

// Keys, counters, settings with their sealed secrets and events outlive the
// process, however it ends.
func TestKilledAndStartedAgain(t *testing.T) {
	ai := &fakeai.Server{Keep: true}
	upstream := httptest.NewServer(ai)
	defer upstream.Close()
	data := filepath.Join(t.TempDir(), "data")

	p := start(t, data)
	keyID := p.setUp(upstream.URL)
	for i := range 2 {
		if s := p.chat(); s != 200 {
			t.Fatalf("call %d: %d", i+1, s)
		}
	}
	p.events(keyID, 2)
	_ = p.stop(syscall.SIGKILL)

	p = start(t, data)
	p.events(keyID, 2)
	if s := p.chat(); s != 200 {
		t.Errorf("third call of three a day: %d", s)
	}
	if s := p.chat(); s != 429 {
		t.Errorf("fourth call of three a day, after a kill: %d, want 429", s)
	}
	if got := ai.Last().Header.Get("Authorization"); got != "Bearer sk-up" {
		t.Errorf("the provider saw %q", got)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	info, err := os.Stat(filepath.Join(data, "secret.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
}

// SIGTERM finishes what is in flight and settles it.
func TestSIGTERMFinishesCalls(t *testing.T) {
	ai := &fakeai.Server{}
	ai.Delay.Store(int64(500 * time.Millisecond))
	upstream := httptest.NewServer(ai)
	defer upstream.Close()
	data := filepath.Join(t.TempDir(), "data")

	p := start(t, data)
	keyID := p.setUp(upstream.URL)
	status := make(chan int, 1)
	go func() { status <- p.chat() }()
	for ai.Calls() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if s := <-status; s != 200 {
		t.Errorf("the call in flight got %d", s)
	}
	p = start(t, data)
	e := p.events(keyID, 1)[0]
	if e["status"] != 200.0 || e["cost_in_usd"] != 0.0000135 {
		t.Errorf("event of the call in flight: %v", e)
	}
}

// A second signal ends what the first one waits for. A stream is settled by then.
func TestSecondSignal(t *testing.T) {
	for _, test := range []struct {
		name, body string
		clean      bool
	}{
		{"stream", strings.Replace(chat, "{", `{"stream":true,`, 1), true},
		{"plain", chat, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			ai := &fakeai.Server{}
			ai.Delay.Store(int64(time.Minute))
			upstream := httptest.NewServer(ai)
			defer upstream.Close()
			defer upstream.CloseClientConnections()
			data := filepath.Join(t.TempDir(), "data")
			p := start(t, data)
			keyID := p.setUp(upstream.URL)
			gone := make(chan error, 1)
			go func() {
				req, err := http.NewRequest("POST", p.proxy+"/api/providers/openai/v1/chat/completions", strings.NewReader(test.body))
				if err == nil {
					req.Header.Set("Authorization", "Bearer my-secret-key")
					_, err = http.DefaultClient.Do(req)
				}
				gone <- err
			}()
			for ai.Calls() == 0 {
				time.Sleep(time.Millisecond)
			}
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for { // until the first signal has closed the listener
				conn, err := net.Dial("tcp", strings.TrimPrefix(p.proxy, "http://"))
				if err != nil {
					break
				}
				conn.Close()
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond)
			begin := time.Now()
			err := p.stop(syscall.SIGTERM)
			if took := time.Since(begin); took > 10*time.Second || (err == nil) != test.clean {
				t.Errorf("ended after %v with %v; want a clean end: %v", took, err, test.clean)
			}
			if err := <-gone; err == nil {
				t.Error("the call in flight got an answer")
			}
			if test.clean {
				p = start(t, data)
				if e := p.events(keyID, 1)[0]; e["cost_in_usd"] == 0.0 {
					t.Errorf("event %v, want what was reserved", e)
				}
			}
		})
	}
}

func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	code := run(ctx, []string{"local", "--admin-addr", "127.0.0.1:0", "--proxy-addr", ln.Addr().String(), "--data", t.TempDir()}, noEnv, &out, &out)
	if code != 1 || !strings.Contains(out.String(), "cannot listen on") {
		t.Errorf("exit code %d: %s", code, &out)
	}
}
