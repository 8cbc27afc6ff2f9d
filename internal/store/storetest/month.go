package storetest

import (
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// testMonth shows that a report over a month of one key reads the same few sums,
// however many events went into them. The sums are made, not folded: ten million
// events would take an hour.
func testMonth(s *sumSuite) {
	begin := rollup.Day.Ceil(epoch.Unix())
	s.clock.advance(60 * 24 * time.Hour)
	for _, n := range []int64{1, 100_000, 10_000_000} {
		key := map[int64]string{1: "one", 100_000: "some", 10_000_000: "many"}[n]
		s.must(s.sums.Correct(s.ctx, month(key, begin, n).Cells()))
		reader := &rollup.Reader{Store: s.sums, Now: s.clock.Now}
		for _, tt := range []struct {
			what string
			q    rollup.Request
			most int // sums read; of an hour there are six
		}{
			{"by day", rollup.Request{From: begin, To: begin + 30*86400, Step: 86400}, 180},
			{"by model", rollup.Request{From: begin, To: begin + 30*86400, By: []rollup.By{rollup.ByModel}}, 180},
			{"from an odd hour to another, by model", rollup.Request{From: begin + 5*3600, To: begin + 30*86400 - 7*3600, By: []rollup.By{rollup.ByModel}}, 30*6 + 5*6 + 7*6},
			{"from any second to another, by model", rollup.Request{From: begin + 1234, To: begin + 30*86400 - 4321, By: []rollup.By{rollup.ByModel}}, 30*6 + 6 + 2*6},
			{"from any second to another, by day", rollup.Request{From: begin - 86400 + 1234, To: begin + 30*86400 + 1234, Step: 86400}, 30*6 + 30*6},
			// Of days that begin at noon, each needs half the hours.
			{"from noon to noon, by day", rollup.Request{From: begin - 43210, To: begin + 30*86400 + 43190, Step: 86400}, 30*6 + 30*12*6},
			{"by the quarter of an hour", rollup.Request{From: begin, To: begin + 30*86400, Step: 900}, 30 * 24 * 6},
		} {
			tt.q.KeyIDs = []string{key}
			start := time.Now()
			report, err := reader.Report(s.ctx, tt.q)
			s.must(err)
			s.Logf("%8d events, a month %s: %d sums and %d events read, %v", n, tt.what, report.Cells, report.Events, time.Since(start).Round(10*time.Microsecond))
			if report.Cells > tt.most || report.Events > 0 { // the events themselves are not there
				s.Errorf("%d events %s: %d sums and %d events were read, want at most %d and 0", n, tt.what, report.Cells, report.Events, tt.most)
			}
			if whole := tt.q.To-tt.q.From >= 30*86400; whole && (report.Total.Requests != n || report.Total.Cost != gateway.NanoUSD(n*1_000_007)) {
				s.Errorf("%d events %s: %d at %v", n, tt.what, report.Total.Requests, report.Total.Cost)
			}
		}
	}
}

// testCuts asks for parts of hours with few events, which are counted exactly, and of
// one with more than are read.
func testCuts(s *sumSuite) {
	hour := rollup.Hour.Ceil(epoch.Unix())
	var events []gateway.Event
	for i, at := range []int64{0, 1, 2} {
		for n := range []int64{12, 150, 11}[i] {
			e := billed("k1", 0, len(events))
			e.At = time.Unix(hour+at*3600+n*23%3600, 0).UTC()
			e.LatencyMS %= 900
			s.must(s.Record(s.ctx, e))
			events = append(events, e)
		}
	}
	_, err := s.sums.Fold(s.ctx, events)
	s.must(err)
	s.clock.advance(30 * time.Hour)
	reader := &rollup.Reader{Store: s.sums, Now: s.clock.Now, MaxEvents: 70}
	for _, q := range []rollup.Request{
		{From: hour, To: hour + 3*3600, Step: 1000},
		{From: hour, To: hour + 3*3600, Step: 7, Filter: rollup.Filter{KeyIDs: []string{"k1"}, Statuses: []int{200}}, By: []rollup.By{rollup.ByModel}},
		{From: hour, To: hour + 3*3600, Step: 1800, Filter: rollup.Filter{UserIDs: []string{"u2"}}, By: []rollup.By{rollup.ByUser, rollup.ByStatus}},
	} {
		report, err := reader.Report(s.ctx, q)
		s.must(err)
		var total rollup.Sums
		for i := range events {
			e := &events[i]
			if of := rollup.Of(e); selected(&q.Filter, e) {
				total.Add(&of)
			}
		}
		if !report.Total.Equal(&total) || report.Estimated != (len(q.UserIDs) == 0) || report.Events > 70 {
			s.Errorf("%+v: total %+v, want %+v; estimated %v, %d events read", q, report.Total, total, report.Estimated, report.Events)
		}
		for _, p := range report.Points {
			if first := p.Start+q.Step <= hour+3600; first || p.Start >= hour+2*3600 {
				s.exact(q, p, events)
			}
		}
	}
	// Half of the hour that has many is half of its sum; a part of one with few is
	// exact, unless its events are gone.
	half, err := reader.Report(s.ctx, rollup.Request{From: hour + 3600 + 600, To: hour + 3600 + 2400})
	s.must(err)
	if n := half.Total.Requests; n < 70 || n > 80 || !half.Estimated {
		s.Errorf("half an hour of 150: %d, estimated %v", n, half.Estimated)
	}
	part, err := reader.Report(s.ctx, rollup.Request{From: hour + 100, To: hour + 200})
	s.must(err)
	if n := part.Total.Requests; n != 4 || part.Estimated {
		s.Errorf("a part of an hour of 12: %d, estimated %v; want 4 and false", n, part.Estimated)
	}
	gone := rollup.Fold([]gateway.Event{{KeyID: "gone", At: time.Unix(hour, 0), Cost: 1000}})
	s.must(s.sums.Correct(s.ctx, gone))
	kept, err := reader.Report(s.ctx, rollup.Request{From: hour + 900, To: hour + 2700, Filter: rollup.Filter{KeyIDs: []string{"gone"}}})
	s.must(err)
	if kept.Total.Cost != 500 || !kept.Estimated {
		s.Errorf("half an hour without its events: %v, estimated %v", kept.Total.Cost, kept.Estimated)
	}
	// In the hour that runs, nothing has happened after now.
	s.clock.advance(time.Duration(hour+10*24*3600+1199-s.clock.Now().Unix()) * time.Second)
	s.must(s.sums.Correct(s.ctx, rollup.Fold([]gateway.Event{{KeyID: "runs", At: time.Unix(hour+10*24*3600, 0), Cost: 1000}})))
	runs, err := reader.Report(s.ctx, rollup.Request{From: hour, To: hour + 10*24*3600 + 900, Filter: rollup.Filter{KeyIDs: []string{"runs"}}})
	s.must(err)
	s.same("three quarters of what has passed of the hour", runs.Total.Cost, gateway.NanoUSD(750))
}

// exact checks a point of a report that is not divided by what several events share.
func (s *sumSuite) exact(q rollup.Request, p rollup.Point, events []gateway.Event) {
	s.Helper()
	var want rollup.Sums
	for i := range events {
		e := &events[i]
		end := rollup.Ended(e).Unix()
		if !selected(&q.Filter, e) || end < p.Start || end >= p.Start+q.Step ||
			p.Group.Model != "" && e.Model != p.Group.Model || p.Group.Status != 0 && e.Status != p.Group.Status {
			continue
		}
		of := rollup.Of(e)
		want.Add(&of)
	}
	if !p.Sums.Equal(&want) {
		s.Errorf("%+v: at %d %+v\n got %+v\nwant %+v", q, p.Start, p.Group, p.Sums, want)
	}
}

// month is the sums of n events of a key, spread over 30 days, three models and
// two statuses.
func month(key string, begin, n int64) rollup.Table {
	table := make(rollup.Table)
	slots := int64(30 * 24 * 6)
	for slot := range slots {
		share := n / slots
		if slot < n%slots {
			share++
		}
		if share == 0 {
			continue
		}
		group := rollup.Group{Provider: "openai", Endpoint: "/v1/chat", Model: []string{"a", "b", "c"}[slot%3], Status: []int{200, 429}[slot/3%2]}
		one := rollup.Sums{Requests: share, Cost: gateway.NanoUSD(share * 1_000_007), LatencyMS: share * 800,
			Usage: map[string]int64{"input": share * 100, "output": share * 50}}
		for b := range 40 { // buckets of latencies from half a second to half a minute
			one.Latency = addOne(one.Latency, 50+b, share/40)
		}
		for _, u := range rollup.Units {
			at := u.Floor(begin + slot/6*3600)
			table.At(rollup.Place{Dimension: rollup.Key, Value: key, Unit: u, Start: at, Group: group}).Add(&one)
		}
	}
	return table
}

func addOne(h rollup.Histogram, bucket int, n int64) rollup.Histogram {
	if h == nil {
		h = make(rollup.Histogram)
	}
	if n > 0 {
		h[bucket] += n
	}
	return h
}
