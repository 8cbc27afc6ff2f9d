package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// limitFlags are the limits that keys and users have alike.
type limitFlags struct {
	rate, cost string
	limits     []string
}

func (f *limitFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.rate, "rate", "", "requests per window, as `N/UNIT` with s, m, h or d: 60/m; 'none' removes the limit")
	c.Flags().StringVar(&f.cost, "cost", "", "US dollars, for ever as `USD` or per window as USD/UNIT with m, h, d or mo: 25 or 10.50/d; 'none' removes both")
	c.Flags().StringArrayVar(&f.limits, "limit", nil, "any other limit, as `MEASURE=N/UNIT`: tokens=100000/m, requests=1000/mo, cost=5/h, tokens=1000000/lifetime, concurrency=10; may be repeated, and replaces those given before")
}

// put adds the members that were given to a body.
func (f *limitFlags) put(body map[string]any) error {
	if err := f.putRate(body); err != nil {
		return err
	}
	if err := f.putCost(body); err != nil {
		return err
	}
	if len(f.limits) == 0 {
		return nil
	}
	limits, err := readLimits(f.limits)
	body["limits"] = limits
	return err
}

func (f *limitFlags) putRate(body map[string]any) error {
	switch f.rate {
	case "":
		return nil
	case "none":
		body["rateLimitOverTime"], body["rateLimitUnit"] = 0, ""
		return nil
	}
	amount, unit, ok := strings.Cut(f.rate, "/")
	n, err := strconv.ParseInt(amount, 10, 64)
	if err != nil || !ok || n <= 0 {
		return usage("--rate %s: it is a number of requests per unit, such as 60/m", f.rate)
	}
	body["rateLimitOverTime"], body["rateLimitUnit"] = n, unit
	return nil
}

func (f *limitFlags) putCost(body map[string]any) error {
	switch f.cost {
	case "":
		return nil
	case "none":
		body["costLimitInUsd"], body["costLimitInUsdOverTime"], body["costLimitInUsdUnit"] = 0, 0, ""
		return nil
	}
	amount, unit, windowed := strings.Cut(f.cost, "/")
	n, err := readNumber(strings.TrimPrefix(amount, "$"))
	if err != nil {
		return usage("--cost %s: it is an amount of dollars, such as 25 or 10.50/d", f.cost)
	}
	if windowed {
		body["costLimitInUsdOverTime"], body["costLimitInUsdUnit"] = n, unit
	} else {
		body["costLimitInUsd"] = n
	}
	return nil
}

// readLimits reads --limit.
func readLimits(texts []string) ([]map[string]any, error) {
	limits := make([]map[string]any, 0, len(texts))
	for _, text := range texts {
		if text == "none" {
			continue
		}
		measure, rest, ok := strings.Cut(text, "=")
		amount, unit, _ := strings.Cut(rest, "/")
		n, err := readNumber(strings.TrimPrefix(amount, "$"))
		if !ok || err != nil {
			return nil, usage("--limit %s: it is a measure with an amount, such as tokens=100000/m", text)
		}
		l := map[string]any{"measure": measure, "max": n}
		if unit != "" {
			l["per"] = unit
		}
		limits = append(limits, l)
	}
	return limits, nil
}

// readNumber keeps a positive decimal number as it is written: money is no float.
func readNumber(text string) (json.Number, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f <= 0 || strings.ContainsAny(text, "xXpP_nN") {
		return "", fmt.Errorf("%q is not a number above 0", text)
	}
	return json.Number(text), nil
}

// readTime reads a point in time: a date, a time, or how long ago.
func readTime(flag, text string, now time.Time) (time.Time, error) {
	if d, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(d); err == nil && n >= 0 && n < 100_000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--%s %s: it is a date such as 2026-11-01, a time such as 2026-11-01T12:00:00Z, or how long ago, such as 36h or 30d", flag, text)
}

// limitsOf is a column that shows the limits of a key, a user or a tag.
var limitsOf = column{"limits", func(r row) string {
	var parts []string
	add := func(measure, amount, unit string) {
		if amount == "" || amount == "0" {
			return
		}
		if measure == "cost" {
			amount = "$" + amount
		}
		text := measure + "=" + amount
		if unit != "" && unit != "lifetime" {
			text += "/" + unit
		}
		parts = append(parts, text)
	}
	add("requests", r.text("rateLimitOverTime"), r.text("rateLimitUnit"))
	add("cost", r.text("costLimitInUsd"), "")
	add("cost", r.text("costLimitInUsdOverTime"), r.text("costLimitInUsdUnit"))
	list, _ := r["limits"].([]any)
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			l := row(m)
			add(l.text("measure"), l.text("max"), l.text("per"))
		}
	}
	return strings.Join(parts, " ")
}}
