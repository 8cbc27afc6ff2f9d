package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/price"
	"tollgate/internal/provider"
	"tollgate/internal/tokenize"
)

const (
	// settleTries bounds how often a write of the books is tried, with pauses that
	// double from settlePause: six seconds in all. What is given up stays charged at
	// its worst case for good, and nobody waits for it.
	settleTries = 8
	settlePause = 50 * time.Millisecond
	// sealTime is how long sealing logged bodies may take: what remains of
	// settleTime has to do for the books.
	sealTime = 2 * time.Second
	// maxStored bounds a request or response body that is kept with its event, in
	// bytes. What is not JSON is kept in base64: two of them then take 262 KiB of the
	// 400 KiB that DynamoDB has for an item.
	maxStored = 98 << 10
)

// settle runs once for every call, after the caller has its last byte: what it
// consumed is priced, the reservation corrected, the event written. It does not
// end with the caller's request.
func (x *exchange) settle(ctx context.Context) {
	if x.cancel != nil {
		x.cancel()
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime-lastWords)
	defer cancel()

	e := x.event()
	charged := x.chargeSafely(&e)
	x.sealBodies(ctx, &e)
	var failure error
	switch {
	case x.claim != nil:
		failure = x.try(ctx, func() error {
			_, err := x.server.Store.Settle(ctx, &limit.Settlement{
				Key: x.claim.Key, Reservation: x.claim.Reservation(), Also: x.claim.Closings(x.standing),
				Tokens: e.Tokens, Cost: e.Cost, Event: e, Stale: x.standing.Stale,
				IdempotencyKey: x.claim.IdempotencyKey, Forget: x.forget(charged),
			})
			return err
		})
		x.sweep(ctx)
	case x.entry != nil:
		failure = x.try(ctx, func() error { return x.server.Store.Record(ctx, e) })
	}
	x.takeBack(ctx)
	if failure != nil {
		x.server.Log.Logger.ErrorContext(ctx, "call not settled: what it reserved stays charged",
			"requestId", x.id, "keyId", e.KeyID, "error", failure)
	}
	x.server.Log.Call(ctx, &e, x.cause())
	if refresh := x.server.RefreshPrices; refresh != nil {
		refresh(ctx)
	}
}

// try does f until it succeeds, settleTries times at most.
func (x *exchange) try(ctx context.Context, f func() error) error {
	var err error
	for n := range settleTries {
		if err = f(); err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(x.server.pause << n):
		}
	}
	return err
}

// forget reports whether a call may be tried again under its idempotency key: it
// cost nothing, and what happened is worth another try.
func (x *exchange) forget(charged bool) bool {
	return !charged && (x.status >= 500 || x.status == http.StatusTooManyRequests ||
		x.status == http.StatusRequestTimeout || x.status == http.StatusConflict)
}

// cause is what the log, and only the log, says of a failure.
func (x *exchange) cause() error {
	var e *gateway.Error
	if errors.As(x.err, &e) {
		return e.Err
	}
	return x.err
}

// event is the record of the call, without what it consumed.
func (x *exchange) event() gateway.Event {
	now := x.server.Now()
	e := gateway.Event{
		ID: x.id, ReservationID: limit.NewID(), At: x.start.Truncate(time.Millisecond),
		Method: x.r.Method, Path: short(x.r.URL.Path), CustomID: x.customID, Metadata: x.metadata,
		Status: x.status, LatencyMS: now.Sub(x.start).Milliseconds(), Truncated: x.truncated,
		Refused: x.code, Scope: x.scope, CapTokens: x.capped, Basis: gateway.BasisNone,
		Retry: retries(x.r.Header),
	}
	if !x.last.IsZero() {
		e.LatencyMS = x.last.Sub(x.start).Milliseconds()
	}
	if !x.first.IsZero() {
		e.FirstMS = max(x.first.Sub(x.start).Milliseconds(), 1)
	}
	if x.claim != nil {
		e.ReservationID, e.At = x.claim.ID, x.claim.At
	}
	if x.endpoint != nil {
		e.Endpoint, e.Provider = x.endpoint.Pattern, x.endpoint.Vendor.Name()
	}
	if x.custom != (customPath{}) && (x.entry == nil || x.entry.custom[x.custom.provider] == nil) {
		e.Provider = "" // the path names one, but there is none
	}
	if x.call != nil {
		e.Model, e.Stream, e.UserID = short(x.call.Model), x.call.Stream, short(x.call.User)
		e.CountAs = x.countAs(e.Model)
	}
	if x.setting != nil {
		e.SettingID = x.setting.ID
	}
	if x.response != nil && x.response.StatusCode != x.status {
		e.UpstreamS = x.response.StatusCode
	}
	if x.entry != nil {
		e.KeyID, e.Tags, e.PolicyID = x.entry.key.ID, x.entry.key.Tags, x.entry.key.PolicyID
		e.Action = string(x.inspection.action)
		x.bodies(&e)
	}
	return e
}

// countAs is what the sums call the model of a call that failed, where it is not the
// exact name of one that has prices. Whoever has a key can name anything, also names
// that are priced by their beginning or with any date, and every name would have sums
// that are kept for ever.
func (x *exchange) countAs(model string) string {
	if model == "" || x.status != 0 && x.status < 400 {
		return ""
	}
	m, known := (*price.Model)(nil), false
	if x.quote != nil && x.quote.model != nil {
		m, known = x.quote.model, true
	} else if x.endpoint != nil {
		m, known = x.inTable(x.server.Prices(), model)
	}
	if !known {
		return gateway.OtherModel
	}
	row, ok := m.Row()
	if !ok {
		return "" // named by the operator, in a costMap
	}
	for _, name := range row.Exact {
		if strings.EqualFold(name, model) {
			return other(name, model)
		}
	}
	return other(m.Name, model)
}

// other is name if it is not the same as than.
func other(name, than string) string {
	if name == than {
		return ""
	}
	return name
}

// short cuts a name that comes from outside: an event has to fit into an item, and its
// names into its sums.
func short(s string) string {
	if len(s) > maxName {
		return strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

// retries is how often an SDK says that it has sent the call before.
func retries(h http.Header) int {
	n, err := strconv.Atoi(h.Get("X-Stainless-Retry-Count"))
	if err != nil || n < 0 || n > 1000 {
		return 0
	}
	return n
}

// bodies keeps request and response where the key asks for it.
func (x *exchange) bodies(e *gateway.Event) {
	if x.entry.key.LogRequest && len(x.body) > 0 && x.loggable() {
		e.Request = stored(x.body, true, json.Valid(x.body))
	}
	if x.entry.key.LogResponse && x.meter != nil {
		answer, whole := x.meter.Answer()
		e.Response = stored(answer, whole, !x.meter.Texts() && json.Valid(answer))
	}
}

// sealBodies seals what is kept of the bodies. What cannot be sealed is not kept:
// the event itself, which accounting rests on, is.
func (x *exchange) sealBodies(ctx context.Context, e *gateway.Event) {
	if e.Request == nil && e.Response == nil {
		return
	}
	e.Sealed = true
	ctx, cancel := context.WithTimeout(ctx, sealTime)
	defer cancel()
	for _, b := range []struct {
		body    *[]byte
		purpose string
	}{{&e.Request, e.RequestPurpose()}, {&e.Response, e.ResponsePurpose()}} {
		if *b.body == nil {
			continue
		}
		sealed, err := x.server.bodies.Seal(ctx, *b.body, b.purpose)
		if err != nil {
			x.server.Log.Logger.ErrorContext(ctx, "body not kept: it cannot be sealed",
				"requestId", x.id, "keyId", e.KeyID, "error", err)
			sealed = nil
		}
		*b.body = sealed
	}
}

// stored is a body as it is kept: JSON as it is, anything else (a stream, a form,
// audio) in base64, as the peer does.
func stored(body []byte, whole, isJSON bool) []byte {
	var v any = map[string][]byte{"data": body}
	if !whole || len(body) > maxStored {
		v = map[string]any{"truncated": true, "bytes": len(body)}
	} else if isJSON {
		return body
	}
	b, _ := json.Marshal(v) // bytes and numbers always marshal
	return b
}

// chargeSafely is charge for a vendor that may fall over an answer: then what was
// reserved stands.
func (x *exchange) chargeSafely(e *gateway.Event) (charged bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		x.err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		e.Refused, e.Basis, e.Tokens, e.Cost = "internal_error", gateway.BasisReserved, x.claim.Tokens, x.claim.Cost
		charged = true
	}()
	return x.charge(e)
}

// charge fills in what the call consumed and costs, and reports whether that is
// anything. Unknown is not zero: if the provider did not say, tokens are counted,
// and if they cannot be, what was reserved stands.
func (x *exchange) charge(e *gateway.Event) bool {
	if x.claim == nil || !x.sent {
		return false
	}
	if x.endpoint.Metering == provider.Free {
		x.noteLater(e)
		return false
	}
	if x.response != nil && (x.response.StatusCode < 200 || x.response.StatusCode >= 300) {
		return false // a provider does not bill what it refused, or did not do
	}
	if x.quote.version != "" {
		e.Price = x.quote.version
	}
	usage, known := x.reported(e)
	switch {
	case known && x.incredible(&usage):
		x.server.Log.Logger.Warn("usage not believed: what was reserved is charged", "requestId", x.id,
			"keyId", e.KeyID, "promptTokens", usage.PromptTokens(), "completionTokens", usage.CompletionTokens())
		x.reserved(e, gateway.Usage{})
		return true
	case known:
		e.Basis = gateway.BasisReported
	default:
		if usage, known = x.counted(usage); !known {
			x.reserved(e, usage)
			return true
		}
		e.Basis = gateway.BasisEstimated
	}
	x.price(e, usage)
	if e.Basis != gateway.BasisEstimated {
		x.priceShares(e, &usage)
	}
	e.SetUsage(usage)
	e.Tokens = usage.PromptTokens() + usage.CompletionTokens()
	return !usage.IsZero()
}

// incredible reports whether usage is no honest overrun: twenty times what the call
// could consume, and more than ten million tokens, five times the largest context. A
// broken server must not use up a budget for good with one answer.
func (x *exchange) incredible(u *gateway.Usage) bool {
	n := u.PromptTokens() + u.CompletionTokens()
	return n > 10_000_000 && n/20 > x.quote.size() || u.Charge > nonsense
}

// noteLater notes the usage of work that an earlier call started. Who asks about it is
// not charged: that call was, with what it reserved, and the answer is the same however
// often one asks.
func (x *exchange) noteLater(e *gateway.Event) {
	if x.meter == nil || x.r.Method != http.MethodGet || x.status != http.StatusOK {
		return
	}
	if usage, known := x.endpoint.Vendor.Usage(x.call, x.meter.Members()); known {
		e.SetLater(usage)
	}
}

// reserved lets stand what was reserved, but at the service tier that the answer had
// named by then if the call left that to the provider. Where the provider had told the
// input, in told, that and the output cap are the worst case, which may be far less; but
// not where tools of the provider's may have taken the input in once more.
func (x *exchange) reserved(e *gateway.Event, told gateway.Usage) {
	e.Basis, e.Tokens, e.Cost = gateway.BasisReserved, x.claim.Tokens, x.claim.Cost
	b := &x.call.Bound
	if worst := *x.quote; (b.Tier == "" || b.Tier == "auto") && e.Tier != "" && worst.dearest != nil && worst.dearest.KnowsTier(e.Tier) {
		worst.bound.Tier = e.Tier
		e.Cost = min(e.Cost, worst.cost())
	}
	if x.quote.model == nil { // nothing was; that is not the same as free
		e.Unpriced = append(e.Unpriced, "model:"+e.Model)
	}
	if told.PromptTokens() == 0 || b.MediaOut || b.Later || x.quote.model == nil {
		return
	}
	told.Counts[gateway.Output] = max(told.Counts[gateway.Output], x.quote.output())
	worst := gateway.Event{Tier: e.Tier, Served: e.Served, Price: e.Price, Basis: e.Basis}
	x.price(&worst, told)
	if b.Turns > 0 || b.Unbounded || len(worst.Unpriced) > 0 {
		worst.Cost = max(worst.Cost, e.Cost)
	}
	e.Cost, e.Price = worst.Cost, worst.Price
	e.Tokens = told.PromptTokens() + told.CompletionTokens()
}

// reported is the usage that the provider sent along.
func (x *exchange) reported(e *gateway.Event) (gateway.Usage, bool) {
	if x.meter == nil {
		return gateway.Usage{}, false
	}
	e.Tier = x.meter.Tier()
	if m := x.meter.Model(); m != x.call.Model {
		e.Served = short(m)
	}
	return x.endpoint.Vendor.Usage(x.call, x.meter.Members())
}

// counted estimates the usage from the texts of the call and of what was answered
// before it broke off. What the provider had told of the input by then, in told,
// is not estimated.
func (x *exchange) counted(told gateway.Usage) (gateway.Usage, bool) {
	u := told
	if x.meter == nil {
		return u, false
	}
	answer, whole := x.meter.Answer()
	events := x.meter.Texts()
	// The text in bytes that are compressed, or are not the JSON they should be,
	// is not known; it is not none.
	whole = whole && x.response.Header.Get("Content-Encoding") == "" && (events || json.Valid(answer))
	if !whole || x.call.Bound.MediaOut || x.call.Bound.Later || x.mayHaveThought() {
		return u, false
	}
	if told.PromptTokens() == 0 {
		texts, extra, ok := provider.RequestText(x.call)
		in, err := tokenize.Count(texts...)
		if !ok || err != nil {
			return u, false
		}
		// An estimate may err upwards, but not beyond what was possible: that is
		// what the limits have room for.
		u = gateway.Usage{}
		u.Counts[gateway.Input] = min(in+extra, x.quote.bound.Input)
	}
	out, err := tokenize.Count(provider.AnswerText(x.call, answer, events)...)
	if err != nil {
		return u, false
	}
	u.Counts[gateway.Output] = max(told.Counts[gateway.Output], min(out, x.quote.output()))
	return u, true
}

// mayHaveThought reports whether the answer may have taken more tokens than its text
// shows. A model that is not known is taken for one that thinks where a cost limit
// has to hold.
func (x *exchange) mayHaveThought() bool {
	model := x.call.Model
	if served := x.meter.Model(); served != "" && (x.call.Alias || len(x.call.Fallbacks) > 0) {
		model = served
	}
	switch x.call.Thinking(model) {
	case provider.ThinkingHidden:
		return true
	case provider.ThinkingUnknown:
		return x.limited(gateway.Cost)
	}
	return false
}
