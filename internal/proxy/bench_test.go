package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/price"
	"tollgate/internal/proxy"
	"tollgate/internal/secret"
	"tollgate/internal/telemetry"
)

// oneKey is a store of one key without limits, in memory.
type oneKey struct {
	proxy.Store // nil: the rest is not asked

	key     gateway.Key
	setting gateway.Setting
}

func (s *oneKey) KeyByHash(context.Context, string) (gateway.Key, error) { return s.key, nil }
func (s *oneKey) Settings(context.Context, []string) ([]gateway.Setting, error) {
	return []gateway.Setting{s.setting}, nil
}
func (s *oneKey) Record(context.Context, gateway.Event) error { return nil }
func (s *oneKey) Reserve(context.Context, *limit.Claim) (limit.Standing, error) {
	return limit.Standing{}, nil
}
func (s *oneKey) Settle(context.Context, *limit.Settlement) (bool, error) { return true, nil }

// openBox seals nothing.
type openBox struct{}

func (openBox) Seal(_ context.Context, plain []byte, _ map[string]string) ([]byte, error) {
	return plain, nil
}
func (openBox) Open(_ context.Context, sealed []byte, _ map[string]string) ([]byte, error) {
	return sealed, nil
}

// canned is a provider without a network.
type canned struct{ contentType, body string }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: 200, ContentLength: int64(len(c.body)), Body: io.NopCloser(strings.NewReader(c.body)),
		Header: http.Header{"Content-Type": {c.contentType}, "X-Request-Id": {"req_1"}},
	}, nil
}

// sink takes an answer and forgets it.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(n int)   { s.status = n }
func (s *sink) Flush()              {}
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

func benchmark(b *testing.B, body string, upstream canned) {
	sealed, _ := json.Marshal(map[string]string{"apikey": "sk"})
	server := proxy.New(proxy.Config{
		Store: &oneKey{
			key:     gateway.Key{ID: "k", Hash: secret.HashKey("key"), SettingIDs: []string{"s"}},
			setting: gateway.Setting{ID: "s", Provider: "openai", Sealed: sealed},
		},
		Box: openBox{}, Prices: price.Embedded, Upstream: upstream,
		Log:     telemetry.Log{Logger: telemetry.NewLogger(io.Discard, slog.LevelInfo)},
		Timeout: time.Minute, MaxBody: 1 << 20,
	})
	call := func() *sink {
		r := httptest.NewRequest("POST", chat, bytes.NewReader([]byte(body)))
		r.Header["Authorization"], r.Header["Content-Type"] = []string{"Bearer key"}, []string{"application/json"}
		w := &sink{header: http.Header{}}
		server.ServeHTTP(w, r)
		return w
	}
	if w := call(); w.status != 200 || w.bytes < len(upstream.body)/2 {
		b.Fatalf("status %d, %d bytes", w.status, w.bytes)
	}
	b.SetBytes(int64(len(upstream.body)))
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// One plain call from its request to its settlement, without network and disk. The
// request is made in the loop, too.
func BenchmarkProxyPlain(b *testing.B) {
	benchmark(b, strings.Replace(hello, `"m"`, `"gpt-4o-mini"`, 1),
		canned{"application/json", usageAnswer(`{"prompt_tokens":10,"completion_tokens":20}`)})
}

// The same with a stream of 200 chunks, whose usage is taken out.
func BenchmarkProxyStream(b *testing.B) {
	const chunk = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"token"},"finish_reason":null}]}` + "\n\n"
	benchmark(b, strings.Replace(stream, `"m"`, `"gpt-4o-mini"`, 1), canned{"text/event-stream",
		strings.Repeat(chunk, 200) + `data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":200}}` + "\n\ndata: [DONE]\n\n"})
}
