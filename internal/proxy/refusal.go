package proxy

import (
	"fmt"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/provider"
)

// refuse remembers whose limit refused the call.
func (x *exchange) refuse(d *limit.Denied) error {
	owner := "the API key"
	x.scope = "key"
	if s := x.scopeOf(d.Subject); s != nil {
		owner, x.scope = s.String(), s.mark()
	}
	return refusal(d, x.quote.least(d, x.call), owner, x.server.Now())
}

// least is what the smallest call of this kind would ask of the limit: with as little
// output as may be, and with its input counted if it was.
func (q *quote) least(d *limit.Denied, c *provider.Call) int64 {
	small := *q
	if c.Bound.CapMember != "" {
		small.bound.Output = min(q.bound.Output, max(c.Bound.MinOutput, 1)+q.add)
	}
	switch d.Limit.Measure {
	case gateway.Tokens:
		return small.size()
	case gateway.Cost:
		return int64(small.cost())
	}
	return d.Ask
}

// refusal says which limit was reached and whose, how much of it is used and when it
// resets. ask is the least that such a call needs: whether waiting helps does not
// depend on what it asked for at first, which is lowered where that helps.
func refusal(d *limit.Denied, ask int64, owner string, now time.Time) error {
	e := &gateway.Error{Kind: gateway.RateLimited, Code: codes[d.Limit.Measure], Err: d}
	used, most := number(d.Limit.Measure, d.Used), amount(d.Limit.Measure, d.Limit.Max)
	name := limitName(d.Limit)
	kept := d.Used - d.Held // what calls in flight do not give back
	if d.Limit.Per == gateway.Lifetime && d.Limit.Measure == gateway.Cost {
		e.Kind, e.Code = gateway.QuotaExceeded, "insufficient_quota"
	}
	switch {
	case d.Limit.Measure == gateway.Concurrency:
		e.RetryAfter = holdWait
		e.Message = fmt.Sprintf("Limit of %s reached: %d of %d calls are in flight.", owner, d.Used, d.Limit.Max)
	case ask > d.Limit.Max && d.Limit.Measure != gateway.Requests:
		e.NoRetry = true
		e.Message = fmt.Sprintf("This call may take %s, more than the whole %s of %s (%s). Send a smaller one.",
			amount(d.Limit.Measure, ask), name, owner, most)
	case d.Held > 0 && kept+ask <= d.Limit.Max && d.Limit.Measure != gateway.Requests:
		e.Kind, e.Code, e.RetryAfter = gateway.RateLimited, codes[d.Limit.Measure], holdWait
		e.Message = fmt.Sprintf("The %s of %s (%s) is held by calls in flight. Try again when they have ended.", name, owner, most)
	case d.Limit.Per == gateway.Lifetime:
		e.NoRetry = true
		if kept < d.Limit.Max && d.Limit.Measure != gateway.Requests {
			e.Message = fmt.Sprintf("What is left of the %s of %s is less than this call may take, %s: %s of %s used.",
				name, owner, amount(d.Limit.Measure, ask), used, most)
			break
		}
		e.Message = fmt.Sprintf("The %s of %s is used up: %s of %s. Only its operator can raise it.", name, owner, used, most)
	default:
		e.NoRetry = ask > d.Limit.Max // a limit of no requests at all
		e.RetryAfter = max(d.Reset.Sub(now), time.Millisecond)
		e.Message = fmt.Sprintf("The %s of %s is reached: %s of %s used. It resets at %s.",
			name, owner, used, most, d.Reset.UTC().Format(time.RFC3339))
	}
	return e
}

var codes = map[gateway.Measure]string{
	gateway.Requests:    "rate_limit_exceeded",
	gateway.Tokens:      "token_limit_exceeded",
	gateway.Cost:        "cost_limit_exceeded",
	gateway.Concurrency: "concurrency_limit_exceeded",
}

var unitNames = map[gateway.Unit]string{
	gateway.Second: "per second", gateway.Minute: "per minute", gateway.Hour: "per hour",
	gateway.Day: "per day", gateway.Month: "per month", gateway.Lifetime: "for its lifetime",
}

func limitName(l gateway.Limit) string {
	kind := map[gateway.Measure]string{gateway.Requests: "rate", gateway.Tokens: "token", gateway.Cost: "cost"}[l.Measure]
	return kind + " limit " + unitNames[l.Per]
}

// amount is a limit's amount for a person: "$0.25", "100 requests", "7 tokens".
func amount(m gateway.Measure, n int64) string {
	if m == gateway.Cost {
		return number(m, n)
	}
	return fmt.Sprint(number(m, n), " ", m)
}

// number is amount without its unit.
func number(m gateway.Measure, n int64) string {
	if m == gateway.Cost {
		return gateway.NanoUSD(n).String()
	}
	return fmt.Sprint(n)
}
