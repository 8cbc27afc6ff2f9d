// Package telemetry writes the access record: one JSON line for each call, which
// on Lambda is a CloudWatch metric at the same time.
package telemetry

import (
	"cmp"
	"context"
	"io"
	"log/slog"

	"tollgate/internal/gateway"
)

// Log writes access records. The zero Namespace writes plain lines.
type Log struct {
	Logger *slog.Logger
	// Namespace, if set, makes each line a CloudWatch metric in it, by the
	// Embedded Metric Format.
	Namespace string
}

// NewLogger writes JSON lines to w. level is debug, info, warn or error.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// Call writes the record of one call. An event holds neither key material nor,
// in what is written here, any part of a body.
func (l *Log) Call(ctx context.Context, e *gateway.Event, cause error) {
	level := slog.LevelInfo
	if e.Status >= 500 {
		level = slog.LevelError
	}
	if !l.Logger.Enabled(ctx, level) {
		return
	}
	usage := e.GetUsage()
	attrs := make([]slog.Attr, 0, 32)
	attrs = append(attrs,
		slog.String("requestId", e.ID),
		slog.String("method", e.Method),
		slog.String("endpoint", e.Endpoint),
		slog.Int("status", e.Status),
		slog.Int64("latencyMs", e.LatencyMS),
		slog.Int64("promptTokens", usage.PromptTokens()),
		slog.Int64("completionTokens", usage.CompletionTokens()),
		slog.Int64("costNanoUsd", int64(e.Cost)),
	)
	for _, a := range []struct{ name, value string }{
		{"keyId", e.KeyID}, {"provider", e.Provider}, {"model", e.Model}, {"served", e.Served},
		{"basis", string(e.Basis)}, {"price", e.Price}, {"refused", e.Refused}, {"scope", e.Scope},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	if e.FirstMS > 0 {
		attrs = append(attrs, slog.Int64("firstByteMs", e.FirstMS))
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"stream", e.Stream}, {"truncated", e.Truncated}, {"expired", e.Expired}} {
		if f.set {
			attrs = append(attrs, slog.Bool(f.name, true))
		}
	}
	if cause != nil {
		attrs = append(attrs, slog.String("cause", cause.Error()))
	}
	if l.Namespace != "" && e.Provider != "" {
		attrs = append(attrs, l.metrics(e)...)
	}
	l.Logger.LogAttrs(ctx, level, "call", attrs...)
}

// metrics are the members that make a line a metric. Each combination of
// dimensions is billed as a metric of its own, so there are two, of few values:
// a provider and one of its models, never keys or tags. A model that has no price
// is a name the caller made up, and counts as "other".
func (l *Log) metrics(e *gateway.Event) []slog.Attr {
	model := cmp.Or(e.CountAs, e.Model)
	failed := e.Status >= 400 // then CountAs says whether the model is known
	if model == gateway.OtherModel || model == "" || e.Price == "" && !failed {
		model = "other" // a dimension must not be empty
	}
	values := []metric{
		{"Calls", "Count", slog.IntValue(1)},
		{"Refused", "Count", slog.IntValue(one(e.Refused != "" && e.Status < 500))},
		{"Failed", "Count", slog.IntValue(one(e.Status >= 500))},
		{"Latency", "Milliseconds", slog.Int64Value(e.LatencyMS)},
		{"CostUSD", "None", slog.Float64Value(e.Cost.USD())},
	}
	if e.FirstMS > 0 { // else there was no first byte, and 0 would spoil the average
		values = append(values, metric{"FirstByte", "Milliseconds", slog.Int64Value(e.FirstMS)})
	}
	attrs := []slog.Attr{
		slog.Any("_aws", envelope{e.At.UnixMilli(), []directive{{l.Namespace, [][]string{{"Provider", "Model"}}, values}}}),
		slog.String("Provider", e.Provider), slog.String("Model", model),
	}
	for _, m := range values {
		attrs = append(attrs, slog.Attr{Key: m.Name, Value: m.value})
	}
	return attrs
}

// envelope, directive and metric are the "_aws" member of the Embedded Metric
// Format, which says what of a line's members are metrics.
type envelope struct {
	Timestamp         int64 // milliseconds since 1970
	CloudWatchMetrics []directive
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metric
}

type metric struct {
	Name, Unit string
	value      slog.Value
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
