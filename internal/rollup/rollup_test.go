package rollup_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

func TestUnits(t *testing.T) {
	for _, tt := range []struct {
		unit           rollup.Unit
		at, floor, end int64
	}{
		{rollup.Hour, 0, 0, 0}, {rollup.Hour, 3599, 0, 3600}, {rollup.Hour, 3600, 3600, 3600}, {rollup.Hour, -1, -3600, 0},
		{rollup.Day, 86401, 86400, 172800}, {rollup.Day, -86400, -86400, -86400},
	} {
		if f, c := tt.unit.Floor(tt.at), tt.unit.Ceil(tt.at); f != tt.floor || c != tt.end {
			t.Errorf("%s of %d: floor %d and ceil %d, want %d and %d", tt.unit, tt.at, f, c, tt.floor, tt.end)
		}
	}
}

// An event is counted in ten sums, and two more for each tag.
func TestPlaces(t *testing.T) {
	e := gateway.Event{KeyID: "k", Model: "m", Status: 200, At: time.Unix(7199, 0), LatencyMS: 1000}
	if n := len(rollup.Places(&e)); n != 10 {
		t.Errorf("%d places, want 10", n)
	}
	e.UserID, e.Tags = "u", []string{"b", "a", "b"}
	places := rollup.Places(&e)
	if len(places) != 14 {
		t.Errorf("%d places, want 14", len(places))
	}
	for _, p := range places {
		if want := map[rollup.Unit]int64{rollup.Hour: 7200, rollup.Day: 0}[p.Unit]; p.Start != want {
			t.Errorf("%+v starts at %d, want %d: the end of the call counts", p, p.Start, want)
		}
		if p.Dimension == rollup.Tag && p.Group.Tags != `["a","b"]` {
			t.Errorf("tags %s", p.Group.Tags)
		}
	}
}

// Invented names of models have one sum between them.
func TestInventedNames(t *testing.T) {
	table := make(rollup.Table)
	for i := range 50 {
		table.Add(&gateway.Event{KeyID: "k", Status: 429, Model: fmt.Sprint("m", i), CountAs: gateway.OtherModel})
	}
	if len(table) != 10 {
		t.Errorf("%d sums, want 10", len(table))
	}
	for p, s := range table {
		if p.Group.Model != "" && p.Group.Model != gateway.OtherModel || s.Requests != 50 {
			t.Errorf("%+v: %d", p, s.Requests)
		}
	}
}

func TestSums(t *testing.T) {
	e := gateway.Event{Status: 200, Cost: 7, Tokens: 30, LatencyMS: 27, FirstMS: 5,
		Usage: map[string]int64{"input": 8, "cache_read": 2, "output": 20}, Basis: gateway.BasisEstimated}
	var s rollup.Sums
	for range 3 {
		of := rollup.Of(&e)
		s.Add(&of)
	}
	if s.Requests != 3 || s.Successes != 3 || s.Cost != 21 || s.Tokens != 90 || s.LatencyMS != 81 || s.Firsts != 3 ||
		s.Estimated != 3 || s.PromptTokens() != 30 || s.CompletionTokens() != 60 || s.Latency.Count() != 3 {
		t.Errorf("three events: %+v", s)
	}
	if e.Usage["input"] != 8 {
		t.Error("the event's own usage was changed")
	}
	c := s.Clone()
	c.Subtract(&s)
	if !c.IsZero() || s.IsZero() {
		t.Errorf("nothing is %+v", c)
	}
}

// Percentiles as the peer's transcript has them, and their promise of 10 %.
func TestPercentile(t *testing.T) {
	of := func(ms ...int64) (h rollup.Sums) {
		for _, v := range ms {
			one := rollup.Of(&gateway.Event{LatencyMS: v})
			h.Add(&one)
		}
		return h
	}
	for _, tt := range []struct {
		ms        []int64
		p50, p100 float64
	}{
		{nil, 0, 0}, {[]int64{0, 0, 9}, 0, 9}, {[]int64{3, 4}, 3.5, 4}, {[]int64{10, 10, 10}, 10, 10}, {[]int64{-5}, 0, 0},
	} {
		h := of(tt.ms...).Latency
		if a, b := h.Percentile(0.5), h.Percentile(1); a != tt.p50 || b != tt.p100 {
			t.Errorf("%v: %v and %v, want %v and %v", tt.ms, a, b, tt.p50, tt.p100)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		var list []int64
		for range 1 + random.IntN(400) {
			list = append(list, int64(math.Exp(random.Float64()*15)))
		}
		h := of(list...).Latency
		slices.Sort(list)
		for _, p := range []float64{0, 0.25, 0.5, 0.9, 0.99, 1} {
			rank := p * float64(len(list)-1)
			low := int(rank)
			exact := float64(list[low])
			if low+1 < len(list) {
				exact += (rank - float64(low)) * float64(list[low+1]-list[low])
			}
			if got := h.Percentile(p); math.Abs(got-exact) > exact*0.1 {
				t.Errorf("percentile %v of %d latencies: %v, want %v within 10 %%", p, len(list), got, exact)
			}
		}
	}
}
