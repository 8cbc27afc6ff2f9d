package proxy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// withheld are the request headers that no provider sees: credentials of any
// family, the gateway's own, what belongs to one hop, and what only this side
// knows. Accept-Encoding is among them so that the transport negotiates, and
// undoes, compression itself: the meter reads plain bytes.
var withheld = headerSet(
	"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie", "Proxy-Authorization",
	"X-Custom-Event-Id", "X-Metadata", "X-Request-Timeout",
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Accept-Encoding", "Content-Length", "Host", "Expect",
	"Origin", "Referer", "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip",
	"Idempotency-Key",
)

// hopByHop are the response headers that belong to the upstream's connection.
var hopByHop = headerSet("Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Set-Cookie", "Alt-Svc", "Strict-Transport-Security")

func headerSet(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// upstreamHeader is what a provider sees of the caller's headers.
func upstreamHeader(in http.Header, removeUserAgent bool) http.Header {
	out := make(http.Header, len(in)+2)
	named := connectionNames(in)
	for name, values := range in {
		if withheld[name] || named[name] || strings.HasPrefix(name, "X-Amz") || strings.HasPrefix(name, "X-Amzn") ||
			strings.HasPrefix(name, "Cf-") || strings.HasPrefix(name, "Cloudfront-") || strings.HasPrefix(name, "Access-Control-") {
			continue
		}
		out[name] = values
	}
	if v := in.Get("Idempotency-Key"); v != "" {
		// In lower case on purpose: under its canonical name the transport
		// takes it for leave to send a call a second time by itself.
		out["idempotency-key"] = []string{v}
	}
	if removeUserAgent || out.Get("User-Agent") == "" {
		out["User-Agent"] = []string{""} // keeps the transport from adding its own
	}
	return out
}

// connectionNames are the headers that Connection declares to be of one hop.
func connectionNames(h http.Header) map[string]bool {
	var names map[string]bool
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if names == nil {
				names = make(map[string]bool)
			}
			names[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	return names
}

// answerHeader copies the provider's response headers, repeated ones included.
// The provider's request id stands beside ours.
func answerHeader(out, in http.Header) {
	named := connectionNames(in)
	for name, values := range in {
		switch {
		case hopByHop[name] || named[name] || strings.HasPrefix(name, "Access-Control-"):
		case name == "X-Request-Id" || name == "Request-Id":
			out["X-Upstream-Request-Id"] = values
		case name == "Vary":
			out[name] = append(out[name], values...) // beside our own
		default:
			out[name] = values
		}
	}
}

// standingHeaders tells the caller how its limits stand, from the write that
// admitted or refused the call: of several that count the same, the one that has
// least left, be it the key's, its user's or a tag's.
func (x *exchange) standingHeaders() {
	h, now, limits := x.w.Header(), x.server.Now(), x.standing.All()
	if s := tightest(limits, gateway.Requests); s != nil {
		limitHeaders(h, "requests", s, now)
	}
	if s := tightest(limits, gateway.Tokens); s != nil {
		limitHeaders(h, "tokens", s, now)
	}
	if s := tightest(limits, gateway.Cost); s != nil {
		h.Set("X-Tollgate-Cost-Limit-Usd", dollars(s.Limit.Max))
		h.Set("X-Tollgate-Cost-Remaining-Usd", dollars(s.Left()))
		if !s.Reset.IsZero() {
			h.Set("X-Tollgate-Cost-Reset", reset(s, now))
		}
	}
	if x.dialect() == gateway.AnthropicDialect {
		anthropicLimits(h, "Requests", tightest(limits, gateway.Requests))
		anthropicLimits(h, "Tokens", tightest(limits, gateway.Tokens))
	}
	if x.scope != "" {
		kind, _, _ := strings.Cut(x.scope, ":") // whose id it is concerns the operator
		h.Set("X-Tollgate-Limit-Scope", kind)
	}
	if x.capped > 0 {
		h.Set("X-Tollgate-Max-Output-Tokens", strconv.FormatInt(x.capped, 10))
	}
}

// tightest is the state of the limit on m that has least left.
func tightest(states []limit.State, m gateway.Measure) *limit.State {
	var best *limit.State
	for i := range states {
		if s := &states[i]; s.Limit.Measure == m && (best == nil || s.Left() < best.Left()) {
			best = s
		}
	}
	return best
}

// limitHeaders are OpenAI's, which its SDKs and their users know.
func limitHeaders(h http.Header, what string, s *limit.State, now time.Time) {
	h.Set("X-Ratelimit-Limit-"+what, strconv.FormatInt(s.Limit.Max, 10))
	h.Set("X-Ratelimit-Remaining-"+what, strconv.FormatInt(s.Left(), 10))
	if !s.Reset.IsZero() {
		h.Set("X-Ratelimit-Reset-"+what, reset(s, now))
	}
}

// anthropicLimits says the same in the headers of Anthropic's API, over those of
// the provider's own, which tell of a limit that the caller does not have alone.
func anthropicLimits(h http.Header, what string, s *limit.State) {
	if s == nil {
		return
	}
	prefix := "Anthropic-Ratelimit-" + what
	h.Set(prefix+"-Limit", strconv.FormatInt(s.Limit.Max, 10))
	h.Set(prefix+"-Remaining", strconv.FormatInt(s.Left(), 10))
	h.Del(prefix + "-Reset")
	if !s.Reset.IsZero() {
		h.Set(prefix+"-Reset", s.Reset.UTC().Format(time.RFC3339))
	}
}

// reset is the time to the end of the window, as OpenAI writes it: "12ms", "6m0s".
func reset(s *limit.State, now time.Time) string {
	return max(s.Reset.Sub(now), 0).Round(time.Millisecond).String()
}

func dollars(nano int64) string {
	return fmt.Sprintf("%d.%09d", nano/int64(gateway.OneUSD), nano%int64(gateway.OneUSD))
}
