package limit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// 10:20:30.5 in UTC: second 1795429230, minute 29923820, hour 498730, day 20780, month 24322.
var at = time.Date(2026, 11, 23, 10, 20, 30, 500_000_000, time.UTC)

func claim(limits ...gateway.Limit) *limit.Claim {
	return &limit.Claim{ID: "AAAAAAAA", Version: 7, Limits: limits, Tokens: 1000, Cost: 2_000_000, At: at, Expires: at.Add(900 * time.Second)}
}

func TestCharges(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits []gateway.Limit
		want   []limit.Charge
	}{
		{"no limits: spend and calls in flight are counted all the same", nil,
			[]limit.Charge{{"c:l", 2_000_000, limit.NoCap}, {"n", 1, limit.NoCap}}},
		{"every window", []gateway.Limit{{Measure: "requests", Per: "s", Max: 1}, {Measure: "requests", Per: "m", Max: 2}, {Measure: "tokens", Per: "h", Max: 3}, {Measure: "tokens", Per: "d", Max: 4}, {Measure: "cost", Per: "mo", Max: 5}},
			[]limit.Charge{{"q:s:1795429230", 1, 1}, {"q:m:29923820", 1, 2}, {"t:h:498730", 1000, 3}, {"t:d:20780", 1000, 4}, {"c:mo:24322", 2_000_000, 5},
				{"c:l", 2_000_000, limit.NoCap}, {"n", 1, limit.NoCap}}},
		{"lifetimes and calls in flight", []gateway.Limit{{Measure: "cost", Per: "lifetime", Max: 9}, {Measure: "concurrency", Per: "", Max: 8}, {Measure: "tokens", Per: "lifetime", Max: 7}, {Measure: "requests", Per: "lifetime", Max: 6}},
			[]limit.Charge{{"t:l", 1000, 7}, {"q:l", 1, 6}, {"c:l", 2_000_000, 9}, {"n", 1, 8}}},
	} {
		if diff := cmp.Diff(tt.want, claim(tt.limits...).Charges()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestDecide(t *testing.T) {
	perMinute, perDay := gateway.Limit{Measure: "requests", Per: "m", Max: 5}, gateway.Limit{Measure: "tokens", Per: "d", Max: 3000}
	money, flight := gateway.Limit{Measure: "cost", Per: "lifetime", Max: 10_000_000}, gateway.Limit{Measure: "concurrency", Max: 2}
	all := []gateway.Limit{perMinute, perDay, money, flight}
	for _, tt := range []struct {
		name   string
		values map[string]int64
		limits []gateway.Limit
		want   *limit.State // nil: it fits
	}{
		{"fresh", nil, all, nil},
		{"exactly full afterwards", map[string]int64{"q:m:29923820": 4, "t:d:20780": 2000, "c:l": 8_000_000, "n": 1}, all, nil},
		{"one request too many", map[string]int64{"q:m:29923820": 5}, all,
			&limit.State{Limit: perMinute, Used: 5, Ask: 1, Reset: at.Truncate(time.Minute).Add(time.Minute)}},
		{"one token too many", map[string]int64{"t:d:20780": 2001}, all,
			&limit.State{Limit: perDay, Used: 2001, Ask: 1000, Reset: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}},
		{"one nano-dollar too many", map[string]int64{"c:l": 8_000_001}, all,
			&limit.State{Limit: money, Used: 8_000_001, Ask: 2_000_000}},
		{"one call too many", map[string]int64{"n": 2}, all, &limit.State{Limit: flight, Used: 2, Ask: 1}},
		{"the window of before does not count", map[string]int64{"q:m:29923819": 5, "t:d:20779": 3000}, all, nil},
		{"calls in flight and a minute: the minute lasts longer", map[string]int64{"n": 2, "q:m:29923820": 5}, all,
			&limit.State{Limit: perMinute, Used: 5, Ask: 1, Reset: at.Truncate(time.Minute).Add(time.Minute)}},
		{"minute and day: the day lasts longer", map[string]int64{"q:m:29923820": 5, "t:d:20780": 3000}, all,
			&limit.State{Limit: perDay, Used: 3000, Ask: 1000, Reset: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}},
		{"day and lifetime: the lifetime has no end", map[string]int64{"t:d:20780": 3000, "c:l": 10_000_000}, all,
			&limit.State{Limit: money, Used: 10_000_000, Ask: 2_000_000}},
		{"a cap below the charge", nil, []gateway.Limit{{Measure: "tokens", Per: "d", Max: 999}},
			&limit.State{Limit: gateway.Limit{Measure: "tokens", Per: "d", Max: 999}, Ask: 1000, Reset: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}},
		{"a cap of zero", nil, []gateway.Limit{{Measure: "requests", Per: "lifetime", Max: 0}},
			&limit.State{Limit: gateway.Limit{Measure: "requests", Per: "lifetime"}, Ask: 1}},
	} {
		c := &limit.Counters{Version: 7, Values: tt.values}
		err := c.Decide(claim(tt.limits...), at)
		if tt.want == nil {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		var denied *limit.Denied
		if !errors.As(err, &denied) {
			t.Errorf("%s: %v; want it denied", tt.name, err)
			continue
		}
		if diff := cmp.Diff(*tt.want, denied.State); diff != "" || len(denied.Standing.Limits) != len(tt.limits) {
			t.Errorf("%s: %d states, (-want +got)\n%s", tt.name, len(denied.Standing.Limits), diff)
		}
		if !strings.HasPrefix(denied.Error(), "limit: "+string(tt.want.Limit.Measure)) {
			t.Errorf("%s: %s", tt.name, denied)
		}
	}
}

func TestDecideTellsApart(t *testing.T) {
	full := gateway.Limit{Measure: "requests", Per: "m", Max: 0}
	stale := &limit.Counters{Version: 8}
	if err := stale.Decide(claim(full), at); err != limit.ErrStale {
		t.Errorf("another version: %v", err)
	}
	// A repeated claim stands, whatever has changed since.
	repeated := &limit.Counters{Version: 8, Open: map[string]limit.Reservation{"AAAAAAAA": claim(full).Reservation()}}
	if err := repeated.Decide(claim(full), at); err != nil {
		t.Errorf("reserved before: %v", err)
	}
	// A sum beyond an int64 is no way past a counter, limited or not.
	for _, cap := range []int64{limit.NoCap, limit.NoCap - 1} {
		c := claim(gateway.Limit{Measure: "cost", Per: "lifetime", Max: cap})
		c.Cost = limit.NoCap
		over := &limit.Counters{Version: 7, Values: map[string]int64{"c:l": 1}}
		if err := over.Decide(c, at); err == nil {
			t.Errorf("a sum beyond the largest number passes a cap of %d", cap)
		}
	}
}

func TestApplyAndClose(t *testing.T) {
	c := &limit.Counters{Version: 7}
	cl := claim(gateway.Limit{Measure: "requests", Per: "m", Max: 5}, gateway.Limit{Measure: "tokens", Per: "d", Max: 3000},
		gateway.Limit{Measure: "cost", Per: "mo", Max: 1e9}, gateway.Limit{Measure: "concurrency", Max: 2})
	c.Apply(cl)
	c.Apply(cl) // a retry
	want := map[string]int64{"q:m:29923820": 1, "t:d:20780": 1000, "c:mo:24322": 2_000_000, "c:l": 2_000_000, "n": 1}
	if diff := cmp.Diff(want, c.Values); diff != "" || len(c.Open) != 1 {
		t.Errorf("reserved: %d open, (-want +got)\n%s", len(c.Open), diff)
	}
	c.Values["q:m:1"] = 9
	s := &limit.Settlement{Reservation: cl.Reservation(), Tokens: 150, Cost: 300_000, Stale: []string{"q:m:1"}}
	if !c.Close(s, at.Add(time.Second)) || c.Close(s, at.Add(time.Second)) {
		t.Error("a reservation closes once")
	}
	want = map[string]int64{"q:m:29923820": 1, "t:d:20780": 150, "c:mo:24322": 300_000, "c:l": 300_000, "n": 0}
	if diff := cmp.Diff(want, c.Values); diff != "" || len(c.Open) != 0 {
		t.Errorf("settled: %d open, (-want +got)\n%s", len(c.Open), diff)
	}
}

func TestCorrections(t *testing.T) {
	r := limit.Reservation{At: at, Tokens: 1000, Cost: 500, Limits: []gateway.Limit{
		{Measure: "requests", Per: "m"}, {Measure: "tokens", Per: "m"}, {Measure: "tokens", Per: "lifetime"}, {Measure: "cost", Per: "d"}, {Measure: "cost", Per: "lifetime"}}}
	minuteEnds := at.Truncate(time.Minute).Add(time.Minute)
	for _, tt := range []struct {
		name   string
		tokens int64
		cost   gateway.NanoUSD
		now    time.Time
		want   []limit.Correction
	}{
		{"less", 100, 200, at, []limit.Correction{{"t:m:29923820", -900}, {"t:l", -900}, {"c:d:20780", -300}, {"c:l", -300}}},
		{"more", 1001, 501, at, []limit.Correction{{"t:m:29923820", 1}, {"t:l", 1}, {"c:d:20780", 1}, {"c:l", 1}}},
		{"the same", 1000, 500, at, []limit.Correction{}},
		{"nothing", 0, 0, at, []limit.Correction{{"t:m:29923820", -1000}, {"t:l", -1000}, {"c:d:20780", -500}, {"c:l", -500}}},
		{"just before the minute's counter may be removed", 0, 500, minuteEnds.Add(limit.StaleAfter), []limit.Correction{{"t:m:29923820", -1000}, {"t:l", -1000}}},
		{"after", 0, 500, minuteEnds.Add(limit.StaleAfter + 1), []limit.Correction{{"t:l", -1000}}},
		{"next day", 1000, 0, at.Add(24 * time.Hour), []limit.Correction{{"c:l", -500}}},
	} {
		if diff := cmp.Diff(tt.want, r.Corrections(tt.tokens, tt.cost, tt.now)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestStanding(t *testing.T) {
	limits := []gateway.Limit{{Measure: "tokens", Per: "d", Max: 5000}, {Measure: "cost", Per: "lifetime", Max: 100}, {Measure: "concurrency", Max: 9}, {Measure: "requests", Per: "m", Max: 10}}
	cl := claim(limits...)
	other := limit.Reservation{ID: "B", At: at, Expires: at.Add(time.Minute), Tokens: 300, Cost: 40, Limits: cl.Reservation().Limits}
	gone := limit.Reservation{ID: "C", At: at.Add(-time.Hour), Expires: at, Tokens: 700, Cost: 5}
	c := &limit.Counters{Version: 7,
		Values: map[string]int64{"t:d:20780": 2300, "c:l": 145, "n": 3, "q:m:29923820": 4, "q:m:29923819": 9, "q:m:29923800": 8, "t:d:20779": 1, "c:mo:24322": 1, "odd": 1, "q:m:x": 1},
		Open:   map[string]limit.Reservation{cl.ID: cl.Reservation(), "B": other, "C": gone},
	}
	st := c.Standing(cl, at)
	midnight, minute := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), at.Truncate(time.Minute).Add(time.Minute)
	want := []limit.State{
		{Limit: limits[0], Used: 2300, Ask: 1000, Held: 300, Reset: midnight},
		{Limit: limits[1], Used: 145, Ask: 2_000_000, Held: 40},
		{Limit: limits[2], Used: 3, Ask: 1, Held: 1},
		{Limit: limits[3], Used: 4, Ask: 1, Reset: minute},
	}
	if diff := cmp.Diff(want, st.Limits); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for i, left := range []int64{2700, 0, 6, 6} {
		if got := st.Limits[i].Left(); got != left {
			t.Errorf("%s has %d left, want %d", limits[i].Measure, got, left)
		}
	}
	if st.Spent != 145 || len(st.Expired) != 1 || st.Expired[0].ID != "C" {
		t.Errorf("spent %d, expired %v", st.Spent, st.Expired)
	}
	// The minute before ended 30.5 s ago and yesterday longer: both are stale.
	stale := map[string]bool{}
	for _, name := range st.Stale {
		stale[name] = true
	}
	if diff := cmp.Diff(map[string]bool{"q:m:29923819": true, "q:m:29923800": true, "t:d:20779": true}, stale); diff != "" {
		t.Errorf("stale: (-want +got)\n%s", diff)
	}
	if early := c.Standing(cl, at.Add(-25*time.Second)); len(early.Stale) != 2 || len(early.Expired) != 0 {
		t.Errorf("5.5 s after the minute: stale %v, expired %v", early.Stale, early.Expired)
	}
}

// One settlement must not grow without bound.
func TestStaleAtOnce(t *testing.T) {
	c := &limit.Counters{Values: map[string]int64{}}
	for i := range int64(100) {
		c.Values[limit.CounterName(gateway.Requests, gateway.Minute, at.Add(-time.Duration(i+2)*time.Minute))] = i
	}
	if n := len(c.Standing(claim(), at).Stale); n != 16 {
		t.Errorf("%d counters are to be removed at once, want 16", n)
	}
}
