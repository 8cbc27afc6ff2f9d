package admin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// eventSearchBody is the peer's second way to ask for events, and what we add.
type eventSearchBody struct {
	Start       int64    `json:"start"` // unix seconds, included
	End         int64    `json:"end"`   // excluded
	KeyIDs      []string `json:"keyIds"`
	UserIDs     []string `json:"userIds"`
	CustomIDs   []string `json:"customIds"`
	PolicyIDs   []string `json:"policyIds"`
	Tags        []string `json:"tags"` // all of them
	Actions     []string `json:"actions"`
	Status      int64    `json:"status"`
	CostOrder   string   `json:"costOrder"`
	DateOrder   string   `json:"dateOrder"`
	Limit       int64    `json:"limit"`  // 0: as many as a page has room for
	Offset      int64    `json:"offset"` // without limit, or with a cursor: not used
	ReturnCount bool     `json:"returnCount"`

	// The peer takes these and does nothing with them.
	RequestContent  string `json:"requestContent"`
	ResponseContent string `json:"responseContent"`

	Providers []string `json:"providers"`
	Models    []string `json:"models"`
	Statuses  []int64  `json:"statuses"`
	Cursor    string   `json:"cursor"` // of the answer before
	Begun     int64    `json:"begun"`  // only calls that began then or later, unix seconds
	NoBodies  bool     `json:"noBodies"`
}

type eventSearchAnswer struct {
	Events []eventAnswer `json:"events"`
	Count  int           `json:"count"`            // of all that match; 0 unless asked for
	Cursor string        `json:"cursor,omitempty"` // where the next page begins, if there is one
}

// maxEvents bounds the events of an answer, in bytes of JSON: a function's answer has
// 6 MB, and is held in memory more than once.
const maxEvents = 4 << 20

// sizeOfEvent is how many bytes an event takes in an answer, its bodies included.
func sizeOfEvent(e *gateway.Event) int {
	b, _ := json.Marshal(showEvent(e)) // strings and numbers always marshal
	return len(b) + 1 + base64.StdEncoding.EncodedLen(e.Bodies)
}

// searchEvents lists events, by default the latest first.
func (a *api) searchEvents(r *http.Request) (any, error) {
	var b eventSearchBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	found, err := a.reader().Search(r.Context(), b.search())
	if err != nil {
		return nil, stored(err, "events")
	}
	if err := a.openBodies(r.Context(), found.Events); err != nil {
		return nil, err
	}
	answer := eventSearchAnswer{Events: make([]eventAnswer, 0, len(found.Events)), Count: found.Count, Cursor: found.Cursor}
	for i := range found.Events {
		answer.Events = append(answer.Events, showEvent(&found.Events[i]))
	}
	return answer, nil
}

// check finds the first fault, in the peer's order and words.
func (b *eventSearchBody) check() error {
	var faults []string
	for _, f := range []struct {
		name string
		bad  bool
	}{
		{"start", b.Start == 0}, {"end", b.End == 0},
		{"keyIds", hasEmpty(b.KeyIDs)}, {"userIds", hasEmpty(b.UserIDs)}, {"customIds", hasEmpty(b.CustomIDs)},
		{"policyIds", hasEmpty(b.PolicyIDs)}, {"tags", hasEmpty(b.Tags)},
	} {
		if f.bad {
			faults = append(faults, f.name)
		}
	}
	if len(faults) > 0 {
		return invalid("fields [%s] are invalid", strings.Join(faults, ", "))
	}
	if b.Start >= b.End {
		return invalid("start %d cannot be larger than end %d", b.Start, b.End)
	}
	return b.checkRest()
}

func (b *eventSearchBody) checkRest() error {
	if !isOrder(b.CostOrder) {
		return invalid("cost order is not valid %s", clip(b.CostOrder))
	}
	if !isOrder(b.DateOrder) {
		return invalid("date order is not valid %s", clip(b.DateOrder))
	}
	if b.CostOrder != "" && b.DateOrder != "" {
		return invalid("cost order and date order cannot be both present")
	}
	for _, action := range b.Actions {
		if !slices.Contains([]string{"warned", "allowed", "blocked", "redacted"}, action) {
			return invalid("action cannot be %s", clip(action))
		}
	}
	if b.Limit < 0 || b.Offset < 0 {
		return invalid("limit and offset cannot be negative")
	}
	return nil
}

func hasEmpty(list []string) bool { return slices.Contains(list, "") }

// isOrder reports whether s is an order, or none.
func isOrder(s string) bool {
	s = strings.ToLower(s)
	return s == "" || s == "asc" || s == "desc"
}

func (b *eventSearchBody) search() rollup.Search {
	q := rollup.Search{
		Filter: rollup.Filter{
			KeyIDs: b.KeyIDs, UserIDs: b.UserIDs, CustomIDs: b.CustomIDs, Tags: b.Tags,
			Providers: b.Providers, Models: b.Models,
		},
		PolicyIDs: b.PolicyIDs, Actions: b.Actions,
		From: clampTime(b.Start), To: clampTime(b.End), Order: b.order(), Cursor: b.Cursor,
		Limit: clampCount(b.Limit), Offset: clampCount(b.Offset), Count: b.ReturnCount,
		Begun: clampTime(b.Begun), Bare: b.NoBodies, Size: sizeOfEvent, MaxSize: maxEvents,
	}
	if b.Limit == 0 {
		q.Offset = 0
	}
	if b.Status != 0 {
		q.Statuses = append(q.Statuses, int(b.Status))
	}
	for _, s := range b.Statuses {
		q.Statuses = append(q.Statuses, int(s))
	}
	return q
}

func (b *eventSearchBody) order() rollup.Order {
	switch strings.ToLower(fmt.Sprint(b.CostOrder, "/", b.DateOrder)) {
	case "desc/":
		return rollup.Dearest
	case "asc/":
		return rollup.Cheapest
	case "/asc":
		return rollup.Oldest
	}
	return rollup.Newest
}

// clampTime keeps a unix second within the years that stores can hold.
func clampTime(t int64) int64 { return min(max(t, earliest), latest) }

// clampCount keeps sums of limit and offset in range.
func clampCount(n int64) int { return int(min(n, 1<<30)) }
