package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// SumStore is a store that also keeps sums.
type SumStore interface {
	Store
	rollup.Store
}

// TestSums runs the contract of the sums, as Test does that of the rest.
// calls is how many its largest test makes: ten thousand, where the database takes
// them in a reasonable time.
func TestSums(t *testing.T, calls int, open func(t *testing.T, opt Options) SumStore) {
	tests := []struct {
		name string
		run  func(*sumSuite)
	}{
		{"OneEvent", testSumOfOne},
		{"ManyTags", testSumManyTags},
		{"LongNames", testSumLongNames},
		{"Once", testSumOnce},
		{"Redelivered", testSumRedelivered},
		{"Faults", testSumFaults},
		{"Correct", testSumCorrect},
		{"Ids", testSumIDs},
		{"Reports", testReports},
		{"Searches", testSearches},
		{"Busy", testBusy},
		{"Recompute", testRecompute},
		{"Cuts", testCuts},
		{"Month", testMonth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sums SumStore
			s := start(t, func(t *testing.T, opt Options) Store {
				sums = open(t, opt)
				return sums
			})
			tt.run(&sumSuite{s, sums, calls})
		})
	}
}

type sumSuite struct {
	*suite
	sums  SumStore
	calls int
}

// all is every sum of the places that the events touch.
func (s *sumSuite) all(events []gateway.Event) rollup.Table {
	s.Helper()
	queries := make(map[rollup.Query]bool)
	for i := range events {
		for _, p := range rollup.Places(&events[i]) {
			queries[rollup.Query{Dimension: p.Dimension, Value: p.Value, Unit: p.Unit, From: 0, To: 1 << 33}] = true
		}
	}
	got := make(rollup.Table)
	for q := range queries {
		last := int64(-1 << 62)
		s.must(s.insist(func() error {
			for p := range got { // an attempt that failed may have been halfway
				if p.Dimension == q.Dimension && p.Value == q.Value && p.Unit == q.Unit {
					delete(got, p)
				}
			}
			last = -1 << 62
			return s.sums.Sums(s.ctx, q, func(c *rollup.Cell) error {
				if c.Start < last {
					s.Errorf("%v: a sum of %d after one of %d", q, c.Start, last)
				}
				last = c.Start
				if _, twice := got[c.Place]; twice {
					s.Errorf("%+v comes twice", c.Place)
				}
				got.At(c.Place).Add(&c.Sums)
				return nil
			})
		}))
	}
	return got
}

// equal checks that the sums are those of the events, to the nano-dollar.
func (s *sumSuite) equal(what string, events []gateway.Event) {
	s.Helper()
	want, got := make(rollup.Table), s.all(events)
	for i := range events {
		want.Add(&events[i])
	}
	for p, w := range want {
		g := got[p]
		if g == nil {
			g = new(rollup.Sums)
		}
		if !g.Equal(w) {
			s.Errorf("%s: %+v\n got %+v\nwant %+v", what, p, *g, *w)
		}
		delete(got, p)
	}
	for p, g := range got {
		s.Errorf("%s: a sum of nothing: %+v %+v", what, p, *g)
	}
}

// billed is an event with everything that is summed.
func billed(keyID string, offset time.Duration, n int) gateway.Event {
	e := event(keyID, offset, fmt.Sprintf("r%07d", n))
	e.Status = []int{200, 200, 429, 200, 500}[n%5]
	e.Model, e.Provider, e.Endpoint = []string{"gpt-4o", "haiku"}[n/5%2], "openai", "/v1/chat"
	e.Tags = []string{"team-a", "prod", "team-a"}[:n%5%3+1]
	e.UserID = []string{"", "u1", "u2"}[n%5%3]
	e.CustomID = []string{"", "", fmt.Sprint("order-", n%7)}[n%3]
	e.LatencyMS, e.FirstMS = int64(n%4000), int64(n%300)
	e.Usage = map[string]int64{"input": int64(n % 1000), "cache_read": int64(n % 3), "output": int64(n % 77)}
	e.Tokens, e.Cost = int64(n), gateway.NanoUSD(1_000_000_007*int64(n%13)+int64(n))
	e.Basis = []gateway.Basis{gateway.BasisReported, gateway.BasisEstimated}[n%2]
	return e
}

func testSumOfOne(s *sumSuite) {
	e := billed("k1", 0, 1234)
	s.must(s.Record(s.ctx, e))
	n, err := s.sums.Fold(s.ctx, []gateway.Event{e})
	s.must(err)
	s.same("folded", n, 1)
	s.equal("one", []gateway.Event{e})
	hour := rollup.Hour.Floor(rollup.Ended(&e).Unix())
	for _, tt := range []struct {
		from, to int64
		want     int
	}{{hour, hour + 3600, 1}, {hour, hour + 1, 1}, {hour + 1, hour + 3600, 0}, {hour - 3600, hour, 0}, {hour, hour, 0}, {hour + 1, hour, 0}} {
		found := 0
		s.must(s.sums.Sums(s.ctx, rollup.Query{Dimension: rollup.Key, Value: "k1", Unit: rollup.Hour, From: tt.from, To: tt.to},
			func(*rollup.Cell) error { found++; return nil }))
		s.same(fmt.Sprint("from ", tt.from-hour, " to ", tt.to-hour), found, tt.want)
	}
}

// testSumManyTags folds events that no single transaction of a database has room for.
func testSumManyTags(s *sumSuite) {
	var events []gateway.Event
	for i := range 3 {
		e := billed("k1", time.Duration(i)*time.Second, i)
		e.Tags = nil
		for tag := range 120 {
			e.Tags = append(e.Tags, fmt.Sprintf("tag-%03d", tag))
		}
		s.must(s.Record(s.ctx, e))
		events = append(events, e)
	}
	for range 2 {
		_, err := s.sums.Fold(s.ctx, events)
		s.must(err)
	}
	s.equal("many tags", events)
}

// testSumLongNames folds events with names longer than the gateway lets through. They
// may be too much for the store, but must not keep others from being counted.
func testSumLongNames(s *sumSuite) {
	var events []gateway.Event
	for i, c := range []string{"m", "n", "o"} {
		e := billed("hostile", time.Duration(i)*time.Second, i)
		e.Model = strings.Repeat(c, 300<<10)
		events = append(events, e)
	}
	innocent := billed("k1", 0, 7)
	events = append(events, innocent)
	for _, e := range events {
		s.must(s.Record(s.ctx, e))
	}
	for range 2 {
		_, err := s.sums.Fold(s.ctx, events)
		var rejected *rollup.Rejected
		if errors.As(err, &rejected) {
			if slices.Contains(rejected.EventIDs, innocent.ID) {
				s.Errorf("rejected %q", rejected.EventIDs)
			}
			err = nil
		}
		s.must(err)
	}
	hour := rollup.Hour.Floor(rollup.Ended(&innocent).Unix())
	var requests int64
	s.must(s.sums.Sums(s.ctx, rollup.Query{Dimension: rollup.Key, Value: "k1", Unit: rollup.Hour, From: hour, To: hour + 1},
		func(c *rollup.Cell) error { requests += c.Sums.Requests; return nil }))
	s.same("requests of the other key", requests, int64(1))
}

// testSumOnce delivers the same event often, alone and in company.
func testSumOnce(s *sumSuite) {
	var events []gateway.Event
	for i := range 12 {
		e := billed(fmt.Sprint("k", i%2), time.Duration(i)*17*time.Minute, i)
		s.must(s.Record(s.ctx, e))
		events = append(events, e)
	}
	total := 0
	for _, batch := range [][]gateway.Event{events[:3], events[2:6], events[:6], {events[8], events[8], events[1]}, nil, events, events} {
		n, err := s.sums.Fold(s.ctx, batch)
		s.must(err)
		total += n
	}
	s.same("folded in all", total, len(events))
	s.equal("after seven batches", events)
}

// testSumRedelivered is the promise: thousands of concurrent calls of five keys, in
// batches that come two times, out of order and at once, add up exactly.
func testSumRedelivered(s *sumSuite) {
	calls := s.calls
	events := make([]gateway.Event, calls)
	for i := range events {
		events[i] = billed(fmt.Sprint("k", i%5), time.Duration(i)*time.Second, i)
	}
	parallel(64, func(w int) {
		for i := w; i < calls; i += 64 {
			if err := s.Record(s.ctx, events[i]); err != nil {
				s.Error(err)
			}
		}
	})
	random := rand.New(rand.NewPCG(1, 2))
	var batches [][]gateway.Event
	for range 2 {
		for b := range slices.Chunk(slices.Clone(events), calls/10) {
			batches = append(batches, b)
		}
	}
	// A third delivery cuts the batches elsewhere, and mixes their events.
	mixed := slices.Clone(events[:calls/5])
	random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	for b := range slices.Chunk(mixed, 700) {
		batches = append(batches, b)
	}
	random.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	var next, folded atomic.Int64
	parallel(3, func(int) {
		for i := next.Add(1) - 1; int(i) < len(batches); i = next.Add(1) - 1 {
			n, err := s.sums.Fold(s.ctx, batches[i])
			for try := 1; err != nil && try < tries; try++ { // as the stream would
				var more int
				more, err = s.sums.Fold(s.ctx, batches[i])
				n += more
			}
			if err != nil {
				s.Error(err)
			}
			folded.Add(int64(n))
		}
	})
	s.same("folded in all", folded.Load(), int64(calls))
	s.equal("all", events)
}

// testSumFaults lets every storage call of a fold fail once, before it wrote and after.
func testSumFaults(s *sumSuite) {
	var events []gateway.Event
	for _, when := range []When{Before, After} {
		for at := 1; at <= 4; at++ {
			var batch []gateway.Event
			for i := range 30 {
				e := billed("k1", time.Duration(i)*time.Minute, len(events)+i)
				s.must(s.Record(s.ctx, e))
				batch = append(batch, e)
			}
			events = append(events, batch...)
			s.faults.once(at, when)
			s.must(s.insist(func() error {
				_, err := s.sums.Fold(s.ctx, batch)
				return err
			}))
			s.faults.disarm()
		}
	}
	s.equal("after faults", events)
}

func testSumCorrect(s *sumSuite) {
	a, b := billed("k1", 0, 7), billed("k1", time.Second, 8)
	s.must(s.Record(s.ctx, a))
	_, err := s.sums.Fold(s.ctx, []gateway.Event{a})
	s.must(err)
	// As if b had been counted and a had not.
	diff := make(rollup.Table)
	diff.Add(&b)
	of := rollup.Of(&a)
	for _, p := range rollup.Places(&a) {
		diff.At(p).Subtract(&of)
	}
	s.must(s.sums.Correct(s.ctx, diff.Cells()))
	got, want := s.all([]gateway.Event{a, b}), make(rollup.Table)
	want.Add(&b)
	for p, w := range want {
		if g := got[p]; g == nil || !g.Equal(w) {
			s.Errorf("%+v: got %+v, want %+v", p, g, *w)
		}
	}
	if len(got) != len(want) {
		s.Errorf("%d sums, want %d", len(got), len(want))
	}
}

func testSumIDs(s *sumSuite) {
	var events []gateway.Event
	long := string(slices.Repeat([]byte("x"), 3000))
	for i, id := range []string{"b", "", "a", "b", "#", "ключ", long} {
		e := event("k1", time.Duration(i)*time.Hour, fmt.Sprint("r", i))
		e.UserID, e.CustomID = id, id+"!"
		s.must(s.Record(s.ctx, e))
		events = append(events, e)
	}
	other := event("k", time.Hour, "r")
	other.UserID = "another key's"
	s.must(s.Record(s.ctx, other))
	events = append(events, other)
	for range 2 {
		_, err := s.sums.Fold(s.ctx, events)
		s.must(err)
	}
	users, err := s.sums.UserIDs(s.ctx, "k1")
	s.must(err)
	s.same("users", users, []string{"#", "a", "b", long, "ключ"})
	customs, err := s.sums.CustomIDs(s.ctx, "k1")
	s.must(err)
	s.same("custom ids", customs, []string{"!", "#!", "a!", "b!", long + "!", "ключ!"})
	none, err := s.sums.UserIDs(s.ctx, "k2")
	s.must(err)
	s.same("of no key", none, []string(nil))
}
