package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// history records and folds events of three keys over some forty hours, and
// returns them. The clock is set behind them.
func (s *sumSuite) history(n int) []gateway.Event {
	s.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	var events []gateway.Event
	for i := range n {
		e := event(pick("k1", "k2", "k3"), time.Duration(random.Int64N(40*3600_000))*time.Millisecond, fmt.Sprintf("r%05d", i))
		e.Provider, e.Model, e.Status = pick("openai", "anthropic"), pick("m1", "m2", ""), []int{200, 429}[random.IntN(2)]
		e.Tags = [][]string{nil, {"a"}, {"b", "a"}, {"c"}}[random.IntN(4)]
		e.UserID, e.CustomID = pick("", "u1", "u2"), pick("", "", "c1", "c2")
		e.Cost, e.LatencyMS, e.Endpoint = gateway.NanoUSD(random.Int64N(5)*1e9+7), random.Int64N(700_000), "/v1/chat"
		e.PolicyID, e.Action = pick("", "p1"), pick("", "warned", "blocked")
		e.Usage = map[string]int64{"input": random.Int64N(1000) + 1}
		s.must(s.Record(s.ctx, e))
		events = append(events, e)
	}
	for batch := range slices.Chunk(events, 100) {
		_, err := s.sums.Fold(s.ctx, batch)
		s.must(err)
	}
	s.clock.advance(60 * time.Hour)
	return events
}

// filters are conditions, alone and together.
var filters = []rollup.Filter{
	{}, {KeyIDs: []string{"k1"}}, {KeyIDs: []string{"k1", "k3", "k1", "nosuch"}}, {Tags: []string{"a"}}, {Tags: []string{"a", "b"}},
	{UserIDs: []string{"u1"}}, {CustomIDs: []string{"c1", "c2"}}, {KeyIDs: []string{"k2"}, Tags: []string{"a"}},
	{KeyIDs: []string{"k2", "k1"}, UserIDs: []string{"u2", "u1"}}, {UserIDs: []string{"u2"}, CustomIDs: []string{"c1"}},
	{Models: []string{"m1"}}, {Statuses: []int{429}, KeyIDs: []string{"k3"}}, {Providers: []string{"openai"}, Tags: []string{"c"}},
	{KeyIDs: []string{"k1"}, UserIDs: []string{"u1"}, CustomIDs: []string{"c2"}, Tags: []string{"a"}, Models: []string{"m1", "m2"}, Statuses: []int{200}},
}

// selected is the filter's meaning in the simplest words.
func selected(f *rollup.Filter, e *gateway.Event) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	for _, tag := range f.Tags {
		if !slices.Contains(e.Tags, tag) {
			return false
		}
	}
	return in(f.KeyIDs, e.KeyID) && in(f.UserIDs, e.UserID) && in(f.CustomIDs, e.CustomID) &&
		in(f.Providers, e.Provider) && in(f.Models, e.Model) && (len(f.Statuses) == 0 || slices.Contains(f.Statuses, e.Status))
}

// testReports compares reports with the sums of the events that they are about
// (B-4.1: ranges, steps, groups, filters; B-4.2).
func testReports(s *sumSuite) {
	events := s.history(400)
	reader := &rollup.Reader{Store: s.sums, Now: s.clock.Now}
	begin := epoch.Unix()
	hour := rollup.Hour.Floor(begin)
	ranges := []struct{ from, to, step int64 }{
		{hour, hour + 30*3600, 3600}, {rollup.Day.Floor(begin), rollup.Day.Floor(begin) + 3*86400, 86400},
		{begin + 77, begin + 29*3600 + 11, 0}, {begin, begin + 20*3600, 5000}, {begin - 900, begin + 5*3600, 600},
		{begin, begin + 400*3600, 7 * 86400}, // behind now
		{begin - 86400 + 4321, begin + 2*86400, 86400}, {begin - 40_000, begin + 44*3600 + 5, 86400}, {begin + 3601, begin + 39*3600, 70_000},
	}
	divisions := [][]rollup.By{
		nil, {rollup.ByKey}, {rollup.ByModel}, {rollup.ByUser}, {rollup.ByCustom}, {rollup.ByTag},
		{rollup.ByModel, rollup.ByKey}, {rollup.ByUser, rollup.ByKey, rollup.ByStatus}, {rollup.ByProvider, rollup.ByEndpoint},
	}
	for _, span := range ranges {
		for i, f := range filters {
			for j, by := range divisions {
				if (i+j)%3 != 0 && i*j != 0 {
					continue // a third of the combinations, and each condition and division alone
				}
				q := rollup.Request{Filter: f, From: span.from, To: span.to, Step: span.step, By: by}
				s.checkReport(reader, q, events)
			}
		}
	}
	q := rollup.Request{From: begin + 77, To: begin + 30*3600, Step: 86400, Calendar: true}
	s.checkReport(reader, q, events)
}

func (s *sumSuite) checkReport(reader *rollup.Reader, q rollup.Request, events []gateway.Event) {
	s.Helper()
	got, err := reader.Report(s.ctx, q)
	s.must(err)
	want := make(map[string]*rollup.Sums)
	var total rollup.Sums
	for i := range events {
		e := &events[i]
		end := rollup.Ended(e).Unix()
		if end < q.From || end >= q.To || !selected(&q.Filter, e) {
			continue
		}
		of := rollup.Of(e)
		total.Add(&of)
		for _, name := range pointNames(q, e, end) {
			if want[name] == nil {
				want[name] = new(rollup.Sums)
			}
			want[name].Add(&of)
		}
	}
	what := fmt.Sprintf("%+v", q)
	if !got.Total.Equal(&total) {
		s.Errorf("%s: total\n got %+v\nwant %+v", what, got.Total, total)
	}
	for _, p := range got.Points {
		name := fmt.Sprint(p.Start, "|", p.Group.KeyID, "|", p.Group.UserID, "|", p.Custom, "|", p.Group.Tags, "|",
			p.Group.Provider, "|", p.Group.Model, "|", p.Group.Endpoint, "|", p.Group.Status)
		if w := want[name]; w == nil || !w.Equal(&p.Sums) {
			s.Errorf("%s: point %s\n got %+v\nwant %+v", what, name, p.Sums, w)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		s.Errorf("%s: %d points are missing", what, len(want))
	}
}

// pointNames are the points that an event belongs to.
func pointNames(q rollup.Request, e *gateway.Event, end int64) (names []string) {
	origin, step := q.From, q.Step
	if q.Calendar {
		origin = 0
	}
	start := origin
	if step > 0 {
		start = end - (end-origin)%step
	}
	parts := map[rollup.By]string{
		rollup.ByKey: e.KeyID, rollup.ByUser: e.UserID, rollup.ByCustom: e.CustomID, rollup.ByTag: "",
		rollup.ByProvider: e.Provider, rollup.ByModel: e.Model, rollup.ByEndpoint: e.Endpoint, rollup.ByStatus: fmt.Sprint(e.Status),
	}
	tags := []string{""}
	if slices.Contains(q.By, rollup.ByTag) && len(e.Tags) > 0 {
		tags = e.Tags
	}
	for _, tag := range tags {
		parts[rollup.ByTag] = tag
		name := fmt.Sprint(start)
		for _, by := range []rollup.By{rollup.ByKey, rollup.ByUser, rollup.ByCustom, rollup.ByTag, rollup.ByProvider, rollup.ByModel, rollup.ByEndpoint, rollup.ByStatus} {
			v := ""
			if slices.Contains(q.By, by) || by == rollup.ByTag {
				v = parts[by]
			} else if by == rollup.ByStatus {
				v = "0"
			}
			name += "|" + v
		}
		names = append(names, name)
	}
	return names
}

// testSearches reads page after page and compares with what is there (B-3.3).
func testSearches(s *sumSuite) {
	events := s.history(300)
	reader := &rollup.Reader{Store: s.sums, Now: s.clock.Now}
	from, to := epoch.Unix()+1800, epoch.Unix()+35*3600
	for _, order := range []rollup.Order{rollup.Newest, rollup.Oldest, rollup.Dearest, rollup.Cheapest} {
		for i, f := range filters {
			q := rollup.Search{Filter: f, From: from, To: to, Order: order, Limit: 7 + i*3, Count: i%2 == 1}
			if i%4 == 3 {
				q.Actions, q.PolicyIDs = []string{"warned", "blocked"}, []string{"p1"}
			}
			s.checkSearch(reader, q, events)
		}
	}
	if _, err := reader.Search(s.ctx, rollup.Search{From: from, To: to, Cursor: "x"}); gateway.KindOf(err) != gateway.Invalid {
		s.Errorf("a cursor that is none: %v", err)
	}
}

func (s *sumSuite) checkSearch(reader *rollup.Reader, q rollup.Search, events []gateway.Event) {
	s.Helper()
	var want []string
	list := slices.Clone(events)
	slices.SortFunc(list, func(a, b gateway.Event) int { return before(q.Order, &a, &b) })
	for i := range list {
		e := &list[i]
		end := rollup.Ended(e).Unix()
		if end >= q.From && end < q.To && selected(&q.Filter, e) &&
			(len(q.Actions) == 0 || slices.Contains(q.Actions, e.Action) && slices.Contains(q.PolicyIDs, e.PolicyID)) {
			want = append(want, e.ReservationID)
		}
	}
	var got []string
	for pages := 0; pages < 100; pages++ {
		found, err := reader.Search(s.ctx, q)
		s.must(err)
		if q.Count && found.Count != len(want) {
			s.Errorf("%+v: %d counted, want %d", q, found.Count, len(want))
		}
		for i := range found.Events {
			got = append(got, found.Events[i].ReservationID)
		}
		if q.Cursor = found.Cursor; q.Cursor == "" {
			break
		}
		if len(found.Events) != q.Limit {
			s.Errorf("%+v: a page of %d with another behind it", q, len(found.Events))
		}
	}
	s.same(fmt.Sprintf("%+v", q), strings.Join(got, " "), strings.Join(want, " "))
}

func before(order rollup.Order, a, b *gateway.Event) int {
	byCost, byTime := int((a.Cost-b.Cost)/1e6), b.At.Compare(a.At)
	switch order {
	case rollup.Oldest:
		byCost, byTime = 0, -byTime
	case rollup.Newest:
		byCost = 0
	case rollup.Dearest:
		byCost = -byCost
	}
	if byCost != 0 {
		return byCost
	}
	return byTime
}

// testRecompute finds nothing where nothing is wrong, finds what is wrong, puts it
// right, and counts what was never folded so that it is not counted again.
func testRecompute(s *sumSuite) {
	events := s.history(60)
	day := rollup.Day.Floor(epoch.Unix())
	reader := &rollup.Reader{Store: s.sums, Now: s.clock.Now}
	recompute := func(what string, fix bool, want bool) {
		s.Helper()
		list, err := reader.Recompute(s.ctx, day, []string{"k1", "k2", "k3"}, fix)
		s.must(err)
		if (len(list) > 0) != want {
			s.Errorf("%s: %d differences, want some: %v: %+v", what, len(list), want, list[:min(len(list), 3)])
		}
	}
	recompute("right", false, false)
	late := billed("k4", time.Hour, 1)
	s.must(s.Record(s.ctx, late))
	late.Tags = nil
	wrong := rollup.Fold([]gateway.Event{late})
	s.must(s.sums.Correct(s.ctx, wrong))
	recompute("wrong", false, true)
	recompute("put right", true, true)
	recompute("right again", false, false)
	lost := billed("k1", 2*time.Hour, 2)
	s.must(s.Record(s.ctx, lost))
	recompute("an event that was not folded", true, false)
	_, err := s.sums.Fold(s.ctx, append(events, lost))
	s.must(err)
	recompute("delivered after all", false, false)
	s.unfinished(reader, day)
}

// writing is a store into which another call is recorded, and counted, between the
// reading of events and that of sums.
type writing struct {
	SumStore
	call func()
}

func (w *writing) Sums(ctx context.Context, q rollup.Query, f func(*rollup.Cell) error) error {
	if q.Dimension == rollup.All {
		w.call()
	}
	return w.SumStore.Sums(ctx, q, f)
}

// unfinished puts nothing right of a day that is not over or that changes meanwhile.
func (s *sumSuite) unfinished(reader *rollup.Reader, day int64) {
	s.Helper()
	early := &rollup.Reader{Store: s.sums, Now: func() time.Time { return time.Unix(day+86400+4000, 0) }}
	if _, err := early.Recompute(s.ctx, day, nil, true); gateway.KindOf(err) != gateway.Invalid {
		s.Errorf("a day that was over an hour ago: %v", err)
	}
	if _, err := early.Recompute(s.ctx, day, nil, false); err != nil {
		s.Errorf("without putting right: %v", err)
	}
	n := 100
	busy := &rollup.Reader{Now: s.clock.Now, Store: &writing{s.sums, func() {
		e := billed("k1", 3*time.Hour, n)
		n++
		s.must(s.Record(s.ctx, e))
		_, err := s.sums.Fold(s.ctx, []gateway.Event{e})
		s.must(err)
	}}}
	if _, err := busy.Recompute(s.ctx, day, nil, true); gateway.KindOf(err) != gateway.Conflict {
		s.Errorf("a day that changes: %v", err)
	}
	list, err := reader.Recompute(s.ctx, day, nil, false)
	s.must(err)
	s.same("differences after that", len(list), 0)
}
