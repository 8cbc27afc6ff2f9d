package rollup

import (
	"cmp"
	"errors"
	"slices"

	"tollgate/internal/gateway"
)

// exactly is how many events a report reads to count parts of hours exactly: few
// enough that a month is cheap whatever its bounds are, and more where the report
// asks for what lies within an hour.
const (
	exactly       = 1000
	exactlyWithin = 10_000
)

// cutHour is an hour of which the report wants a part, or has it in several steps.
type cutHour struct {
	start    int64
	pieces   []span // each of one step
	cells    []cell // what the sums know of the hour
	requests int64  // of all cells, selected or not: so many events would be read
	events   []counting
}

// cell is a sum of a group; counting is that of one event, which ended at a second.
type (
	cell struct {
		group Group
		sums  Sums
	}
	counting struct {
		cell
		end int64
	}
)

// readCuts counts spans that are no whole hours. Those hours with the fewest events
// are counted exactly.
func (r *run) readCuts(spans []span) error {
	hours := r.cutHours(spans)
	if err := r.readCells(hours); err != nil {
		return err
	}
	few := r.few(hours)
	if err := r.readFew(few); err != nil {
		return err
	}
	for _, h := range hours {
		if h.whole(r) {
			for i := range h.events {
				if e := &h.events[i]; h.has(e.end) {
					r.tally("", e.end, e.group, &e.sums)
				}
			}
			continue
		}
		r.estimate(h)
	}
	return nil
}

// cutHours divides spans into hours, and those into steps.
func (r *run) cutHours(spans []span) []*cutHour {
	var hours []*cutHour
	for _, s := range spans {
		for from := s.from; from < s.to; {
			start := Hour.Floor(from)
			to := min(s.to, start+Hour.Seconds(), r.q.stepOf(from)+r.q.Step)
			if from < r.q.From {
				to = min(to, r.q.From) // what is taken away from the rest of a day
			}
			if n := len(hours); n == 0 || hours[n-1].start != start {
				hours = append(hours, &cutHour{start: start})
			}
			h := hours[len(hours)-1]
			h.pieces = append(h.pieces, span{"", from, to})
			from = to
		}
	}
	return hours
}

// has reports whether a second is in one of the pieces.
func (h *cutHour) has(t int64) bool {
	return slices.ContainsFunc(h.pieces, func(p span) bool { return t >= p.from && t < p.to })
}

// joined gives f the times of hours that follow each other, and where in the list
// each is.
func joined(hours []*cutHour, f func(s span, hourAt func(t int64) *cutHour) error) error {
	for len(hours) > 0 {
		n := 1
		for n < len(hours) && hours[n].start == hours[n-1].start+Hour.Seconds() {
			n++
		}
		first := hours[0].start
		list := hours[:n]
		err := f(span{Hour, first, first + int64(n)*Hour.Seconds()}, func(t int64) *cutHour {
			return list[(t-first)/Hour.Seconds()]
		})
		if err != nil {
			return err
		}
		hours = hours[n:]
	}
	return nil
}

// readCells reads the sums of the hours.
func (r *run) readCells(hours []*cutHour) error {
	return joined(hours, func(s span, hourAt func(int64) *cutHour) error {
		return r.readSums(s, func(start int64, g Group, sums *Sums) {
			h := hourAt(start)
			h.requests += sums.Requests
			if r.selects(&g) {
				h.cells = append(h.cells, cell{g, *sums})
			}
		})
	})
}

// few lists hours, in the order of time, whose events may be read. Those of the
// quarter of an hour before come along, because calls are kept by their begin.
func (r *run) few(hours []*cutHour) []*cutHour {
	left := int64(r.most())
	var list []*cutHour
	for _, h := range slices.SortedStableFunc(slices.Values(hours), func(a, b *cutHour) int { return cmp.Compare(a.requests, b.requests) }) {
		if left -= h.requests + h.requests/4; left < 0 {
			break
		}
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *cutHour) int { return cmp.Compare(a.start, b.start) })
	return list
}

func (r *run) most() int {
	if r.q.Step < Hour.Seconds() {
		return min(exactlyWithin, r.maxEvents)
	}
	return min(exactly, r.maxEvents)
}

// readFew reads the events of the hours; they are left without, if those are more
// than the sums said.
func (r *run) readFew(hours []*cutHour) error {
	err := joined(hours, func(s span, hourAt func(int64) *cutHour) error {
		return r.eachEvent(s, r.most(), func(e *gateway.Event) {
			if g := GroupOf(e); r.selects(&g) {
				end := Ended(e).Unix()
				h := hourAt(end)
				h.events = append(h.events, counting{cell{g, Of(e)}, end})
			}
		})
	})
	if errors.Is(err, errTooManyEvents) {
		for _, h := range hours {
			h.events = nil
		}
		return nil
	}
	return err
}

// whole reports whether all selected events of the hour were read. They are fewer
// than in the sums if they were not read, or are past their retention; more if the
// sums are behind.
func (h *cutHour) whole(r *run) bool {
	var n int64
	for i := range h.cells {
		n += h.cells[i].sums.Requests
	}
	return int64(len(h.events)) >= n
}

// estimate counts of the hour's sums the share of each piece.
func (r *run) estimate(h *cutHour) {
	length := Hour.Seconds()
	if now := r.Now().Unix(); now >= h.start && now < h.start+length {
		length = now - h.start + 1 // nothing has happened after now
	}
	for i := range h.cells {
		for _, p := range h.pieces {
			part := h.cells[i].sums.share(p.from-h.start, p.to-h.start, length)
			if !part.IsZero() {
				r.tally("", p.from, h.cells[i].group, &part)
			}
		}
	}
	r.report.Estimated = true
}
