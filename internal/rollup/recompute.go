package rollup

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tollgate/internal/gateway"
)

// Recent is for how long a store remembers, at least, that an event was counted.
const Recent = 6 * 24 * time.Hour

// foldDelay is how long after its call an event may still come out of the stream, by
// far, as long as nothing is wrong.
const foldDelay = time.Hour

var (
	errNotOver = &gateway.Error{Kind: gateway.Invalid, Code: "day_not_over",
		Message: "Sums can be put right an hour and a quarter after their day: until then calls still come in, and would be counted or left out for good."}
	errChanging = &gateway.Error{Kind: gateway.Conflict, Code: "day_changes",
		Message: "Events of the day were written while it was added up. Nothing was put right: try again."}
)

// Difference is a sum that is not what its events add up to.
type Difference struct {
	Place        Place
	Stored, Real Sums
}

// Recompute adds up the events of one day, which begins at the unix second day, and
// returns the sums that differ from the stored ones. With fix it puts them right.
//
// keys are the keys to look at; those that the sums know are looked at too. What is
// counted meanwhile shows as a difference, so to be put right the day must be over,
// and must not have changed. A day that is past the retention of events must not be asked
// for: its events are gone, its sums are right.
func (r *Reader) Recompute(ctx context.Context, day int64, keys []string, fix bool) ([]Difference, error) {
	day = Day.Floor(day)
	if over := time.Unix(day+Day.Seconds(), 0).Add(LongestCall + foldDelay); fix && r.Now().Before(over) {
		return nil, errNotOver
	}
	run := r.newRun(ctx, Request{})
	known, err := run.keysIn(day, day+Day.Seconds())
	if err != nil {
		return nil, err
	}
	keys = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(keys), known...))))
	real, err := r.addUpAll(ctx, day, keys, fix)
	if err != nil {
		return nil, err
	}
	stored, err := r.storedOf(ctx, day, keys, real)
	if err != nil {
		return nil, err
	}
	list := differences(stored, real)
	if !fix || len(list) == 0 {
		return list, nil
	}
	// An event that was written and counted between the two readings would be
	// subtracted, as if it had been counted twice.
	again, err := r.addUpAll(ctx, day, keys, false)
	if err != nil {
		return nil, err
	}
	if len(differences(real, again)) > 0 {
		return nil, errChanging
	}
	var cells []Cell
	for _, d := range list {
		c := Cell{d.Place, d.Real.Clone()}
		c.Sums.Subtract(&d.Stored)
		cells = append(cells, c)
	}
	return list, r.Store.Correct(ctx, cells)
}

// addUpAll adds up the events of the day.
func (r *Reader) addUpAll(ctx context.Context, day int64, keys []string, fold bool) (Table, error) {
	real := make(Table)
	for _, key := range keys {
		if err := r.addUp(ctx, day, key, real, fold); err != nil {
			return nil, err
		}
	}
	return real, nil
}

// addUp adds a key's events of the day to the table. With fold, for a recent day, those
// that were never counted are counted in the regular way first, so that one that
// the stream still delivers is not counted again.
func (r *Reader) addUp(ctx context.Context, day int64, key string, to Table, fold bool) error {
	begin, end := time.Unix(day, 0).UTC(), time.Unix(day+Day.Seconds(), 0).UTC()
	for hour := begin.Add(-LongestCall); hour.Before(end); hour = hour.Add(time.Hour) { // a day may not fit into memory
		events, err := r.Store.Events(ctx, gateway.EventFilter{
			KeyIDs: []string{key}, From: hour, To: minTime(hour.Add(time.Hour), end), Bare: true,
		})
		if err != nil {
			return err
		}
		events = slices.DeleteFunc(events, func(e gateway.Event) bool {
			t := Ended(&e)
			return t.Before(begin) || !t.Before(end)
		})
		if fold && len(events) > 0 && r.Now().Sub(begin) < Recent {
			var rejected *Rejected // what is missing then shows as a difference
			if _, err := r.Store.Fold(ctx, events); err != nil && !errors.As(err, &rejected) {
				return err
			}
		}
		for i := range events {
			to.Add(&events[i])
		}
	}
	return nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// storedOf is the stored sums of the day: of everything, of the keys, and of the
// users and tags that either the sums or the events name.
func (r *Reader) storedOf(ctx context.Context, day int64, keys []string, real Table) (Table, error) {
	stored := make(Table)
	users, tags := make(map[string]bool), make(map[string]bool)
	note := func(p *Place) {
		users[p.Group.UserID] = true
		for _, tag := range p.Group.TagList() {
			tags[tag] = true
		}
	}
	for p := range real {
		note(&p)
	}
	read := func(d Dimension, values ...string) error {
		for _, v := range values {
			for _, u := range Units {
				err := r.Store.Sums(ctx, Query{d, v, u, day, day + Day.Seconds()}, func(c *Cell) error {
					note(&c.Place)
					stored.At(c.Place).Add(&c.Sums)
					return nil
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, d := range []Dimension{All, Keys, Users} {
		if err := read(d, ""); err != nil {
			return nil, err
		}
	}
	if err := read(Key, keys...); err != nil {
		return nil, err
	}
	if err := read(User, slices.Sorted(maps.Keys(users))...); err != nil {
		return nil, err
	}
	return stored, read(Tag, slices.Sorted(maps.Keys(tags))...)
}

// differences lists what is not equal, by place.
func differences(stored, real Table) []Difference {
	var list []Difference
	places := maps.Clone(real)
	maps.Copy(places, stored)
	for p := range places {
		d := Difference{Place: p}
		if s := stored[p]; s != nil {
			d.Stored = *s
		}
		if s := real[p]; s != nil {
			d.Real = *s
		}
		if !d.Stored.Equal(&d.Real) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b Difference) int {
		p, q := &a.Place, &b.Place
		return cmp.Or(cmp.Compare(p.Dimension, q.Dimension), cmp.Compare(p.Value, q.Value),
			cmp.Compare(p.Unit, q.Unit), cmp.Compare(p.Start, q.Start), cmp.Compare(string(marshal(p.Group)), string(marshal(q.Group))))
	})
	return list
}
