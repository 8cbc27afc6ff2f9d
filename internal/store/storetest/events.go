package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// event is a small event of the key at an offset from epoch.
func event(keyID string, offset time.Duration, rid string) gateway.Event {
	return gateway.Event{
		ID: "id-" + rid, ReservationID: rid, KeyID: keyID, At: epoch.Add(offset), Status: 429, Refused: "rate_limit_exceeded",
	}
}

func testEventOnce(s *suite) {
	e := event("k1", 0, "r1")
	s.must(s.Record(s.ctx, e))
	other := e
	other.ID, other.Status = "second", 500
	s.must(s.Record(s.ctx, other))
	parallel(16, func(int) {
		if err := s.Record(s.ctx, other); err != nil {
			s.Error(err)
		}
	})
	s.found("after many", gateway.EventFilter{KeyIDs: []string{"k1"}}, e)

	different := []gateway.Event{event("k2", 0, "r1"), event("k1", time.Millisecond, "r1"), event("k1", 0, "r2")}
	for _, e := range different {
		s.must(s.Record(s.ctx, e))
	}
	s.found("all", gateway.EventFilter{KeyIDs: []string{"k1", "k2"}}, different[1], different[2], different[0], e)
}

// found checks what a filter finds, in order: all at once, and from either end up to
// a limit.
func (s *suite) found(what string, f gateway.EventFilter, want ...gateway.Event) {
	s.Helper()
	got, err := s.Events(s.ctx, f)
	s.must(err)
	s.same(what, got, want)
	for f.Limit = 1; f.Limit <= len(want)+1; f.Limit += 1 + len(want)/2 {
		f.Oldest = false
		first := want[:min(f.Limit, len(want))]
		got, err := s.Events(s.ctx, f)
		s.must(err)
		s.same(fmt.Sprint(what, ", the newest ", f.Limit), got, first)
		f.Oldest = true
		last := slices.Clone(want[len(want)-len(first):])
		slices.Reverse(last)
		got, err = s.Events(s.ctx, f)
		s.must(err)
		s.same(fmt.Sprint(what, ", the oldest ", f.Limit), got, last)
	}
}

// testEventWhole stores an event with every field set.
func testEventWhole(s *suite) {
	e := gateway.Event{
		ID: "9f1c", ReservationID: "AbCd_-12", KeyID: "k1", At: epoch, Tags: []string{"a", "#b"},
		Provider: "openai", SettingID: "s1", Model: "gpt", Served: "gpt-1", Tier: "flex",
		Method: "POST", Path: "/api/x/1", Endpoint: "/api/x/:id", Stream: true,
		CustomID: "c1", UserID: "u1", PolicyID: "p1", RouteID: "r1", Action: "warned", Metadata: []byte(`{"a":[1]}`),
		Status: 200, LatencyMS: 1, FirstMS: 2, UpstreamS: 429, Truncated: true,
		Usage: map[string]int64{"input": 3, "output": 4}, Reasoning: 5, Tokens: 7, Cost: 8,
		Basis: gateway.BasisEstimated, Unpriced: []string{"images"}, Price: "2026-01+costMap",
		Refused: "x", Scope: "user:u1", Expired: true, CapTokens: 9,
		Request: []byte("{\"q\":\"\x00\"}"), Response: slices.Repeat([]byte("0123456789abcdef"), 1000),
	}
	s.must(s.Record(s.ctx, e))
	for name, f := range map[string]gateway.EventFilter{
		"by key":       {KeyIDs: []string{"k1"}},
		"by custom id": {CustomID: "c1"},
		"by user":      {UserID: "u1"},
	} {
		s.found(name, f, e)
		f.Bare = true
		bare := e
		bare.Request, bare.Response, bare.Bodies = nil, nil, len(e.Request)+len(e.Response)
		s.found(name+", bare", f, bare)
	}
}

func testEventOrder(s *suite) {
	offsets := []time.Duration{
		time.Millisecond, 0, 3 * time.Second, -time.Hour, 20 * time.Hour, -40 * 24 * time.Hour,
	}
	var want []gateway.Event
	for i, d := range offsets {
		for _, key := range []string{"k1", "k2"} {
			for _, rid := range []string{"b", "a"} {
				e := event(key, d, fmt.Sprint(rid, "-", key, "-", i))
				s.must(s.Record(s.ctx, e))
				want = append(want, e)
			}
		}
	}
	newest(want)
	s.found("two keys", gateway.EventFilter{KeyIDs: []string{"k1", "k2"}}, want...)
	one := slices.DeleteFunc(slices.Clone(want), func(e gateway.Event) bool { return e.KeyID != "k1" })
	s.found("one key", gateway.EventFilter{KeyIDs: []string{"k1"}}, one...)
	s.found("one key, named twice", gateway.EventFilter{KeyIDs: []string{"k1", "none", "k1"}}, one...)
}

// newest sorts as Events promises.
func newest(list []gateway.Event) {
	slices.SortFunc(list, func(a, b gateway.Event) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(b.ReservationID, a.ReservationID), strings.Compare(b.KeyID, a.KeyID))
	})
}

func testEventFilters(s *suite) {
	make4 := func(i int, key, custom, user string) gateway.Event {
		e := event(key, -time.Duration(i)*time.Minute, fmt.Sprint("r", i))
		e.CustomID, e.UserID = custom, user
		s.must(s.Record(s.ctx, e))
		return e
	}
	a := make4(0, "k1", "c1", "u1")
	b := make4(1, "k1", "c2", "u1")
	c := make4(2, "k2", "c1", "u2")
	d := make4(3, "k2", "", "")
	settled := s.key()
	claim := s.claim(settled, 0, cent)
	claim.At = epoch.Add(-10 * time.Minute)
	_, err := s.reserve(claim)
	s.must(err)
	end := settlement(settled, claim, 0, cent)
	end.Event.CustomID, end.Event.UserID = "c1", "u1"
	s.must(s.settle(end))
	e := end.Event

	for _, tt := range []struct {
		name string
		f    gateway.EventFilter
		want []gateway.Event
	}{
		{"key", gateway.EventFilter{KeyIDs: []string{"k1"}}, []gateway.Event{a, b}},
		{"keys", gateway.EventFilter{KeyIDs: []string{"k2", "k1"}}, []gateway.Event{a, b, c, d}},
		{"unknown key", gateway.EventFilter{KeyIDs: []string{"k"}}, nil},
		{"custom id", gateway.EventFilter{CustomID: "c1"}, []gateway.Event{a, c, e}},
		{"unknown custom id", gateway.EventFilter{CustomID: "c"}, nil},
		{"user", gateway.EventFilter{UserID: "u1"}, []gateway.Event{a, b, e}},
		{"custom id and user", gateway.EventFilter{CustomID: "c1", UserID: "u1"}, []gateway.Event{a, e}},
		{"key and custom id", gateway.EventFilter{KeyIDs: []string{"k1", "k2"}, CustomID: "c1"}, []gateway.Event{a, c}},
		{"key and user", gateway.EventFilter{KeyIDs: []string{"k2"}, UserID: "u1"}, nil},
		{"all three", gateway.EventFilter{KeyIDs: []string{settled.ID}, CustomID: "c1", UserID: "u1"}, []gateway.Event{e}},
	} {
		s.found(tt.name, tt.f, tt.want...)
	}
	if _, err := s.Events(s.ctx, gateway.EventFilter{From: epoch}); err == nil {
		s.Error("a filter that names nobody is no error")
	}
}

func testEventTimeBounds(s *suite) {
	var all []gateway.Event
	for i := range 6 { // a day apart, at midnight
		e := event("k1", 0, fmt.Sprint("r", i))
		e.At = time.Date(2035, 3, 1-i, 0, 0, 0, 0, time.UTC)
		e.CustomID, e.UserID = "c1", "u1"
		s.must(s.Record(s.ctx, e))
		all = append(all, e)
	}
	for name, f := range map[string]gateway.EventFilter{
		"key": {KeyIDs: []string{"k1"}}, "custom": {CustomID: "c1"}, "user": {UserID: "u1"},
	} {
		for _, tt := range []struct {
			name     string
			from, to time.Time
			want     []gateway.Event
		}{
			{"open", time.Time{}, time.Time{}, all},
			{"from", all[2].At, time.Time{}, all[:3]},
			{"just after", all[2].At.Add(time.Millisecond), time.Time{}, all[:2]},
			{"to", time.Time{}, all[2].At, all[3:]},
			{"to just after", time.Time{}, all[2].At.Add(time.Millisecond), all[2:]},
			{"between", all[4].At, all[1].At, all[2:5]},
			{"one instant", all[3].At, all[3].At.Add(time.Millisecond), all[3:4]},
			{"nothing", all[3].At, all[3].At, nil},
			{"backwards", all[1].At, all[4].At, nil},
			{"another zone", all[4].At.In(time.FixedZone("", 7200)), all[1].At.In(time.FixedZone("", -7200)), all[2:5]},
		} {
			f.From, f.To = tt.from, tt.to
			s.found(name+" "+tt.name, f, tt.want...)
		}
	}
}

func testEventOddCharacters(s *suite) {
	odd := []string{
		"#", "a#b", "a", "a\x00", "a\x00b", "ключ", "🔑", "%", `"`, "a\n", " ", "2035-05-17", string(slices.Repeat([]byte("long"), 250)),
	}
	for i, name := range odd {
		e := event(name, time.Duration(i)*time.Millisecond, fmt.Sprint("r", i))
		e.CustomID, e.UserID, e.Path, e.Tags = name+"c", name+"u", "/"+name, odd
		s.must(s.Record(s.ctx, e))
		s.found(fmt.Sprintf("key %d", i), gateway.EventFilter{KeyIDs: []string{name}}, e)
		s.found(fmt.Sprintf("custom id %d", i), gateway.EventFilter{CustomID: name + "c"}, e)
		s.found(fmt.Sprintf("user %d", i), gateway.EventFilter{UserID: name + "u"}, e)
	}
}
