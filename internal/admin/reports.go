package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// reader answers reports from the store's sums.
func (a *api) reader() *rollup.Reader { return &rollup.Reader{Store: a.store, Now: a.now} }

// reportBody is what the peer's reports are asked with.
type reportBody struct {
	Start     int64    `json:"start"` // unix seconds, included
	End       int64    `json:"end"`   // excluded
	Increment int64    `json:"increment"`
	KeyIDs    []string `json:"keyIds"`
	Tags      []string `json:"tags"` // all of them, as they were at the time of the call
	CustomIDs []string `json:"customIds"`
	UserIDs   []string `json:"userIds"`
	Filters   []string `json:"filters"` // what to divide by
}

// dataPoint is the sums of one increment, and of one group where asked for.
type dataPoint struct {
	TimeStamp        int64   `json:"timeStamp"`
	NumberOfRequests int64   `json:"numberOfRequests"`
	CostInUsd        float64 `json:"costInUsd"`
	LatencyInMs      int64   `json:"latencyInMs"` // the sum of all
	PromptTokens     int64   `json:"promptTokenCount"`
	CompletionTokens int64   `json:"completionTokenCount"`
	SuccessCount     int64   `json:"successCount"` // status 200
	Model            string  `json:"model"`
	KeyID            string  `json:"keyId"`
	CustomID         string  `json:"customId"`
	UserID           string  `json:"userId"`
}

type reportAnswer struct {
	DataPoints []dataPoint `json:"dataPoints"`
	Median     float64     `json:"latencyInMsMedian"`
	Percent99  float64     `json:"latencyInMs99th"`
	Estimated  bool        `json:"estimated,omitempty"` // see rollup.Report
}

func pointOf(p *rollup.Point) dataPoint {
	s := &p.Sums
	return dataPoint{
		TimeStamp: p.Start, NumberOfRequests: s.Requests, CostInUsd: s.Cost.USD(), LatencyInMs: s.LatencyMS,
		PromptTokens: s.PromptTokens(), CompletionTokens: s.CompletionTokens(), SuccessCount: s.Successes,
		Model: p.Group.Model, KeyID: p.Group.KeyID, CustomID: p.Custom, UserID: p.Group.UserID,
	}
}

// divisions are the names that a time series can be divided by. Others are passed over.
var divisions = map[string]rollup.By{
	"model": rollup.ByModel, "keyId": rollup.ByKey, "customId": rollup.ByCustom, "userId": rollup.ByUser,
}

// checkRange wants a time that is not empty.
func checkRange(start, end int64) error {
	if start == 0 || end == 0 || start >= end {
		return invalid("start and end have to be unix seconds other than 0, and start before end: start %d, end %d", start, end)
	}
	return nil
}

// reportEvents is a time series. The percentiles are those of all events that the
// report is about.
func (a *api) reportEvents(r *http.Request) (any, error) {
	var b reportBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := checkRange(b.Start, b.End); err != nil {
		return nil, err
	}
	if b.Increment <= 0 {
		return nil, invalid("increment has to be a number of seconds above 0, not %d", b.Increment)
	}
	q := rollup.Request{
		Filter: rollup.Filter{KeyIDs: b.KeyIDs, Tags: b.Tags, CustomIDs: b.CustomIDs, UserIDs: b.UserIDs},
		From:   clampTime(b.Start), To: clampTime(b.End), Step: min(b.Increment, latest-earliest),
	}
	for _, name := range b.Filters {
		if by, ok := divisions[name]; ok {
			q.By = append(q.By, by)
		}
	}
	report, err := a.reader().Report(r.Context(), q)
	if err != nil {
		return nil, stored(err, "report")
	}
	return series(report, q), nil
}

// series gives steps without events a point of zeros, the one that begins at the
// end among them.
func series(report *rollup.Report, q rollup.Request) reportAnswer {
	answer := percentiles(report)
	points := report.Points
	for t := q.From; t <= q.To; t += q.Step {
		if len(points) == 0 || points[0].Start != t {
			answer.DataPoints = append(answer.DataPoints, dataPoint{TimeStamp: t})
		}
		for len(points) > 0 && points[0].Start == t {
			answer.DataPoints = append(answer.DataPoints, pointOf(&points[0]))
			points = points[1:]
		}
	}
	return answer
}

func percentiles(report *rollup.Report) reportAnswer {
	h := report.Total.Latency
	return reportAnswer{DataPoints: []dataPoint{}, Median: h.Percentile(0.5), Percent99: h.Percentile(0.99), Estimated: report.Estimated}
}

const secondsPerDay = 86400

// reportDays has a point for each key and each day that begins in the time asked for.
func (a *api) reportDays(r *http.Request) (any, error) {
	var b reportBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := checkRange(b.Start, b.End); err != nil {
		return nil, err
	}
	report, err := a.reader().Report(r.Context(), rollup.Request{
		Filter: rollup.Filter{KeyIDs: b.KeyIDs},
		From:   rollup.Day.Ceil(clampTime(b.Start)), To: rollup.Day.Ceil(clampTime(b.End)), Step: secondsPerDay,
		By: []rollup.By{rollup.ByKey},
	})
	if err != nil {
		return nil, stored(err, "report")
	}
	answer := percentiles(report)
	for i := range report.Points {
		answer.DataPoints = append(answer.DataPoints, pointOf(&report.Points[i]))
	}
	return answer, nil
}

type topKeysBody struct {
	Start   int64    `json:"start"`
	End     int64    `json:"end"`
	Tags    []string `json:"tags"` // all of them, as the key has them now
	KeyIDs  []string `json:"keyIds"`
	Name    string   `json:"name"` // part of it, in any case
	Revoked *bool    `json:"revoked"`
	Order   string   `json:"order"` // of cost; descending
	Limit   int64    `json:"limit"`
	Offset  int64    `json:"offset"`
}

type keyCost struct {
	KeyID     string  `json:"keyId"`
	CostInUsd float64 `json:"costInUsd"`
	cost      gateway.NanoUSD
}

type topKeysAnswer struct {
	DataPoints []keyCost `json:"dataPoints"`
	Estimated  bool      `json:"estimated,omitempty"`
}

// topKeys ranks keys by cost: those that had calls in the time, and those that
// were made in it.
func (a *api) topKeys(r *http.Request) (any, error) {
	var b topKeysBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	keys, err := a.findKeys(r.Context(), keyFilter{
		ids: b.KeyIDs, byID: len(b.KeyIDs) > 0, tags: b.Tags, name: b.Name, revoked: b.Revoked})
	if err != nil {
		return nil, err
	}
	report, err := a.reader().Report(r.Context(), rollup.Request{
		From: clampTime(b.Start), To: clampTime(b.End), By: []rollup.By{rollup.ByKey}})
	if err != nil {
		return nil, stored(err, "report")
	}
	list := b.rank(keys, report)
	return topKeysAnswer{page(list, b.Limit, b.Offset), report.Estimated}, nil
}

func (b *topKeysBody) check() error {
	if err := checkRange(b.Start, b.End); err != nil {
		return err
	}
	switch {
	case hasEmpty(b.Tags) || hasEmpty(b.KeyIDs):
		return invalid("tags and keyIds cannot have empty elements")
	case !isOrder(b.Order):
		return invalid("order can only be asc or desc")
	case b.Limit < 0 || b.Offset < 0:
		return invalid("limit and offset cannot be negative")
	}
	return nil
}

// rank lists the keys with their cost. A key that was deleted is listed only if no
// condition on keys was set: nobody knows whether it would meet one.
func (b *topKeysBody) rank(keys []gateway.Key, report *rollup.Report) []keyCost {
	known := make(map[string]bool, len(keys))
	for i := range keys {
		known[keys[i].ID] = true
	}
	all := len(b.Tags) == 0 && len(b.KeyIDs) == 0 && b.Name == "" && b.Revoked == nil
	list := []keyCost{}
	for i := range report.Points {
		p := &report.Points[i]
		if id := p.Group.KeyID; id != "" && (all || known[id]) {
			list = append(list, keyCost{id, p.Sums.Cost.USD(), p.Sums.Cost})
			delete(known, id)
		}
	}
	for i := range keys {
		made := keys[i].CreatedAt.Unix()
		if known[keys[i].ID] && made >= b.Start && made < b.End {
			list = append(list, keyCost{KeyID: keys[i].ID})
		}
	}
	slices.SortFunc(list, func(x, y keyCost) int {
		byCost := cmp.Compare(y.cost, x.cost)
		if strings.EqualFold(b.Order, "asc") {
			byCost = -byCost
		}
		return cmp.Or(byCost, cmp.Compare(x.KeyID, y.KeyID))
	})
	return list
}

// userIDs lists the user ids that events of a key have had.
func (a *api) userIDs(r *http.Request) (any, error) {
	id, err := keyOfQuery(r)
	if err != nil || !possibleID(id) {
		return []string{}, err
	}
	ids, err := a.store.UserIDs(r.Context(), id)
	return orEmpty(ids), stored(err, "user ids")
}

// customIDs lists the custom ids that events of a key have had.
func (a *api) customIDs(r *http.Request) (any, error) {
	id, err := keyOfQuery(r)
	if err != nil || !possibleID(id) {
		return []string{}, err
	}
	ids, err := a.store.CustomIDs(r.Context(), id)
	return orEmpty(ids), stored(err, "custom ids")
}

func keyOfQuery(r *http.Request) (string, error) {
	id := r.URL.Query().Get("keyId")
	if id == "" {
		return "", invalid("key id query is missing")
	}
	return id, nil
}

// day is the beginning of a unix second's day, as text.
func day(t int64) string { return time.Unix(t, 0).UTC().Format(time.DateOnly) }
