package rollup

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// Order is how events are listed. Time is that of their begin, by which stores keep
// them: by their end, a quarter of an hour of events would have to be read before
// the first could be shown. Events of one time are told apart by their reservation
// id and their key, so pages neither repeat nor skip.
type Order string

// The orders.
const (
	Newest    Order = "newest"
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
	Begun              int64 // only calls that began then or later, unix seconds; 0: any
	Order              Order
	Cursor             string // where the page before ended; empty for the first
	Limit              int    // 0, or more than a page may have: MaxPage
	Offset             int    // of the first page; the cursors of the others know it
	Count              bool   // count all matches
	Bare               bool   // without bodies

	// Size is how many bytes an event takes in the answer, which has room for
	// MaxSize of them; nil: they are not counted. When it is asked, an event has
	// Bodies and not them.
	Size    func(*gateway.Event) int
	MaxSize int
}

// MaxPage bounds the events of a page.
const MaxPage = 5000

// Found is a page of events. It may be short, even empty, before the last: only the
// cursor tells.
type Found struct {
	Events []gateway.Event
	Cursor string // of the next page; empty after the last
	Count  int    // all matches, cursor and offset left out of account; 0 unless asked for
}

// position is an event's place in an order.
type position struct {
	Order Order           `json:"o"`
	Cost  gateway.NanoUSD `json:"c,omitempty"`
	At    int64           `json:"t"`           // begin, milliseconds
	Name  string          `json:"n,omitempty"` // reservation id and key; empty before all of them

	// Skip is what is left of the offset, in a cursor.
	Skip int `json:"s,omitempty"`
}

func positionOf(e *gateway.Event, o Order) position {
	p := position{Order: o, At: e.At.UnixMilli(), Name: e.ReservationID + "\x00" + e.KeyID}
	if o == Dearest || o == Cheapest {
		p.Cost = e.Cost
	}
	return p
}

// compare is negative if p comes before q. They are of one order.
func (p *position) compare(q *position) int {
	byCost := cmp.Compare(p.Cost, q.Cost)
	if p.Order == Dearest {
		byCost = -byCost
	}
	byTime := cmp.Or(cmp.Compare(p.At, q.At), strings.Compare(p.Name, q.Name))
	if p.Order != Oldest {
		byTime = -byTime
	}
	return cmp.Or(byCost, byTime)
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
	if err != nil || json.Unmarshal(b, &p) != nil || p.Order != q.Order || p.Skip < 0 {
		return nil, errCursor
	}
	return &p, nil
}

// byTime reports whether the order is that of the stores.
func (q *Search) byTime() bool { return q.Order == Newest || q.Order == Oldest }

// Search finds events. A page in the order of time is found without reading what
// lies behind it; after MaxScan events it ends, however short it is. To count, or to
// order by cost, takes all that the indexes give, up to MaxEvents.
func (r *Reader) Search(ctx context.Context, q Search) (*Found, error) {
	q.Order = cmp.Or(q.Order, byDefault)
	after, err := q.after()
	if err != nil {
		return nil, err
	}
	if end := r.Now().Unix() + 86400; q.To > end { // a writer's clock may be ahead
		q.To = max(q.From, end)
	}
	if after != nil {
		q.Offset = after.Skip
	}
	if q.Limit == 0 || q.Limit > MaxPage {
		q.Limit = MaxPage
	}
	s := &searching{run: r.newRun(ctx, Request{Filter: q.Filter}), q: q, after: after}
	found, err := s.find()
	if err != nil {
		return nil, err
	}
	if !q.Bare {
		err = r.fetchBodies(ctx, found.Events)
	}
	return found, err
}

// searching is one search on its way.
type searching struct {
	*run
	q     Search
	after *position

	found   []gateway.Event
	size    int // bytes of found
	skipped int
	count   int
	more    bool // what was found is not all
}

// find looks through the events and cuts the page out.
func (s *searching) find() (*Found, error) {
	begin := time.Unix(s.q.From, 0).Add(-LongestCall)
	if begun := time.Unix(s.q.Begun, 0); s.q.Begun != 0 && begun.After(begin) {
		begin = begun
	}
	w := walk{run: s.run, oldest: s.q.Order == Oldest, from: begin.UnixMilli(), to: s.q.To * 1000, most: s.maxEvents, see: s.look}
	if s.q.byTime() && !s.q.Count {
		w.most, w.short = s.maxScan, true
		if s.after != nil && w.oldest {
			w.from = max(w.from, s.after.At)
		} else if s.after != nil {
			w.to = min(w.to, s.after.At+1)
		}
	}
	if s.q.From < s.q.To {
		if err := w.through(); err != nil {
			return nil, err
		}
	}
	if !s.q.byTime() {
		s.rank()
	}
	f := &Found{Events: s.found}
	if s.q.Count {
		f.Count = s.count
	}
	switch n := len(s.found); {
	case s.more && n > 0:
		p := positionOf(&s.found[n-1], s.q.Order)
		f.Cursor = p.cursor()
	case w.ended != nil: // before the page was full
		p := position{Order: s.q.Order, At: w.ended.At, Name: w.ended.Name, Skip: s.q.Offset - s.skipped}
		f.Cursor = p.cursor()
	}
	return f, nil
}

// look takes an event that the filter's index gives, and reports whether it wants
// another.
func (s *searching) look(e *gateway.Event) bool {
	g := GroupOf(e)
	g.Model = e.Model // sums may know it under another name; the event does not
	end := Ended(e).Unix()
	if end < s.q.From || end >= s.q.To || !s.selects(&g) || !anyOf(s.q.CustomIDs, e.CustomID) ||
		!anyOf(s.q.PolicyIDs, e.PolicyID) || !anyOf(s.q.Actions, e.Action) {
		return true
	}
	if s.count++; s.q.Bare {
		e.Bodies = 0
	}
	if p := positionOf(e, s.q.Order); s.after != nil && s.after.compare(&p) >= 0 {
		return true
	}
	switch {
	case !s.q.byTime():
		s.found = append(s.found, *e)
		if most := s.q.Offset + s.q.Limit + 1; len(s.found) >= 2*most+1000 {
			s.sort()
			s.found = s.found[:most] // no other can be on the page, or show that another follows
		}
	case s.skipped < s.q.Offset:
		s.skipped++
	case s.more || !s.fits(e):
		s.more = true
	default:
		s.found = append(s.found, *e)
	}
	return !s.more || s.q.Count
}

// fits reports whether the page has room for an event, and takes it. The first one
// always fits.
func (s *searching) fits(e *gateway.Event) bool {
	if len(s.found) == s.q.Limit {
		return false
	}
	if s.q.Size == nil {
		return true
	}
	n := s.q.Size(e)
	if len(s.found) > 0 && s.size+n > s.q.MaxSize {
		return false
	}
	s.size += n
	return true
}

func (s *searching) sort() {
	slices.SortFunc(s.found, func(a, b gateway.Event) int {
		p, q := positionOf(&a, s.q.Order), positionOf(&b, s.q.Order)
		return p.compare(&q)
	})
}

// rank cuts the page out of what was found in another order than that of the page.
func (s *searching) rank() {
	s.sort()
	list := s.found[min(s.q.Offset, len(s.found)):]
	s.found = nil
	for i := range list {
		if !s.fits(&list[i]) {
			s.more = true
			return
		}
		s.found = append(s.found, list[i])
	}
}

// fetchBodies reads the bodies of the events that have any.
func (r *Reader) fetchBodies(ctx context.Context, events []gateway.Event) error {
	return each(ctx, len(events), func(ctx context.Context, i int) error {
		e := &events[i]
		if e.Bodies == 0 {
			return nil
		}
		list, err := r.Store.Events(ctx, gateway.EventFilter{
			KeyIDs: []string{e.KeyID}, From: e.At, To: e.At.Add(time.Millisecond)})
		for j := range list {
			if list[j].ReservationID == e.ReservationID {
				e.Request, e.Response, e.Bodies = list[j].Request, list[j].Response, 0
			}
		}
		return err
	})
}
