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
			most int // sums read
		}{
			{"by day", rollup.Request{From: begin, To: begin + 30*86400, Step: 86400}, 180},
			{"by model", rollup.Request{From: begin, To: begin + 30*86400, By: []rollup.By{rollup.ByModel}}, 180},
			{"from an odd hour to another, by model", rollup.Request{From: begin + 5*3600, To: begin + 30*86400 - 7*3600, By: []rollup.By{rollup.ByModel}}, 28*6 + 19*6 + 17*6},
		} {
			tt.q.KeyIDs = []string{key}
			start := time.Now()
			report, err := reader.Report(s.ctx, tt.q)
			s.must(err)
			s.Logf("%8d events, a month %s: %d sums and %d events read, %v", n, tt.what, report.Cells, report.Events, time.Since(start).Round(10*time.Microsecond))
			if report.Cells > tt.most || report.Events > 0 {
				s.Errorf("%d events %s: %d sums and %d events were read, want at most %d and 0", n, tt.what, report.Cells, report.Events, tt.most)
			}
			if whole := tt.q.To-tt.q.From == 30*86400; whole && (report.Total.Requests != n || report.Total.Cost != gateway.NanoUSD(n*1_000_007)) {
				s.Errorf("%d events %s: %d at %v", n, tt.what, report.Total.Requests, report.Total.Cost)
			}
		}
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
