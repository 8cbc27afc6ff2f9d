package proxy_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/afterwork"
	"tollgate/internal/fakeai"
	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/price"
	"tollgate/internal/proxy"
	"tollgate/internal/secret"
	"tollgate/internal/store/bolt"
	"tollgate/internal/telemetry"
)

const (
	openai = "/api/providers/openai/v1"
	chat   = openai + "/chat/completions"

	upstreamKey = "sk-upstream-secret-1"
	hello       = `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":20}`
)

// noon is where the clock of a rig starts that has one of its own.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// rig is a whole data plane: the proxy on a real store, in front of a fake provider.
type rig struct {
	testing.TB
	clock    *clock // nil: the wall clock
	fake     *fakeai.Server
	upstream *httptest.Server
	db       *bolt.Store
	store    *stagedStore // what the proxy sees of db
	box      secret.Box
	// keyService, if set, stands between the proxy and the box.
	keyService func(secret.Box) secret.Box
	log        *journal
	proxy      *proxy.Server
	server     *httptest.Server
	client     *http.Client
	tracker    afterwork.Tracker
	ended      chan struct{}   // closed when the test is over
	setting    gateway.Setting // the first one, for model m at $0.05 per 1000 tokens out

	config proxy.Config // while it is being made
}

type option func(*rig)

// standing gives the rig a clock that stands at noon.
func standing(r *rig) { r.clock = &clock{now: noon} }

func newRig(t testing.TB, options ...option) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{TB: t, ended: make(chan struct{}), fake: &fakeai.Server{Keep: true}, log: &journal{}, client: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r.config = proxy.Config{
		Prices: price.Embedded, Upstream: proxy.NewTransport(),
		Log:     telemetry.Log{Logger: telemetry.NewLogger(r.log, slog.LevelDebug)},
		Timeout: 20 * time.Second, MaxBody: 1 << 20,
	}
	for _, o := range options {
		o(r)
	}
	now := time.Now
	if r.clock != nil {
		now = r.clock.Now
	}
	var err error
	if r.db, err = bolt.Open(filepath.Join(dir, "db"), bolt.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	if r.box, err = secret.OpenFileBox(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	r.store = &stagedStore{Store: r.db}
	r.config.Store, r.config.Box, r.config.Now = r.store, r.box, now
	if r.keyService != nil {
		r.config.Box = r.keyService(r.box)
	}
	r.proxy = proxy.New(r.config)
	r.proxy.SetPause(time.Millisecond)
	r.upstream = httptest.NewServer(r.fake)
	r.server = httptest.NewUnstartedServer(afterwork.Handler(r.proxy, &r.tracker))
	r.server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(r.log, nil), slog.LevelError)
	r.server.Start()
	t.Cleanup(r.close)
	r.setting = r.newSetting(upstreamKey, func(s *gateway.Setting) { s.CostMap = outputAt(50) })
	return r
}

// wait keeps the fake provider from answering, but not beyond the test.
func (r *rig) wait(c <-chan bool) {
	select {
	case <-c:
	case <-r.ended:
	}
}

func (r *rig) close() {
	close(r.ended)
	r.upstream.CloseClientConnections()
	r.client.CloseIdleConnections()
	r.server.Close()
	r.settled()
	r.upstream.Close()
	r.config.Upstream.(*http.Transport).CloseIdleConnections()
	if err := r.db.Close(); err != nil {
		r.Error(err)
	}
}

// outputAt prices model m at so many dollars per million tokens out, and its
// tokens in at nothing: then the worst case of a call that is answered with as
// many tokens as it allows is what it costs.
func outputAt(dollars int64) *gateway.CostMap {
	return &gateway.CostMap{
		Prompt:     map[string]int64{"m": 0},
		Completion: map[string]int64{"m": dollars * int64(gateway.OneUSD)},
	}
}

// newSetting stores a setting for the fake provider.
func (r *rig) newSetting(apikey string, change ...func(*gateway.Setting)) gateway.Setting {
	r.Helper()
	s := gateway.Setting{
		ID: uuid.NewString(), Provider: "openai", CreatedAt: r.now(),
		Params: map[string]string{"url": r.upstream.URL + "/v1"},
	}
	for _, f := range change {
		f(&s)
	}
	r.seal(&s, apikey)
	r.must(r.db.CreateSetting(r.Context(), s))
	return s
}

func (r *rig) seal(s *gateway.Setting, apikey string) {
	r.Helper()
	plain, _ := json.Marshal(map[string]string{"apikey": apikey})
	var err error
	if s.Sealed, err = r.box.Seal(r.Context(), plain, s.SealContext()); err != nil {
		r.Fatal(err)
	}
}

// apiKey is a key as its caller has it.
type apiKey struct {
	gateway.Key
	secret string
}

// newKey stores a key for the first setting.
func (r *rig) newKey(change ...func(*gateway.Key)) apiKey {
	r.Helper()
	k := apiKey{secret: "tg-" + uuid.NewString()}
	k.Key = gateway.Key{
		ID: uuid.NewString(), Hash: secret.HashKey(k.secret), Name: "test",
		CreatedAt: r.now(), SettingIDs: []string{r.setting.ID},
	}
	for _, f := range change {
		f(&k.Key)
	}
	r.must(r.db.CreateKey(r.Context(), k.Key))
	return k
}

func (r *rig) updateKey(k apiKey, change func(*gateway.Key)) {
	r.Helper()
	_, err := r.db.UpdateKey(r.Context(), k.ID, func(k *gateway.Key) error { change(k); return nil })
	r.must(err)
}

func (r *rig) updateSetting(id string, change func(*gateway.Setting)) {
	r.Helper()
	_, err := r.db.UpdateSetting(r.Context(), id, func(s *gateway.Setting) error { change(s); return nil })
	r.must(err)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) now() time.Time {
	if r.clock != nil {
		return r.clock.Now()
	}
	return time.Now()
}

// settled waits until all calls so far are settled.
func (r *rig) settled() {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.tracker.Wait(ctx); err != nil {
		r.Fatalf("calls not settled: %v", err)
	}
}

// events are the key's events, oldest first, once all calls are settled.
func (r *rig) events(k apiKey) []gateway.Event {
	r.Helper()
	r.settled()
	list, err := r.db.Events(context.Background(), gateway.EventFilter{KeyIDs: []string{k.ID}})
	r.must(err)
	slices.Reverse(list)
	for i := range list {
		r.open(&list[i])
	}
	return list
}

// open puts an event's bodies in clear. They must be stored sealed.
func (r *rig) open(e *gateway.Event) {
	r.Helper()
	for _, b := range []struct {
		body    *[]byte
		purpose string
	}{{&e.Request, e.RequestPurpose()}, {&e.Response, e.ResponsePurpose()}} {
		if len(*b.body) == 0 {
			continue
		}
		if !e.Sealed || json.Valid(*b.body) {
			r.Errorf("a body is stored in clear: %s", *b.body)
		}
		var err error
		*b.body, err = secret.NewEnvelope(r.box, time.Now).Open(context.Background(), *b.body, b.purpose)
		r.must(err)
	}
}

// event is the key's only event.
func (r *rig) event(k apiKey) gateway.Event {
	r.Helper()
	list := r.events(k)
	if len(list) != 1 {
		r.Fatalf("%d events, want 1: %+v", len(list), list)
	}
	return list[0]
}

// books checks that the key's counters and events agree, with nothing left open,
// and returns what was spent.
func (r *rig) books(k apiKey) gateway.NanoUSD {
	r.Helper()
	c := r.counters(k)
	var sum gateway.NanoUSD
	for _, e := range r.events(k) {
		sum += e.Cost
	}
	if len(c.Open) != 0 || c.Values[limit.InFlight] != 0 {
		r.Errorf("calls still open: %v", c.Open)
	}
	if spent := gateway.NanoUSD(c.Values[limit.Spend]); spent != sum {
		r.Errorf("counted %v, events say %v", spent, sum)
	}
	return sum
}

func (r *rig) counters(k apiKey) limit.Counters {
	r.Helper()
	r.settled()
	c, err := r.db.Counters(context.Background(), k.Hash)
	r.must(err)
	return c
}

// await waits until something happens that nothing announces.
func (r *rig) await(what string, happened func() bool) {
	r.Helper()
	for deadline := time.Now().Add(5 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("waited in vain: %s", what)
		}
	}
}

// limited sets limits on a key.
func limited(limits ...gateway.Limit) func(*gateway.Key) {
	return func(k *gateway.Key) { k.Limits = limits }
}

// budget sets a lifetime cost limit.
func budget(nano gateway.NanoUSD) func(*gateway.Key) {
	return func(k *gateway.Key) { k.CostLimit = nano }
}
