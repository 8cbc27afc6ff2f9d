package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// eventAnswer is an event as callers see it: the peer's members in its order and
// mixed case, then ours, each only when set. Bytes are base64.
type eventAnswer struct {
	ID               string   `json:"id"`
	CreatedAt        int64    `json:"created_at"` // end of the call, unix seconds
	Tags             []string `json:"tags"`
	KeyID            string   `json:"key_id"`
	CostInUsd        float64  `json:"cost_in_usd"`
	Provider         string   `json:"provider"`
	Model            string   `json:"model"`
	Status           int      `json:"status"`
	PromptTokens     int64    `json:"prompt_token_count"`
	CompletionTokens int64    `json:"completion_token_count"`
	LatencyInMs      int64    `json:"latency_in_ms"`
	Path             string   `json:"path"`
	Method           string   `json:"method"`
	CustomID         string   `json:"custom_id"`
	Request          []byte   `json:"request"`
	Response         []byte   `json:"response"`
	UserID           string   `json:"userId"`
	Action           string   `json:"action"`
	PolicyID         string   `json:"policyId"`
	RouteID          string   `json:"routeId"`
	CorrelationID    string   `json:"correlationId"` // the request id
	Metadata         []byte   `json:"metadata"`

	Usage         map[string]int64 `json:"usage,omitempty"`      // by class
	LaterUsage    map[string]int64 `json:"laterUsage,omitempty"` // of a call before this, by class
	Basis         string           `json:"basis,omitempty"`      // where the usage comes from
	PriceVersion  string           `json:"priceVersion,omitempty"`
	ServedModel   string           `json:"servedModel,omitempty"`
	FirstByteInMs int64            `json:"firstByteInMs,omitempty"`
	Refused       string           `json:"refused,omitempty"` // code of the refusal
	Truncated     bool             `json:"truncated,omitempty"`
	Expired       bool             `json:"expired,omitempty"` // its end was never heard of

	Scope          string             `json:"scope,omitempty"`     // whose limit refused
	CostParts      map[string]float64 `json:"costParts,omitempty"` // USD by class
	Unpriced       []string           `json:"unpriced,omitempty"`  // classes that had no price
	Tier           string             `json:"tier,omitempty"`      // service tier as answered
	Retries        int                `json:"retries,omitempty"`   // sent before, as the client's SDK says
	Stream         bool               `json:"stream,omitempty"`
	Endpoint       string             `json:"endpoint,omitempty"` // registered pattern
	SettingID      string             `json:"settingId,omitempty"`
	UpstreamStatus int                `json:"upstreamStatus,omitempty"` // the provider's, when it differs
	OutputCap      int64              `json:"outputCap,omitempty"`      // tokens, when it was lowered to what a limit left
}

func showEvent(e *gateway.Event) eventAnswer {
	usage := e.GetUsage()
	return eventAnswer{
		ID: e.ID, CreatedAt: ended(e).Unix(), Tags: orEmpty(e.Tags), KeyID: e.KeyID,
		CostInUsd: e.Cost.USD(), Provider: e.Provider, Model: e.Model, Status: e.Status,
		PromptTokens: usage.PromptTokens(), CompletionTokens: usage.CompletionTokens(),
		LatencyInMs: e.LatencyMS, Path: e.Path, Method: e.Method, CustomID: e.CustomID,
		Request: orEmptyObject(e.Request), Response: orEmptyObject(e.Response),
		UserID: e.UserID, Action: e.Action, PolicyID: e.PolicyID, RouteID: e.RouteID,
		CorrelationID: e.ID, Metadata: orEmptyObject(e.Metadata),

		Usage: e.Usage, LaterUsage: e.Later, Basis: string(e.Basis), PriceVersion: e.Price,
		ServedModel: e.Served, FirstByteInMs: e.FirstMS,
		Refused: e.Refused, Truncated: e.Truncated, Expired: e.Expired,

		Scope: e.Scope, CostParts: showParts(e.Parts), Unpriced: e.Unpriced, Tier: e.Tier, Retries: e.Retry,
		Stream: e.Stream, Endpoint: e.Endpoint, SettingID: e.SettingID, UpstreamStatus: e.UpstreamS, OutputCap: e.CapTokens,
	}
}

func showParts(parts map[string]gateway.NanoUSD) map[string]float64 {
	if len(parts) == 0 {
		return nil
	}
	usd := make(map[string]float64, len(parts))
	for class, n := range parts {
		usd[class] = n.USD()
	}
	return usd
}

// ended is when the call ended, which is the time that is shown and asked for.
func ended(e *gateway.Event) time.Time {
	return rollup.Ended(e)
}

// orEmptyObject is what the peer shows where nothing was recorded.
func orEmptyObject(b []byte) []byte {
	if len(b) == 0 {
		return []byte("{}")
	}
	return b
}

// maxIndexed is the longest id, in bytes, that events can be found by: DynamoDB
// has no longer keys.
const maxIndexed = 1000

// errManyEvents is the answer of the first list, which has no pages, where it would
// be incomplete.
var errManyEvents = &gateway.Error{Kind: gateway.Invalid, Code: "too_many_events",
	Message: "These are more events than one answer has room for: choose a shorter time, or ask POST /api/v2/events, which has a cursor."}

// listEvents is the peer's first list of events, newest first.
func (a *api) listEvents(r *http.Request) (any, error) {
	q := r.URL.Query()
	customID, userID, keys := q.Get("customId"), q.Get("userId"), keyIDs(q)
	if !q.Has("keyIds") && customID == "" && userID == "" {
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: noEventFilter,
			Message: "customId, userId and keyIds are empty. one of them is required for retrieving events."}
	}
	span, err := readSpan(q)
	if err != nil {
		return nil, err
	}
	if q.Has("keyIds") && len(keys) == 0 || max(len(customID), len(userID)) > maxIndexed {
		return []eventAnswer{}, nil
	}
	found, err := a.reader().Search(r.Context(), rollup.Search{
		Filter: rollup.Filter{KeyIDs: keys, CustomIDs: nonEmpty([]string{customID}), UserIDs: nonEmpty([]string{userID})},
		From:   span.from, To: span.to, Size: sizeOfEvent, MaxSize: maxEvents,
	})
	if err != nil {
		return nil, stored(err, "events")
	}
	if found.Cursor != "" {
		return nil, errManyEvents
	}
	if err := a.openBodies(r.Context(), found.Events); err != nil {
		return nil, err
	}
	return showEvents(found.Events), nil
}

// showEvents is the events, those first that ended last.
func showEvents(events []gateway.Event) []eventAnswer {
	answers := make([]eventAnswer, 0, len(events))
	for i := range events {
		answers = append(answers, showEvent(&events[i]))
	}
	slices.SortStableFunc(answers, func(x, y eventAnswer) int {
		return cmp.Compare(y.CreatedAt, x.CreatedAt)
	})
	return answers
}

// keyIDs reads keyIds, which may be repeated and may have commas.
func keyIDs(q url.Values) []string {
	return slices.DeleteFunc(distinct(strings.Split(strings.Join(q["keyIds"], ","), ",")),
		func(id string) bool { return !possibleID(id) })
}

// span is a range of time, unix seconds. to is not part of it.
type span struct{ from, to int64 }

// readSpan reads start and end, unix seconds, both part of the span. Key ids need
// both; other filters may have them.
func readSpan(q url.Values) (s span, err error) {
	start, err := second(q, "start", startMissing, badStart)
	if err != nil {
		return s, err
	}
	end, err := second(q, "end", endMissing, badEnd)
	if err != nil {
		return s, err
	}
	s = span{earliest, latest}
	if start != nil {
		s.from = *start
	}
	if end != nil {
		s.to = *end + 1
	}
	return s, nil
}

// Times beyond these years are brought back to them, so that what the stores
// make of a time (text, nanoseconds) stays in range.
var (
	earliest = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	latest   = time.Date(2250, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
)

// second is a point of time in the query, nil if it was not sent and need not be.
func second(q url.Values, name, missing, bad string) (*int64, error) {
	text := q.Get(name)
	if text == "" {
		if !q.Has("keyIds") {
			return nil, nil
		}
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: missing,
			Message: name + " query param is not provided"}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: bad,
			Message: name + " query param has to be a whole number of unix seconds"}
	}
	n = min(max(n, earliest), latest)
	return &n, nil
}
