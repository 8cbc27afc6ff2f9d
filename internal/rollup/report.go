package rollup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
)

// By is what a report is divided by.
type By string

// The divisions. An event with several tags counts under each of them.
const (
	ByKey      By = "key"
	ByUser     By = "user"
	ByCustom   By = "custom"
	ByTag      By = "tag"
	ByProvider By = "provider"
	ByModel    By = "model"
	ByEndpoint By = "endpoint"
	ByStatus   By = "status"
)

// Filter selects events. Lists that are not empty are conditions, which are ANDed.
type Filter struct {
	KeyIDs, UserIDs, CustomIDs []string // any of
	Tags                       []string // all of
	Providers, Models          []string // any of
	Statuses                   []int    // any of
}

// Request asks for a report of the events that ended from From (included) to To
// (excluded), unix seconds, in steps of Step seconds. Steps are counted from From,
// or with Calendar from 1970, so that those of 86400 are days. With a Step of 0 it
// is one step.
type Request struct {
	Filter
	From, To, Step int64
	Calendar       bool
	By             []By
}

// stepOf is the beginning of the step that the second t is in.
func (q *Request) stepOf(t int64) int64 {
	origin := q.From
	if q.Calendar {
		origin = 0
	}
	return origin + floor(t-origin, q.Step)
}

// Point is one step's sums of one group; members that were not asked for are zero.
type Point struct {
	Start  int64
	Group  Group // Tags is a single tag here, as it is
	Custom string
	Sums   Sums
}

// Report is the answer. Points have a start and a group each, by both ascending;
// steps without events have none.
type Report struct {
	Points []Point
	Total  Sums // of all events, each once
	Cells  int  // sums that were read
	Events int  // events that were read

	// Estimated: a part of an hour had more events than are read one by one, and
	// was taken from the sum of the hour as if they were spread evenly over it.
	// Parts of one hour still add up to it.
	Estimated bool
}

// EventStore is what a Reader needs of a store beside the sums.
type EventStore interface {
	Store
	Events(ctx context.Context, f gateway.EventFilter) ([]gateway.Event, error)
}

// Reader answers reports: from sums where the request's bounds are whole hours; of
// an hour that a bound or a step cuts, from single events if they are few, and else
// from the sum of the hour.
type Reader struct {
	Store     EventStore
	Now       func() time.Time
	MaxEvents int // read for one report or count; 0: 50,000
	MaxCells  int // likewise; 0: 200,000
	MaxScan   int // events read for a page of a search; 0: 10,000
}

// LongestCall is how long before its end a call may have begun: the longest that
// Lambda lets a call run.
const LongestCall = 15 * time.Minute

// maxSteps bounds the steps of a report, and its points: an answer has to fit into
// the 6 MB that a function may give.
const maxSteps = 20_000

// Report answers the request. Its errors are *gateway.Error.
func (r *Reader) Report(ctx context.Context, q Request) (*Report, error) {
	if q.Step <= 0 {
		q.Step = max(q.To-q.From, 1)
	}
	if (q.To-q.From)/q.Step > maxSteps {
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: "too_many_steps",
			Message: fmt.Sprintf("This asks for more than %d steps: choose a longer increment or a shorter time.", maxSteps)}
	}
	run := r.newRun(ctx, q)
	var cuts []span
	for _, s := range run.spans() {
		var err error
		switch {
		case s.unit != "":
			err = run.readSums(s, func(start int64, g Group, sums *Sums) { run.tally(s.unit, start, g, sums) })
		case run.byCustom():
			err = run.readEvents(s)
		default:
			cuts = append(cuts, s)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := run.readCuts(cuts); err != nil {
		return nil, err
	}
	if len(run.points) > maxSteps {
		return nil, errTooManyPoints
	}
	return run.finish(), nil
}

func (r *Reader) newRun(ctx context.Context, q Request) *run {
	run := &run{
		Reader: r, ctx: ctx, q: q, report: new(Report), points: make(map[pointKey]*Sums), rest: make(map[int64]int64),
		maxEvents: cmp.Or(r.MaxEvents, 50_000), maxCells: cmp.Or(r.MaxCells, 200_000), maxScan: cmp.Or(r.MaxScan, 10_000),
	}
	return run
}

// run is one report on its way.
type run struct {
	*Reader
	ctx                 context.Context
	q                   Request
	report              *Report
	points              map[pointKey]*Sums
	maxEvents, maxCells int
	maxScan             int
	cells               atomic.Int64 // sums that were read

	// rest has for days that are read whole, by their beginning, a second in the
	// step that gets what the other parts of the day leave.
	rest map[int64]int64
}

// pointKey names a point. custom is beside the group, because no sum has it.
type pointKey struct {
	start  int64
	group  Group
	custom string
}

// span is a part of the time that is read in one way.
type span struct {
	unit     Unit // empty: parts of hours
	from, to int64
}

// spans divides the time of the request into whole days, whole hours and the rest.
// What is read in the same way is joined again.
func (r *run) spans() []span {
	q := &r.q
	if q.To <= q.From {
		return nil
	}
	if r.byCustom() {
		return []span{{"", q.From, q.To}}
	}
	if q.To > r.Now().Unix() {
		// Nothing has happened after now, so the sum of this hour is that of the
		// part of it that was asked for.
		q.To = max(q.From, min(q.To, Hour.Ceil(r.Now().Unix()+1)))
	}
	var list []span
	add := func(u Unit, from, to int64) {
		if n := len(list) - 1; n >= 0 && list[n].unit == u && list[n].to == from {
			list[n].to = to
		} else if from < to {
			list = append(list, span{u, from, to})
		}
	}
	for day := Day.Floor(q.From); day < q.To; day += Day.Seconds() {
		r.cutDay(day, add)
	}
	return list
}

// cutDay gives add the parts of a day that is not in one step. Where one step has most
// of it, its part is the day without the others, which are fewer hours.
func (r *run) cutDay(day int64, add func(u Unit, from, to int64)) {
	q, end := &r.q, day+Day.Seconds()
	var parts []span
	most := -1
	for from := day; from < end; {
		to, wanted := end, from >= q.From && from < q.To
		switch {
		case wanted:
			to = min(q.stepOf(from)+q.Step, q.To, end)
		case from < q.From:
			to = min(q.From, end)
		}
		if wanted && to-from > Day.Seconds()/2 {
			most = len(parts)
		}
		parts = append(parts, span{"", from, to})
		from = to
	}
	if most < 0 || time.Unix(end, 0).Add(foldDelay).After(r.Now()) {
		most = -1 // sums and events of a day that is hardly over may differ
	} else {
		add(Day, day, end)
		r.rest[day] = parts[most].from
	}
	for i, p := range parts {
		if i != most && (most >= 0 || p.from >= q.From && p.from < q.To) {
			cut(p.from, p.to, Units[1:], add)
		}
	}
}

// cut gives add the parts of a time, in order: the longest unit in the middle.
func cut(from, to int64, units []Unit, add func(u Unit, from, to int64)) {
	if len(units) == 0 {
		add("", from, to)
		return
	}
	first, last := units[0].Ceil(from), units[0].Floor(to)
	if first >= last {
		cut(from, to, units[1:], add)
		return
	}
	if from < first {
		cut(from, first, units[1:], add)
	}
	add(units[0], first, last)
	if last < to {
		cut(last, to, units[1:], add)
	}
}

// byCustom reports whether only events can answer: no sums are kept by custom id,
// for most of those occur once.
func (r *run) byCustom() bool { return len(r.q.CustomIDs) > 0 || slices.Contains(r.q.By, ByCustom) }

// tally counts sums that begin at a second: where they lie if the report wants them,
// and away from the rest of a day that is read whole.
func (r *run) tally(u Unit, start int64, g Group, s *Sums) {
	rest, whole := r.rest[Day.Floor(start)]
	if u == Day {
		if whole {
			start = rest
		}
		r.count(start, g, "", s, 1)
		return
	}
	if start >= r.q.From && start < r.q.To {
		r.count(start, g, "", s, 1)
	}
	if whole {
		r.count(rest, g, "", s, -1)
	}
}

// count adds sums of a group to the points that they belong to, sign times.
func (r *run) count(start int64, g Group, custom string, s *Sums, sign int64) {
	if !r.selects(&g) {
		return
	}
	r.report.Total.add(s, sign)
	p := pointKey{start: r.q.stepOf(start), group: r.project(g)}
	if slices.Contains(r.q.By, ByCustom) {
		p.custom = custom
	}
	tags := []string{""}
	if slices.Contains(r.q.By, ByTag) {
		if list := g.TagList(); len(list) > 0 {
			tags = list
		}
	}
	for _, tag := range tags {
		p.group.Tags = tag
		if r.points[p] == nil {
			r.points[p] = new(Sums)
		}
		r.points[p].add(s, sign)
	}
}

// project keeps of a group what the report is divided by; tags are count's.
func (r *run) project(g Group) (p Group) {
	for _, by := range r.q.By {
		switch by {
		case ByKey:
			p.KeyID = g.KeyID
		case ByUser:
			p.UserID = g.UserID
		case ByProvider:
			p.Provider = g.Provider
		case ByModel:
			p.Model = g.Model
		case ByEndpoint:
			p.Endpoint = g.Endpoint
		case ByStatus:
			p.Status = g.Status
		}
	}
	return p
}

// selects applies the filter's conditions to a group that has all members which
// the conditions look at.
func (r *run) selects(g *Group) bool {
	f := &r.q.Filter
	return anyOf(f.KeyIDs, g.KeyID) && anyOf(f.UserIDs, g.UserID) &&
		anyOf(f.Providers, g.Provider) && anyOf(f.Models, g.Model) && anyOf(f.Statuses, g.Status) &&
		hasAll(f.Tags, g.TagList)
}

func anyOf[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

func hasAll(wanted []string, list func() []string) bool {
	if len(wanted) == 0 {
		return true
	}
	have := list()
	for _, tag := range wanted {
		if !slices.Contains(have, tag) {
			return false
		}
	}
	return true
}

func (r *run) finish() *Report {
	r.report.Cells = int(r.cells.Load())
	for k, s := range r.points {
		if s.IsZero() {
			continue // all of a group was in other parts of its day
		}
		r.report.Points = append(r.report.Points, Point{k.start, k.group, k.custom, *s})
	}
	slices.SortFunc(r.report.Points, comparePoints)
	return r.report
}

// errTooManyCells is the answer to a report that would read more sums than allowed.
var errTooManyCells = &gateway.Error{Kind: gateway.Invalid, Code: "too_many_sums",
	Message: "This report is too detailed for one answer: choose a shorter time, or whole days as start and increment."}

// errTooManyPoints is the answer to a report that would not fit into one.
var errTooManyPoints = &gateway.Error{Kind: gateway.Invalid, Code: "too_many_points",
	Message: fmt.Sprintf("This report would have more than %d points: choose a shorter time, a longer increment, or fewer groups.", maxSteps)}

// errTooManyEvents is the answer where only events can tell: by custom id, by cost,
// and for a count.
var errTooManyEvents = &gateway.Error{Kind: gateway.Invalid, Code: "too_many_events",
	Message: "This would have to read too many single events: choose a shorter time, or name keys."}

// sums reads a query's cells and gives them to f.
func (r *run) sums(d Dimension, value string, s span, f func(*Cell)) error {
	return r.Store.Sums(r.ctx, Query{d, value, s.unit, s.from, s.to}, func(c *Cell) error {
		if r.cells.Add(1) > int64(r.maxCells) {
			return errTooManyCells
		}
		f(c)
		return nil
	})
}
