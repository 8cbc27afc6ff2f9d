package dynamo_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/internal/gateway"
	"tollgate/internal/store/dynamo"
)

// An event that is too large for an item loses its logged bodies, the response
// first, and its reservation closes all the same.
func TestLargeEvent(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	c := b.claim(10, 10)
	if _, err := b.Reserve(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	st := b.settlement(c, 5, 5)
	st.Event.Request = []byte("small")
	st.Event.Response = bytes.Repeat([]byte{0xff}, 390<<10)
	if _, err := b.Settle(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	events, err := b.Events(t.Context(), gateway.EventFilter{KeyIDs: []string{"k1"}, From: c.At, To: c.At.Add(time.Second)})
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events (%v), want 1", len(events), err)
	}
	if e := events[0]; e.Response != nil || string(e.Request) != "small" || e.Cost != 5 {
		t.Errorf("%d bytes of response, request %q, cost %v; want 0, small and 5", len(e.Response), e.Request, e.Cost)
	}
	counters, err := b.Counters(t.Context(), b.key.Hash)
	if err != nil || len(counters.Open) != 0 {
		t.Errorf("%d open (%v), want 0", len(counters.Open), err)
	}
}

// Ids come from callers: of any length, and not always text.
func TestOddIDs(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	at := time.Now().UTC().Truncate(time.Millisecond)
	long := strings.Repeat("é", 5000)
	for i, id := range []string{long, long + "x", "a\xffb\xfe\xfe", "\x00", "'; --"} {
		e := gateway.Event{KeyID: "k1", At: at.Add(time.Duration(i) * time.Millisecond), ReservationID: "r", CustomID: id, UserID: id}
		if err := b.Record(t.Context(), e); err != nil {
			t.Fatalf("%.20q: %v", id, err)
		}
		for _, f := range []gateway.EventFilter{{CustomID: id}, {UserID: id}, {CustomID: id, UserID: id, KeyIDs: []string{"k1"}}} {
			got, err := b.Events(t.Context(), f)
			if err != nil || len(got) != 1 || !got[0].At.Equal(e.At) {
				t.Errorf("%.20q: %d events (%v), want its own one", id, len(got), err)
			}
		}
		other := gateway.EventFilter{CustomID: id, KeyIDs: []string{"k2"}}
		if got, err := b.Events(t.Context(), other); err != nil || len(got) != 0 {
			t.Errorf("%.20q of another key: %d events (%v), want 0", id, len(got), err)
		}
	}
}

// What is past its retention is not shown, whether DynamoDB removed it or not.
func TestRetention(t *testing.T) {
	start := time.Now().UTC().Truncate(time.Millisecond)
	now := start
	b := newBench(t, 1, dynamo.Options{Retention: 48 * time.Hour, Now: func() time.Time { return now }})
	e := gateway.Event{KeyID: "deleted", At: start, ReservationID: "r1", UserID: "u", Tags: []string{"a"}}
	if err := b.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		age  time.Duration
		want []gateway.Event
	}{
		{0, []gateway.Event{e}},
		{47 * time.Hour, []gateway.Event{e}},
		{48*time.Hour + 2*time.Second, nil},
	} {
		now = start.Add(tt.age)
		for _, f := range []gateway.EventFilter{
			{KeyIDs: []string{"deleted"}},
			{KeyIDs: []string{"deleted"}, From: start, To: start.Add(time.Hour)},
			{KeyIDs: []string{"deleted"}, From: time.Unix(1, 0), To: start.AddDate(50, 0, 0)},
			{UserID: "u"},
		} {
			got, err := b.Events(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("after %v, filter %+v (-want +got):\n%s", tt.age, f, d)
			}
		}
	}
}

// A search asks no more days than it has to.
func TestDaysAsked(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{}) // its key is made today
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	for _, tt := range []struct {
		name     string
		from, to time.Time
		want     int64
	}{
		{"an hour", noon, noon.Add(time.Hour), 1},
		{"over midnight", noon.Add(-24 * time.Hour), noon, 2},
		{"until midnight", noon.Add(-12 * time.Hour), noon.Add(12 * time.Hour), 1},
		{"ten years", noon.AddDate(-10, 0, 0), noon, 401},
		{"from the key's first day", time.Time{}, noon.Add(12 * time.Hour), 2 + 2}, // the key is read to know it
		{"nothing", noon, noon, 1},
		{"backwards", noon, noon.Add(-48 * time.Hour), 0},
	} {
		b.wire.requests.Store(0)
		_, err := b.Events(t.Context(), gateway.EventFilter{KeyIDs: []string{"k1"}, From: tt.from, To: tt.to})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if n := b.wire.requests.Load(); n != tt.want {
			t.Errorf("%s: %d requests, want %d", tt.name, n, tt.want)
		}
	}
}
