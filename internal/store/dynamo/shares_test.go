package dynamo_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/storetest"
)

// share makes a user with the limits.
func (b *bench) share(t *testing.T, limits ...gateway.Limit) limit.Share {
	t.Helper()
	id := uuid.NewString()
	users := record.OfUsers(b.Store)
	if err := users.Create(t.Context(), &gateway.User{ID: id, UserID: id, CreatedAt: time.Now()}, nil); err != nil {
		t.Fatal(err)
	}
	_, version, err := users.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return limit.Share{Subject: record.UserSubject(id), Version: version, Limits: limits}
}

func (b *bench) shared(tokens int64, shares ...limit.Share) *limit.Claim {
	c := b.claim(tokens, 0)
	c.KeyID, c.Also = b.key.ID, shares
	return c
}

// Each share costs one request before the call and one after it, and one more when
// another limit refuses the call.
func TestRequestsPerShare(t *testing.T) {
	b := newBench(t, 3, dynamo.Options{})
	wide, narrow := b.share(t), b.share(t, gateway.Limit{Measure: gateway.Tokens, Per: gateway.Lifetime, Max: 100})
	for _, tt := range []struct {
		name   string
		tokens int64
		shares []limit.Share
		want   int64
	}{
		{"none", 50, nil, 1 + 2},
		{"one", 50, []limit.Share{wide}, 2 + 3},
		{"two", 50, []limit.Share{wide, narrow}, 3 + 4},
		{"one of two denies", 101, []limit.Share{wide, narrow}, 3 + 2},
		{"the only one denies", 101, []limit.Share{narrow}, 2 + 1},
	} {
		b.wire.requests.Store(0)
		c := b.shared(tt.tokens, tt.shares...)
		var denied *limit.Denied
		_, err := b.Reserve(t.Context(), c)
		if err == nil {
			s := b.settlement(c, tt.tokens, 0)
			s.Also = c.Closings(limit.Standing{})
			_, err = b.Settle(t.Context(), s)
		} else if errors.As(err, &denied) {
			err = nil
		}
		if got := b.wire.requests.Load(); got != tt.want || err != nil {
			t.Errorf("%s: %d requests (%v), want %d", tt.name, got, err, tt.want)
		}
	}
}

// A refusal whose release fails says so, and Release takes back what is left. The
// three tries of each release are not more.
func TestUnreleased(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	wide, full := b.share(t), b.share(t, gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 0})
	var calls atomic.Int64
	b.wire.fault = func(string) storetest.When {
		if calls.Add(1) > 3 {
			return storetest.Before
		}
		return storetest.Never
	}
	c := b.shared(5, wide, full)
	_, err := b.Reserve(t.Context(), c)
	var denied *limit.Denied
	var left *limit.Unreleased
	if !errors.As(err, &left) || !errors.As(err, &denied) || denied.Subject != full.Subject || gateway.KindOf(left.Cause) != gateway.Unavailable {
		t.Fatalf("error %v, want a denial that is not released", err)
	}
	if n := calls.Load(); n != 3+2*3 {
		t.Errorf("%d requests, want 9", n)
	}
	b.wire.fault = nil
	open := func(want int) {
		t.Helper()
		for _, subject := range []string{b.key.Hash, wide.Subject} {
			c, err := b.Counters(t.Context(), subject)
			if err != nil || len(c.Open) != want || c.Values[limit.InFlight] != int64(want) {
				t.Errorf("%s: %+v (%v), want %d open", subject, c, err, want)
			}
		}
	}
	open(1)
	for range 2 {
		if err := b.Release(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		open(0)
	}
}

// The marker on a share holds the key's id, which is most of it.
func TestShareItemSize(t *testing.T) {
	client := newClient(t, &wire{}, 3)
	b := newBench(t, 3, dynamo.Options{})
	b.key.ID = uuid.NewString()
	share := b.share(t, threeLimits...)
	size := func() int { return itemSize(t, b.countersAt(t, client, share.Subject)) }
	if _, err := b.Reserve(t.Context(), b.shared(3000, share)); err != nil {
		t.Fatal(err)
	}
	first := size()
	for range 18 {
		if _, err := b.Reserve(t.Context(), b.shared(3000, share)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("1 open call: %d bytes, 19: %d", first, size())
	if all := size(); all > 1024 {
		t.Errorf("19 open calls: %d bytes, want at most 1 write unit", all)
	}
}
