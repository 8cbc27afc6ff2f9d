package rollup

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"tollgate/internal/gateway"
)

// Order is how events are listed. Events that are equal by it are told apart by
// when they ended, their reservation id and their key, so pages neither repeat nor
// skip.
type Order string

// The orders.
const (
	Newest    Order = "newest" // by the end of the call
	Oldest    Order = "oldest"
	Dearest   Order = "dearest" // then newest first
	Cheapest  Order = "cheapest"
	byDefault       = Newest
)

// Search asks for events that ended from From (included) to To (excluded), unix
// seconds.
type Search struct {
	Filter
	PolicyIDs, Actions []string // any of
	From, To           int64
	Order              Order
	Cursor             string // where the page before ended; empty for the first
	Limit, Offset      int    // Limit 0: all; Offset counts from the cursor
	Count              bool   // count all matches
}

// Found is a page of events.
type Found struct {
	Events []gateway.Event
	Cursor string // of the next page; empty after the last
	Count  int    // all matches, cursor and offset left out of account; 0 unless asked for
}

// position is an event's place in an order.
type position struct {
	Order Order           `json:"o"`
	Cost  gateway.NanoUSD `json:"c,omitempty"`
	End   int64           `json:"t"` // milliseconds
	Name  string          `json:"n"` // reservation id and key
}

func positionOf(e *gateway.Event, o Order) position {
	p := position{Order: o, End: Ended(e).UnixMilli(), Name: e.ReservationID + "\x00" + e.KeyID}
	if o == Dearest || o == Cheapest {
		p.Cost = e.Cost
	}
	return p
}

// compare is negative if p comes before q. They are of one order.
func (p *position) compare(q *position) int {
	byCost, byEnd := cmp.Compare(p.Cost, q.Cost), cmp.Compare(q.End, p.End)
	if p.Order == Dearest {
		byCost = -byCost
	}
	if p.Order == Oldest {
		byEnd = -byEnd
	}
	return cmp.Or(byCost, byEnd, strings.Compare(p.Name, q.Name))
}

func (p *position) cursor() string {
	b, _ := json.Marshal(p) // strings and numbers always marshal
	return base64.RawURLEncoding.EncodeToString(b)
}

var errCursor = &gateway.Error{Kind: gateway.Invalid, Code: "invalid_cursor", Param: "cursor",
	Message: "The cursor is not one that an earlier page of this search ended with."}

// after is where the cursor stands; nil for an empty one.
func (q *Search) after() (*position, error) {
	if q.Cursor == "" {
		return nil, nil
	}
	var p position
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || json.Unmarshal(b, &p) != nil || p.Order != q.Order {
		return nil, errCursor
	}
	return &p, nil
}

// Search finds events. A page in the order of time is found without reading what
// lies behind it; other searches read all that the indexes give, up to MaxEvents.
func (r *Reader) Search(ctx context.Context, q Search) (*Found, error) {
	q.Order = cmp.Or(q.Order, byDefault)
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	if end := r.Now().Unix() + 86400; q.To > end { // a writer's clock may be ahead
		q.To = max(q.From, end)
	}
	s := &searching{run: r.newRun(ctx, Request{Filter: q.Filter}), q: q, after: after}
	if q.Limit > 0 && !q.Count && (q.Order == Newest || q.Order == Oldest) {
		err = s.inSteps()
	} else if q.From < q.To {
		err = s.read(q.From, q.To, s.maxEvents)
	}
	if err != nil {
		return nil, err
	}
	return s.page(), nil
}

// searching is one search on its way.
type searching struct {
	*run
	q     Search
	after *position
	found []gateway.Event
}

// inSteps reads from the near end until the page is full. Steps become longer
// while they find little, and shorter where events are dense.
func (s *searching) inSteps() error {
	from, to := s.q.From, s.q.To
	if s.after != nil && s.q.Order == Newest {
		to = min(to, s.after.End/1000+1)
	}
	if s.after != nil && s.q.Order == Oldest {
		from = max(from, s.after.End/1000)
	}
	enough := s.q.Limit + s.q.Offset + 1
	for step := int64(3600); from < to && s.matches() < enough; {
		a, b := max(from, to-step), to
		if s.q.Order == Oldest {
			a, b = from, min(to, from+step)
		}
		before := len(s.found)
		err := s.read(a, b, max(10*enough, 5000))
		if errors.Is(err, errTooManyEvents) && step > 1 {
			s.found = s.found[:before]
			step = max(step/8, 1)
			continue
		}
		if err != nil {
			return err
		}
		if s.q.Order == Oldest {
			from = b
		} else {
			to = a
		}
		step *= 4
	}
	return nil
}

// matches is how many were found behind the cursor.
func (s *searching) matches() (n int) {
	for i := range s.found {
		if s.behind(&s.found[i]) {
			n++
		}
	}
	return n
}

func (s *searching) behind(e *gateway.Event) bool {
	p := positionOf(e, s.q.Order)
	return s.after == nil || s.after.compare(&p) < 0
}

// read finds the events of a time, if the indexes give at most most.
func (s *searching) read(from, to int64, most int) error {
	s.report.Events, s.maxEvents = 0, most
	return s.eachEvent(span{"", from, to}, func(e *gateway.Event) {
		g := GroupOf(e)
		if s.selects(&g) && anyOf(s.q.PolicyIDs, e.PolicyID) && anyOf(s.q.Actions, e.Action) {
			s.found = append(s.found, *e)
		}
	})
}

// page sorts what was found and cuts the page out.
func (s *searching) page() *Found {
	slices.SortFunc(s.found, func(a, b gateway.Event) int {
		p, q := positionOf(&a, s.q.Order), positionOf(&b, s.q.Order)
		return p.compare(&q)
	})
	f := new(Found)
	if s.q.Count {
		f.Count = len(s.found)
	}
	list := slices.DeleteFunc(s.found, func(e gateway.Event) bool { return !s.behind(&e) })
	if s.q.Limit > 0 {
		list = list[min(s.q.Offset, len(list)):]
		if len(list) > s.q.Limit {
			list = list[:s.q.Limit]
			last := positionOf(&list[s.q.Limit-1], s.q.Order)
			f.Cursor = last.cursor()
		}
	}
	f.Events = list
	return f
}
