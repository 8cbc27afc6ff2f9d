package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// counting counts the events that are read from a store.
type counting struct {
	SumStore
	read atomic.Int64
}

func (c *counting) Events(ctx context.Context, f gateway.EventFilter) ([]gateway.Event, error) {
	list, err := c.SumStore.Events(ctx, f)
	c.read.Add(int64(len(list)))
	return list, err
}

// testBusy lists the events of keys that make seven calls a second for a quarter of
// an hour, page after page: each page reads little more than it shows, and what is
// rare is found without reading everything at once.
func testBusy(s *sumSuite) {
	const calls, rare = 6300, 900
	keys := []string{"k1", "k2", "k3", "k4"}
	events := make([]gateway.Event, calls)
	for i := range events {
		e := event(keys[i%len(keys)], time.Duration(i)*time.Second/7, fmt.Sprintf("r%05d", i))
		e.Status, e.LatencyMS = 200, int64(i*7919%40_000)
		if i%rare == rare/2 {
			e.Status = 500
		}
		events[i] = e
	}
	parallel(16, func(w int) {
		for i := w; i < calls; i += 16 {
			if err := s.Record(s.ctx, events[i]); err != nil {
				s.Error(err)
			}
		}
	})
	// The sums only have to know who had calls in the hour.
	_, err := s.sums.Fold(s.ctx, events[:len(keys)])
	s.must(err)
	s.clock.advance(time.Hour)
	store := &counting{SumStore: s.sums}
	reader := &rollup.Reader{Store: store, Now: s.clock.Now, MaxScan: 1000}
	for _, order := range []rollup.Order{rollup.Newest, rollup.Oldest} {
		all := rollup.Search{From: epoch.Unix(), To: epoch.Unix() + 1800, Order: order, Limit: 500, Bare: true}
		one, few, late := all, all, all
		one.KeyIDs = []string{"k2"}
		few.Statuses = []int{500}
		late.Begun = epoch.Unix() + 870
		for _, tt := range []struct {
			what  string
			q     rollup.Search
			wants func(e *gateway.Event) bool
			most  int64 // events read for a page
		}{
			{"all", all, func(*gateway.Event) bool { return true }, 2500},
			{"one key", one, func(e *gateway.Event) bool { return e.KeyID == "k2" }, 1800},
			{"what is rare", few, func(e *gateway.Event) bool { return e.Status == 500 }, 2500},
			{"those that began late", late, func(e *gateway.Event) bool { return e.At.Unix() >= late.Begun }, 2500},
		} {
			var want, got []string
			for i := range events {
				if tt.wants(&events[i]) {
					want = append(want, events[i].ReservationID)
				}
			}
			if order == rollup.Newest {
				slices.Reverse(want)
			}
			pages, most := 0, int64(0)
			for q := tt.q; pages == 0 || q.Cursor != ""; pages++ {
				if pages == 100 {
					s.Fatalf("%s: no end after %d pages", tt.what, pages)
				}
				store.read.Store(0)
				found, err := reader.Search(s.ctx, q)
				s.must(err)
				for i := range found.Events {
					got = append(got, found.Events[i].ReservationID)
				}
				most = max(most, store.read.Load())
				q.Cursor = found.Cursor
			}
			s.Logf("%s first, %s: %d of %d events on %d pages, at most %d read for one", order, tt.what, len(got), calls, pages, most)
			s.same(fmt.Sprint(order, " first, ", tt.what), strings.Join(got, " "), strings.Join(want, " "))
			if most > tt.most {
				s.Errorf("%s first, %s: %d events were read for a page, want at most %d", order, tt.what, most, tt.most)
			}
		}
	}
	s.offsets(reader, events)
}

// offsets skips more events than are read for a page.
func (s *sumSuite) offsets(reader *rollup.Reader, events []gateway.Event) {
	s.Helper()
	q := rollup.Search{From: epoch.Unix(), To: epoch.Unix() + 1800, Order: rollup.Oldest, Offset: 4000, Limit: 3, Bare: true}
	var got []gateway.Event
	for pages := 0; len(got) < 6 && pages < 20; pages++ {
		found, err := reader.Search(s.ctx, q)
		s.must(err)
		got = append(got, found.Events...)
		q.Cursor = found.Cursor
	}
	s.same("behind an offset", got, events[4000:4006])
}
