package bolt_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/store/bolt"
)

// TestRefusesWhatItCannotKeep makes sure that no claim leaves a marker that cannot
// be read again: it would lock the key for good.
func TestRefusesWhatItCannotKeep(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"), bolt.Options{})
	k := newKey(t, s, "k")
	for name, spoil := range map[string]func(*limit.Claim){
		"tokens below zero": func(c *limit.Claim) { c.Tokens = -1 },
		"cost below zero":   func(c *limit.Claim) { c.Cost = -1 },
		"no time":           func(c *limit.Claim) { c.At = time.Time{} },
		"no id":             func(c *limit.Claim) { c.ID = "" },
		"no key":            func(c *limit.Claim) { c.Key = "" },
	} {
		c := claim(k, 1)
		spoil(c)
		if _, err := s.Reserve(t.Context(), c); err == nil || gateway.KindOf(err) != gateway.Internal {
			t.Errorf("%s: error %v", name, err)
		}
	}
	c, err := s.Counters(t.Context(), k.Hash)
	if err != nil || len(c.Open) != 0 || len(c.Values) != 0 {
		t.Errorf("counters %+v, error %v", c, err)
	}
	if _, err := s.Reserve(t.Context(), claim(k, 0)); err != nil {
		t.Errorf("the key cannot be used: %v", err)
	}
}

// TestIdempotencyRecordsGo counts what is remembered: after its time, each claim
// removes a few of the old ones.
func TestIdempotencyRecordsGo(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	s := open(t, filepath.Join(t.TempDir(), "db"), bolt.Options{Now: func() time.Time { return now }})
	k := newKey(t, s, "k")
	made := 0
	reserve := func(n int) {
		for range n {
			made++
			c := claim(k, 0)
			c.At, c.Expires = now, now.Add(time.Minute)
			c.IdempotencyKey = fmt.Sprint("value ", made)
			if _, err := s.Reserve(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		wait       time.Duration
		make, left int
	}{
		{0, 10, 10},
		{limit.IdempotencyWindow - time.Millisecond, 1, 11},
		{time.Millisecond, 1, 9}, // 11 + 1 - 3
		{0, 2, 5},
		{0, 1, 5}, // the tenth is the last old one
		{limit.IdempotencyWindow, 1, 3},
		{0, 1, 2},
	} {
		now = now.Add(step.wait)
		reserve(step.make)
		if records, ends := s.Remembered(); records != step.left || ends != step.left {
			t.Errorf("after %d claims %d records and %d ends, want %d of both", made, records, ends, step.left)
		}
	}
}
