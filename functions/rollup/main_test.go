package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

func sample(t *testing.T) (batch events.DynamoDBEvent) {
	t.Helper()
	text, err := os.ReadFile("../../events/usage-stream.json")
	if err == nil {
		err = json.Unmarshal(text, &batch)
	}
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// Events of the batch are folded, sums and removals are not, and what cannot be
// read is logged without stopping the shard.
func TestHandle(t *testing.T) {
	var got []gateway.Event
	var log strings.Builder
	f := &folder{log: slog.New(slog.NewTextHandler(&log, nil)), fold: func(_ context.Context, list []gateway.Event) (int, error) {
		got = append(got, list...)
		return len(list), nil
	}}
	answer, err := f.handle(t.Context(), sample(t))
	if err != nil || len(answer.BatchItemFailures) != 0 {
		t.Errorf("answer %v, %v", answer, err)
	}
	if len(got) != 1 || got[0].KeyID != "key-1" || got[0].Cost != 13500 || got[0].At.UnixMilli() != 1795429230500 {
		t.Errorf("folded %+v", got)
	}
	if !strings.Contains(log.String(), "sequence=113") {
		t.Errorf("the record that cannot be read is not in the log: %s", &log)
	}
	body, err := json.Marshal(answer)
	if err != nil || string(body) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s, %v", body, err)
	}
}

func TestHandleFailure(t *testing.T) {
	f := &folder{log: slog.New(slog.DiscardHandler), fold: func(context.Context, []gateway.Event) (int, error) {
		return 0, errors.New("down")
	}}
	answer, err := f.handle(t.Context(), sample(t))
	if err != nil || len(answer.BatchItemFailures) != 1 || answer.BatchItemFailures[0].ItemIdentifier != "111" {
		t.Errorf("answer %v, %v; want the batch again from record 111", answer, err)
	}
}

// What can never be counted is logged, and does not bring the batch again.
func TestHandleRejected(t *testing.T) {
	var log strings.Builder
	f := &folder{log: slog.New(slog.NewTextHandler(&log, nil)), fold: func(context.Context, []gateway.Event) (int, error) {
		return 0, &rollup.Rejected{EventIDs: []string{"event-9"}, Err: errors.New("too large")}
	}}
	answer, err := f.handle(t.Context(), sample(t))
	if err != nil || len(answer.BatchItemFailures) != 0 || !strings.Contains(log.String(), "event-9") {
		t.Errorf("answer %v, %v, log %s; want the event in the log and no failure", answer, err, &log)
	}
}
