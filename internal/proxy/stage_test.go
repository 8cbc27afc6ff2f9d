package proxy_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/proxy"
	"tollgate/internal/record"
)

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// journal is a log that can be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// stagedStore is the store with an audience: it counts what the proxy asks, and
// lets a test stand in for any of it.
type stagedStore struct {
	proxy.Store

	mu    sync.Mutex
	calls []string

	// Each may be set before the proxy is called; it decides whether next runs.
	reserve func(next func() (limit.Standing, error)) (limit.Standing, error)
	settle  func(s *limit.Settlement, next func() error) error
	read    func() error // KeyByHash
	in      func() error // RecordsIn
	release func(*limit.Claim) error
}

func (s *stagedStore) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

// saw reports whether the call was among those since the last take.
func (s *stagedStore) saw(call string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.calls, call)
}

// take returns the calls since it was last asked.
func (s *stagedStore) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *stagedStore) KeyByHash(ctx context.Context, hash string) (gateway.Key, error) {
	s.note("KeyByHash")
	if s.read != nil {
		if err := s.read(); err != nil {
			return gateway.Key{}, err
		}
	}
	return s.Store.KeyByHash(ctx, hash)
}

func (s *stagedStore) Settings(ctx context.Context, ids []string) ([]gateway.Setting, error) {
	s.note("Settings")
	return s.Store.Settings(ctx, ids)
}

func (s *stagedStore) RecordsIn(ctx context.Context, kind record.Kind, group string) ([]record.Record, error) {
	s.note("RecordsIn " + string(kind))
	if s.in != nil {
		if err := s.in(); err != nil {
			return nil, err
		}
	}
	return s.Store.RecordsIn(ctx, kind, group)
}

func (s *stagedStore) RecordByID(ctx context.Context, kind record.Kind, id string) (record.Record, error) {
	s.note("RecordByID " + string(kind))
	return s.Store.RecordByID(ctx, kind, id)
}

func (s *stagedStore) Counters(ctx context.Context, keyHash string) (limit.Counters, error) {
	s.note("Counters")
	return s.Store.Counters(ctx, keyHash)
}

func (s *stagedStore) Release(ctx context.Context, c *limit.Claim) error {
	s.note("Release")
	if s.release != nil {
		return s.release(c)
	}
	return s.Store.Release(ctx, c)
}

func (s *stagedStore) Record(ctx context.Context, e gateway.Event) error {
	s.note("Record")
	return s.Store.Record(ctx, e)
}

func (s *stagedStore) Reserve(ctx context.Context, c *limit.Claim) (limit.Standing, error) {
	s.note("Reserve")
	if s.reserve != nil {
		return s.reserve(func() (limit.Standing, error) { return s.Store.Reserve(ctx, c) })
	}
	return s.Store.Reserve(ctx, c)
}

func (s *stagedStore) Settle(ctx context.Context, v *limit.Settlement) (own bool, err error) {
	s.note("Settle")
	next := func() (err error) {
		own, err = s.Store.Settle(ctx, v)
		return err
	}
	if s.settle != nil {
		err = s.settle(v, next)
		return own, err
	}
	err = next()
	return own, err
}
