package e2e

import (
	"errors"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// client is the Go SDK with a key, without retries.
func (g *running) client(k key) openai.Client {
	return openai.NewClient(option.WithBaseURL(g.openAI()), option.WithAPIKey(k.Secret), option.WithMaxRetries(0))
}

// TestRoundTrips counts what a call asks of DynamoDB and KMS, at the wire: with a
// warm key one write before the upstream is called, none until the answer is out,
// two after it.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	g := startLambda(t, shape{})
	k := g.admin.key(t, g.admin.setting(t, up.url), keyLimit{"cost", "lifetime", 10}, keyLimit{"requests", "m", 100},
		keyLimit{"tokens", "d", 1e7}, keyLimit{"concurrency", "", 5})
	client := g.client(k)
	plain := func() error {
		_, err := client.Chat.Completions.New(t.Context(), say("hi"))
		return err
	}
	streamed := func() error {
		_, _, err := accumulated(client.Chat.Completions.NewStreaming(t.Context(), say("hi")))
		return err
	}
	cold := g.trace(t, up, k, plain)
	t.Logf("the first call with a key: before the upstream %s and KMS %s", cold["request"], cold["kms"])
	for name, call := range map[string]func() error{"plain": plain, "stream": streamed} {
		got := g.trace(t, up, k, call)
		for stage, want := range map[string]string{
			"request":  "UpdateItem",
			"answered": "UpdateItem",
			"settled":  "UpdateItem PutItem UpdateItem",
			"kms":      "",
		} {
			if got[stage] != want {
				t.Errorf("%s: at stage %s the calls were %q, want %q", name, stage, got[stage], want)
			}
		}
	}
}

// trace makes a call and tells which operations there had been when the upstream
// was called, when it had answered, and when all was settled.
func (g *running) trace(t *testing.T, up *upstream, k key, call func() error) map[string]string {
	t.Helper()
	g.settled(t, k, 0)
	db, kms := g.db.mark(), g.kms.mark()
	var mu sync.Mutex
	stages := make(map[string]string)
	watch := func(stage string) {
		mu.Lock()
		defer mu.Unlock()
		stages[stage] = g.db.since(db)
	}
	up.watch.Store(&watch)
	defer up.watch.Store(nil)
	if err := call(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() bool { return g.inFlight(t, k) == 0 })
	watch("settled")
	stages["kms"] = g.kms.since(kms)
	return stages
}

// TestDeadline: an upstream that is slower than the function may run gets its
// caller an answer of the gateway's, and the call is settled in the time left.
func TestDeadline(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	g := startLambda(t, shape{timeout: 4 * time.Second})
	k := g.admin.key(t, g.admin.setting(t, up.url), keyLimit{"cost", "lifetime", 10})
	client := g.client(k)
	_, err := client.Chat.Completions.New(t.Context(), say("hang"))
	if err := refused(err, http.StatusGatewayTimeout, "upstream_timeout"); err != nil {
		t.Error(err)
	}
	_, _, err = accumulated(client.Chat.Completions.NewStreaming(t.Context(), say("hang")))
	if err := refused(err, http.StatusGatewayTimeout, "upstream_timeout"); err != nil {
		t.Error(err)
	}
	g.settled(t, k, 2)
	for _, e := range g.admin.awaitEvents(t, k, 2) {
		if e.Status != http.StatusGatewayTimeout || e.Expired || e.Basis != "reserved" || e.CostInUSD <= 0 {
			t.Errorf("event %+v, want status 504 and what was reserved", e)
		}
	}
	g.checkHealth(t)
}

// TestCallerLeaves: Lambda does not tell. The function goes on to the end, and the
// call is recorded whole.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	up := newUpstream(t)
	g := startLambda(t, shape{})
	k := g.admin.key(t, g.admin.setting(t, up.url), keyLimit{"cost", "lifetime", 10})
	client := g.client(k)
	stream := client.Chat.Completions.NewStreaming(t.Context(), say("long 5000"))
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	stream.Close()
	g.settled(t, k, 1)
	for _, e := range g.admin.awaitEvents(t, k, 1) {
		if e.Truncated || e.Basis != "reported" || e.CompletionTokens != completionTokens {
			t.Errorf("event %+v, want a whole call with the provider's usage", e)
		}
	}
	g.checkHealth(t)
}

// TestKilledMidCall: after a kill -9 the call's slot and money stay taken until the
// reservation expires. Then the next call closes it and passes.
func TestKilledMidCall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the 17 seconds in which a reservation expires")
	}
	t.Parallel()
	up := newUpstream(t)
	g := startLambda(t, shape{env: []string{"PROXY_TIMEOUT=2s"}})
	k := g.admin.key(t, g.admin.setting(t, up.url), keyLimit{"concurrency", "", 1}, keyLimit{"cost", "lifetime", 10})
	client := g.client(k)
	g.killDuring(t, up, func() error {
		_, err := client.Chat.Completions.New(t.Context(), say("hang"))
		return err
	})
	if n := g.inFlight(t, k); n != 1 {
		t.Errorf("%d calls in flight after the kill, want 1", n)
	}
	_, err := client.Chat.Completions.New(t.Context(), say("hi"))
	if err := refused(err, http.StatusTooManyRequests, "concurrency_limit_exceeded"); err != nil {
		t.Error(err)
	}
	begin := time.Now()
	passed := false
	for !passed && time.Since(begin) < 30*time.Second {
		time.Sleep(time.Second)
		_, err = client.Chat.Completions.New(t.Context(), say("hi"))
		passed = err == nil
	}
	if !passed {
		t.Fatalf("the slot of the killed call is not free after %v: %v", time.Since(begin), err)
	}
	t.Logf("the slot was free again after %v", time.Since(begin).Round(time.Second))
	g.settled(t, k, 3)
	expired := 0
	for _, e := range g.admin.events(t, k) {
		if e.Expired {
			expired++
			if e.Basis != "reserved" || e.CostInUSD <= 0 || e.Status != 0 {
				t.Errorf("event %+v, want what was reserved and no status", e)
			}
		}
	}
	if expired != 1 {
		t.Errorf("%d expired events, want 1", expired)
	}
}

// killDuring kills the function once the call has reached the upstream.
func (g *running) killDuring(t *testing.T, up *upstream, call func() error) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	eventually(t, 10*time.Second, func() bool { return up.calls.Load() > 0 })
	for _, pid := range g.function.Stats().PIDs {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	var e *openai.Error
	if err := <-ended; !errors.As(err, &e) || e.StatusCode != http.StatusBadGateway {
		t.Errorf("the caller of the killed function got %v, want 502", err)
	}
}
