package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/telemetry"
)

// line writes the record of e and reads it back. Numbers are float64.
func line(t *testing.T, namespace string, level slog.Level, e gateway.Event, cause error) (map[string]any, string) {
	t.Helper()
	var b bytes.Buffer
	l := telemetry.Log{Logger: telemetry.NewLogger(&b, level), Namespace: namespace}
	l.Call(context.Background(), &e, cause)
	if b.Len() == 0 {
		return nil, ""
	}
	if strings.Count(b.String(), "\n") != 1 {
		t.Fatalf("not one line: %s", b.String())
	}
	members := map[string]any{}
	if err := json.Unmarshal(b.Bytes(), &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "time")
	return members, b.String()
}

func event() gateway.Event {
	e := gateway.Event{
		ID: "id-1", KeyID: "key-1", At: time.UnixMilli(1_795_429_230_500), Provider: "openai", Model: "gpt-6", Served: "gpt-6-2026-09-01",
		Method: "POST", Path: "/concrete/path", Endpoint: "/api/providers/openai/v1/chat/completions", Stream: true,
		Status: 200, LatencyMS: 1500, FirstMS: 300, Tokens: 30, Cost: 1_100_000, Basis: gateway.BasisReported, Price: "2026-11-01",
		CustomID: "private-custom", UserID: "private-user", Metadata: []byte(`{"private":"metadata"}`), Tags: []string{"private-tag"},
		Request: []byte("private request"), Response: []byte("private response"),
	}
	var u gateway.Usage
	u.Counts[gateway.Input], u.Counts[gateway.CacheRead], u.Counts[gateway.Output] = 15, 5, 10
	e.SetUsage(u)
	return e
}

func TestCall(t *testing.T) {
	got, raw := line(t, "", slog.LevelInfo, event(), nil)
	want := map[string]any{
		"level": "INFO", "msg": "call", "requestId": "id-1", "keyId": "key-1", "method": "POST", "endpoint": "/api/providers/openai/v1/chat/completions",
		"status": 200.0, "latencyMs": 1500.0, "firstByteMs": 300.0, "promptTokens": 20.0, "completionTokens": 10.0, "costNanoUsd": 1_100_000.0,
		"provider": "openai", "model": "gpt-6", "served": "gpt-6-2026-09-01", "basis": "reported", "price": "2026-11-01", "stream": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if strings.Contains(raw, "private") {
		t.Errorf("a body or what a caller attached is shown: %s", raw)
	}

	got, _ = line(t, "", slog.LevelInfo, gateway.Event{ID: "id-2", Method: "GET", Status: 504, Truncated: true, Expired: true, Refused: "upstream_timeout", Basis: gateway.BasisNone}, errors.New("dial: too slow"))
	want = map[string]any{
		"level": "ERROR", "msg": "call", "requestId": "id-2", "method": "GET", "endpoint": "", "status": 504.0, "latencyMs": 0.0,
		"promptTokens": 0.0, "completionTokens": 0.0, "costNanoUsd": 0.0, "basis": "none", "refused": "upstream_timeout",
		"truncated": true, "expired": true, "cause": "dial: too slow",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLevels(t *testing.T) {
	for _, tt := range []struct {
		level  slog.Level
		status int
		want   bool
	}{{slog.LevelInfo, 200, true}, {slog.LevelWarn, 200, false}, {slog.LevelWarn, 429, false}, {slog.LevelError, 500, true}, {slog.LevelError, 499, false}} {
		if got, _ := line(t, "", tt.level, gateway.Event{Status: tt.status}, nil); (got != nil) != tt.want {
			t.Errorf("status %d at level %s: %v", tt.status, tt.level, got)
		}
	}
}

// envelope is the member that CloudWatch looks for.
type envelope struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
}

// What the Embedded Metric Format demands: dimensions are strings, metrics are
// numbers, both are members of the line itself, under names that occur once.
func TestMetrics(t *testing.T) {
	made, expired, silent := event(), event(), event()
	made.Price, made.Model = "", "made-up-by-the-caller"
	expired.Model = ""
	silent.FirstMS, silent.Status, silent.Refused = 0, 429, "rate_limit_exceeded"
	failed := event()
	failed.Status, failed.Refused, failed.Price = 502, "bad_gateway", ""
	invented := failed
	invented.Model, invented.CountAs = "made-up-by-the-caller", gateway.OtherModel
	for _, tt := range []struct {
		name  string
		event gateway.Event
		want  map[string]any
	}{
		{"call", event(), map[string]any{"Provider": "openai", "Model": "gpt-6", "Calls": 1.0, "Refused": 0.0, "Failed": 0.0, "Latency": 1500.0, "FirstByte": 300.0, "CostUSD": 0.0011}},
		{"model without a price", made, map[string]any{"Provider": "openai", "Model": "other", "Calls": 1.0, "Refused": 0.0, "Failed": 0.0, "Latency": 1500.0, "FirstByte": 300.0, "CostUSD": 0.0011}},
		{"price without a model", expired, map[string]any{"Provider": "openai", "Model": "other", "Calls": 1.0, "Refused": 0.0, "Failed": 0.0, "Latency": 1500.0, "FirstByte": 300.0, "CostUSD": 0.0011}},
		{"refused before any byte", silent, map[string]any{"Provider": "openai", "Model": "gpt-6", "Calls": 1.0, "Refused": 1.0, "Failed": 0.0, "Latency": 1500.0, "CostUSD": 0.0011}},
		{"failed, of a name that nobody knows", invented, map[string]any{"Provider": "openai", "Model": "other", "Calls": 1.0, "Refused": 0.0, "Failed": 1.0, "Latency": 1500.0, "FirstByte": 300.0, "CostUSD": 0.0011}},
		{"failed", failed, map[string]any{"Provider": "openai", "Model": "gpt-6", "Calls": 1.0, "Refused": 0.0, "Failed": 1.0, "Latency": 1500.0, "FirstByte": 300.0, "CostUSD": 0.0011}},
	} {
		members, raw := line(t, "Tollgate/Test", slog.LevelInfo, tt.event, nil)
		var e envelope
		if err := json.Unmarshal([]byte(raw), &e); err != nil || len(e.AWS.CloudWatchMetrics) != 1 {
			t.Errorf("%s: %v: %s", tt.name, err, raw)
			continue
		}
		d := e.AWS.CloudWatchMetrics[0]
		if e.AWS.Timestamp != 1_795_429_230_500 || d.Namespace != "Tollgate/Test" {
			t.Errorf("%s: at %d in %q", tt.name, e.AWS.Timestamp, d.Namespace)
		}
		got := map[string]any{}
		for _, set := range d.Dimensions {
			for _, name := range set {
				if s, ok := members[name].(string); !ok || s == "" || len(set) > 30 {
					t.Errorf("%s: dimension %s is %v", tt.name, name, members[name])
				}
				got[name] = members[name]
			}
		}
		for _, m := range d.Metrics {
			if _, ok := members[m.Name].(float64); !ok || !slices.Contains([]string{"Count", "Milliseconds", "None"}, m.Unit) {
				t.Errorf("%s: metric %s in %s is %v", tt.name, m.Name, m.Unit, members[m.Name])
			}
			got[m.Name] = members[m.Name]
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
		for name := range members {
			if strings.Count(raw, `"`+name+`":`) != 1 && name != "Provider" && name != "Model" {
				t.Errorf("%s: member %s stands more than once", tt.name, name)
			}
		}
	}
}

// A call to no provider, such as one to an unknown path, is no metric.
func TestNoMetrics(t *testing.T) {
	e := event()
	e.Provider = ""
	if got, _ := line(t, "Tollgate", slog.LevelInfo, e, nil); got["_aws"] != nil || got["Calls"] != nil {
		t.Errorf("%v", got)
	}
	if got, _ := line(t, "", slog.LevelInfo, event(), nil); got["_aws"] != nil || got["Provider"] != nil {
		t.Errorf("%v", got)
	}
}

func BenchmarkCall(b *testing.B) {
	l := telemetry.Log{Logger: telemetry.NewLogger(io.Discard, slog.LevelInfo), Namespace: "Tollgate"}
	e := event()
	b.ReportAllocs()
	for b.Loop() {
		l.Call(context.Background(), &e, nil)
	}
}
