package bolt_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/store/bolt"
)

func claim(k gateway.Key, cost gateway.NanoUSD) *limit.Claim {
	now := time.Now().Truncate(time.Millisecond)
	return &limit.Claim{
		ID: limit.NewID(), Key: k.Hash, Version: k.Version, Limits: k.AllLimits(),
		Tokens: 100, Cost: cost, At: now, Expires: now.Add(time.Minute),
	}
}

func settlement(k gateway.Key, c *limit.Claim, cost gateway.NanoUSD) *limit.Settlement {
	return &limit.Settlement{
		Key: k.Hash, Reservation: c.Reservation(), Tokens: 50, Cost: cost,
		Event: gateway.Event{
			ID: "call", ReservationID: c.ID, KeyID: k.ID, At: c.At, Provider: "openai", Model: "gpt-5-mini",
			Method: "POST", Path: "/api/providers/openai/v1/chat/completions", Status: 200,
			Usage: map[string]int64{"input": 30, "output": 20}, Tokens: 50, Cost: cost, Basis: gateway.BasisReported,
		},
	}
}

// newKey makes a key with limits that are never reached.
func newKey(t testing.TB, s *bolt.Store, id string) gateway.Key {
	t.Helper()
	k := gateway.Key{ID: id, Hash: "hash of " + id, CreatedAt: time.Now().UTC(), Limits: []gateway.Limit{
		{Measure: gateway.Requests, Per: gateway.Minute, Max: 1 << 40},
		{Measure: gateway.Tokens, Per: gateway.Day, Max: 1 << 40},
		{Measure: gateway.Cost, Per: gateway.Lifetime, Max: 1 << 50},
	}}
	if err := s.CreateKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	k, err := s.Key(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	ctx := t.Context()
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKey(t, s, "k")
	open1, ended := claim(k, 3000), claim(k, 4000)
	open1.IdempotencyKey, ended.IdempotencyKey = "open", "ended"
	end := settlement(k, ended, 2500)
	end.IdempotencyKey = "ended"
	end.Event.CustomID = "custom"
	_, err1 := s.Reserve(ctx, open1)
	_, err2 := s.Reserve(ctx, ended)
	_, err3 := s.Settle(ctx, end)
	for _, err := range []error{
		err1, err2, err3, s.CreateSetting(ctx, gateway.Setting{ID: "s", Name: "kept"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := state(t, s, k)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s, err = bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d := cmp.Diff(before, state(t, s, k)); d != "" {
		t.Errorf("after the restart (-before +after):\n%s", d)
	}
	if v := before.Counters.Values[limit.Spend]; v != 5500 {
		t.Errorf("%d spent, want 5500", v)
	}
	for value, want := range map[string]error{"open": limit.ErrRunning, "ended": limit.ErrRepeated} {
		c := claim(k, 1)
		c.IdempotencyKey = value
		if _, err := s.Reserve(ctx, c); err != want {
			t.Errorf("idempotency key %q: %v, want %v", value, err, want)
		}
	}
	if err := s.DeleteKey(ctx, k.ID); err != nil {
		t.Fatal(err)
	}
	if again := newKey(t, s, "k"); again.Version <= k.Version {
		t.Errorf("version %d after %d", again.Version, k.Version)
	}
}

type everything struct {
	Counters limit.Counters
	Keys     []gateway.Key
	Settings []gateway.Setting
	Events   []gateway.Event
}

func state(t *testing.T, s *bolt.Store, k gateway.Key) (e everything) {
	t.Helper()
	var errs [4]error
	e.Counters, errs[0] = s.Counters(t.Context(), k.Hash)
	e.Keys, errs[1] = s.Keys(t.Context())
	e.Settings, errs[2] = s.AllSettings(t.Context())
	e.Events, errs[3] = s.Events(t.Context(), gateway.EventFilter{CustomID: "custom"})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(e.Keys) != 1 || len(e.Settings) != 1 || len(e.Events) != 1 || len(e.Counters.Open) != 1 {
		t.Errorf("found %+v", e)
	}
	return e
}

func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	open(t, path, bolt.Options{})
	begin := time.Now()
	_, err := bolt.Open(path, bolt.Options{})
	if err == nil || !strings.Contains(err.Error(), path+" is in use by another process") {
		t.Errorf("error %v", err)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("it took %v, want at most a second", d)
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, slices.Repeat([]byte("no database "), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "db"), junk} {
		if _, err := bolt.Open(path, bolt.Options{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestFileMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	open(t, path, bolt.Options{})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
}

// TestRetention lets events grow old: of a key that goes on, writes remove them a
// few at a time; of one that does not, the next start does.
func TestRetention(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	now := time.Date(2035, 5, 17, 10, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	opts := bolt.Options{Retention: time.Hour, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }}
	s, err := bolt.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	at := now
	record := func(key string, n int) {
		for i := range n {
			at = at.Add(time.Millisecond)
			e := gateway.Event{KeyID: key, At: at, ReservationID: fmt.Sprint(i), CustomID: "c", UserID: "u"}
			if err := s.Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	record("busy", 10)
	record("idle", 7)
	at = now.Add(time.Hour + time.Second)
	mu.Lock()
	now = at
	mu.Unlock()
	if n := count(t, s, gateway.EventFilter{UserID: "u"}); n != 0 {
		t.Errorf("%d old events are shown", n)
	}
	record("busy", 1)
	if n := s.Stored("busy"); n != 7 { // 10 - 4 + 1
		t.Errorf("%d events of the busy key, want 7", n)
	}
	record("busy", 2)
	if n := s.Stored("busy"); n != 3 {
		t.Errorf("%d events of the busy key, want the 3 new ones", n)
	}
	if n := s.Stored("idle"); n != 7 {
		t.Errorf("%d events of the idle key, want all 7", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = bolt.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if busy, idle, pointers := s.Stored("busy"), s.Stored("idle"), s.Pointers(); busy != 3 || idle != 0 || pointers != 6 {
		t.Errorf("after the restart %d, %d and %d pointers, want 3, 0 and 6", busy, idle, pointers)
	}
	if n := count(t, s, gateway.EventFilter{CustomID: "c"}); n != 3 {
		t.Errorf("%d events by custom id, want 3", n)
	}
}

func count(t *testing.T, s *bolt.Store, f gateway.EventFilter) int {
	t.Helper()
	list, err := s.Events(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
