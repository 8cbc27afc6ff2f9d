// Package rollup folds events into sums, so that a report over a month reads some
// hundred sums and not ten million events. It is pure: the stores keep the sums,
// each event once in each, and Reader answers reports from them.
package rollup

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tollgate/internal/gateway"
)

// Unit is the length of the time that a sum covers. Sums lie in UTC.
type Unit string

// The units.
const (
	Hour Unit = "h"
	Day  Unit = "d"
)

// Units lists the units, longest first.
var Units = [...]Unit{Day, Hour}

// Seconds is the length of the unit.
func (u Unit) Seconds() int64 {
	if u == Day {
		return 86400
	}
	return 3600
}

// Floor is the last beginning of the unit that is not after the unix second t.
func (u Unit) Floor(t int64) int64 { return floor(t, u.Seconds()) }

// Ceil is the first beginning of the unit that is not before t.
func (u Unit) Ceil(t int64) int64 { return -floor(-t, u.Seconds()) }

func floor(t, n int64) int64 {
	m := t % n
	if m < 0 {
		m += n
	}
	return t - m
}

// Dimension says of which events a sum is, and by what it is divided (Group).
type Dimension string

// The dimensions. Each of the first three has all events under the empty value;
// of the others the value is a key id, a tag or a user id, which is empty for calls
// of nobody.
const (
	All   Dimension = "all"   // by provider, model, endpoint and status
	Keys  Dimension = "keys"  // by key and tags alone, so that ranking keys reads little
	Users Dimension = "users" // by user, key and tags alone, likewise
	Key   Dimension = "key"   // by all but the user and the key itself
	Tag   Dimension = "tag"   // by provider, model, endpoint, status and tags
	User  Dimension = "user"  // by all but the user itself
)

// Group is what a sum is of, within its dimension; what the dimension does not
// divide by is zero.
type Group struct {
	Provider string `json:"p,omitempty"`
	Model    string `json:"m,omitempty"` // as asked, or Event.CountAs
	Endpoint string `json:"e,omitempty"` // registered pattern
	Status   int    `json:"s,omitempty"`
	KeyID    string `json:"k,omitempty"`
	UserID   string `json:"u,omitempty"`
	Tags     string `json:"t,omitempty"` // JSON list, sorted, each tag once; empty for none
}

// TagList is the tags of the group.
func (g *Group) TagList() (tags []string) {
	if g.Tags != "" {
		_ = json.Unmarshal([]byte(g.Tags), &tags) // the package itself wrote it
	}
	return tags
}

// Place names one sum.
type Place struct {
	Dimension Dimension
	Value     string
	Unit      Unit
	Start     int64 // unix seconds
	Group     Group
}

// Cell is one sum with its place.
type Cell struct {
	Place
	Sums Sums
}

// Query selects the cells of one value that start within From (included) and To
// (excluded), unix seconds.
type Query struct {
	Dimension Dimension
	Value     string
	Unit      Unit
	From, To  int64
}

// Ended is when the event's call ended, which is the time that reports go by.
func Ended(e *gateway.Event) time.Time {
	return e.At.Add(time.Duration(e.LatencyMS) * time.Millisecond)
}

// Places lists where the event is counted.
func Places(e *gateway.Event) []Place { return placesOf(GroupOf(e), Ended(e).Unix()) }

// placesOf lists where the events of a whole group, of one second, are counted.
func placesOf(whole Group, end int64) []Place {
	tags := whole.TagList()
	plain := Group{Provider: whole.Provider, Model: whole.Model, Endpoint: whole.Endpoint, Status: whole.Status}
	ofTag := plain
	ofTag.Tags = whole.Tags
	ofUser := whole
	ofUser.UserID = ""

	places := make([]Place, 0, 2*(len(tags)+5))
	for _, u := range Units {
		add := func(d Dimension, value string, g Group) {
			places = append(places, Place{d, value, u, u.Floor(end), g})
		}
		add(All, "", plain)
		add(Keys, "", Group{KeyID: whole.KeyID, Tags: whole.Tags})
		add(Users, "", Group{KeyID: whole.KeyID, UserID: whole.UserID, Tags: whole.Tags})
		add(Key, whole.KeyID, ofTag)
		add(User, whole.UserID, ofUser)
		for _, tag := range tags {
			add(Tag, tag, ofTag)
		}
	}
	return places
}

// GroupOf is the event's group with every member.
func GroupOf(e *gateway.Event) Group {
	g := Group{
		Provider: e.Provider, Model: cmp.Or(e.CountAs, e.Model), Endpoint: e.Endpoint, Status: e.Status,
		KeyID: e.KeyID, UserID: e.UserID,
	}
	if len(e.Tags) > 0 {
		b, _ := json.Marshal(sorted(e.Tags)) // strings always marshal
		g.Tags = string(b)
	}
	return g
}

// marshal is the group as JSON, which tells groups apart.
func marshal(g Group) []byte {
	b, _ := json.Marshal(g) // strings and a number always marshal
	return b
}

func sorted(tags []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(tags)))
}

// Table is sums by their place.
type Table map[Place]*Sums

// Add counts the event.
func (t Table) Add(e *gateway.Event) {
	of := Of(e)
	for _, p := range Places(e) {
		t.At(p).Add(&of)
	}
}

// At is the sum of a place, a new one if there is none.
func (t Table) At(p Place) *Sums {
	s := t[p]
	if s == nil {
		s = new(Sums)
		t[p] = s
	}
	return s
}

// Cells lists the table, in no order.
func (t Table) Cells() []Cell {
	cells := make([]Cell, 0, len(t))
	for p, s := range t {
		cells = append(cells, Cell{p, *s})
	}
	return cells
}

// Fold sums events.
func Fold(events []gateway.Event) []Cell {
	var f Folder
	for i := range events {
		f.Add(&events[i])
	}
	return f.Table().Cells()
}

// Folder sums events that have much in common faster than a Table does: those of
// one group and hour are summed once, and not in each of their places. The zero
// value is empty.
type Folder struct{ groups map[hourOf]*Sums }

type hourOf struct {
	group Group
	start int64
}

// Add counts the event.
func (f *Folder) Add(e *gateway.Event) {
	if f.groups == nil {
		f.groups = make(map[hourOf]*Sums)
	}
	h := hourOf{GroupOf(e), Hour.Floor(Ended(e).Unix())}
	s := f.groups[h]
	if s == nil {
		s = new(Sums)
		f.groups[h] = s
	}
	s.addEvent(e)
}

// Groups is how many different groups and hours there are.
func (f *Folder) Groups() int { return len(f.groups) }

// Table is the sums.
func (f *Folder) Table() Table {
	t := make(Table)
	for h, s := range f.groups {
		for _, p := range placesOf(h.group, h.start) {
			t.At(p).Add(s)
		}
	}
	return t
}

// Rejected is the error of a Fold that counted all events but these, which the store
// will not take however often it is tried.
type Rejected struct {
	EventIDs []string
	Err      error
}

func (r *Rejected) Error() string {
	return fmt.Sprintf("rollup: events %q cannot be counted: %v", r.EventIDs, r.Err)
}

func (r *Rejected) Unwrap() error { return r.Err }

// Store keeps sums. Its errors are *gateway.Error.
type Store interface {
	// Fold counts events that Record or Settle wrote, each once however often
	// and in whatever order and company it comes, and remembers the user and
	// custom ids of their keys. After an error some are counted; repeating it
	// counts the rest; but after a *Rejected there is no rest. It returns how many it
	// counted.
	Fold(ctx context.Context, events []gateway.Event) (int, error)

	// Sums gives each cell of the query to f, by Start ascending. An error of f
	// ends it and is returned.
	Sums(ctx context.Context, q Query, f func(*Cell) error) error

	// Correct adds cells, whose numbers may be negative, to the sums. It is for
	// repairs: repeated after an error, it may add twice.
	Correct(ctx context.Context, cells []Cell) error

	// UserIDs and CustomIDs are the ids that events of the key have had, sorted.
	UserIDs(ctx context.Context, keyID string) ([]string, error)
	CustomIDs(ctx context.Context, keyID string) ([]string, error)
}
