package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// tailed is an admin API with events, which the test's clock brings about.
type tailed struct {
	*testing.T
	now    time.Time
	events []tailedEvent
	fault  int // status of the next answers
	begun  []int64
}

type tailedEvent struct {
	id         string
	begin, end time.Time
}

func (s *tailed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Start, End, Begun int64
		Limit             int
		Cursor            string
		NoBodies          bool
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || !q.NoBodies || q.Limit == 0 {
		s.Errorf("asked with %+v (%v)", q, err)
	}
	if s.fault != 0 {
		w.WriteHeader(s.fault)
		return
	}
	s.begun = append(s.begun, s.now.Unix()-q.Begun)
	var list []string
	for _, e := range s.events {
		if !e.end.After(s.now) && e.end.Unix() >= q.Start && e.end.Unix() < q.End && e.begin.Unix() >= q.Begun {
			list = append(list, fmt.Sprintf(`{"id":%q,"created_at":%d}`, e.id, e.end.Unix()))
		}
	}
	// Two pages, where there are two events.
	cursor := ""
	switch {
	case q.Cursor != "":
		list = list[1:]
	case len(list) > 1:
		list, cursor = list[:1], "more"
	}
	fmt.Fprintf(w, `{"events":[%s],"count":0,"cursor":%q}`, strings.Join(list, ","), cursor)
}

// A tail tells each call once and soon, long ones too, goes on after a fault, and
// looks back far only seldom.
func TestTail(t *testing.T) {
	s := &tailed{T: t, now: time.Unix(1_800_000_000, 0)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	var out, errs bytes.Buffer
	p := &program{
		getenv: func(string) string { return "" }, out: &out, stderr: &errs, now: func() time.Time { return s.now },
		connection: connection{url: server.URL}, format: format{json: true},
	}
	begin := s.now
	add := func(id string, from, to time.Duration) {
		s.events = append(s.events, tailedEvent{id, begin.Add(from), begin.Add(to)})
	}
	add("before", -10*time.Second, -5*time.Second)
	add("short", 9*time.Second, 11*time.Second)
	add("also short", 9*time.Second, 11*time.Second)
	add("during the fault", 99*time.Second, 101*time.Second)
	add("long before", -14*time.Minute, 50*time.Second)
	add("long", 300*time.Second, 700*time.Second)
	add("last", 1199*time.Second, 1200*time.Second)

	told := make(map[string]time.Duration)
	tl := tail{program: p, flags: &eventFlags{}, begin: begin, seen: make(map[string]time.Time)}
	for range 700 {
		s.fault = 0
		if at := s.now.Sub(begin); at > 90*time.Second && at < 180*time.Second {
			s.fault = 503
		}
		fresh, err := tl.look(t.Context())
		if (err != nil) != (s.fault != 0) || err != nil && !passing(err) {
			t.Fatalf("fault %d: %v", s.fault, err)
		}
		for _, e := range fresh {
			if _, twice := told[e.text("id")]; twice {
				t.Errorf("%s is told twice", e.text("id"))
			}
			told[e.text("id")] = s.now.Sub(begin)
		}
		s.now = s.now.Add(2 * time.Second)
	}
	for id, by := range map[string]time.Duration{
		"short": 13 * time.Second, "also short": 13 * time.Second, "during the fault": 182 * time.Second,
		"long before": 64 * time.Second, "long": 740 * time.Second, "last": 1202 * time.Second,
	} {
		if at, ok := told[id]; !ok || at > by {
			t.Errorf("%s is told after %v (%v), want %v", id, at, ok, by)
		}
	}
	if _, ok := told["before"]; ok || len(told) != 6 {
		t.Errorf("told are %v", told)
	}
	var sum, deepest int64
	for _, back := range s.begun[100:] {
		sum, deepest = sum+back, max(deepest, back)
	}
	if mean := sum / int64(len(s.begun)-100); mean > 180 || deepest < 15*60 {
		t.Errorf("a look goes back %d s in the mean and %d at most", mean, deepest)
	}
	if len(tl.seen) > 2 {
		t.Errorf("it remembers %v", tl.seen)
	}
}

// An answer of 503 is a passing fault, once there has been one that was none; a
// refusal ends the command.
func TestTailEnds(t *testing.T) {
	s := &tailed{T: t, now: time.Now()}
	answers := []int{0, 503, 503, 0, 403}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fault, answers = answers[0], answers[1:]
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	run := func() (int, string) {
		var out, errs bytes.Buffer
		p := &program{getenv: func(string) string { return "" }, out: &out, stderr: &errs, now: time.Now}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return p.run(ctx, []string{"events", "tail", "--every", "100ms", "--url", server.URL}), errs.String()
	}
	if code, errs := run(); code != exitNotAllowed || strings.Count(errs, "trying again") != 1 || len(answers) != 0 {
		t.Errorf("code %d, %d answers left: %s", code, len(answers), errs)
	}
	answers = []int{503}
	if code, errs := run(); code != exitFailed || strings.Contains(errs, "again") {
		t.Errorf("a gateway that never answered: code %d, %s", code, errs)
	}
}
