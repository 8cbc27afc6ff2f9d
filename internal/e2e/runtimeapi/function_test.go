package runtimeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/e2e/runtimeapi"
)

var probe string // path of the built function

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	probe = filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", probe, "./testdata/probe")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build of the function: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// start runs the probe and serves its API.
func start(t testing.TB, c runtimeapi.Config) (*runtimeapi.Function, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c.Binary = probe
	f, err := runtimeapi.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.Close()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, server.URL
}

func get(t testing.TB, url string) (int, string, error) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func mustGet(t testing.TB, url string, status int, body string) {
	t.Helper()
	got, text, err := get(t, url)
	if err != nil || got != status || text != body {
		t.Errorf("GET %s: %d %q, error %v; want %d %q", url, got, text, err, status, body)
	}
}

func TestRequestAndResponsePassUnchanged(t *testing.T) {
	_, base := start(t, runtimeapi.Config{Stage: "dev"})
	body := "\x00\xff{\"a\":1}"
	target := base + "/dev/echo/a%2Fb%3Fc/%7Bx%7D?k=1&k=2&z=%26"
	request, err := http.NewRequestWithContext(t.Context(), "PATCH", target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header["X-Many"] = []string{"1", "2"}
	request.Host = "gateway.example.com"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Method, URI, Host string
		Query             url.Values
		Header            http.Header
		Body              []byte
		Length            int
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Method != "PATCH" || got.URI != "/echo/a%2Fb%3Fc/%7Bx%7D?k=1&k=2&z=%26" || got.Host != "gateway.example.com" {
		t.Errorf("function saw %s %s on %s", got.Method, got.URI, got.Host)
	}
	if string(got.Body) != body || got.Length != len(body) {
		t.Errorf("function saw the body %q of length %d, want %q", got.Body, got.Length, body)
	}
	if many := got.Header["X-Many"]; len(many) != 2 || many[1] != "2" {
		t.Errorf("function saw X-Many %q", many)
	}
	if got.Header.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("function saw X-Forwarded-For %q", got.Header["X-Forwarded-For"])
	}
	if response.StatusCode != http.StatusCreated || len(response.Header["X-Two"]) != 2 || len(response.Cookies()) != 2 {
		t.Errorf("caller saw status %d, header %v", response.StatusCode, response.Header)
	}
	if response.Header.Get("X-Amzn-Remapped-Www-Authenticate") != "Bearer" {
		t.Errorf("Www-Authenticate is not renamed as the service does: %v", response.Header)
	}
	mustGetStatus(t, base+"/other/echo/", http.StatusForbidden)
}

func mustGetStatus(t testing.TB, url string, want int) {
	t.Helper()
	if got, text, err := get(t, url); err != nil || got != want {
		t.Errorf("GET %s: %d %q, error %v; want %d", url, got, text, err, want)
	}
}

// Each event reaches the caller before the function has written the next one.
func TestStreamArrivesEventByEvent(t *testing.T) {
	_, base := start(t, runtimeapi.Config{})
	response, err := http.Get(base + "/sse?for=30ms")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	piece := make([]byte, 4096)
	var worst time.Duration
	for want := 0; ; {
		n, err := response.Body.Read(piece)
		if n > 0 {
			var i int
			var sent int64
			if _, err := fmt.Sscanf(string(piece[:n]), "data: %d %d\n\n", &i, &sent); err != nil || i != want {
				t.Fatalf("piece %q, want event %d", piece[:n], want)
			}
			worst = max(worst, time.Since(time.UnixMicro(sent)))
			want++
		}
		if errors.Is(err, io.EOF) {
			if want != 10 {
				t.Errorf("%d events, want 10", want)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("longest way of an event: %v", worst)
}

func TestWorkAfterTheResponse(t *testing.T) {
	_, base := start(t, runtimeapi.Config{})
	begin := time.Now()
	mustGet(t, base+"/after?for=400ms", 200, "delivered")
	if took := time.Since(begin); took > 300*time.Millisecond {
		t.Errorf("the caller waited %v for work of 400ms", took)
	}
	mustGet(t, base+"/settled", 200, "1") // the next invocation waits for it
	if took := time.Since(begin); took < 400*time.Millisecond {
		t.Errorf("the next invocation began after %v, before the work of 400ms had ended", took)
	}
}

func TestFailures(t *testing.T) {
	f, base := start(t, runtimeapi.Config{EventLimit: 100 << 10})
	mustGet(t, base+"/panic", 500, `{"error":{"code":"internal_error","message":"The gateway made an error. `+
		`Please try again.","param":null,"type":"server_error"},"request_id":"","type":"error"}`)

	status, text, err := get(t, base+"/cut")
	if status != 200 || text != "begun" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut response: %d %q, error %v; want 200 \"begun\", unexpected EOF", status, text, err)
	}
	mustGet(t, base+"/settled", 200, "1")
	first := f.Stats().PIDs

	mustGetStatus(t, base+"/exit", http.StatusBadGateway)
	mustGet(t, base+"/settled", 200, "0") // in a new process
	if _, text, err := get(t, base+"/cut-exit"); text != "begun" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("process ended in the response: %q, error %v", text, err)
	}
	mustGet(t, base+"/settled", 200, "0")
	mustGet(t, base+"/left", 200, "895") // 15 minutes less the margin

	response, err := http.Post(base+"/echo/", "", strings.NewReader(strings.Repeat("x", 80<<10)))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("event over the limit: %d, want 413", response.StatusCode)
	}

	s := f.Stats()
	if s.Invocations != 8 || len(s.Inits) != 3 || len(s.PIDs) != 1 || s.PIDs[0] == first[0] {
		t.Errorf("stats %+v, want 8 invocations, 3 inits, and a process other than %d", s, first)
	}
	for i, want := range []string{"stream ended in errorString", "exit status 3", "unexpected EOF", "exit status 3"} {
		if !strings.Contains(strings.Join(s.Failures, "\n"), want) || len(s.Failures) != 4 {
			t.Errorf("failure %d: want %q among %q", i, want, s.Failures)
		}
	}
}

func TestCallerThatLeavesDoesNotStopTheFunction(t *testing.T) {
	_, base := start(t, runtimeapi.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, "GET", base+"/sse?for=20ms", nil)
	begin := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	response.Body.Close()
	mustGet(t, base+"/settled", 200, "0")
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("the next invocation began after %v; the first writes for 200ms", took)
	}
}

func TestTimeoutEndsTheProcess(t *testing.T) {
	f, base := start(t, runtimeapi.Config{
		Timeout: 300 * time.Millisecond, Env: []string{"PROBE=buffered"}, Buffered: true,
	})
	mustGetStatus(t, base+"/hang", http.StatusGatewayTimeout)
	mustGetStatus(t, base+"/", http.StatusTeapot)
	if s := f.Stats(); len(s.Inits) != 2 || !strings.Contains(s.Failures[0], "timed out after 300ms") {
		t.Errorf("stats %+v, want a time-out and a second start", s)
	}
}

func TestConcurrency(t *testing.T) {
	for name, test := range map[string]struct {
		config   runtimeapi.Config
		parallel int
	}{
		"one at a time":             {runtimeapi.Config{}, 1},
		"four in a process":         {runtimeapi.Config{MaxConcurrency: 4}, 4},
		"two processes":             {runtimeapi.Config{Processes: 2}, 2},
		"two processes of two each": {runtimeapi.Config{Processes: 2, MaxConcurrency: 2}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			f, base := start(t, test.config)
			const calls, each = 4, 200 * time.Millisecond
			begin := time.Now()
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() { mustGet(t, base+"/sleep?for=200ms", 200, "") })
			}
			wg.Wait()
			took := time.Since(begin)
			least := each * time.Duration(calls/test.parallel)
			if took < least || took > least+each {
				t.Errorf("%d calls of %v took %v, want about %v", calls, each, took, least)
			}
			if s := f.Stats(); s.Invocations != calls || len(s.PIDs) != max(test.config.Processes, 1) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestBuffered(t *testing.T) {
	f, base := start(t, runtimeapi.Config{
		Env: []string{"PROBE=buffered"}, Buffered: true, Text: []string{"application/json"},
		Caller: func(r *http.Request) string { return r.Header.Get("Authorization") },
	})
	request, _ := http.NewRequestWithContext(t.Context(), "POST", base+"/x", strings.NewReader(`{"a":"é"}`))
	request.Header.Set("Authorization", "arn:aws:iam::123456789012:user/operator")
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	want := "arn:aws:iam::123456789012:user/operator||{\"a\":\"é\"}\xff\xfe"
	if response.StatusCode != http.StatusTeapot || string(body) != want || len(response.Header["X-Two"]) != 2 {
		t.Errorf("%d %q %v, want 418 %q", response.StatusCode, body, response.Header, want)
	}
	mustGetStatus(t, base+"/x", http.StatusForbidden) // no caller

	request, _ = http.NewRequestWithContext(t.Context(), "GET", base+"/fail", nil)
	request.Header.Set("Authorization", "somebody")
	if response, err = http.DefaultClient.Do(request); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if s := f.Stats(); response.StatusCode != http.StatusBadGateway || len(s.Failures) != 1 ||
		!strings.HasSuffix(s.Failures[0], "failed as asked") {
		t.Errorf("function error: %d, failures %q", response.StatusCode, s.Failures)
	}
}

// A function that answers a streaming integration in the buffered format is wrong,
// and the service says so.
func TestWrongFormat(t *testing.T) {
	f, base := start(t, runtimeapi.Config{Env: []string{"PROBE=wrong-format"}})
	mustGetStatus(t, base+"/", http.StatusBadGateway)
	if s := f.Stats(); len(s.Failures) != 1 || !strings.Contains(s.Failures[0], "on a streaming integration") {
		t.Errorf("failures %q", s.Failures)
	}
}

func TestStartFails(t *testing.T) {
	_, err := runtimeapi.Start(t.Context(), runtimeapi.Config{Binary: probe, Env: []string{"PROBE=broken"}})
	if err == nil || !strings.Contains(err.Error(), "ended 3 times before it asked for work: exit status 1") {
		t.Errorf("a function that exits at once: %v", err)
	}
	_, err = runtimeapi.Start(t.Context(), runtimeapi.Config{Binary: probe + "-that-is-not-there"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a binary that is not there: %v", err)
	}
}

func BenchmarkInvocation(b *testing.B) {
	f, base := start(b, runtimeapi.Config{})
	for b.Loop() {
		mustGet(b, base+"/settled", 200, "0")
	}
	b.ReportMetric(float64(f.Stats().Inits[0].Microseconds())/1000, "ms-init")
}
