package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tollgate/internal/rollup"
)

// usagePoint is the sums of one group over the whole time.
type usagePoint struct {
	Group            string           `json:"group"`
	NumberOfRequests int64            `json:"numberOfRequests"`
	SuccessCount     int64            `json:"successCount"`
	CostInUsd        float64          `json:"costInUsd"`
	PromptTokens     int64            `json:"promptTokenCount"`
	CompletionTokens int64            `json:"completionTokenCount"`
	Usage            map[string]int64 `json:"usage,omitempty"` // by class
	EstimatedCount   int64            `json:"estimatedCount"`  // calls whose usage the provider did not report
	LatencyInMs      int64            `json:"latencyInMs"`     // the sum of all
	P50              float64          `json:"latencyInMsP50"`
	P90              float64          `json:"latencyInMsP90"`
	P99              float64          `json:"latencyInMsP99"`
	FirstByteInMs    float64          `json:"firstByteInMsMean"` // of calls that had an answer
}

type usageAnswer struct {
	DataPoints []usagePoint `json:"dataPoints"`
	Total      usagePoint   `json:"total"` // every call once, however many groups it is in
	Estimated  bool         `json:"estimated,omitempty"`
}

// grouping is how a report is divided, and what a group is called.
type grouping struct {
	by   rollup.By
	step int64
	name func(*rollup.Point) string
}

var groupings = map[string]grouping{
	"hour":     {step: 3600, name: func(p *rollup.Point) string { return time.Unix(p.Start, 0).UTC().Format(time.RFC3339) }},
	"day":      {step: secondsPerDay, name: func(p *rollup.Point) string { return day(p.Start) }},
	"key":      {by: rollup.ByKey, name: func(p *rollup.Point) string { return p.Group.KeyID }},
	"user":     {by: rollup.ByUser, name: func(p *rollup.Point) string { return p.Group.UserID }},
	"custom":   {by: rollup.ByCustom, name: func(p *rollup.Point) string { return p.Custom }},
	"tag":      {by: rollup.ByTag, name: func(p *rollup.Point) string { return p.Group.Tags }},
	"provider": {by: rollup.ByProvider, name: func(p *rollup.Point) string { return p.Group.Provider }},
	"model":    {by: rollup.ByModel, name: func(p *rollup.Point) string { return p.Group.Model }},
	"endpoint": {by: rollup.ByEndpoint, name: func(p *rollup.Point) string { return p.Group.Endpoint }},
	"status":   {by: rollup.ByStatus, name: func(p *rollup.Point) string { return strconv.Itoa(p.Group.Status) }},
}

// usage is our own report: GET with groupBy, start, end, and the filters keyIds,
// userIds, customIds, tags, providers, models and statuses, each of which may be
// repeated.
func (a *api) usage(r *http.Request) (any, error) {
	q := r.URL.Query()
	g, ok := groupings[q.Get("groupBy")]
	if !ok {
		return nil, invalid("groupBy has to be hour, day, key, user, custom, tag, provider, model, endpoint or status")
	}
	request, err := usageRequest(q, g)
	if err != nil {
		return nil, err
	}
	report, err := a.reader().Report(r.Context(), request)
	if err != nil {
		return nil, stored(err, "report")
	}
	answer := usageAnswer{DataPoints: make([]usagePoint, 0, len(report.Points)), Total: usageOf("", &report.Total),
		Estimated: report.Estimated}
	for i := range report.Points {
		p := &report.Points[i]
		answer.DataPoints = append(answer.DataPoints, usageOf(g.name(p), &p.Sums))
	}
	return answer, nil
}

func usageRequest(q url.Values, g grouping) (rollup.Request, error) {
	request := rollup.Request{
		Filter: rollup.Filter{
			KeyIDs: nonEmpty(q["keyIds"]), UserIDs: nonEmpty(q["userIds"]), CustomIDs: nonEmpty(q["customIds"]),
			Tags: nonEmpty(q["tags"]), Providers: nonEmpty(q["providers"]), Models: nonEmpty(q["models"]),
		},
		Step: g.step, Calendar: g.step > 0,
	}
	if g.by != "" {
		request.By = []rollup.By{g.by}
	}
	for _, text := range nonEmpty(q["statuses"]) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return request, invalid("statuses have to be whole numbers")
		}
		request.Statuses = append(request.Statuses, n)
	}
	start, badStart := strconv.ParseInt(q.Get("start"), 10, 64)
	end, badEnd := strconv.ParseInt(q.Get("end"), 10, 64)
	if badStart != nil || badEnd != nil {
		return request, invalid("start and end have to be unix seconds")
	}
	request.From, request.To = clampTime(start), clampTime(end)
	return request, checkRange(start, end)
}

func usageOf(group string, s *rollup.Sums) usagePoint {
	p := usagePoint{
		Group: group, NumberOfRequests: s.Requests, SuccessCount: s.Successes, CostInUsd: s.Cost.USD(),
		PromptTokens: s.PromptTokens(), CompletionTokens: s.CompletionTokens(), Usage: s.Usage,
		EstimatedCount: s.Estimated, LatencyInMs: s.LatencyMS,
		P50: s.Latency.Percentile(0.5), P90: s.Latency.Percentile(0.9), P99: s.Latency.Percentile(0.99),
	}
	if s.Firsts > 0 {
		p.FirstByteInMs = float64(s.FirstMS) / float64(s.Firsts)
	}
	return p
}
