package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/rollup"
	"tollgate/internal/store/dynamo"
)

// foldEvery is how long sums may be behind events.
const foldEvery = 500 * time.Millisecond

// folding is a DynamoDB store that does itself what a function does for a deployed
// gateway: it folds the events that it wrote into the sums. What a killed process
// leaves behind, `tollgate recompute --fix` folds.
type folding struct {
	*dynamo.Store
	log *slog.Logger

	mu      sync.Mutex
	waiting map[string][2]time.Time // key id to its first and last event that was not folded
	timer   *time.Timer             // runs while something waits
	running sync.Mutex              // held while folding
}

func newFolding(s *dynamo.Store, log *slog.Logger) *folding {
	return &folding{Store: s, log: log, waiting: make(map[string][2]time.Time)}
}

// Settle implements limit.Ledger.
func (f *folding) Settle(ctx context.Context, s *limit.Settlement) (own bool, err error) {
	own, err = f.Store.Settle(ctx, s)
	f.wrote(s.Event.KeyID, s.Reservation.At)
	return own, err
}

// Record writes the event of a call that reserved nothing.
func (f *folding) Record(ctx context.Context, e gateway.Event) error {
	err := f.Store.Record(ctx, e)
	f.wrote(e.KeyID, e.At)
	return err
}

func (f *folding) wrote(keyID string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	span, ok := f.waiting[keyID]
	if !ok || at.Before(span[0]) {
		span[0] = at
	}
	if at.After(span[1]) {
		span[1] = at
	}
	f.waiting[keyID] = span
	if f.timer == nil {
		f.timer = time.AfterFunc(foldEvery, f.foldWaiting)
	}
}

// foldWaiting folds what the store has, not what it was given: another closer of
// the same reservation may have written first.
func (f *folding) foldWaiting() {
	f.running.Lock()
	defer f.running.Unlock()
	f.mu.Lock()
	waiting := f.waiting
	f.waiting, f.timer = make(map[string][2]time.Time), nil
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for keyID, span := range waiting {
		events, err := f.Events(ctx, gateway.EventFilter{KeyIDs: []string{keyID}, From: span[0], To: span[1].Add(time.Millisecond)})
		if err == nil {
			_, err = f.Fold(ctx, events)
		}
		if err != nil {
			f.log.Error("events not folded into sums: recompute --fix does it", "keyId", keyID, "error", err)
		}
	}
}

// Close folds what still waits.
func (f *folding) Close() error {
	f.mu.Lock()
	if f.timer != nil {
		f.timer.Stop()
	}
	f.mu.Unlock()
	f.foldWaiting()
	return f.Store.Close()
}

var _ rollup.Store = (*folding)(nil)
