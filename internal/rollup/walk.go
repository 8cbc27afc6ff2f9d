package rollup

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"tollgate/internal/gateway"
)

// walk goes through the events that began within a time, in its order, and reads
// little more than it shows.
type walk struct {
	*run
	oldest   bool
	from, to int64 // milliseconds; to excluded
	most     int   // events that may be read
	short    bool  // it may end before its end; else that is an error

	// see takes the events, and is told of no more once it returns false.
	see func(*gateway.Event) bool

	ended *position // where it ended before its end
	read  int       // events
	seen  *position // the last event that was seen, or where there are none until
	done  bool
}

// part is a time, in milliseconds, and who had events that began in it.
type part struct {
	from, to int64
	streams  []gateway.EventFilter // each of one subject
}

// through goes from part to part. Where the events may be anybody's, the sums tell who
// had some, and one look at them covers the longer the less it finds.
func (w *walk) through() error {
	if filters := w.subjects(); filters != nil {
		return w.merge(part{w.from, w.to, filters})
	}
	for length := int64(3600_000); w.from < w.to && !w.done; length *= 4 {
		p := part{from: max(w.from, w.to-length), to: w.to}
		if w.oldest {
			p = part{from: w.from, to: min(w.to, w.from+length)}
		}
		parts, err := w.busy(p.from, p.to)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if err := w.merge(p); err != nil || w.done {
				return err
			}
		}
		if w.oldest {
			w.from = p.to
			w.seen = &position{At: p.to}
		} else {
			w.to = p.from
			w.seen = &position{At: p.from}
		}
	}
	return nil
}

// subjects are the searches that find the events of the filter, each once, by the
// narrowest of its conditions; nil if it names nobody.
func (r *run) subjects() []gateway.EventFilter {
	f := &r.q.Filter
	values, filter := f.KeyIDs, func(v string) gateway.EventFilter { return gateway.EventFilter{KeyIDs: []string{v}} }
	switch {
	case len(f.CustomIDs) > 0:
		values, filter = f.CustomIDs, func(v string) gateway.EventFilter { return gateway.EventFilter{CustomID: v} }
	case len(f.UserIDs) > 0:
		values, filter = f.UserIDs, func(v string) gateway.EventFilter { return gateway.EventFilter{UserID: v} }
	case len(f.KeyIDs) == 0:
		return nil
	}
	list := []gateway.EventFilter{}
	for _, v := range slices.Compact(slices.Sorted(slices.Values(values))) {
		if v != "" {
			list = append(list, filter(v))
		}
	}
	return list
}

// busy divides a time, in milliseconds, into the hours and days that the sums know,
// and lists those in which calls of selected keys began, in the walk's order.
func (w *walk) busy(from, to int64) ([]part, error) {
	// A call that began in a part ended in it or in the next.
	first, last := Hour.Floor(from/1000), Hour.Ceil(to/1000+int64(LongestCall.Seconds())+1)
	var parts []part
	var spans []span
	cut(first, last, Units[:], func(u Unit, from, to int64) {
		spans = append(spans, span{u, from, to})
		for t := from; t < to; t += u.Seconds() {
			parts = append(parts, part{from: t * 1000, to: (t + u.Seconds()) * 1000})
		}
	})
	keys := make([]map[string]bool, len(parts))
	add := func(i int, key string) {
		if i >= 0 && keys[i] == nil {
			keys[i] = make(map[string]bool)
		}
		if i >= 0 {
			keys[i][key] = true
		}
	}
	for _, s := range spans {
		err := w.sums(Keys, "", s, func(c *Cell) {
			if !hasAll(w.q.Tags, c.Group.TagList) {
				return
			}
			i, _ := slices.BinarySearchFunc(parts, c.Start*1000, func(p part, t int64) int { return int(p.from - t) })
			add(i, c.Group.KeyID)
			add(i-1, c.Group.KeyID)
		})
		if err != nil {
			return nil, err
		}
	}
	var busy []part
	for i, p := range parts {
		p.from, p.to = max(p.from, from), min(p.to, to)
		if p.from >= p.to || len(keys[i]) == 0 {
			continue
		}
		for key := range keys[i] {
			p.streams = append(p.streams, gateway.EventFilter{KeyIDs: []string{key}})
		}
		busy = append(busy, p)
	}
	if !w.oldest {
		slices.Reverse(busy)
	}
	return busy, nil
}

// merge shows the events of a part, of all its streams in one order.
func (w *walk) merge(p part) error {
	streams := make([]*stream, len(p.streams))
	chunk := max(4, min(100, 400/max(len(streams), 1)))
	for i, f := range p.streams {
		f.From, f.To, f.Oldest, f.Bare = time.UnixMilli(p.from).UTC(), time.UnixMilli(p.to).UTC(), w.oldest, true
		streams[i] = &stream{store: w.Store, filter: f, chunk: chunk}
	}
	err := each(w.ctx, len(streams), func(ctx context.Context, i int) error { return streams[i].fill(ctx) })
	if err != nil {
		return err
	}
	h := &heads{oldest: w.oldest}
	for _, s := range streams {
		w.read += s.took
		if len(s.events) > 0 {
			h.list = append(h.list, s)
		}
	}
	heap.Init(h)
	// However many streams there are, some of each must be shown.
	most := max(w.most, 16*len(streams))
	for len(h.list) > 0 {
		s := h.list[0]
		e := s.events[0]
		s.events = s.events[1:]
		at := positionOf(&e, Newest)
		w.seen = &at
		if !w.see(&e) {
			w.done = true
			return nil
		}
		if len(s.events) == 0 && !s.empty {
			if w.read >= most {
				return w.end()
			}
			if err := s.fill(w.ctx); err != nil {
				return err
			}
			w.read += s.took
		}
		if len(s.events) == 0 {
			heap.Pop(h)
		} else {
			heap.Fix(h, 0)
		}
	}
	if w.read >= w.most {
		return w.end()
	}
	return nil
}

// end stops where the walk is.
func (w *walk) end() error {
	if !w.short {
		return errTooManyEvents
	}
	w.ended, w.done = w.seen, true
	return nil
}

// stream is the events of one subject, read as they are needed.
type stream struct {
	store  EventStore
	filter gateway.EventFilter
	chunk  int // events to read at once

	events []gateway.Event // read, and not taken
	last   *position       // of the last one that was read
	empty  bool            // nothing is left to read
	took   int             // events that the last fill read
}

// maxChunk bounds what is read at once, unless one millisecond has more.
const maxChunk = 1000

// fill reads the next events. Those of the millisecond in which the last ones ended
// are read again, for a store is asked by time.
func (s *stream) fill(ctx context.Context) error {
	s.took = 0
	for len(s.events) == 0 && !s.empty {
		s.filter.Limit = s.chunk
		list, err := s.store.Events(ctx, s.filter)
		if err != nil {
			return err
		}
		s.took += len(list)
		s.empty = len(list) < s.chunk
		order := Newest
		if s.filter.Oldest {
			order = Oldest
		}
		for i := range list {
			p := positionOf(&list[i], order)
			if s.last == nil || s.last.compare(&p) < 0 {
				s.events, s.last = append(s.events, list[i]), &p
			}
		}
		switch {
		case len(s.events) == 0:
			s.chunk *= 2
		case s.filter.Oldest:
			s.filter.From = time.UnixMilli(s.last.At).UTC()
		default:
			s.filter.To = time.UnixMilli(s.last.At + 1).UTC()
		}
		s.chunk = max(s.chunk, min(2*s.chunk, maxChunk))
	}
	return nil
}

// heads is a heap of streams, by the first event of each.
type heads struct {
	list   []*stream
	oldest bool
}

func (h *heads) Len() int      { return len(h.list) }
func (h *heads) Swap(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *heads) Push(x any)    { h.list = append(h.list, x.(*stream)) }

func (h *heads) Less(i, j int) bool {
	order := Newest
	if h.oldest {
		order = Oldest
	}
	p, q := positionOf(&h.list[i].events[0], order), positionOf(&h.list[j].events[0], order)
	return p.compare(&q) < 0
}

func (h *heads) Pop() any {
	n := len(h.list) - 1
	s := h.list[n]
	h.list = h.list[:n]
	return s
}

// atOnce bounds how many requests to the store one report has in flight.
const atOnce = 8

// each runs f for 0 to n-1, atOnce at a time, and returns the first error. After one
// it starts no more.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := 0; i < n && ctx.Err() == nil; i++ {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
