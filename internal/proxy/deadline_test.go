package proxy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/secret"
)

// A caller that stops reading is cut off in time to settle the call: before its
// reservation expires and anybody may close it, at the worst case.
func TestStalledReader(t *testing.T) {
	r := newRig(t)
	piece := strings.Repeat("x", 1<<20)
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"a","model":"m","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2},"x":"`)
		for range 64 { // more than the sockets in between hold
			if _, err := io.WriteString(w, piece); err != nil {
				return true
			}
		}
		io.WriteString(w, `"}`)
		return true
	}
	k := r.newKey(budget(100_000_000))
	begin := time.Now()
	res, err := r.client.Do(r.request(k.secret, "POST", chat, hello, "X-Request-Timeout: 300ms"))
	r.must(err)
	defer res.Body.Close()
	e := r.event(k) // waits for the settlement; nothing of the body was read
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("settled after %v, want some two seconds", took)
	}
	if e.Expired || !e.Truncated || e.Status != 200 {
		t.Errorf("event %+v", e)
	}
	r.books(k)
}

// The deadline that an answer sets for its caller is not that of the connection's next.
func TestDeadlineOfKeptConnection(t *testing.T) {
	r := newRig(t)
	r.proxy.SetPatience(50 * time.Millisecond)
	k := r.newKey()
	for _, test := range []struct {
		path   string
		status int
	}{{chat, 200}, {"/api/health", 200}, {chat, 200}, {"/nosuch", 404}, {chat, 200}} {
		if a := r.call(k.secret, "POST", test.path, hello); a.err != nil || a.status != test.status {
			t.Errorf("%s: %d %s, %v; want %d", test.path, a.status, a.body, a.err, test.status)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// hangs is a key service that does not answer when bodies are to be sealed.
type hangs struct{ secret.Box }

func (h hangs) Seal(ctx context.Context, plain []byte, bind map[string]string) ([]byte, error) {
	if bind["event"] == "" {
		return h.Box.Seal(ctx, plain, bind)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// Bodies that cannot be sealed are not kept; the books do not depend on them.
func TestSealingHangs(t *testing.T) {
	r := newRig(t, func(r *rig) { r.keyService = func(b secret.Box) secret.Box { return hangs{b} } })
	k := r.newKey(budget(100_000_000), func(k *gateway.Key) { k.LogRequest = true })
	var wg sync.WaitGroup
	for range 4 { // they do not wait for one another
		wg.Go(func() { r.passed(r.chat(k, hello)) })
	}
	wg.Wait()
	begin := time.Now()
	for _, e := range r.events(k) {
		if e.Cost != 1_000_000 || e.Request != nil || e.Expired {
			t.Errorf("event %+v", e)
		}
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("settled after %v, want two seconds or so", took)
	}
	r.books(k)
	if n := strings.Count(r.log.String(), "cannot be sealed"); n != 4 {
		t.Errorf("the log tells %d times that a body was not kept, want 4", n)
	}
}

// Of many calls that find the same expired reservation one records it.
func TestExpiredIsLoggedOnce(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(limited(gateway.Limit{Measure: gateway.Concurrency, Max: 50}))
	stored, err := r.db.Key(t.Context(), k.ID)
	r.must(err)
	_, err = r.db.Reserve(t.Context(), &limit.Claim{ID: limit.NewID(), Key: k.Hash, KeyID: k.ID, Version: stored.Version,
		Limits: stored.AllLimits(), Tokens: 5, Cost: 7, At: r.now(), Expires: r.now().Add(time.Minute)})
	r.must(err)
	r.clock.Add(time.Hour)
	gate := make(chan bool)
	r.fake.Override = func(http.ResponseWriter, *http.Request, []byte) bool { r.wait(gate); return false }
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { r.passed(r.chat(k, hello)) })
	}
	r.await("all calls are at the provider", func() bool { return r.fake.Calls() == 20 })
	close(gate)
	wg.Wait()
	expired := 0
	for _, e := range r.events(k) {
		if e.Expired {
			expired++
		}
	}
	if n := strings.Count(r.log.String(), `"expired":true`); n != 1 || expired != 1 {
		t.Errorf("%d expired events and %d lines in the log, want one of each", expired, n)
	}
}

// Names that nothing can bear are refused, or recorded cut.
func TestLongNames(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("z", 300<<10)
	k := r.newKey()
	r.refused(r.chat(k, `{"model":"`+long+`","messages":[],"max_tokens":5}`), 400, "string_above_max_length")
	r.passed(r.chat(k, `{"model":"m","user":"`+long+`","messages":[],"max_tokens":5}`))
	for _, e := range r.events(k) {
		if n := max(len(e.Model), len(e.UserID)); n > 1024 {
			t.Errorf("a name of %d bytes was recorded", n)
		}
	}
	r.books(k)
}

// The end of the time that a server gives a call, as Lambda does, is not its caller's
// leaving: the answer says which it was.
func TestServersDeadline(t *testing.T) {
	r := newRig(t)
	r.fake.Override = func(http.ResponseWriter, *http.Request, []byte) bool { <-r.ended; return true }
	k := r.newKey()
	r.call(k.secret, "GET", openai+"/nosuch", "") // the key is known from now on
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		w := httptest.NewRecorder()
		r.proxy.ServeHTTP(w, r.request(k.secret, "POST", chat, stream).WithContext(ctx))
		cancel()
		if w.Code != http.StatusGatewayTimeout {
			t.Fatalf("got %d %s, want 504", w.Code, w.Body)
		}
	}
}
