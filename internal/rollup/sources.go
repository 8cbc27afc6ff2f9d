package rollup

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// readSums counts the sums of a span from the dimension that needs the fewest.
func (r *run) readSums(s span) error {
	q := &r.q
	switch {
	case len(q.UserIDs) > 0:
		return r.eachValue(User, q.UserIDs, s, func(g *Group, user string) { g.UserID = user })
	case slices.Contains(q.By, ByUser):
		return r.value(Users, "", s, nil)
	case len(q.KeyIDs) > 0:
		return r.eachValue(Key, q.KeyIDs, s, setKey)
	case r.needsKeys() && !r.needsDetail():
		return r.value(Keys, "", s, nil)
	case r.needsKeys():
		keys, err := r.keysIn(s)
		if err != nil {
			return err
		}
		return r.eachValue(Key, keys, s, setKey)
	case len(q.Tags) > 0:
		return r.value(Tag, q.Tags[0], s, nil)
	}
	return r.value(All, "", s, nil)
}

func setKey(g *Group, key string) { g.KeyID = key }

// needsKeys reports whether the report tells keys, or the tags that only a key's
// sums have all of, apart.
func (r *run) needsKeys() bool {
	return slices.Contains(r.q.By, ByKey) || slices.Contains(r.q.By, ByTag)
}

// needsDetail reports whether sums by key alone are not enough.
func (r *run) needsDetail() bool {
	f := &r.q.Filter
	return len(f.Providers)+len(f.Models)+len(f.Statuses) > 0 ||
		slices.ContainsFunc(r.q.By, func(b By) bool { return b != ByKey && b != ByTag })
}

// eachValue counts the sums of each value, once. set puts the value into the
// groups, which do not have it.
func (r *run) eachValue(d Dimension, values []string, s span, set func(*Group, string)) error {
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		if err := r.value(d, v, s, set); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) value(d Dimension, value string, s span, set func(*Group, string)) error {
	return r.sums(d, value, s, func(c *Cell) {
		g := c.Group
		if set != nil {
			set(&g, value)
		}
		r.count(c.Start, g, "", &c.Sums)
	})
}

// keysIn lists the keys that have events in a span and may be selected. It also
// bounds the events of a span that is read one by one, before any is read.
func (r *run) keysIn(s span) ([]string, error) {
	if s.unit == "" {
		s = span{Hour, Hour.Floor(s.from), Hour.Ceil(s.to)}
	}
	keys := make(map[string]bool)
	err := r.sums(Keys, "", s, func(c *Cell) {
		if hasAll(r.q.Tags, c.Group.TagList) {
			keys[c.Group.KeyID] = true
		}
	})
	return slices.Sorted(maps.Keys(keys)), err
}

// readEvents counts the events of a span one by one.
func (r *run) readEvents(s span) error {
	return r.eachEvent(s, func(e *gateway.Event) {
		of := Of(e)
		r.count(Ended(e).Unix(), GroupOf(e), e.CustomID, &of)
	})
}

// eachEvent gives f the events that ended in a span, of the keys, users and custom
// ids of the filter.
func (r *run) eachEvent(s span, f func(*gateway.Event)) error {
	filters, err := r.eventFilters(s)
	if err != nil {
		return err
	}
	for _, filter := range filters {
		filter.From, filter.To = time.Unix(s.from, 0).Add(-LongestCall).UTC(), time.Unix(s.to, 0).UTC()
		if filter.Most = r.maxEvents - r.report.Events; filter.Most <= 0 {
			return errTooManyEvents
		}
		events, err := r.Store.Events(r.ctx, filter)
		if errors.Is(err, gateway.ErrTooManyEvents) {
			return errTooManyEvents
		}
		if err != nil {
			return err
		}
		r.report.Events += len(events)
		for i := range events {
			e := &events[i]
			if end := Ended(e).Unix(); end >= s.from && end < s.to && anyOf(r.q.CustomIDs, e.CustomID) {
				f(e)
			}
		}
	}
	return nil
}

// eventFilters are the searches that find the events of a span, each once: by the
// narrowest of the conditions.
func (r *run) eventFilters(s span) ([]gateway.EventFilter, error) {
	f := &r.q.Filter
	var list []gateway.EventFilter
	each := func(values []string, filter func(string) gateway.EventFilter) {
		for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
			if v != "" {
				list = append(list, filter(v))
			}
		}
	}
	switch {
	case len(f.CustomIDs) > 0:
		each(f.CustomIDs, func(v string) gateway.EventFilter { return gateway.EventFilter{CustomID: v} })
	case len(f.UserIDs) > 0:
		each(f.UserIDs, func(v string) gateway.EventFilter { return gateway.EventFilter{UserID: v} })
	default:
		keys := f.KeyIDs
		if len(keys) == 0 {
			var err error
			if keys, err = r.keysIn(s); err != nil {
				return nil, err
			}
		}
		each(keys, func(v string) gateway.EventFilter { return gateway.EventFilter{KeyIDs: []string{v}} })
	}
	return list, nil
}

func comparePoints(a, b Point) int {
	g, h := &a.Group, &b.Group
	return cmp.Or(
		cmp.Compare(a.Start, b.Start), strings.Compare(g.KeyID, h.KeyID), strings.Compare(g.UserID, h.UserID),
		strings.Compare(g.Tags, h.Tags), strings.Compare(g.Provider, h.Provider), strings.Compare(g.Model, h.Model),
		strings.Compare(g.Endpoint, h.Endpoint), cmp.Compare(g.Status, h.Status), strings.Compare(a.Custom, b.Custom),
	)
}
