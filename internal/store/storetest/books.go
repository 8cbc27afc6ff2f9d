package storetest

import (
	"maps"
	"slices"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// values is the key's counters, zeros left out.
func (s *suite) values(k gateway.Key) map[string]int64 {
	s.Helper()
	return s.valuesOf(k.Hash)
}

func (s *suite) valuesOf(subject string) map[string]int64 {
	s.Helper()
	out := map[string]int64{}
	for name, v := range s.raw(subject).Values {
		if v != 0 {
			out[name] = v
		}
	}
	return out
}

// raw is a counter item. It insists, as events does.
func (s *suite) raw(subject string) (c limit.Counters) {
	s.Helper()
	s.must(s.insist(func() (err error) {
		c, err = s.Counters(s.ctx, subject)
		return err
	}))
	return c
}

// open is the ids of the key's open reservations, sorted.
func (s *suite) open(k gateway.Key) []string {
	s.Helper()
	return slices.Sorted(maps.Keys(s.raw(k.Hash).Open))
}

// events is all events of the key. It insists: a store's client may have used up
// its own retries on faults that were injected before.
func (s *suite) events(k gateway.Key) (list []gateway.Event) {
	s.Helper()
	s.must(s.insist(func() (err error) {
		list, err = s.Events(s.ctx, gateway.EventFilter{KeyIDs: []string{k.ID}})
		return err
	}))
	return list
}

// booked is the sum of the key's events.
func (s *suite) booked(k gateway.Key) (n int, tokens int64, cost gateway.NanoUSD) {
	s.Helper()
	for _, e := range s.events(k) {
		n++
		tokens += e.Tokens
		cost += e.Cost
	}
	return n, tokens, cost
}
