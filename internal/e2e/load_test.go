package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/admin"
	"tollgate/internal/afterwork"
	"tollgate/internal/awsconfig"
	"tollgate/internal/fakeai"
	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/price"
	"tollgate/internal/proxy"
	"tollgate/internal/secret"
	"tollgate/internal/store/bolt"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/dynamo/dynoxidetest"
	"tollgate/internal/telemetry"
)

// loadStore is what a store offers to this test.
type loadStore interface {
	proxy.Store
	admin.Store
}

// The peer let 352 calls through where 100 were allowed, spent $0.267 of $0.010,
// and did not act at all on limits by the second.
func TestLimitsUnderLoad(t *testing.T) {
	for name, open := range map[string]func(*testing.T) loadStore{
		"bolt": func(t *testing.T) loadStore {
			s, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		"dynamodb": openDynamo,
	} {
		t.Run(name, func(t *testing.T) {
			r := newLoadRig(t, open(t))
			t.Run("100 a minute, 256 clients, 2000 calls", r.requestsPerMinute)
			t.Run("$0.01 at $0.001, 256 clients, 500 ms", r.lifetimeCost)
			t.Run("5 a second for 5 s, 16 clients", r.requestsPerSecond)
			t.Run("a user's $0.01 with two keys, 256 clients", r.userCost)
			t.Run("a tag's 100 calls with three keys, 256 clients", r.tagRequests)
		})
	}
}

func openDynamo(t *testing.T) loadStore {
	endpoint := dynoxidetest.Start(t)
	client := dynamodb.New(dynamodb.Options{
		BaseEndpoint: &endpoint, Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("a", "s", ""),
		HTTPClient:  awsconfig.Patient{HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}},
		Retryer:     aws.NopRetryer{},
	})
	opts := dynamo.Options{GatewayTable: "load-gateway", UsageTable: "load-usage"}
	if err := dynamo.CreateTables(t.Context(), client, opts); err != nil {
		t.Fatal(err)
	}
	return dynamo.New(client, opts)
}

// loadRig is the proxy over a store, in this process, and a slow upstream.
type loadRig struct {
	store   loadStore
	ai      *fakeai.Server
	url     string
	client  *http.Client
	tracker afterwork.Tracker
	keys    atomic.Int64
}

func newLoadRig(t *testing.T, store loadStore) *loadRig {
	r := &loadRig{store: store, ai: &fakeai.Server{}}
	upstream := httptest.NewServer(r.ai)
	t.Cleanup(upstream.Close)
	box, err := secret.OpenFileBox(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	setting := gateway.Setting{ID: "s", Provider: "openai", CreatedAt: time.Now(),
		Params: map[string]string{"url": upstream.URL + "/v1"},
		// 20 tokens out at $0.05 a thousand: every call costs $0.001, and no
		// call can cost more.
		CostMap: &gateway.CostMap{Prompt: map[string]int64{"m": 0}, Completion: map[string]int64{"m": 50_000_000_000}},
	}
	sealed, err := box.Seal(t.Context(), []byte(`{"apikey":"sk"}`), setting.SealContext())
	if err != nil {
		t.Fatal(err)
	}
	setting.Sealed = sealed
	if err := store.CreateSetting(t.Context(), setting); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(afterwork.Handler(proxy.New(proxy.Config{
		Store: store, Box: box, Prices: price.Embedded, Upstream: proxy.NewTransport(),
		Log:     telemetry.Log{Logger: telemetry.NewLogger(io.Discard, slog.LevelError)},
		Timeout: time.Minute, MaxBody: 1 << 20,
	}), &r.tracker))
	t.Cleanup(front.Close)
	r.url = front.URL + "/api/providers/openai/v1/chat/completions"
	r.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// key makes a key with limits and returns its secret.
func (r *loadRig) key(t *testing.T, limits ...gateway.Limit) string {
	t.Helper()
	secretText := fmt.Sprint("load-key-", r.keys.Add(1))
	err := r.store.CreateKey(t.Context(), gateway.Key{ID: "id of " + secretText, Hash: secret.HashKey(secretText),
		Name: "load", CreatedAt: time.Now(), SettingIDs: []string{"s"}, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return secretText
}

// call returns the status and the code of a refusal.
func (r *loadRig) call(ctx context.Context, key string) (int, string, error) {
	return r.send(ctx, key, `{"model":"m","max_tokens":20,"messages":[{"role":"user","content":"hi"}]}`)
}

func (r *loadRig) send(ctx context.Context, key, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := r.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	var answer struct{ Error struct{ Code string } }
	err = json.NewDecoder(res.Body).Decode(&answer)
	return res.StatusCode, answer.Error.Code, err
}

// storm makes calls from so many clients and counts the answers by status and code.
func (r *loadRig) storm(t *testing.T, key string, clients int, more func() bool) map[string]int {
	t.Helper()
	return r.stormBy(t, clients, more, func(int) (int, string, error) { return r.call(t.Context(), key) })
}

// stormBy is storm with calls of any kind; they are told the client's number.
func (r *loadRig) stormBy(t *testing.T, clients int, more func() bool, call func(client int) (int, string, error)) map[string]int {
	t.Helper()
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for more() {
				status, code, err := call(client)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got[strings.TrimSpace(fmt.Sprint(status, " ", code))]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := r.tracker.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	return got
}

// upTo allows n calls in all.
func upTo(n int64) func() bool {
	var made atomic.Int64
	return func() bool { return made.Add(1) <= n }
}

func (r *loadRig) requestsPerMinute(t *testing.T) {
	// In one minute: what a new minute admits would be right, but not countable.
	if left := time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)); left < 25*time.Second {
		time.Sleep(left + 10*time.Millisecond)
	}
	before := r.ai.Calls()
	key := r.key(t, gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 100})
	got := r.storm(t, key, 256, upTo(2000))
	if got["200"] != 100 || got["429 rate_limit_exceeded"] != 1900 || r.ai.Calls()-before != 100 {
		t.Errorf("%v, upstream saw %d; want exactly 100", got, r.ai.Calls()-before)
	}
}

func (r *loadRig) lifetimeCost(t *testing.T) {
	r.ai.Delay.Store(int64(500 * time.Millisecond))
	defer r.ai.Delay.Store(0)
	before := r.ai.Calls()
	key := r.key(t, gateway.Limit{Measure: gateway.Cost, Per: gateway.Lifetime, Max: 10_000_000})
	got := r.storm(t, key, 256, upTo(2000))
	if got["200"] != 10 || r.ai.Calls()-before != 10 || len(got) < 2 {
		t.Errorf("%v, upstream saw %d; want exactly 10", got, r.ai.Calls()-before)
	}
	c, err := r.store.Counters(t.Context(), secret.HashKey(key))
	if err != nil {
		t.Fatal(err)
	}
	if c.Values[limit.Spend] != 10_000_000 || c.Values[limit.InFlight] != 0 || len(c.Open) != 0 {
		t.Errorf("books after it: %+v; want $0.010 spent and nothing in flight", c)
	}
	if status, code, err := r.call(t.Context(), key); status != 429 || code != "insufficient_quota" {
		t.Errorf("after it: %d %s, %v", status, code, err)
	}
}

func (r *loadRig) requestsPerSecond(t *testing.T) {
	key := r.key(t, gateway.Limit{Measure: gateway.Requests, Per: gateway.Second, Max: 5})
	end := time.Now().Add(5 * time.Second)
	got := r.storm(t, key, 16, func() bool {
		time.Sleep(5 * time.Millisecond) // a storm, but one that both stores keep up with
		return time.Now().Before(end)
	})
	// The windows are those of admission, which the events tell.
	events, err := r.store.Events(t.Context(), gateway.EventFilter{KeyIDs: []string{"id of " + key}})
	if err != nil {
		t.Fatal(err)
	}
	seconds := map[int64]int{}
	admitted := 0
	for _, e := range events {
		if e.Status == http.StatusOK {
			seconds[e.At.Unix()]++
			admitted++
		}
	}
	for at, n := range seconds {
		if n > 5 {
			t.Errorf("%d calls in second %d", n, at)
		}
	}
	if admitted != got["200"] || admitted < 25 || admitted > 30 {
		t.Errorf("%v, %d events of admitted calls; want 25 to 30", got, admitted)
	}
}
