package rollup

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tollgate/internal/gateway"
)

// counted takes a sum that begins at a unix second, and its group with all members
// that the filter and the division look at.
type counted func(start int64, g Group, s *Sums)

// readSums gives f the sums of a span from the dimension that needs the fewest.
func (r *run) readSums(s span, f counted) error {
	q := &r.q
	switch {
	case len(q.UserIDs) > 0:
		return r.eachValue(User, q.UserIDs, s, setUser, f)
	case slices.Contains(q.By, ByUser) && !r.needsDetail():
		return r.value(Users, "", s, nil, f)
	case slices.Contains(q.By, ByUser):
		users, err := r.usersIn(s)
		if err != nil {
			return err
		}
		return r.eachValue(User, users, s, setUser, f)
	case len(q.KeyIDs) > 0:
		return r.eachValue(Key, q.KeyIDs, s, setKey, f)
	case r.needsKeys() && !r.needsDetail():
		return r.value(Keys, "", s, nil, f)
	case r.needsKeys():
		keys, err := r.keysIn(s.from, s.to)
		if err != nil {
			return err
		}
		return r.eachValue(Key, keys, s, setKey, f)
	case len(q.Tags) > 0:
		return r.value(Tag, q.Tags[0], s, nil, f)
	}
	return r.value(All, "", s, nil, f)
}

// usersIn lists the users that have events in a span and may be selected, nobody
// among them.
func (r *run) usersIn(s span) ([]string, error) {
	users := make(map[string]bool)
	err := r.sums(Users, "", s, func(c *Cell) {
		if anyOf(r.q.KeyIDs, c.Group.KeyID) && hasAll(r.q.Tags, c.Group.TagList) {
			users[c.Group.UserID] = true
		}
	})
	return slices.Sorted(maps.Keys(users)), err
}

func setUser(g *Group, user string) { g.UserID = user }

func setKey(g *Group, key string) { g.KeyID = key }

// needsKeys reports whether the report tells keys, or the tags that only a key's
// sums have all of, apart.
func (r *run) needsKeys() bool {
	return slices.Contains(r.q.By, ByKey) || slices.Contains(r.q.By, ByTag)
}

// needsDetail reports whether sums by key, or by user and key, alone are not enough.
func (r *run) needsDetail() bool {
	f := &r.q.Filter
	return len(f.Providers)+len(f.Models)+len(f.Statuses) > 0 ||
		slices.ContainsFunc(r.q.By, func(b By) bool { return b != ByKey && b != ByTag && b != ByUser })
}

// eachValue gives f the sums of each value, once. set puts the value into the
// groups, which do not have it.
func (r *run) eachValue(d Dimension, values []string, s span, set func(*Group, string), f counted) error {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	var mu sync.Mutex
	return each(r.ctx, len(values), func(_ context.Context, i int) error {
		return r.value(d, values[i], s, set, func(start int64, g Group, s *Sums) {
			mu.Lock()
			defer mu.Unlock()
			f(start, g, s)
		})
	})
}

func (r *run) value(d Dimension, value string, s span, set func(*Group, string), f counted) error {
	return r.sums(d, value, s, func(c *Cell) {
		g := c.Group
		if set != nil {
			set(&g, value)
		}
		f(c.Start, g, &c.Sums)
	})
}

// keysIn lists the keys that have events in a time, unix seconds, and may be selected.
func (r *run) keysIn(from, to int64) ([]string, error) {
	keys := make(map[string]bool)
	err := r.eachUnit(from, to, func(s span) error {
		return r.sums(Keys, "", s, func(c *Cell) {
			if hasAll(r.q.Tags, c.Group.TagList) {
				keys[c.Group.KeyID] = true
			}
		})
	})
	return slices.Sorted(maps.Keys(keys)), err
}

// eachUnit gives f the days, and the hours beside them, that a time touches.
func (r *run) eachUnit(from, to int64, f func(span) error) (err error) {
	cut(Hour.Floor(from), Hour.Ceil(to), Units[:], func(u Unit, from, to int64) {
		if err == nil && from < to {
			err = f(span{u, from, to})
		}
	})
	return err
}

// readEvents counts the events of a span one by one.
func (r *run) readEvents(s span) error {
	return r.eachEvent(s, r.maxEvents, func(e *gateway.Event) {
		of := Of(e)
		r.count(Ended(e).Unix(), GroupOf(e), e.CustomID, &of, 1)
	})
}

// eachEvent gives f the events that ended in a span, of the keys, users and custom
// ids of the filter, in no order and one at a time. It fails with errTooManyEvents
// once the report has read more than most.
func (r *run) eachEvent(s span, most int, f func(*gateway.Event)) error {
	subjects := r.subjects()
	if subjects == nil {
		keys, err := r.keysIn(s.from, s.to)
		if err != nil {
			return err
		}
		for _, key := range keys {
			subjects = append(subjects, gateway.EventFilter{KeyIDs: []string{key}})
		}
	}
	var mu sync.Mutex
	take := func(events []gateway.Event, took int) error {
		mu.Lock()
		defer mu.Unlock()
		if r.report.Events += took; r.report.Events > most {
			return errTooManyEvents
		}
		for i := range events {
			e := &events[i]
			if end := Ended(e).Unix(); end >= s.from && end < s.to && anyOf(r.q.CustomIDs, e.CustomID) {
				f(e)
			}
		}
		return nil
	}
	return each(r.ctx, len(subjects), func(ctx context.Context, i int) error {
		filter := subjects[i]
		filter.From, filter.To = time.Unix(s.from, 0).Add(-LongestCall).UTC(), time.Unix(s.to, 0).UTC()
		filter.Oldest, filter.Bare = true, true
		for s := (&stream{store: r.Store, filter: filter, chunk: 100}); !s.empty; s.events = nil {
			if err := s.fill(ctx); err != nil {
				return err
			}
			if err := take(s.events, s.took); err != nil {
				return err
			}
		}
		return nil
	})
}

func comparePoints(a, b Point) int {
	g, h := &a.Group, &b.Group
	return cmp.Or(
		cmp.Compare(a.Start, b.Start), strings.Compare(g.KeyID, h.KeyID), strings.Compare(g.UserID, h.UserID),
		strings.Compare(g.Tags, h.Tags), strings.Compare(g.Provider, h.Provider), strings.Compare(g.Model, h.Model),
		strings.Compare(g.Endpoint, h.Endpoint), cmp.Compare(g.Status, h.Status), strings.Compare(a.Custom, b.Custom),
	)
}
